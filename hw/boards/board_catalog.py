# amaranth: UnusedElaboratable=no
"""The boards, and the design of each: clock, pins and the accelerator behind its serial line."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
)
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

CLOCK_HZ = 60_000_000
"""The clock of the accelerator, on every board: 20 cycles a bit at 3 Mbaud."""


@dataclass(frozen=True)
class Ecp5Pll:
    """The dividers of an ECP5's PLL that make `CLOCK_HZ` from a board's oscillator.

    Parameters
    ----------
    oscillator_hz
        The frequency of the oscillator.
    input, feedback, output
        `CLKI_DIV`, `CLKFB_DIV` and `CLKOP_DIV` of `EHXPLLL`, whose feedback is its output. The
        phase detector then has `oscillator / input`, at least 3.125 MHz, and the VCO
        `CLOCK_HZ * output`, 400 to 800 MHz (Lattice FPGA-DS-02012, sysCLOCK PLL timing).
    """

    oscillator_hz: int
    input: int
    feedback: int
    output: int

    def instance(self, oscillator: Signal, clock: Signal, locked: Signal) -> Instance:
        """The primitive, from the oscillator's signal to the clock and its lock."""
        return Instance(
            "EHXPLLL",
            # The loop filter, as Project Trellis sets it.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_CLKI_DIV=self.input,
            p_CLKFB_DIV=self.feedback,
            p_CLKOP_DIV=self.output,
            p_CLKOP_CPHASE=(self.output - 1) // 2,
            p_CLKOP_FPHASE=0,
            p_CLKOP_ENABLE="ENABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_FEEDBK_PATH="CLKOP",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            i_CLKI=oscillator,
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_ENCLKOP=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            o_CLKOP=clock,
            o_LOCK=locked,
        )


@dataclass(frozen=True)
class Board:
    """A board of amaranth-boards.

    Parameters
    ----------
    module, platform
        The module of `amaranth_boards`, and its platform.
    target
        Its device, by its name in `silicon.targets`.
    pll
        The dividers of its PLL.
    loader
        Its name for openFPGALoader.
    high
        Pins that are held high, as the arguments of `platform.request` and the name inside.
    """

    module: str
    platform: str
    target: str
    pll: Ecp5Pll
    loader: str
    high: tuple[tuple[str, int, str], ...] = ()

    def make_platform(self) -> Any:
        """The platform.

        Raises
        ------
        ModuleNotFoundError
            amaranth-boards is not installed.
        """
        return getattr(importlib.import_module(f"amaranth_boards.{self.module}"), self.platform)()


_FROM_25_MHZ = Ecp5Pll(25_000_000, input=5, feedback=12, output=10)
_FROM_50_MHZ = Ecp5Pll(50_000_000, input=5, feedback=6, output=10)

# The ESP32 of this board takes a low level at this pin for a request to start its loader.
_ESP32_RUNS = (("esp32", 0, "gpio0"),)

BOARDS: Mapping[str, Board] = {
    "ulx3s-25f": Board(
        "ulx3s", "ULX3S_25F_Platform", "ecp5-25k", _FROM_25_MHZ, "ulx3s", _ESP32_RUNS
    ),
    "ulx3s-85f": Board(
        "ulx3s", "ULX3S_85F_Platform", "ecp5-85k", _FROM_25_MHZ, "ulx3s", _ESP32_RUNS
    ),
    "icepi-zero": Board(
        "icepi_zero", "IcepiZero1_3Platform", "ecp5-25k", _FROM_50_MHZ, "icepi-zero"
    ),
}
"""The boards by their names."""


class BoardDesign(Elaboratable):
    """The whole design of a board: the module of `board_verilog` at its clock and its pins.

    It is in reset until the PLL has locked.

    Parameters
    ----------
    board
        The board.
    module
        The name of the module.
    """

    def __init__(self, board: Board, module: str) -> None:
        self.board = board
        self.module = module

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pin = platform.request(platform.default_clk, dir="-")
        m.submodules.oscillator = oscillator = io.Buffer("i", pin)
        m.domains.sync = domain = ClockDomain("sync")
        locked = Signal()
        m.submodules.pll = self.board.pll.instance(oscillator.i, domain.clk, locked)
        m.submodules.reset = ResetSynchronizer(~locked, domain="sync")

        for resource, number, name in self.board.high:
            port = getattr(platform.request(resource, number, dir="-"), name)
            m.submodules[f"{resource}_{name}"] = buffer = io.Buffer("o", port)
            m.d.comb += buffer.o.eq(1)
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.line = Instance(
            self.module,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_rx=rx.i,
            o_tx=tx.o,
        )
        return m

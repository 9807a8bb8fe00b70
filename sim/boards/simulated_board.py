"""A simulated board: what is on the FPGA but for its clock and pins, on Verilator.

It is a `Port` of the host (`hw.boards.board_client`), so that the same code talks to it and to a
board. Every bit of the line is simulated.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from systolith.hw.boards.serial_accelerator import board_module, board_verilog
from systolith.hw.child_processes import started
from systolith.sim.errors import SimulationError
from systolith.sim.simulators.builds import Design, build_verilator_program
from systolith.sim.simulators.processes import describe_status

if TYPE_CHECKING:
    from systolith.hw.verilog.artifacts import Artifacts

CLOCKS_PER_BIT = 8
"""The cycles that a bit takes: fewer than on a board, where most of the time goes into waiting."""

CYCLES_PER_SECOND = 1_000_000
"""What counts as a second while the host waits; it is simulated in about a second."""

_NOTHING, _BYTE = 0, 1
_MOST_CYCLES = 2**32 - 1


class SimulatedBoard:
    """The serial line of a simulated board; `simulated_board` starts one.

    Time passes only while the host reads; a second has `CYCLES_PER_SECOND`.

    Parameters
    ----------
    process
        The simulation (`board.cpp`).
    """

    name = "simulated board"

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._commands, self._answers = process.stdin, process.stdout

    def write(self, content: bytes) -> None:
        """Send bytes; they are on the line once the host reads."""
        self._command(b"W", len(content), content)

    def read(self, seconds: float) -> bytes:
        """Wait for a byte; empty if none came within the time.

        Raises
        ------
        SimulationError
            The board sent a byte without a stop bit, or the simulation died.
        """
        cycles = min(int(seconds * CYCLES_PER_SECOND), _MOST_CYCLES)
        self._command(b"R", cycles)
        outcome = self._answer()
        if outcome == _NOTHING:
            return b""
        byte = self._answer()
        if outcome != _BYTE:
            raise SimulationError(f"{self.name}: a byte has no stop bit")
        return bytes([byte])

    def _command(self, letter: bytes, number: int, content: bytes = b"") -> None:
        try:
            self._commands.write(letter + number.to_bytes(4, "little") + content)
            self._commands.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _answer(self) -> int:
        answer = self._answers.read(1)
        if not answer:
            raise self._died()
        return answer[0]

    def _died(self) -> SimulationError:
        with suppress(BrokenPipeError):
            self._commands.close()
        return SimulationError(f"{self.name}: {describe_status(self._process.wait())}")


@dataclass(frozen=True)
class BoardProgram:
    """The program that simulates a board, and the cycles that a bit of its line takes."""

    path: Path
    clocks_per_bit: int

    @property
    def bits_per_second(self) -> float:
        """The speed of the line, in seconds of the simulated board."""
        return CYCLES_PER_SECOND / self.clocks_per_bit


def build_board(built: Artifacts, clocks_per_bit: int = CLOCKS_PER_BIT) -> BoardProgram:
    """Build the simulation of a board; the compiler runs once for each content.

    Parameters
    ----------
    built
        The content of the folder (`hw.verilog.artifacts.load`).
    clocks_per_bit
        Cycles a bit of the line.

    Raises
    ------
    MissingToolError
        Verilator or the C++ compiler is not installed.
    SimulationError
        The build failed.
    """
    main = resources.files("systolith.sim.boards").joinpath("board.cpp").read_text("utf-8")
    design = Design(board_module(built), board_verilog(built, clocks_per_bit), ())
    return BoardProgram(build_verilator_program(design, main, {}), clocks_per_bit)


@contextmanager
def simulated_board(program: BoardProgram) -> Iterator[SimulatedBoard]:
    """Start a simulated board, out of reset; the end of the context ends it."""
    command = [str(program.path), str(program.clocks_per_bit)]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield SimulatedBoard(process)

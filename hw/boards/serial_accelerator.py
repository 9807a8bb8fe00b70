# amaranth: UnusedElaboratable=no
"""A generated accelerator behind a serial line: images in, results out, as checked packets.

It is the whole design of a board but for its clock and its pins (`boards.board_catalog`), and what
is simulated at the pins of the line (`sim.boards`). The accelerator is an instance of the Verilog
that was generated, which is what `simulate` compares with the fixed-point model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from amaranth.back import rtlil
from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from systolith.golden.qformat import PIXELS
from systolith.hw.boards.framing import Deframer, Framer
from systolith.hw.boards.image_buffer import WINDOW, ImageBuffer
from systolith.hw.boards.packets import (
    CHECK_BYTES,
    HASH_BYTES,
    HEAD_BYTES,
    MOST_SIDE,
    VERSION,
    ErrorCode,
    Identity,
    Kind,
)
from systolith.hw.boards.uart import UartReceiver, UartSender
from systolith.hw.verilog.yosys import run_yosys

if TYPE_CHECKING:
    from systolith.hw.verilog.artifacts import Artifacts

_ERRORS = 4  # error answers that wait; further ones are dropped
_RESET_CYCLES = 4

_PIXEL_BITS, _RESULT_BITS = 8, 64
_INPUTS: Mapping[str, int] = MappingProxyType(
    {"s_axis_tdata": _PIXEL_BITS, "s_axis_tvalid": 1, "s_axis_tlast": 1, "m_axis_tready": 1}
)
_OUTPUTS: Mapping[str, int] = MappingProxyType(
    {"s_axis_tready": 1, "m_axis_tdata": _RESULT_BITS, "m_axis_tuser": 1, "m_axis_tvalid": 1}
)

_SCRIPT = """
read_rtlil <<rtlil
{rtlil}
rtlil
proc
flatten
opt -full
clean -purge
write_verilog -noattr -simple-lhs
"""


class SerialAccelerator(wiring.Component):
    """Answers the packets of a host on a serial line (`boards.packets`) with an accelerator.

    - `Kind.HELLO` resets the accelerator, drops all images that have no answer, and is answered
      with `Kind.IDENTITY`. No result of an earlier image follows it.
    - `Kind.IMAGE` is answered with `Kind.RESULT`; results come in the order of their images. At
      most `Identity.window` images may be without an answer.
    - Every other packet is answered with `Kind.ERROR`, and has no effect. An error may come before
      the results of images that were sent before. Of errors that come faster than the line carries
      their answers, the last ones have none.

    Parameters
    ----------
    module
        The top module of the accelerator's Verilog.
    identity
        The answer to a `HELLO`; has the shape of an image.
    clocks_per_bit
        Cycles a bit of the line (`boards.uart`).

    Members
    -------
    rx
        The line from the host; asynchronous to the clock.
    tx
        The line to the host.
    """

    def __init__(self, module: str, identity: Identity, clocks_per_bit: int) -> None:
        self.module = module
        self.identity = identity
        self.clocks_per_bit = clocks_per_bit
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        resetting = Signal(range(_RESET_CYCLES + 1), init=_RESET_CYCLES)
        with m.If(resetting != 0):
            m.d.sync += resetting.eq(resetting - 1)
        restart = Signal()
        m.d.comb += restart.eq(resetting != 0)
        reset = ResetInserter(restart)

        axis = {name: Signal(bits, name=name) for name, bits in {**_INPUTS, **_OUTPUTS}.items()}
        running = Signal()
        m.d.sync += running.eq(~restart)
        m.submodules.accelerator = Instance(
            self.module,
            i_aclk=ClockSignal(),
            i_aresetn=running,
            **{f"i_{name}": axis[name] for name in _INPUTS},
            **{f"o_{name}": axis[name] for name in _OUTPUTS},
        )

        # Receiving.
        size = self.identity.image_bytes
        m.submodules.receiver = receiver = UartReceiver(self.clocks_per_bit)
        m.submodules.deframer = deframer = Deframer()
        m.submodules.images = images = reset(ImageBuffer(size))
        m.submodules.errors = errors = reset(SyncFIFO(width=16, depth=_ERRORS))
        kind = Signal(8)
        number = Signal(8)
        image_packet = HEAD_BYTES + size + CHECK_BYTES
        position = Signal(range(image_packet + 2))
        admitted = Signal()
        greeted = Signal()
        greeting = Signal(8)
        m.d.comb += [
            receiver.line.eq(self.rx),
            deframer.valid.eq(receiver.valid),
            deframer.data.eq(receiver.data),
            deframer.broken.eq(receiver.broken),
            images.write.eq(
                deframer.byte_valid
                & admitted
                & (position >= HEAD_BYTES)
                & (position < HEAD_BYTES + size)
            ),
            images.position.eq(position - HEAD_BYTES),
            images.pixel.eq(deframer.byte),
            images.number.eq(number),
        ]
        with m.If(deframer.byte_valid):
            with m.If(position != image_packet + 1):
                m.d.sync += position.eq(position + 1)
            with m.If(position == 0):
                m.d.sync += [kind.eq(deframer.byte), admitted.eq(images.free)]
            with m.If(position == 1):
                m.d.sync += number.eq(deframer.byte)

        def refuse(code: ErrorCode, of: Signal | Const) -> None:
            m.d.comb += [errors.w_en.eq(1), errors.w_data.eq(Cat(of, Const(code, 8)))]

        with m.If(deframer.end):
            m.d.sync += position.eq(0)
            with m.If(~deframer.good | (position < HEAD_BYTES + CHECK_BYTES)):
                refuse(ErrorCode.BROKEN, Const(0, 8))
            with m.Elif(kind == Kind.HELLO):
                with m.If(position == HEAD_BYTES + CHECK_BYTES):
                    m.d.sync += [
                        resetting.eq(_RESET_CYCLES),
                        greeted.eq(1),
                        greeting.eq(number),
                    ]
                with m.Else():
                    refuse(ErrorCode.LENGTH, number)
            with m.Elif(kind == Kind.IMAGE):
                with m.If(position != image_packet):
                    refuse(ErrorCode.LENGTH, number)
                with m.Elif(~admitted):
                    refuse(ErrorCode.BUSY, number)
                with m.Else():
                    m.d.comb += images.commit.eq(1)
            with m.Else():
                refuse(ErrorCode.UNKNOWN, number)

        # Computing.
        m.submodules.numbers = numbers = reset(SyncFIFO(width=8, depth=WINDOW))
        m.d.comb += [
            axis["s_axis_tdata"].eq(images.o.payload.data),
            axis["s_axis_tlast"].eq(images.o.payload.last),
            axis["s_axis_tvalid"].eq(images.o.valid),
            images.o.ready.eq(axis["s_axis_tready"]),
            numbers.w_data.eq(images.numbers.payload),
            numbers.w_en.eq(images.numbers.valid),
            images.numbers.ready.eq(numbers.w_rdy),
        ]

        # Answering.
        identity = self.identity.to_body()
        m.submodules.framer = framer = Framer(HEAD_BYTES + len(identity))
        m.submodules.sender = sender = UartSender(self.clocks_per_bit)
        wiring.connect(m, framer.o, sender.i)
        m.d.comb += self.tx.eq(sender.line)

        def answer(answer_kind: Kind, to: Value, body: Value) -> None:
            content = Cat(Const(answer_kind, 8), to, body)
            m.d.comb += [
                framer.start.eq(1),
                framer.content.eq(content),
                framer.count.eq(len(content) // 8),
            ]

        with m.If(framer.available & ~restart):
            with m.If(greeted):
                answer(Kind.IDENTITY, greeting, _constant(identity))
                m.d.sync += greeted.eq(0)
            with m.Elif(errors.r_rdy):
                answer(Kind.ERROR, errors.r_data[:8], errors.r_data[8:])
                m.d.comb += errors.r_en.eq(1)
            with m.Elif(numbers.r_rdy):
                m.d.comb += axis["m_axis_tready"].eq(1)
                with m.If(axis["m_axis_tvalid"]):
                    flags = Cat(axis["m_axis_tuser"], Const(0, 7))
                    answer(Kind.RESULT, numbers.r_data, Cat(flags, axis["m_axis_tdata"]))
                    m.d.comb += numbers.r_en.eq(1)
        return m


def _constant(content: bytes) -> Const:
    """Bytes as a value, the first lowest."""
    return Const(int.from_bytes(content, "little"), 8 * len(content))


def identity_of(built: Artifacts) -> Identity:
    """What a board with the accelerator of a folder answers to a `HELLO`.

    Raises
    ------
    ValueError
        A side of an image is too long for that answer, or the accelerator has other ports than
        boards are made for: a channel of 8 bits in a beat, a class and its score in 64 bits out.
    """
    _require_ports(built)
    shape = built.quantized.fixed.network.input.image_shape
    if max(shape) > MOST_SIDE:
        raise ValueError(
            f"network {built.quantized.name!r}: its images are {shape}, and the protocol of boards "
            f"allows no side above {MOST_SIDE:,}"
        )
    verilog_hash = bytes.fromhex(built.verilog_sha256)[:HASH_BYTES]
    return Identity(VERSION, WINDOW, *shape, verilog_hash)


def _require_ports(built: Artifacts) -> None:
    """Refuse an accelerator whose Verilog takes or gives words of other widths."""
    source, layout = built.quantized.fixed.network.input.format, built.manifest.result
    if source != PIXELS or (layout.kind, layout.bits) != ("class", _RESULT_BITS):
        raise ValueError(
            f"network {built.quantized.name!r}: takes {source} and gives {layout.kind} in "
            f"{layout.bits} bits; boards take pixels, {PIXELS}, and give a class and its score in "
            f"{_RESULT_BITS}"
        )
    if (lanes := built.manifest.input.lanes) != 1:
        raise ValueError(
            f"network {built.quantized.name!r}: takes {lanes} channels in a beat, and boards one: "
            f"generate it without lanes of its input"
        )
    file, top = built.manifest.files.verilog, built.manifest.top
    header = re.search(rf"^module {re.escape(top)}\b.*?;", built.verilog, re.MULTILINE | re.DOTALL)
    for port, bits in (("s_axis_tdata", _PIXEL_BITS), ("m_axis_tdata", _RESULT_BITS)):
        found = re.search(rf"\[(\d+):0\]\s*{port}\b", header[0] if header else "")
        if found is None or int(found[1]) + 1 != bits:
            raise ValueError(
                f"{file}: module {top!r} must have the port {port!r} of {bits} bits for a board"
            )


def board_module(built: Artifacts) -> str:
    """The name of the module in `board_verilog`; no module of an accelerator has it."""
    return f"{built.manifest.top}_board"


def board_verilog(built: Artifacts, clocks_per_bit: int) -> str:
    """The accelerator of a folder behind a serial line, as Verilog: its text and one more module.

    The module has the ports `clk`, `rst` (synchronous, active high), `rx` and `tx`.

    Parameters
    ----------
    built
        The content of the folder (`hw.verilog.artifacts.load`).
    clocks_per_bit
        Cycles a bit of the line.

    Raises
    ------
    ValueError
        As for `identity_of`.
    YosysError
        Yosys failed.
    """
    line = SerialAccelerator(built.manifest.top, identity_of(built), clocks_per_bit)
    text = rtlil.convert(line, name=board_module(built), emit_src=False)
    return built.verilog + run_yosys(_SCRIPT.format(rtlil=text))

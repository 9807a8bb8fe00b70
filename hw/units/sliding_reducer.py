# amaranth: UnusedElaboratable=no
"""The reducer of windows that overlap, have gaps between them, or reach into padding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Pooling
from systolith.hw.streams.beats import Beat
from systolith.hw.streams.counting import count
from systolith.hw.streams.formats import element, pack
from systolith.hw.streams.lookup import Walk
from systolith.hw.streams.output_buffer import OutputBuffer
from systolith.hw.units.reducer import Reducer


class Step(NamedTuple):
    """What happens at one position of an axis of the map.

    The windows that are open there have slots, the oldest of them slot 0.

    Parameters
    ----------
    inside
        Whether it is a position of the map. Otherwise nothing is read there.
    known
        The number of slots whose windows were open at the position before.
    padding
        For each window that is open, the number of its positions in the padding.
    completes
        Whether the oldest window is complete, and leaves its slot: all others move up.
    last
        Whether that is the last window.
    """

    inside: bool
    known: int
    padding: tuple[int, ...]
    completes: bool
    last: bool


@dataclass(frozen=True)
class Axis:
    """The windows along one axis of a map, position by position.

    A window opens at its first position in the map and is complete at its last one there, as what
    its padding contributes is known. A position completes one window only: where more are complete
    at the end of the map, positions without an input follow, one for each.

    Parameters
    ----------
    steps
        What happens at each position.
    """

    steps: tuple[Step, ...]

    @property
    def slots(self) -> int:
        """The most windows that are open at a position."""
        return max(1, *(len(step.padding) for step in self.steps))

    @property
    def stored(self) -> int:
        """The most windows that are open from a position to the next."""
        return max(step.known for step in self.steps)


def axes(layer: FixedLayer) -> tuple[Axis, Axis]:
    """The rows and the columns of the windows of a pooling layer."""
    assert isinstance(layer.layer, Pooling)
    windows, source, output = layer.layer.windows, layer.input_shape, layer.output_shape
    (rows, columns), (down, across) = windows.kernel, windows.stride
    return (
        _axis(source.height, rows, down, layer.padding.above, output.height),
        _axis(source.width, columns, across, layer.padding.left, output.width),
    )


@cache
def _axis(size: int, kernel: int, stride: int, before: int, windows: int) -> Axis:
    starts = range(-before, windows * stride - before, stride)
    padding = [max(0, -start) + max(0, start + kernel - size) for start in starts]
    steps: list[Step] = []
    oldest = opened = 0
    while len(steps) < size or oldest < windows:
        position = len(steps)
        known = opened - oldest
        while opened < windows and starts[opened] <= position:
            opened += 1
        completes = oldest < opened and min(starts[oldest] + kernel, size) <= position + 1
        last = completes and oldest == windows - 1
        steps.append(Step(position < size, known, tuple(padding[oldest:opened]), completes, last))
        oldest += completes
    return Axis(tuple(steps))


class DelayLine(wiring.Component):
    """Gives each word back after `length` steps, from registers; the words before it are undefined.

    Parameters
    ----------
    width
        The bits of a word.
    length
        The number of steps, at least 1. From `MEMORY_LENGTH` on, the words are in a memory.

    Members
    -------
    step
        Take the word `i`, and go on to the next `o`.
    i, o
        The word of this step, and that of the step `length` steps before.
    """

    MEMORY_LENGTH = 4

    def __init__(self, width: int, length: int) -> None:
        self.length = length
        super().__init__({"step": In(1), "i": In(width), "o": Out(width)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        word: Value = self.i
        registers = self.length
        if self.length >= self.MEMORY_LENGTH:
            # The memory's output is a step of its own, and the register behind it another one.
            words, registers = self.length - 2, 1
            m.submodules.memory = memory = Memory(shape=len(self.i), depth=words, init=[])
            place = Signal(range(words))
            write_port, read_port = memory.write_port(), memory.read_port()
            with m.If(self.step):
                count(m, place, words)
            m.d.comb += [
                write_port.addr.eq(place),
                write_port.data.eq(self.i),
                write_port.en.eq(self.step),
                read_port.addr.eq(place),
                read_port.en.eq(self.step),
            ]
            word = read_port.data
        for number in range(registers):
            register = Signal(len(self.i), name=f"word{number}", reset_less=True)
            with m.If(self.step):
                m.d.sync += register.eq(word)
            word = register
        m.d.comb += self.o.eq(word)
        return m


class _Flags(NamedTuple):
    """A `Step` of an axis as signals.

    Parameters
    ----------
    inside, completes, last
        As in `Step`.
    opens
        For each slot, whether its window opens here.
    start
        For each slot, what the padding contributes to the window that opens.
    """

    inside: Signal
    completes: Signal
    last: Signal
    opens: list[Signal]
    start: list[Signal]

    def registered(self, m: Module, name: str) -> _Flags:
        """The same, a cycle later."""

        def later(signal: Signal) -> Signal:
            register = Signal.like(signal, name=f"{name}_{signal.name}", reset_less=True)
            m.d.sync += register.eq(signal)
            return register

        return _Flags(
            later(self.inside),
            later(self.completes),
            later(self.last),
            [later(each) for each in self.opens],
            [later(each) for each in self.start],
        )


@dataclass(frozen=True)
class _Stage:
    """One of the two stages.

    Parameters
    ----------
    name
        The start of the names of its signals.
    axis
        The axis along which it joins values.
    length
        The number of values from one to the next of the same windows.
    value_shape, result_shape
        The shapes of the values and of partial results.
    padding
        The value at a position in the padding.
    """

    name: str
    axis: Axis
    length: int
    value_shape: Shape
    result_shape: Shape
    padding: int


class SlidingReducer(Reducer):
    """Reduces windows of any stride and padding, first along the rows, then along the columns.

    Two equal stages follow each other, as sums and maxima are separable. Each holds the partial
    results of the windows that are open, joins all of them with a value at a time, and passes on
    the oldest when it is complete. The first stage has them for each group of channels, the second
    one for each group of each column of windows.

    Values in the padding are `layer.padding_value`. They take no time: a window starts with what
    its padding contributes. Only positions that `Axis` has beyond the map take a cycle each.
    """

    latency = 2

    def __init__(self, layer: FixedLayer, **sizes: Any) -> None:
        super().__init__(layer, **sizes)
        self.rows, self.columns = axes(layer)
        fmt, border, width = layer.input_format, layer.padding_value, self.window[1]
        row_shape = self.reduction.result_shape(fmt, width)
        self._across = _Stage(
            "across", self.columns, self.groups, self.value_shape, row_shape, border
        )
        self._down = _Stage(
            "down",
            self.rows,
            self.groups * layer.output_shape.width,
            row_shape,
            self.result_shape,
            self._repeated(border, width),
        )

    def positions(self) -> list[tuple[bool, bool]]:
        """For each position of a frame, whether it has a beat and completes a window."""
        return [
            (row.inside and column.inside, row.completes and column.completes)
            for row, column in product(self.rows.steps, self.columns.steps)
            for _ in range(self.groups)
        ]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        taken = Signal()
        group = Signal(range(self.groups))
        at_end = group == self.groups - 1
        with m.If(taken):
            count(m, group, self.groups)
        column, next_row = self._follow(m, self._across, taken & at_end)
        row, _ = self._follow(m, self._down, next_row)
        m.submodules.buffer = buffer = OutputBuffer(
            Beat(self.result_shape, self.input_lanes), self.depth
        )
        inside = Signal()
        complete = Signal()
        free = Signal()
        m.d.comb += [
            inside.eq(column.inside & row.inside),
            complete.eq(column.completes & row.completes),
            free.eq(buffer.available | ~complete),
            self.i.ready.eq(inside & free),
            taken.eq((self.i.valid | ~inside) & free),
            buffer.reserve.eq(taken & complete),
        ]

        # Stage 1: the windows of a row.
        values = Signal.like(self.i.payload.data, name="values", reset_less=True)
        valid = Signal()
        last = Signal(reset_less=True)
        m.d.sync += [
            values.eq(Mux(inside, self.i.payload.data, self._nothing(self.value_shape))),
            valid.eq(taken),
            last.eq(column.last & row.last & at_end),
        ]
        column, row = column.registered(m, "across"), row.registered(m, "across")
        part = self._join(m, self._across, column, valid, values)

        # Stage 2: the windows of all rows.
        parts = Signal.like(part, name="parts", reset_less=True)
        parts_valid = Signal()
        parts_last = Signal(reset_less=True)
        m.d.sync += [
            parts.eq(Mux(row.inside, part, self._nothing(self._down.value_shape))),
            parts_valid.eq(valid & column.completes),
            parts_last.eq(last),
        ]
        row = row.registered(m, "down")
        m.d.comb += [
            buffer.write_valid.eq(parts_valid & row.completes),
            buffer.write.data.eq(self._join(m, self._down, row, parts_valid, parts)),
            buffer.write.last.eq(parts_last),
        ]
        self.serialize(m, buffer)
        return m

    def _repeated(self, value: int, times: int) -> int:
        return self.reduction.repeated(self.layer.input_format, value, times)

    def _nothing(self, shape: Shape) -> int:
        """A word of values that change no partial result."""
        return pack([self._repeated(0, 0)] * self.input_lanes, shape)

    def _follow(self, m: Module, stage: _Stage, advance: Value) -> tuple[_Flags, Value]:
        """The flags of the position at the input, and whether its axis begins again after it."""
        steps, slots = stage.axis.steps, range(stage.axis.slots)
        walk = Walk(m, len(steps), advance, stage.name)
        at_end = walk.constant([*[False] * (len(steps) - 1), True], "at_end")
        starts = []
        for slot in slots:
            paddings = [
                step.padding[slot] if step.known <= slot < len(step.padding) else 0
                for step in steps
            ]
            words = [pack([self._repeated(stage.padding, n)], stage.result_shape) for n in paddings]
            start = Signal(stage.result_shape, name=f"{stage.name}_start{slot}")
            m.d.comb += start.eq(walk.constant(words, f"start{slot}_word"))
            starts.append(start)
        flags = _Flags(
            walk.constant([step.inside for step in steps], "inside"),
            walk.constant([step.completes for step in steps], "completes"),
            walk.constant([step.last for step in steps], "last"),
            [
                walk.constant([slot >= step.known for step in steps], f"opens{slot}")
                for slot in slots
            ],
            starts,
        )
        return flags, advance & at_end

    def _join(self, m: Module, stage: _Stage, flags: _Flags, valid: Value, values: Value) -> Signal:
        """Join a beat with the windows that are open; returns the partial results of the oldest."""
        axis, shape = stage.axis, stage.result_shape
        width = self.input_lanes * shape.width
        stored = Signal(axis.stored * width, name=f"{stage.name}_stored")
        joined = []
        for slot in range(axis.slots):
            results = Signal(width, name=f"{stage.name}_joined{slot}")
            for lane in range(self.input_lanes):
                known: Value = flags.start[slot]
                if slot < axis.stored:
                    before = element(stored[slot * width :], lane, shape)
                    known = Mux(flags.opens[slot], known, before)
                value = element(values, lane, stage.value_shape)
                m.d.comb += results.word_select(lane, shape.width).eq(
                    self.reduction.join(known, value)
                )
            joined.append(results)
        if axis.stored:
            m.submodules[stage.name] = line = DelayLine(len(stored), stage.length)
            behind = [*joined[1:], joined[-1]]
            kept = [Mux(flags.completes, behind[slot], joined[slot]) for slot in range(axis.stored)]
            m.d.comb += [stored.eq(line.o), line.step.eq(valid), line.i.eq(Cat(kept))]
        return joined[0]

# amaranth: UnusedElaboratable=no
"""Requantization in hardware: bias, rounding, shift, ReLU, saturation and activation table."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.arithmetic import Requantization
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.activations import FixedForm
from systolith.golden.network.graph import AveragePooling
from systolith.hw.errors import UnitError
from systolith.hw.streams.beats import Beat
from systolith.hw.streams.component import Component
from systolith.hw.streams.formats import element, range_shape, shape_range, value_shape
from systolith.hw.streams.pipeline import BufferedPipeline
from systolith.hw.units.activation_table import ActivationTable
from systolith.hw.units.channel_constants import ChannelConstants

_RECTIFIES = {
    FixedForm.IDENTITY: False,
    FixedForm.RECTIFIER: True,
    FixedForm.CLAMP: False,
    FixedForm.TABLE: False,
}
"""Whether negative accumulators become zero."""


def accumulator_shape(layer: FixedLayer) -> Shape:
    """The shape of accumulators, times the multiplier of their requantization if it has one."""
    how = layer.requantization
    if how is None or how.multiplier == 1:
        return signed(layer.accumulator_bits)
    # The rounding constant is no part of these accumulators.
    low, high = (end * how.multiplier for end in layer.accumulator_range)
    return range_shape(min(low, -1), high + max(map(_half, how.shifts)))


class RequantizePipeline(Component):
    """Requantizes a beat of accumulators a cycle; it never stalls.

    A `Requantizer` or another `BufferedPipeline` gives it the handshakes of a stream. It computes
    `golden.fixed.arithmetic.requantize` for the rounding `half_up` and the overflow `saturate`. The
    rounding constant is added with the bias. The ReLU is the lower limit of the saturation, since
    rounding does not cross 0. Without a requantization, the value is the accumulator plus its bias
    (after the ReLU).

    Latency: `latency` cycles from `i_valid` to `o_valid`.

    Parameters
    ----------
    layer
        The layer. Its accumulators come without their bias, and may have wrapped around in
        `accumulator_shape(layer)`: with the bias they fit. A multiplier other than 1 has multiplied
        them already (`scale.Scale`).
    lanes
        Channels a beat; divides the layer's output channels.

    Members
    -------
    i_valid, i : accumulators, `accumulator_shape(layer)`
    o_valid, o : values of `layer.output_format`

    Raises
    ------
    GraphError
        The activation's fixed form has no hardware.
    UnitError
        Arithmetic or a number of lanes that hardware does not support.
    """

    def __init__(self, layer: FixedLayer, lanes: int) -> None:
        channels = layer.output_shape.channels
        if lanes < 1 or channels % lanes:
            raise UnitError(layer, f"lanes must divide the {channels} channels, not {lanes}")
        how = layer.requantization
        if how is not None:
            _require_built(layer, how)
        self._rectifies = layer.layer.activation.entry(_RECTIFIES, "hardware")
        self.layer = layer
        self.lanes = lanes
        self.latency = 6 if how is not None and how.table is not None else 4
        self.input_shape = accumulator_shape(layer)
        self.input_beat = Beat(self.input_shape, lanes)
        self.output_beat = Beat(value_shape(layer.output_format), lanes)
        super().__init__(
            {
                "i_valid": In(1),
                "i": In(self.input_beat),
                "o_valid": Out(1),
                "o": Out(self.output_beat),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, lanes = self.layer, self.lanes
        how = layer.requantization
        shifts = sorted({int(shift) for shift in how.shifts}) if how is not None else [0]
        relu = self._rectifies

        # Cycles 1 and 2: the constants of the accumulators' channels are fetched.
        waiting = Signal.like(self.i.data, name="waiting", reset_less=True)
        accumulators = Signal.like(self.i.data, name="accumulators", reset_less=True)
        addends = ChannelConstants(_addends(layer), self.input_shape, lanes)
        m.submodules.addends = addends
        m.d.sync += [waiting.eq(self.i.data), accumulators.eq(waiting)]
        m.d.comb += addends.taken.eq(self.i_valid)

        # Cycle 3: bias and rounding constant, in one addition.
        sums = []
        for lane in range(lanes):
            total = Signal(self.input_shape, name=f"sum{lane}", reset_less=True)
            m.d.sync += total.eq(
                element(accumulators, lane, self.input_shape)
                + element(addends.data, lane, self.input_shape)
            )
            sums.append(total)

        # Cycle 4: shift, ReLU and saturation. Cycles 5 and 6, with a table: the entry is read.
        self._add_output(m, self._limit(m, self._shift(m, sums, shifts), relu))

        valid = Signal(self.latency)
        last = Signal(self.latency, reset_less=True)
        m.d.sync += [
            valid.eq((valid << 1) | self.i_valid),
            last.eq((last << 1) | self.i.last),
        ]
        m.d.comb += [self.o_valid.eq(valid[-1]), self.o.last.eq(last[-1])]
        return m

    def _shift(self, m: Module, sums: list[Signal], shifts: list[int]) -> list[Signal]:
        """Each sum, shifted as its channel needs; `shifts` are the layer's different ones."""
        choice_shape = unsigned((len(shifts) - 1).bit_length())
        choice = Signal(self.lanes * choice_shape.width, reset_less=True)
        if len(shifts) > 1:
            choices = ChannelConstants(_shift_choices(self.layer, shifts), choice_shape, self.lanes)
            m.submodules.choices = choices
            m.d.comb += choices.taken.eq(self.i_valid)
            m.d.sync += choice.eq(choices.data)
        result = []
        for lane, total in enumerate(sums):
            shifted = Signal(_shifted_shape(self.input_shape, shifts), name=f"shifted{lane}")
            with m.Switch(element(choice, lane, choice_shape)):
                for position, shift in enumerate(shifts[:-1]):
                    with m.Case(position):
                        m.d.comb += shifted.eq(total.shift_right(shift))
                with m.Default():
                    m.d.comb += shifted.eq(total.shift_right(shifts[-1]))
            result.append(shifted)
        return result

    def _limit(self, m: Module, values: list[Signal], relu: bool) -> Signal:
        """The values side by side, saturated to their format; those below 0 are 0 with a ReLU."""
        how = self.layer.requantization
        fmt = how.target if how is not None else self.layer.output_format
        low = 0 if relu else None
        high = None
        if how is not None:
            low, high = how.range
            low = max(low, 0) if relu else low
        limited = Signal(self.lanes * fmt.bits, reset_less=True)
        for lane, value in enumerate(values):
            m.d.sync += limited.word_select(lane, fmt.bits).eq(_clamp(value, low, high))
        return limited

    def _add_output(self, m: Module, limited: Signal) -> None:
        """The output's data: the values, or the entries of the activation table at them."""
        how = self.layer.requantization
        if how is None or how.table is None:
            m.d.comb += self.o.data.eq(limited)
            return
        fmt = how.target
        table = ActivationTable(
            [int(entry) for entry in how.table], value_shape(self.layer.output_format), self.lanes
        )
        m.submodules.table = table
        # The smallest raw value has index 0: two's complement with its sign bit inverted.
        offset = sum(1 << (lane * fmt.bits + fmt.bits - 1) for lane in range(self.lanes))
        m.d.comb += [
            table.index.eq(limited ^ offset if fmt.signed else limited),
            self.o.data.eq(table.data),
        ]


class Requantizer(BufferedPipeline):
    """Requantizes a stream of accumulators: a `RequantizePipeline` and its output FIFO.

    The last part of every unit with an array or with average pooling. It takes a beat a cycle,
    whatever `depth` is.

    Parameters
    ----------
    layer, lanes
        As for `RequantizePipeline`.
    depth
        The depth of the FIFO in beats, without those that keep the pipeline moving.

    Members
    -------
    i : In(beat_stream(accumulator_shape(layer), lanes))
    o : Out(beat_stream(value_shape(layer.output_format), lanes))
    """

    def __init__(self, layer: FixedLayer, lanes: int, depth: int) -> None:
        super().__init__({"requantize": RequantizePipeline(layer, lanes)}, depth)


def _require_built(layer: FixedLayer, how: Requantization) -> None:
    """Check that hardware supports a requantization."""
    if how.rounding != "half_up":
        raise UnitError(
            layer,
            f"hardware builds the rounding 'half_up' only, not {how.rounding!r}: quantize with "
            'rounding = "half_up" (docs/limits.md)',
        )
    if how.overflow != "saturate":
        raise UnitError(
            layer,
            f"hardware builds the overflow 'saturate' only, not {how.overflow!r} (docs/limits.md)",
        )
    if how.multiplier != 1 and not isinstance(layer.layer, AveragePooling):
        raise UnitError(
            layer,
            f"hardware builds multipliers other than 1 for average pooling only, not "
            f"{how.multiplier} here (docs/limits.md)",
        )
    channels = layer.output_shape.channels
    if np.shape(how.shifts) != (channels,):
        raise UnitError(
            layer, f"needs {channels} shifts, one a channel, not {np.shape(how.shifts)}"
        )
    if how.table is not None and len(how.table) != 1 << how.target.bits:
        raise UnitError(
            layer, f"needs a table of {1 << how.target.bits} entries, not {len(how.table)}"
        )


def _half(shift: int) -> int:
    """The rounding constant of a shift: half an LSB of the result."""
    return (1 << int(shift)) >> 1 if shift > 0 else 0


def _addends(layer: FixedLayer) -> list[int]:
    """The constant added to each channel's accumulator: its bias, and the rounding constant."""
    channels = layer.output_shape.channels
    bias = [0] * channels if layer.bias is None else [int(value) for value in layer.bias]
    how = layer.requantization
    if how is None:
        return bias
    return [
        value * how.multiplier + _half(shift) for value, shift in zip(bias, how.shifts, strict=True)
    ]


def _shift_choices(layer: FixedLayer, shifts: list[int]) -> list[int]:
    """For each channel, which of the layer's different `shifts` is its own."""
    if layer.requantization is None:
        return [0] * layer.output_shape.channels
    return [shifts.index(int(shift)) for shift in layer.requantization.shifts]


def _shifted_shape(total: Shape, shifts: list[int]) -> Shape:
    return signed(max(max(total.width - shift, 1) for shift in shifts))


def _clamp(value: Value, low: int | None, high: int | None) -> Value:
    """`value` clamped to `low` and `high`, with comparisons only where its shape exceeds them."""
    least, greatest = shape_range(value.shape())
    result = value
    if high is not None and greatest > high:
        result = Mux(value > high, high, result)
    if low is not None and least < low:
        result = Mux(value < low, low, result)
    return result

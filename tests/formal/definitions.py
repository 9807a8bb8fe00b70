"""What each type of layer computes, said without the formulas by which the hardware does it."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_

from amaranth.hdl import Array, Const, Mux, Value

from systolith.golden.fixed.arithmetic import Requantization
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.golden.network.windows import Windows
from systolith.hw.streams.formats import value_shape


def inputs_of(layer: FixedLayer, output: int) -> list[int | None]:
    """The input values, in stream order, of one output value: its window, None in the border.

    The window's rows, its columns, and the input maps, in this order; of a pooling layer the
    output's own map alone.
    """
    height, width, channels = layer.input_shape
    pixel, channel = divmod(output, layer.output_shape.channels)
    row, column = divmod(pixel, layer.output_shape.width)
    maps = range(channels)
    windows = Windows((height, width))
    if isinstance(layer.layer, graph.WindowedLayer):
        windows = layer.layer.windows
    if isinstance(layer.layer, graph.Pooling):
        maps = range(channel, channel + 1)
    top = row * windows.stride[0] - layer.padding[0]
    left = column * windows.stride[1] - layer.padding[1]
    return [
        (r * width + c) * channels + m if 0 <= r < height and 0 <= c < width else None
        for r in range(top, top + windows.reach[0], windows.dilation[0])
        for c in range(left, left + windows.reach[1], windows.dilation[1])
        for m in maps
    ]


def is_output(layer: FixedLayer, inputs: list[Value], output: int, value: Value) -> Value:
    """Whether `value` is output number `output`, in stream order, of a frame of `inputs`."""
    channel = output % layer.output_shape.channels
    border = Const(layer.padding_value, value_shape(layer.input_format))
    window = [border if at is None else inputs[at] for at in inputs_of(layer, output)]
    if isinstance(layer.layer, graph.MaxPooling):
        none_larger = reduce(and_, [value >= each for each in window])
        return none_larger & reduce(or_, [value == each for each in window])
    bias = 0 if layer.bias is None else int(layer.bias[channel])
    if layer.weights is None:
        total = sum(window[1:], window[0])
        if layer.factors is not None:
            total = total * int(layer.factors.flat[output // layer.output_shape.channels])
    elif isinstance(layer.layer, graph.Subsampling):
        total = sum(window[1:], window[0]) * int(layer.weights[channel])
    else:
        weights = [int(w) for w in layer.weights.reshape(len(window), -1)[:, channel]]
        terms: list[Value] = [Const(0)]
        for x, weight in zip(window, weights, strict=True):
            if isinstance(layer.layer, graph.RadialBasis):
                difference = (x << layer.input_shift) - weight
                terms.append(difference * difference)
            else:
                terms.append(x * weight)
        total = sum(terms[1:], terms[0])
    return is_value(total + bias, value, layer, channel)


def is_value(total: Value, value: Value, layer: FixedLayer, channel: int) -> Value:
    """Whether `value` is what `layer` makes of `total`, an accumulator with its bias."""
    if layer.layer.activation.kind == "relu":
        total = Mux(total < 0, 0, total)
    how = layer.requantization
    if how is None:
        return value == total
    if how.table is not None:
        value = _index(value, how)
    return _is_nearest(total * how.multiplier, value, how, int(how.shifts[channel]))


def _is_nearest(total: Value, value: Value, how: Requantization, shift: int) -> Value:
    """Whether `value` is the whole number nearest to `total / 2**shift`, ties upward, saturated.

    Nearest: `-1/2 <= total / 2**shift - value < 1/2`. At an end of the target's range, or at a
    limit, what lies beyond it is as good.
    """
    low, high = how.target.min_raw, how.target.max_raw
    least, most = (
        end if limit is None else limit for limit, end in zip(how.limits, (low, high), strict=True)
    )
    step = 1 << max(shift, 0)
    twice_error = 2 * ((total << max(-shift, 0)) - value * step)
    above = (twice_error >= -step) | (value == least)
    below = (twice_error < step) | (value == most)
    return above & below & (value >= least) & (value <= most)


def _index(entry: Value, how: Requantization) -> Value:
    """The index of an entry of a table in which no two are equal, and none is missing."""
    assert how.table is not None
    raw = {int(value) & (1 << len(entry)) - 1: at for at, value in enumerate(how.table)}
    target = value_shape(how.target)
    places = [Const(raw[bits] + how.target.min_raw, target) for bits in range(1 << len(entry))]
    return Array(places)[entry.as_unsigned()]

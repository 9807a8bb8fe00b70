"""Shapes of fixed-point formats, and values packed into words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from amaranth.hdl import Mux, Shape, Value, signed, unsigned

from systolith.golden.fixed.arithmetic import QFormat


def value_shape(fmt: QFormat) -> Shape:
    """The shape of one raw value of `fmt`."""
    return signed(fmt.bits) if fmt.signed else unsigned(fmt.bits)


def range_shape(low: int, high: int) -> Shape:
    """The narrowest shape that holds every integer from `low` to `high`."""
    if low >= 0:
        return unsigned(max(high.bit_length(), 1))
    return signed(max((~low).bit_length(), max(high, 0).bit_length()) + 1)


def shape_range(shape: Shape) -> tuple[int, int]:
    """The smallest and the largest integer that `shape` holds."""
    if shape.signed:
        return -(1 << (shape.width - 1)), (1 << (shape.width - 1)) - 1
    return 0, (1 << shape.width) - 1


def pack(values: Iterable[int], shape: Shape) -> int:
    """Values packed into one word, the first in its lowest bits."""
    mask = (1 << shape.width) - 1
    return sum((int(value) & mask) << (at * shape.width) for at, value in enumerate(values))


def element(word: Value, index: int, shape: Shape) -> Value:
    """Value `index` of those packed in `word`, signed if `shape` is."""
    value = word[index * shape.width : (index + 1) * shape.width]
    return value.as_signed() if shape.signed else value.as_unsigned()


def select(values: Sequence[Value], index: Value) -> Value:
    """One of some values of the same shape, by a tree of multiplexers, a level a bit of `index`.

    For many wide values it is smaller than a switch, of which Yosys makes a decoder and its gates.
    An index beyond the last value selects any of them.
    """
    for bit in index:
        pairs = zip(values[::2], values[1::2], strict=False)
        odd = values[-1:] if len(values) % 2 else []
        values = [*(Mux(bit, second, first) for first, second in pairs), *odd]
    return values[0]


def select_word(word: Value, index: Value, width: int) -> Value:
    """Part `index` of `word` in parts of `width` bits, by `select`.

    `Value.word_select` would multiply the index by the width.
    """
    return select([word[start : start + width] for start in range(0, len(word), width)], index)

"""What a layer pads with, and what that stands for, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.affine import Affine
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Layer,
    MaxPooling,
    Shape,
    Subsampling,
)
from systolith.golden.quantization.padding import padded_with, padding_value

PAD = (1, 0)
CONV = Convolution(name="L", inputs=("x",), kernel=(2, 2), out_channels=1, padding=PAD)
ZERO_COUNTS: list[Layer] = [
    CONV,
    Subsampling(name="L", inputs=("x",), padding=PAD),
    AveragePooling(name="L", inputs=("x",), padding=PAD, count_padding=True),
]
LEFT_OUT: list[Layer] = [
    MaxPooling(name="L", inputs=("x",), padding=PAD),
    AveragePooling(name="L", inputs=("x",), padding=PAD),
]
SIGNED, UNSIGNED = QFormat(8, 4), QFormat(8, 0, signed=False)


def padded(layer: Layer, fmt: QFormat, raw: int) -> FixedLayer:
    shape = Shape(4, 4, 1)
    return FixedLayer(layer, shape, layer.output_shape(shape), fmt, fmt, padding_value=raw)


@pytest.mark.parametrize("layer", ZERO_COUNTS)
@pytest.mark.parametrize(
    ("fmt", "source", "raw", "stands_for"),
    [
        (SIGNED, Affine(), 0, 0.0),
        # -1 is two steps of a half of sixteenths below, so that 32 stands for zero.
        (SIGNED, Affine(0.5, -1.0), 32, 0.0),
        (SIGNED, Affine(0.5, 1.0), -32, 0.0),
        (UNSIGNED, Affine(0.5, -10.0), 20, 0.0),
        # Between two raw values: the nearest, halves to even; and what is left of the offset.
        (UNSIGNED, Affine(1.0, -10.25), 10, -0.25),
        (UNSIGNED, Affine(1.0, -10.75), 11, 0.25),
        (UNSIGNED, Affine(1.0, -10.5), 10, -0.5),
        (UNSIGNED, Affine(2.0, -21.5), 11, 0.5),
        (SIGNED, Affine(1.0, -0.53125), 8, -0.03125),
        # Beyond the ends of the format.
        (UNSIGNED, Affine(1.0, 3.0), 0, 3.0),
        (UNSIGNED, Affine(1.0, -300.0), 255, -45.0),
        (SIGNED, Affine(1.0, 100.0), -128, 92.0),
        # So far that no float holds the number that would stand for zero.
        (UNSIGNED, Affine(1e-3, 1e305), 0, 1e305),
        (UNSIGNED, Affine(1e-3, -1e305), 255, -1e305),
        (QFormat(8, 40), Affine(1e-3, 1e305), -128, 1e305),
        (QFormat(8, 40), Affine(1e-3, -1e305), 127, -1e305),
    ],
)
def test_a_zero_that_counts_is_the_nearest_raw_value(
    layer: Layer, fmt: QFormat, source: Affine, raw: int, stands_for: float
) -> None:
    assert padding_value(layer, fmt, source) == raw
    assert padded_with(padded(layer, fmt, raw), source) == stands_for


@pytest.mark.parametrize("layer", LEFT_OUT)
@pytest.mark.parametrize("fmt", [SIGNED, UNSIGNED, QFormat(5, -2)])
def test_padding_that_is_left_out_changes_nothing(layer: Layer, fmt: QFormat) -> None:
    """The least value of a maximum, and the zero of a sum, whatever they stand for."""
    source = Affine(0.5, -1.3)
    raw = fmt.min_raw if isinstance(layer, MaxPooling) else 0
    assert padding_value(layer, fmt, source) == raw
    assert padded_with(padded(layer, fmt, raw), source) == 0.0


def test_a_layer_without_padding_pads_with_nothing() -> None:
    bare = replace(CONV, padding=(0, 0))
    assert padded_with(padded(bare, UNSIGNED, 7), Affine(1.0, 3.0)) == 0.0

"""The smallest layers that show what each type of unit does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.network.windows import Padding
from systolith.hw.folding import Folding

S2, S3 = QFormat(2, 0), QFormat(3, 0)
INPUT = ("input",)
ROW_BY_UNIT = np.array([[1, -2], [-1, 3], [2, 1], [3, -3]])
KERNEL = ROW_BY_UNIT.reshape(2, 2, 1, 2)


@dataclass(frozen=True)
class Instance:
    """A layer, its folding and its input lanes, and the cycles in which what is asked is seen."""

    layer: FixedLayer
    folding: Folding
    input_lanes: int
    depth: int
    frames: int = 3
    most_waits: int = 17


def fixed(layer: Layer, source: Shape, **parts: Any) -> FixedLayer:
    """A layer of 2-bit inputs; without a requantization its values are its accumulators."""
    made = FixedLayer(layer, source, layer.output_shape(source), S2, S2, **parts)
    made = replace(made, accumulator_range=accumulator_range(made))
    how = made.requantization
    if how is not None:
        return replace(made, output_format=how.target)
    if isinstance(layer, MaxPooling):
        return made
    return replace(made, output_format=QFormat(made.accumulator_bits, 0))


def shifted(*shifts: int, target: QFormat = S2) -> Requantization:
    return Requantization(np.array(shifts), target)


STALLED = {
    "convolution": Instance(
        fixed(
            Convolution(name="C", inputs=INPUT, kernel=(2, 1), out_channels=1),
            Shape(2, 2, 1),
            weights=np.array([1, -2]).reshape(2, 1, 1, 1),
            bias=np.array([1]),
        ),
        Folding(rows=2, depth=1),
        1,
        depth=31,
    ),
    "convolution-connections": Instance(
        fixed(
            Convolution(
                name="C",
                inputs=INPUT,
                kernel=(1, 1),
                out_channels=2,
                connection_table=((0,), (0, 1)),
            ),
            Shape(1, 2, 2),
            weights=np.array([[1, 2], [0, -1]]).reshape(1, 1, 2, 2),
            bias=np.array([1, 0]),
        ),
        Folding(columns=2, depth=1),
        2,
        depth=28,
        frames=2,
        most_waits=20,
    ),
    "convolution-strided": Instance(
        fixed(
            Convolution(
                name="C",
                inputs=INPUT,
                kernel=(1, 1),
                out_channels=1,
                stride=(2, 2),
            ),
            Shape(2, 2, 1),
            weights=np.array([-2]).reshape(1, 1, 1, 1),
            bias=np.array([1]),
        ),
        Folding(depth=1),
        1,
        depth=30,
    ),
    "subsampling": Instance(
        fixed(
            Subsampling(name="S", inputs=INPUT, window=(2, 1)),
            Shape(2, 1, 2),
            weights=np.array([3, -2]),
            bias=np.array([1, -4]),
            requantization=shifted(2, 1, target=S3),
        ),
        Folding(depth=1),
        2,
        depth=18,
    ),
    "average-pooling": Instance(
        fixed(
            AveragePooling(name="P", inputs=INPUT, window=(2, 1)),
            Shape(2, 1, 1),
            requantization=shifted(1),
        ),
        Folding(depth=1),
        1,
        depth=18,
    ),
    "max-pooling": Instance(
        fixed(MaxPooling(name="P", inputs=INPUT, window=(2, 2)), Shape(2, 2, 1)),
        Folding(depth=1),
        1,
        depth=18,
    ),
    "max-pooling-sliding": Instance(
        fixed(
            MaxPooling(name="P", inputs=INPUT, window=(2, 1), stride=(1, 1), padding_end=(1, 0)),
            Shape(2, 1, 1),
            padding=Padding(0, 0, 1, 0),
            padding_value=-2,
        ),
        Folding(depth=1),
        1,
        depth=18,
        frames=2,
    ),
    "average-pooling-factors": Instance(
        fixed(
            AveragePooling(
                name="P", inputs=INPUT, window=(2, 1), stride=(1, 1), padding_end=(1, 0)
            ),
            Shape(2, 1, 1),
            padding=Padding(0, 0, 1, 0),
            factors=np.array([[1], [2]]),
            requantization=shifted(1),
        ),
        Folding(depth=1),
        1,
        depth=22,
        frames=2,
    ),
    "dense": Instance(
        fixed(
            Dense(name="F", inputs=INPUT, units=2),
            Shape(1, 1, 2),
            weights=ROW_BY_UNIT[:2],
            bias=np.array([1, -2]),
        ),
        Folding(rows=2, depth=1),
        1,
        depth=24,
    ),
    "dense-outputs": Instance(
        fixed(
            Dense(name="F", inputs=INPUT, units=2),
            Shape(1, 1, 2),
            weights=ROW_BY_UNIT[:2],
            bias=np.array([1, -2]),
        ),
        Folding(depth=1, order="outputs"),
        1,
        depth=28,
    ),
    "dense-many": Instance(
        fixed(
            Dense(name="F", inputs=INPUT, units=4),
            Shape(1, 1, 2),
            weights=ROW_BY_UNIT.T,
            bias=np.array([1, -2, 0, 3]),
        ),
        Folding(depth=1),
        1,
        depth=36,
        frames=2,
        most_waits=20,
    ),
    "radial-basis": Instance(
        fixed(
            RadialBasis(name="R", inputs=INPUT, units=2),
            Shape(1, 1, 2),
            weights=ROW_BY_UNIT[:2],
        ),
        Folding(rows=2, columns=2, depth=1),
        1,
        depth=24,
    ),
}
"""For the stream rules: three frames pass in few cycles. Every type of unit, both orders, and
accumulators in a memory (`dense-many`)."""

ANY_DATA = {
    "convolution": Instance(
        fixed(
            Convolution(name="C", inputs=INPUT, kernel=(2, 2), out_channels=2, padding=(1, 1)),
            Shape(2, 3, 1),
            weights=KERNEL,
            bias=np.array([1, -2]),
            padding=Padding(1, 1, 1, 1),
            padding_value=1,
        ),
        Folding(rows=2),
        1,
        depth=165,
    ),
    "convolution-connections": Instance(
        fixed(
            Convolution(
                name="C",
                inputs=INPUT,
                kernel=(2, 1),
                out_channels=2,
                connection_table=((0,), (0, 1)),
            ),
            Shape(2, 2, 2),
            weights=np.array([[[1, 2], [0, -1]], [[-2, 3], [0, 1]]]).reshape(2, 1, 2, 2),
            bias=np.array([1, 0]),
        ),
        Folding(columns=2),
        2,
        depth=80,
    ),
    "convolution-strided": Instance(
        fixed(
            Convolution(
                name="C",
                inputs=INPUT,
                kernel=(2, 2),
                out_channels=2,
                padding=(1, 1),
                padding_end=(1, 0),
                stride=(2, 2),
                dilation=(1, 2),
            ),
            Shape(2, 5, 1),
            weights=KERNEL,
            bias=np.array([1, -2]),
            padding=Padding(1, 1, 1, 0),
            padding_value=1,
        ),
        Folding(rows=2),
        1,
        depth=85,
    ),
    "subsampling": Instance(
        fixed(
            Subsampling(name="S", inputs=INPUT, window=(2, 2)),
            Shape(4, 5, 2),
            weights=np.array([3, -2]),
            bias=np.array([1, -4]),
            requantization=shifted(2, 1, target=S3),
        ),
        Folding(lanes=1),
        2,
        depth=90,
    ),
    "average-pooling": Instance(
        fixed(
            AveragePooling(name="P", inputs=INPUT, window=(2, 2)),
            Shape(3, 4, 1),
            requantization=shifted(2),
        ),
        Folding(),
        1,
        depth=60,
    ),
    "max-pooling": Instance(
        fixed(MaxPooling(name="P", inputs=INPUT, window=(2, 2)), Shape(3, 4, 1)),
        Folding(),
        1,
        depth=60,
    ),
    "max-pooling-sliding": Instance(
        fixed(
            MaxPooling(
                name="P",
                inputs=INPUT,
                window=(3, 2),
                stride=(2, 1),
                padding=(1, 0),
                padding_end=(1, 1),
            ),
            Shape(3, 4, 1),
            padding=Padding(1, 0, 1, 1),
            padding_value=-1,
        ),
        Folding(),
        1,
        depth=60,
    ),
    "average-pooling-factors": Instance(
        fixed(
            AveragePooling(
                name="P", inputs=INPUT, window=(2, 2), stride=(1, 1), padding_end=(1, 0)
            ),
            Shape(3, 3, 2),
            padding=Padding(0, 0, 1, 0),
            factors=np.array([[1, 1], [1, 1], [2, 2]]),
            bias=np.array([1, -2]),
            requantization=replace(shifted(3, 4), multiplier=3),
        ),
        Folding(lanes=1),
        2,
        depth=80,
    ),
    "dense": Instance(
        fixed(
            Dense(name="F", inputs=INPUT, units=2),
            Shape(1, 2, 2),
            weights=ROW_BY_UNIT,
            bias=np.array([1, -2]),
        ),
        Folding(rows=3, columns=1),
        1,
        depth=40,
    ),
    "dense-outputs": Instance(
        fixed(
            Dense(name="F", inputs=INPUT, units=2),
            Shape(1, 2, 2),
            weights=ROW_BY_UNIT,
            bias=np.array([1, -2]),
        ),
        Folding(rows=2, order="outputs"),
        2,
        depth=40,
    ),
    "radial-basis": Instance(
        fixed(
            RadialBasis(name="R", inputs=INPUT, units=2),
            Shape(1, 1, 3),
            weights=ROW_BY_UNIT[:3],
            input_shift=1,
        ),
        Folding(rows=2, columns=2, lanes=2),
        1,
        depth=40,
    ),
}
"""For the values: maps with more than one window, rows and columns left over, a border."""

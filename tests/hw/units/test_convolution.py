# amaranth: UnusedElaboratable=no
"""The convolution unit against NumPy's windows and golden's requantizing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization, requantize
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Activation, Convolution, Shape
from systolith.golden.network.windows import Padding
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.formats import value_shape
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units import convolution
from tests.hw.fixed_layers import Integers, array_layer, random_integers
from tests.hw.stream_driver import Pauses, Run, beats, cyclic, never, randomly, run

Table = tuple[tuple[int, ...], ...]

U8, S5, S4 = QFormat(8, 0, False), QFormat(5, 0), QFormat(4, 0)


@dataclass(frozen=True)
class Case:
    """A convolution and its folding."""

    source: tuple[int, int, int]
    kernel: tuple[int, int]
    outputs: int
    folding: Folding
    padding: tuple[int, int] = (0, 0)
    padding_end: tuple[int, int] | None = None
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    table: Table | None = None
    inputs: QFormat = S5
    weights: QFormat = S4
    activation: str = "none"
    requantized: bool = True
    input_lanes: int = 1
    extreme: bool = False

    def layer(self) -> FixedLayer:
        """The layer, with random integers."""
        rng = np.random.default_rng(5)
        conv = Convolution(
            name="C1",
            inputs=("x",),
            kernel=self.kernel,
            out_channels=self.outputs,
            padding=self.padding,
            padding_end=self.padding_end,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            connection_table=self.table,
            activation=Activation(self.activation),
        )
        fixed = array_layer(
            conv, Shape(*self.source), self.inputs, self.weights, rng=rng, extreme=self.extreme
        )
        fixed = replace(
            fixed,
            padding=conv.pads,
            padding_value=self.inputs.max_raw - 1,
            bias=rng.integers(-60, 60, self.outputs),
        )
        if self.requantized:
            target = QFormat(5, 0, signed=self.activation != "relu")
            table = None
            if self.activation == "tanh":
                table = random_integers(rng, S4, (32,), extreme=False)
            shifts = rng.integers(-1, 4, self.outputs)
            fixed = replace(
                fixed,
                requantization=Requantization(shifts, target, table=table),
                output_format=target if table is None else S4,
            )
        fixed = replace(fixed, accumulator_range=accumulator_range(fixed))
        if not self.requantized:
            fixed = replace(fixed, output_format=QFormat(fixed.accumulator_bits, 0))
        return fixed


def expected(layer: FixedLayer, frames: Integers) -> Integers:
    """The layer's values `(frames, height, width, channels)`."""
    assert isinstance(layer.layer, Convolution) and layer.weights is not None
    above, left, below, right = layer.padding
    padded = np.pad(
        frames,
        ((0, 0), (above, below), (left, right), (0, 0)),
        constant_values=layer.padding_value,
    )
    of = layer.layer.windows
    windows = sliding_window_view(padded, of.reach, axis=(1, 2))
    windows = windows[:, :: of.stride[0], :: of.stride[1]]
    windows = windows[..., :: of.dilation[0], :: of.dilation[1]]
    values: Integers = np.einsum("frcmij,ijmo->frco", windows, layer.weights) + layer.bias
    if layer.layer.activation.kind == "relu":
        values = np.maximum(values, 0)
    if layer.requantization is not None:
        values, _ = requantize(values, layer.requantization)
    return values


def convolve(
    case: Case,
    frames: int = 2,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int | None = None,
) -> Run:
    """Run a unit and compare every value and the place of `last`."""
    layer = case.layer()
    unit = convolution.Convolution(layer, case.folding, case.input_lanes)
    rng = np.random.default_rng(7)
    maps = random_integers(rng, case.inputs, (frames, *case.source), case.extreme)
    inputs = beats((frame.ravel() for frame in maps), value_shape(case.inputs), case.input_lanes)
    result = run(
        unit,
        inputs,
        frames * layer.output_shape.size // case.folding.lanes,
        idle=idle,
        backpressure=backpressure,
        reset_after=reset_after,
        linger=60,
    )
    received = result.frames(value_shape(layer.output_format), case.folding.lanes)
    assert np.array_equal(received, expected(layer, maps).reshape(frames, -1))
    return result


SAME = Case((6, 6, 1), (5, 5), 4, Folding(25, 2, 2), padding=(2, 2), inputs=U8)
SPARSE = Case(
    (4, 5, 3),
    (3, 2),
    4,
    Folding(6, 2, 2),
    table=((0, 1), (1, 2), (0,), (0, 1, 2)),
    activation="tanh",
)
CASES = {
    "same": SAME,
    "relu": Case((5, 4, 2), (3, 3), 3, Folding(9, 3, 3), activation="relu", input_lanes=2),
    "raw_sums": Case((5, 4, 2), (2, 3), 4, Folding(5, 2, 1), requantized=False),
    "extreme": Case((4, 4, 2), (2, 2), 2, Folding(4, 2, 1), inputs=U8, extreme=True),
    "wide_padding": Case((3, 4, 1), (3, 2), 3, Folding(4, 1, 1), padding=(2, 1)),
    "one_pixel_kernel": Case((3, 4, 4), (1, 1), 6, Folding(1, 6, 3), input_lanes=4),
    "one_column": Case((5, 1, 2), (3, 1), 2, Folding(3, 2, 2), padding=(1, 0)),
    "strided": Case(
        (6, 8, 2), (3, 3), 4, Folding(9, 4, 2), padding=(0, 0), padding_end=(1, 1), stride=(2, 2)
    ),
    "strided_points": Case((5, 6, 4), (1, 1), 3, Folding(2, 3, 3), stride=(2, 3), input_lanes=2),
    "dilated": Case((5, 6, 2), (2, 3), 2, Folding(3, 2, 1), (1, 2), (2, 1), dilation=(3, 2)),
    "depthwise": Case(
        (5, 7, 3), (3, 3), 6, Folding(3, 1, 2), (1, 1), (0, 1), stride=(2, 2), groups=3
    ),
    "depthwise_row": Case((1, 9, 2), (1, 4), 2, Folding(4, 1, 1), (0, 2), stride=(1, 2), groups=2),
    "read_from_memories": Case(
        (5, 6, 4), (3, 2), 2, Folding(1, 2, 2), (1, 0), (2, 1), stride=(3, 2)
    ),
    "sparse": SPARSE,
    "sparse_with_unused_map": Case(
        (4, 4, 3), (2, 2), 3, Folding(3, 1, 3), padding=(1, 1), table=((0,), (2,), (0, 2))
    ),
    "sparse_single_window": Case(
        (2, 3, 2), (2, 3), 3, Folding(6, 2, 1), table=((0,), (1,), (0, 1))
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    convolve(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_values_with_stalls(name: str) -> None:
    convolve(CASES[name], idle=randomly(1, 0.4), backpressure=randomly(2, 0.5))


@pytest.mark.parametrize("case", [SAME, SPARSE], ids=["dense", "sparse"])
def test_reset_in_mid_frame(case: Case) -> None:
    for beats_before in (3, 31):
        convolve(case, reset_after=beats_before, backpressure=cyclic(3))


@pytest.mark.parametrize(
    ("name", "cycles"),
    [
        # Windows times steps.
        ("same", 36 * 2),
        ("raw_sums", 8 * 6),
        ("wide_padding", 25 * 6),
        # Of each of 3 input maps, 3 chunks for 2 outputs.
        ("depthwise", 8 * 3 * 3 * 2),
        # The beats of the input.
        ("relu", 20),
        ("sparse", 60),
        ("strided", 96),
        ("depthwise_row", 18),
    ],
)
def test_cycles_of_a_frame(name: str, cycles: int) -> None:
    """The formula in the unit's docstring, and the number that it gives."""
    case = CASES[name]
    layer, folding = case.layer(), case.folding
    size = ArraySize(folding.rows, folding.columns, folding.lanes)
    assert convolution.Convolution.frame_cycles(layer, size, case.input_lanes) == cycles
    result = convolve(case, frames=4)
    beats_out = layer.output_shape.size // folding.lanes
    intervals = np.diff(result.produced[beats_out - 1 :: beats_out])
    assert intervals.tolist()[1:] == [cycles, cycles]


def test_multipliers() -> None:
    assert convolution.Convolution(SAME.layer(), SAME.folding, 1).multipliers == 50
    assert convolution.Convolution(SPARSE.layer(), SPARSE.folding, 1).multipliers == 12


def test_refusals() -> None:
    layer = SAME.layer()
    with pytest.raises(UnitError, match=r"'C1'.*vertical padding must be from 0 to 4, not 5"):
        convolution.Convolution(replace(layer, padding=Padding(5, 2, 5, 2)), SAME.folding, 1)
    with pytest.raises(UnitError, match=r"'C1'.*divide the 1 channels, not 2"):
        convolution.Convolution(layer, SAME.folding, 2)
    with pytest.raises(UnitError, match=r"'C1'.*rows must be from 1 to 25"):
        convolution.Convolution(layer, Folding(rows=26), 1)
    with pytest.raises(UnitError, match=r"'C1'.*lanes must divide 2"):
        convolution.Convolution(layer, Folding(25, 2, 4), 1)

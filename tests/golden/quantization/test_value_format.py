"""Formats of values: limits of clamps by hand, and formats of values that were never seen."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.fixed import execution
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network.graph import Activation, Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.format_choice import choose_frac_bits
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.quantization.value_format import raw_limits


@pytest.mark.parametrize(
    ("low", "high", "gain", "limits"),
    [
        # s8.4 goes from -128 to 127 sixteenths, which is from -8 to 7.9375.
        (-8.0, 7.9375, 1.0, (-128, 127)),
        (-8.0625, 8.0, 1.0, (None, None)),
        (-7.9375, 7.875, 1.0, (-127, 126)),
        (-16.0, 15.875, 2.0, (-128, 127)),
        (-16.125, 16.0, 2.0, (None, None)),
        (-1.0, 6.0, 0.5, (-32, None)),
        # Halves to even, and the nearest otherwise.
        (-0.03125, 0.09375, 1.0, (0, 2)),
        (-0.06, 0.05, 1.0, (-1, 1)),
    ],
)
def test_limits_of_a_clamp_are_raw_values_unless_the_format_ends_first(
    low: float, high: float, gain: float, limits: tuple[int | None, int | None]
) -> None:
    clamp = Activation("clip", parameters=(low, high))
    assert raw_limits(clamp, gain, QFormat(8, 4)) == limits


def test_only_a_clamp_has_limits() -> None:
    for kind in ("none", "relu", "tanh"):
        assert raw_limits(Activation(kind), 1.0, QFormat(8, 4)) == (None, None)


def one_unit(activation: Activation, weight: float, bias: float) -> TrainedNetwork:
    """A pixel through a unit with this activation, and through a score."""
    layers = (
        Input(name="input", height=1, width=1),
        Dense(name="F", inputs=("input",), units=1, activation=activation),
        Dense(name="O", inputs=("F",), units=1),
    )
    arrays = {
        name: {"weights": np.array([[w]], np.float32), "bias": np.array([b], np.float32)}
        for name, w, b in (("F", weight, bias), ("O", 1.0, 0.0))
    }
    return TrainedNetwork(Network("unit", layers), arrays)


@pytest.mark.parametrize("bits", [2, 5, 8, 9])
def test_values_that_are_zero_on_all_calibration_images_have_room_for_every_sum(bits: int) -> None:
    """The unit is off up to pixel 100. None of its sums saturates, up to 155 for pixel 255."""
    network = one_unit(Activation("relu"), 1.0, -100.0)
    dark = np.arange(100, dtype=np.uint8).reshape(-1, 1, 1, 1)
    bright = np.full((1, 1, 1, 1), 255, np.uint8)
    made = quantize(network, dark, Settings(LayerSettings(8, bits))).fixed
    run = execution.run(made, bright)
    assert run.saturated["F"].tolist() == [0]
    step = made["F"].output_format.step
    assert abs(float(run.outputs["F"].item()) * step - 155.0) <= step / 2


def test_a_table_holds_values_between_the_ends_of_its_sums() -> None:
    """Hard swish of -3 to 0.06 is 0 and 0.03 at its ends, and -0.375 in between."""
    network = one_unit(Activation("hard_swish"), -0.012, 0.06)
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    made = quantize(network, pixels, Settings(LayerSettings(8, 8, "minmax"))).fixed
    sums = 0.06 - 0.012 * np.arange(256)
    real = sums * np.clip(sums / 6 + 0.5, 0, 1)
    step = made["F"].output_format.step
    assert step == 2.0**-8  # 0.375 is 96 of them, and more than 127 of half of one.
    found = execution.run(made, pixels).outputs["F"].ravel() * step
    assert np.abs(found - real).max() < 2 * step


def test_values_that_no_table_follows_have_the_format_that_suits_themselves() -> None:
    """Errors of large values count, unless a table follows that makes nothing of them."""
    layers = (
        Input(name="input", height=1, width=1),
        Dense(name="E", inputs=("input",), units=2),
        Dense(name="F", inputs=("E",), units=1, activation=Activation("relu")),
        Dense(name="O", inputs=("F",), units=1),
    )
    arrays = {
        "E": {"weights": np.array([[1.0, 0.01]]), "bias": np.array([-300.0, 0.0])},
        "F": {"weights": np.array([[0.0], [1.0]]), "bias": np.zeros(1)},
        "O": {"weights": np.ones((1, 1)), "bias": np.zeros(1)},
    }
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    for activation, finer in ((Activation("relu"), False), (Activation("sigmoid"), True)):
        following = Dense(name="F", inputs=("E",), units=1, activation=activation)
        network = Network("cut", (*layers[:2], following, layers[3]))
        made = quantize(TrainedNetwork(network, arrays), pixels, Settings(LayerSettings(8, 4)))
        values = np.stack([np.arange(256) - 300.0, 0.01 * np.arange(256)], axis=1)
        own = choose_frac_bits(values, 4, True, "mse")
        assert own is not None
        assert (made.fixed["E"].output_format.frac_bits > own) == finer
        assert finer or made.fixed["E"].output_format.frac_bits == own


def test_a_table_without_any_value_has_the_steps_of_a_fraction() -> None:
    """A hyperbolic tangent of zeros: its values are in steps of half a 128th of 2, and signed."""
    made = quantize(
        one_unit(Activation("tanh"), 0.0, 0.0),
        np.zeros((3, 1, 1, 1), np.uint8),
        Settings(LayerSettings(8, 8)),
    ).fixed["F"]
    assert made.output_format == QFormat(8, 7)
    # So have weights that are all zero.
    assert made.weight_formats == (QFormat(8, 7),)
    root = quantize(
        one_unit(Activation("sqrt"), 0.0, 0.0),
        np.zeros((3, 1, 1, 1), np.uint8),
        Settings(LayerSettings(8, 8)),
    ).fixed["F"]
    assert root.output_format == QFormat(8, 8, signed=False)

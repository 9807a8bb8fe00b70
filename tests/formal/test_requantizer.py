# amaranth: UnusedElaboratable=no
"""The requantizer against its definition: the nearest whole number, ties upward, saturated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Value

from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Activation, AveragePooling, Convolution, Shape
from systolith.hw.units import requantize
from systolith.hw.units.activation_table import ActivationTable
from tests.formal.prover import Outcome, check
from tests.formal.requantizer import RequantizerClaims

pytestmark = pytest.mark.formal

S8, U8 = QFormat(8, 0), QFormat(8, 0, signed=False)


def make_layer(
    bits: int,
    shifts: list[int] | None,
    target: QFormat = S8,
    activation: str = "none",
    bias: list[int] | None = None,
    *,
    table: bool = False,
    output_format: QFormat | None = None,
    limits: tuple[int | None, int | None] = (None, None),
    multiplier: int = 1,
) -> FixedLayer:
    """A layer with accumulators of `bits` bits and a channel for each shift."""
    channels = len(shifts or bias or [0])
    entries = np.random.default_rng(bits).permutation(1 << target.bits) + S8.min_raw
    how = None
    if shifts is not None:
        entries_or_none = entries if table else None
        how = Requantization(
            np.array(shifts), target, multiplier, table=entries_or_none, limits=limits
        )
    shape = Shape(1, 1, channels)
    common: dict[str, Any] = {"name": "L1", "inputs": ("input",)}
    common["activation"] = (
        Activation("clip", parameters=(-1.0, 1.0))
        if any(limit is not None for limit in limits)
        else Activation(activation)
    )
    return FixedLayer(
        layer=Convolution(**common, kernel=(1, 1), out_channels=channels)
        if multiplier == 1
        else AveragePooling(**common, window=(1, 1)),
        input_shape=shape,
        output_shape=shape,
        input_format=U8,
        output_format=output_format or (S8 if table else target),
        bias=None if bias is None else np.array(bias),
        requantization=how,
        accumulator_range=(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    )


ONE_CHANNEL = {
    "24-to-8": make_layer(24, [9], bias=[-12345]),
    "24-to-u8-relu": make_layer(24, [11], U8, "relu", [777]),
    "24-to-8-relu": make_layer(24, [11], S8, "relu", [777]),
    "24-to-u8": make_layer(24, [13], U8, bias=[-99]),
    "multiplier": make_layer(12, [16], bias=[-300], multiplier=7282),
    "multiplier-relu": make_layer(10, [7], U8, "relu", bias=[45], multiplier=57),
    "multiplier-left": make_layer(6, [-2], QFormat(12, 0), bias=[5], multiplier=11),
    "two-limits": make_layer(24, [11], S8, bias=[777], limits=(-20, 96)),
    "upper-limit": make_layer(20, [9], U8, bias=[5], limits=(0, 200)),
    "20-to-4": make_layer(20, [8], QFormat(4, 0)),
    "16-to-12-half": make_layer(16, [1], QFormat(12, 0), bias=[3]),
    "32-to-16": make_layer(32, [7], QFormat(16, 0), bias=[123_456]),
    "no-shift": make_layer(16, [0], S8, bias=[-5]),
    "left": make_layer(10, [-3], QFormat(12, 0), bias=[17]),
    "left-relu": make_layer(10, [-2], U8, "relu", bias=[17]),
    "all-shifted-out": make_layer(14, [13], S8, bias=[1]),
    "table": make_layer(24, [12], S8, bias=[-3000], table=True),
    "unsigned-table": make_layer(20, [7], U8, bias=[55], table=True),
    "scores": make_layer(24, None, bias=[-9], output_format=QFormat(24, 0)),
    "scores-relu": make_layer(16, None, activation="relu", output_format=QFormat(16, 0), bias=[4]),
}
"""A layer for each thing that the hardware builds differently."""

CHANNELS = {
    "one-at-a-time": (make_layer(16, [4, 6, 0], bias=[5, -300, 77]), 1),
    "two-at-a-time": (make_layer(14, [3, 5, -1, 3], U8, "relu", [9, -3, 0, 100]), 2),
    "table": (make_layer(18, [6, 9], bias=[250, -1000], table=True), 1),
}


@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_every_accumulator(name: str) -> None:
    """For ever: an induction over as many cycles as the pipeline has registers, and one more."""
    claims = RequantizerClaims(ONE_CHANNEL[name])
    assert check(claims, depth=claims.latency + 2, mode="prove").holds


@pytest.mark.parametrize("name", CHANNELS)
def test_constants_of_each_channel(name: str) -> None:
    """Three rounds of the channels, with any pauses of half as many cycles."""
    layer, lanes = CHANNELS[name]
    claims = RequantizerClaims(layer, lanes)
    assert check(claims, depth=claims.latency + 12).holds


Addends = Callable[[FixedLayer], list[int]]
Clamp = Callable[[Value, int | None, int | None], Value]


def clamp_with(low_error: int, high_error: int) -> Clamp:
    """A clamp whose limits are wrong by so much."""
    right = requantize._clamp

    def clamp(value: Value, low: int | None, high: int | None) -> Value:
        return right(
            value,
            None if low is None else low + low_error,
            None if high is None else high + high_error,
        )

    return clamp


def addends_with(error: int) -> Addends:
    """Biases and rounding constants that are wrong by so much."""
    right = requantize._addends
    return lambda layer: [value + error for value in right(layer)]


FAULTS: dict[str, tuple[str, Any, str]] = {
    "rounding constant one too large": ("_addends", addends_with(1), "24-to-8"),
    "rounding constant one too small": ("_addends", addends_with(-1), "24-to-8"),
    "largest value one too small": ("_clamp", clamp_with(0, -1), "24-to-u8"),
    "largest value one too large": ("_clamp", clamp_with(0, 1), "24-to-8"),
    "smallest value one too large": ("_clamp", clamp_with(1, 0), "24-to-8"),
    "negative values past the ReLU": ("_clamp", clamp_with(-1, 0), "24-to-8-relu"),
    "limit one too large": ("_clamp", clamp_with(0, 1), "two-limits"),
    "lower limit one too small": ("_clamp", clamp_with(-1, 0), "two-limits"),
    "bias not multiplied": ("_addends", addends_with(300 * 7281), "multiplier"),
    "product rounded down": ("_addends", addends_with(-(1 << 15)), "multiplier"),
    "left shift rounded": ("_addends", addends_with(1), "left"),
    "table not turned round": (
        "ActivationTable",
        lambda entries, shape, lanes: ActivationTable(np.roll(entries, 128), shape, lanes),
        "table",
    ),
    "bias wrong by one": ("_addends", addends_with(-1), "scores"),
}
"""What is replaced in the hardware by what, and the layer that shows it."""


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_hardware_is_refuted(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, replacement, layer = FAULTS[fault]
    monkeypatch.setattr(requantize, name, replacement)
    claims = RequantizerClaims(ONE_CHANNEL[layer])
    outcome = check(claims, depth=claims.latency + 2, mode="prove")
    assert outcome == Outcome(holds=False, claim="value0", step=claims.latency)


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("constants", ["_addends", "_shift_choices"])
def test_constants_of_another_channel_are_refuted(
    name: str, constants: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(requantize, constants)
    monkeypatch.setattr(requantize, constants, lambda *args: right(*args)[::-1])
    layer, lanes = CHANNELS[name]
    claims = RequantizerClaims(layer, lanes)
    outcome = check(claims, depth=claims.latency + 12)
    assert not outcome.holds and outcome.claim in {"value0", "value1"}

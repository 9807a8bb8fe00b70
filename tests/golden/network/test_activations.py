"""Every activation: its function, its derivative, and what fixed point makes of it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.golden.network.activations import (
    ACTIVATIONS,
    FAMILIES,
    ActivationFunction,
    FixedForm,
    activation_function,
)
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    GraphError,
    Input,
    Layer,
    MaxPooling,
    Network,
)
from systolith.golden.network.graph_json import from_json, to_json
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.onnx import operators
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.observation import CalibrationError
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from tests.golden.random_networks import random_arrays, random_images
from tests.unknown_choices import has_no, piecewise_activation

PARAMETERS = {
    "clip": (-1.5, 2.25),
    "leaky_relu": (0.1,),
    "elu": (0.7,),
    "celu": (1.3,),
    "selu": (1.6732632, 1.050701),
    "hard_sigmoid": (0.2, 0.5),
    "swish": (1.1,),
    "thresholded_relu": (0.75,),
}
OTHERS: list[tuple[str, tuple[float, ...]]] = [
    # Without negative values, and falling below zero.
    *(("clip", (0.0, 6.0)), ("leaky_relu", (0.0,)), ("leaky_relu", (-0.5,))),
    *(("thresholded_relu", (0.0,)), ("hard_sigmoid", (0.5, 0.25)), ("swish", (0.5,))),
]
EVERYONE = ACTIVATIONS | {
    f"{kind}{parameters}": activation_function(kind, parameters)
    for kind, parameters in [*PARAMETERS.items(), *OTHERS]
}
EVERY = pytest.mark.parametrize("function", EVERYONE.values(), ids=EVERYONE)
POINTS = np.linspace(-9, 9, 3001)

SOFTCLIP = ActivationFunction(
    formula="min(max(a, -1), 1)",
    function=lambda a: np.clip(a, -1, 1),
    derivative=lambda a: (np.abs(a) < 1).astype(a.dtype),
    fixed_form=FixedForm.TABLE,
    signed=True,
)


@EVERY
def test_the_derivative_is_the_numerical_one(function: ActivationFunction) -> None:
    step = 1e-5
    numerical = (function.function(POINTS + step) - function.function(POINTS - step)) / (2 * step)
    # At a corner the derivative is that of either side, and the numerical one their mean.
    sides = [function.derivative(POINTS + end) for end in (-2 * step, 2 * step)]
    smooth = np.abs(sides[0] - sides[1]) < 1e-3 * (1 + np.abs(sides[0]))
    assert smooth.mean() > 0.99
    found = function.derivative(POINTS)
    assert np.allclose(found[smooth], numerical[smooth], atol=1e-8, rtol=1e-5)
    # The slope of a square root is infinite at 0, and 0 below.
    either = [np.isclose(found, side, rtol=1e-2) for side in sides]
    assert (smooth | either[0] | either[1]).all()


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_keep_order_and_type_and_are_signed_as_they_say(
    function: ActivationFunction, dtype: Any
) -> None:
    # A table's function must not overflow either.
    far = 1e30 if function.fixed_form is FixedForm.TABLE else 9
    points = np.concatenate([[-far], POINTS, [far]]).astype(dtype)
    values, slopes = function.function(points), function.derivative(points)
    assert values.dtype == slopes.dtype == dtype
    assert np.isfinite(values).all() and np.isfinite(slopes).all()
    assert bool((np.diff(values) >= 0).all()) == function.rises
    assert (values.min() < 0) == function.signed


def by_formula(formula: str, value: float) -> float:
    """What a formula gives, read as Python."""
    python = re.sub(r"\|a\|", "abs(a)", formula).replace(", else", " else")
    known = {name: getattr(math, name) for name in ("exp", "log", "tanh", "erf", "sqrt", "pi")}
    code = compile(python, "formula", "eval")
    names = {**known, "abs": abs, "min": min, "max": max, "a": value}
    return float(FunctionType(code, names)())


@EVERY
def test_the_formula_says_what_the_function_computes(function: ActivationFunction) -> None:
    """With parameters of six digits; also at the corners, and on both sides of the table's ends."""
    points = np.concatenate([POINTS[::37], np.arange(-9, 10, 0.25), [0.75, 2.25, -1.5]])
    expected = [by_formula(function.formula, float(value)) for value in points]
    np.testing.assert_allclose(function.function(points), expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "parameters", "below", "above"),
    [
        # At -2 and at 3, as ONNX defines the functions and names their parameters.
        ("clip", (-1.5, 2.25), -1.5, 2.25),
        ("leaky_relu", (0.1,), -0.2, 3.0),
        ("elu", (0.7,), 0.7 * math.expm1(-2), 3.0),
        ("celu", (1.3,), 1.3 * math.expm1(-2 / 1.3), 3.0),
        ("selu", (1.6, 1.05), 1.05 * 1.6 * math.expm1(-2), 3.15),
        ("hard_sigmoid", (0.2, 0.5), 0.1, 1.0),
        ("hard_sigmoid", (0.1, 0.3), 0.1, 0.6),
        ("swish", (1.1,), -2 / (1 + math.exp(2.2)), 3 / (1 + math.exp(-3.3))),
        ("thresholded_relu", (0.75,), 0.0, 3.0),
        ("thresholded_relu", (3.0,), 0.0, 0.0),
    ],
)
def test_parameters_mean_what_onnx_says(
    kind: str, parameters: tuple[float, ...], below: float, above: float
) -> None:
    found = activation_function(kind, parameters).function(np.array([-2.0, 3.0]))
    assert found.tolist() == pytest.approx([below, above])


def test_an_exponential_ends_where_its_formula_says() -> None:
    exponential, points = ACTIVATIONS["exp"], np.array([79.0, 80.0, 81.0, 500.0])
    expected = [math.exp(79), *[math.exp(80)] * 3]
    np.testing.assert_allclose(exponential.function(points), expected)
    assert by_formula(exponential.formula, 500.0) == math.exp(80)


def test_every_family_is_among_them() -> None:
    assert PARAMETERS.keys() == FAMILIES.keys()


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("relu", (6.0,), "activation 'relu': takes no parameters, not 1"),
        ("clip", (0.0,), "activation 'clip': takes the parameters low, high, not 1"),
        ("clip", (1.0, 6.0), "on both sides of zero, not 1 and 6"),
        ("clip", (-1.0, 0.0), "on both sides of zero, not -1 and 0"),
        ("clip", (-2.0, -1.0), "on both sides of zero, not -2 and -1"),
        ("clip", (-float("inf"), 1.0), "parameters must be finite"),
        ("clip", (float("nan"), 1.0), "parameters must be finite"),
        ("elu", (), "activation 'elu': takes the parameters alpha, not 0"),
        ("elu", (1.0, 1.0), "activation 'elu': takes the parameters alpha, not 2"),
        ("elu", (0.0,), "activation 'elu': parameters must be positive"),
        ("celu", (0.0,), "activation 'celu': parameters must be positive"),
        ("selu", (1.0, 0.0), "activation 'selu': parameters must be positive"),
        ("selu", (-1.0, 1.0), "activation 'selu': parameters must be positive"),
        ("hard_sigmoid", (0.0, 0.5), "alpha must be positive, not 0"),
        ("clip", (0.0, float("inf")), "parameters must be finite"),
        ("elu", (-1.0,), "activation 'elu': parameters must be positive"),
        ("swish", (0.0,), "alpha must be positive, not 0"),
        ("thresholded_relu", (-1.0,), "alpha must be at least 0, not -1"),
    ],
)
def test_parameters_are_checked(kind: str, parameters: tuple[float, ...], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Activation(kind, parameters=parameters)


@EVERY
def test_only_a_table_may_be_any_function(function: ActivationFunction) -> None:
    """Fixed point knows a few functions in addition to tables, and no others."""
    exact = {FixedForm.IDENTITY: POINTS, FixedForm.RECTIFIER: np.maximum(POINTS, 0)}
    if function.limits is not None:
        exact[FixedForm.CLAMP] = np.clip(POINTS, *function.limits)
    expected = exact.get(function.fixed_form, function.function(POINTS))
    assert np.array_equal(function.function(POINTS), expected)


def test_an_unknown_activation_is_an_error_everywhere() -> None:
    message = "activation 'mystery': allowed are none, relu, tanh, sigmoid, "
    with pytest.raises(ValueError, match=message):
        activation_function("mystery")
    with pytest.raises(GraphError, match=message):
        Activation("mystery")
    # Even one that came past the check of its name.
    smuggled = Activation("tanh")
    object.__setattr__(smuggled, "kind", "mystery")
    for ask in (
        lambda: smuggled(POINTS),
        lambda: smuggled.is_identity,
        lambda: smuggled.is_table,
        lambda: smuggled.function,
    ):
        with pytest.raises(ValueError, match=message):
            ask()


def softclip_network(
    kind: str = "softclip", amplitude: float = 1.0, slope: float = 1.0
) -> TrainedNetwork:
    activation = Activation(kind, amplitude, slope)
    layers: tuple[Layer, ...] = (
        Input(name="input", height=8, width=8, scale=0.01, offset=-1.0),
        Convolution(
            name="C", inputs=("input",), kernel=(3, 3), out_channels=3, activation=activation
        ),
        MaxPooling(name="P", inputs=("C",)),
        Dense(name="F", inputs=("P",), units=5, activation=activation),
        Dense(name="out", inputs=("F",), units=4),
    )
    network = Network("hard", layers)
    rng = np.random.default_rng(3)
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    return TrainedNetwork(network, arrays)


@pytest.mark.parametrize("bias_correction", [False, True])
def test_an_entry_is_all_that_a_new_activation_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, bias_correction: bool
) -> None:
    """From floats to integers, to a file and to ONNX: held against a function written out here."""
    with pytest.raises(GraphError, match="activation 'softclip': allowed are"):
        Activation("softclip")
    monkeypatch.setitem(ACTIVATIONS, "softclip", SOFTCLIP)
    trained = softclip_network(amplitude=1.5, slope=0.75)
    assert from_json(json.dumps(to_json(trained.network)).encode()) == trained.network
    images = random_images(np.random.default_rng(4), trained.network, 40)

    real = float_model.run(trained, images)
    before = np.tensordot(
        np.lib.stride_tricks.sliding_window_view(real["input"], (3, 3), (1, 2)),
        trained.arrays["C"]["weights"],
        axes=((4, 5, 3), (0, 1, 2)),
    )
    sums = before + trained.arrays["C"]["bias"]
    assert np.allclose(real["C"], 1.5 * np.minimum(np.maximum(0.75 * sums, -1), 1), atol=1e-5)
    assert (np.abs(real["C"]) == 1.5).mean() > 0.1

    settings = Settings(LayerSettings(12, 12, bias_correction=bias_correction))
    quantized = quantize(trained, images, settings)
    scores = execution.run(quantized.fixed, images).outputs["out"]
    error = scores * quantized.fixed["out"].output_format.step * 1.5 - real["out"] * 1.5
    assert np.abs(error).max() < 0.02 * np.abs(real["out"]).max()

    how = quantized.fixed["C"].requantization
    assert how is not None and how.table is not None
    step, fmt = how.target.step, quantized.fixed["C"].output_format
    for raw, entry in zip(
        range(how.target.min_raw, how.target.max_raw + 1), how.table.tolist(), strict=True
    ):
        exact = min(max(0.75 * raw * step, -1), 1)
        assert entry == min(max(round(exact * 2.0**fmt.frac_bits), fmt.min_raw), fmt.max_raw)

    quantized.save(tmp_path / "q.npz")
    again = QuantizedNetwork.load(tmp_path / "q.npz")
    assert again.sha256 == quantized.sha256
    assert np.array_equal(execution.run(again.fixed, images).outputs["out"], scores)


def test_a_fixed_form_that_a_place_does_not_know_is_an_error_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = softclip_network("relu")
    images = random_images(np.random.default_rng(4), trained.network, 4)
    fixed = quantize(trained, images).fixed
    activation = piecewise_activation(monkeypatch)
    with pytest.raises(CalibrationError, match=has_no("value format")):
        quantize(softclip_network(), images)
    layer = replace(fixed["C"], layer=replace(fixed["C"].layer, activation=activation))
    with pytest.raises(GraphError, match=has_no("fixed-point execution")):
        execution.FixedModel(replace(fixed, layers=(layer, *fixed.layers[1:])))
    with pytest.raises(GraphError, match=has_no("exact form in ONNX")):
        operators.add_layer(operators.OnnxGraph(), layer, "input", "C")

"""The exported model on ONNX Runtime against the fixed model: every value of every layer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from systolith import golden
from systolith.golden.fixed import execution
from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import Overflow, QFormat, Requantization, Rounding
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.affine import affines
from systolith.golden.network.graph import (
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    Pooling,
    RadialBasis,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.onnx.export import OPSET, export_onnx
from systolith.golden.onnx.operators import OnnxGraph, add_layer
from systolith.golden.quantization.settings import Settings
from tests.golden.random_networks import random_images, random_quantized

_ROOT = Path(__file__).parents[3]

Pixels = NDArray[np.integer[Any]]
Outputs = dict[str, NDArray[np.int64]]

SEEDS = st.integers(0, 2**32 - 1)
EVERY_PIXEL = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
PIXEL = QFormat(8, 0, signed=False)


def execute(content: bytes, images: Pixels) -> Outputs:
    """What ONNX Runtime makes of images `(batch, height, width, channels)`, by output."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {"images": images.transpose(0, 3, 1, 2)})
    return dict(zip(names, values, strict=True))


def wrong(quantized: golden.QuantizedNetwork, images: Pixels, found: Outputs) -> list[str]:
    """The outputs that differ from the fixed model in type, shape or any value."""
    run = execution.run(quantized.fixed, images)
    expected = {name: values.transpose(0, 3, 1, 2) for name, values in run.outputs.items()}
    expected["scores"] = execution.scores(quantized.fixed, images)
    expected["class"] = execution.winners(quantized.fixed, expected["scores"])
    assert set(found) == set(expected)
    return [
        name
        for name, values in found.items()
        if values.dtype != np.int64 or not np.array_equal(values, expected[name])
    ]


def assert_equal(quantized: golden.QuantizedNetwork, images: Pixels) -> None:
    assert wrong(quantized, images, execute(export_onnx(quantized), images)) == []


def one_layer(
    layer: Layer, shape: tuple[int, int, int] = (16, 16, 1), **integers: Any
) -> golden.QuantizedNetwork:
    """A quantized network of a single layer with these integers."""
    network = Network(
        "one", (Input(name="input", height=shape[0], width=shape[1], channels=shape[2]), layer)
    )
    made = FixedLayer(
        layer=layer,
        input_shape=network.input.image_shape,
        output_shape=network.shapes()[layer.name],
        input_format=PIXEL,
        **{"output_format": PIXEL, **integers},
    )
    made = replace(made, accumulator_range=accumulator_range(made))
    if made.requantization is None and made.weight_formats:
        scale = made.input_shift + made.weight_formats[0].frac_bits
        made = replace(made, output_format=QFormat(made.accumulator_bits, scale))
    source = network.input.output_shape(network.input.image_shape)
    zeros = {name: np.zeros(shape) for name, shape in layer.array_shapes(source).items()}
    parent = TrainedNetwork(network, {layer.name: zeros})
    return golden.QuantizedNetwork(FixedNetwork(network, (made,)), parent, Settings())


def pixelwise(
    weights: list[int], bits: int, frac_bits: list[int], bias: list[int], **how: Any
) -> golden.QuantizedNetwork:
    """A convolution of single pixels: each channel is a product, a bias and a shift."""
    formats = tuple(QFormat(bits, each) for each in frac_bits)
    requantization = None
    if how:
        shifts = np.array(frac_bits) - how["target"].frac_bits
        requantization = Requantization(shifts, **how)
    layer = Convolution(name="C", inputs=("input",), kernel=(1, 1), out_channels=len(weights))
    return one_layer(
        layer,
        weights=np.array(weights).reshape(1, 1, 1, -1),
        bias=np.array(bias),
        weight_formats=formats,
        requantization=requantization,
        output_format=how.get("target", PIXEL),
    )


@settings(max_examples=60)
@given(SEEDS)
def test_random_networks_of_all_widths(seed: int) -> None:
    assert_equal(*random_quantized(seed))


@settings(max_examples=60)
@given(SEEDS)
def test_other_modes_of_requantizing(seed: int) -> None:
    quantized, images = random_quantized(seed)
    rng = np.random.default_rng(seed)
    layers = []
    for layer in quantized.fixed.layers:
        how = layer.requantization
        if how is not None:
            # With a multiplier, shifts are free: some of them are left shifts then.
            multiplier = int(rng.integers(max(2, how.multiplier), how.multiplier + 5))
            how = replace(
                how,
                multiplier=multiplier,
                shifts=how.shifts + rng.integers(-4, 5, how.shifts.shape),
                rounding=("floor", "half_even", "half_up")[rng.integers(3)],
                overflow=("saturate", "wrap")[rng.integers(2)],
            )
        changed = replace(layer, requantization=how)
        layers.append(replace(changed, accumulator_range=accumulator_range(changed)))
    fixed = FixedNetwork(quantized.fixed.network, tuple(layers))
    assert_equal(replace(quantized, fixed=fixed), images)


@pytest.mark.parametrize("seed", range(10))
def test_the_reference_implementation_of_onnx_agrees(seed: int) -> None:
    quantized, images = random_quantized(seed)
    model = onnx.load_from_string(export_onnx(quantized))
    values = ReferenceEvaluator(model).run(None, {"images": images.transpose(0, 3, 1, 2)})
    assert isinstance(values, list)
    names = [output.name for output in model.graph.output]
    assert wrong(quantized, images, dict(zip(names, values, strict=True))) == []


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
@pytest.mark.parametrize("bits", [2, 5, 9])
def test_every_rounding_of_every_small_number(
    rounding: Rounding, overflow: Overflow, bits: int
) -> None:
    """Shifts from -1 to 5 of -128 to 127: every tie, into formats that some of them leave."""
    quantized = pixelwise(
        [1] * 7,
        8,
        list(range(-1, 6)),
        [-128] * 7,
        target=QFormat(bits, 0),
        rounding=rounding,
        overflow=overflow,
    )
    run = execution.run(quantized.fixed, EVERY_PIXEL)
    assert (run.saturated["C"].sum() > 0) == (bits < 9)
    assert_equal(quantized, EVERY_PIXEL)


@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
@pytest.mark.parametrize("shift", [2, 40, 59])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_accumulators_of_61_bits(rounding: Rounding, shift: int, overflow: Overflow) -> None:
    largest = (1 << 60) // 255
    quantized = pixelwise(
        [largest, -largest, largest - 1],
        60,
        [shift] * 3,
        [255, -255, -(1 << 59)],
        target=QFormat(16, 0),
        rounding=rounding,
        overflow=overflow,
    )
    assert quantized.fixed["C"].accumulator_bits >= 61
    assert_equal(quantized, EVERY_PIXEL)


def test_scores_of_62_bits() -> None:
    largest = ((1 << 61) - 1) // 255
    quantized = pixelwise([largest, -largest], 62, [0, 0], [0, 0])
    assert quantized.fixed["C"].output_format.bits == 62
    assert_equal(quantized, EVERY_PIXEL)


@pytest.mark.parametrize("kind", [Dense, RadialBasis])
@pytest.mark.parametrize("pattern", [[3, 3, 3, 3], [1, 7, 7, 1], [2, 0, 0, 2], [5, 4, 0, 0]])
def test_the_lowest_index_wins_a_tie(kind: type[Dense | RadialBasis], pattern: list[int]) -> None:
    quantized = one_layer(
        kind(name="D", inputs=("input",), units=4),
        (1, 1, 1),
        weights=np.array([pattern]),
        bias=np.zeros(4, np.int64) if kind is Dense else None,
        weight_formats=(QFormat(4, 0),) * 4,
    )
    images = np.arange(8, dtype=np.uint8).reshape(-1, 1, 1, 1)
    assert_equal(quantized, images)
    squares = [[(x - w) ** 2 for w in pattern] for x in range(8)]
    expected = (
        [int(np.argmin(row)) for row in squares]
        if kind is RadialBasis
        else [0] + [int(np.argmax(pattern))] * 7
    )
    assert execute(export_onnx(quantized), images)["class"].tolist() == expected


def test_centres_at_a_finer_scale_than_their_inputs() -> None:
    rng = np.random.default_rng(0)
    quantized = one_layer(
        RadialBasis(name="R", inputs=("input",), units=3),
        (2, 3, 2),
        weights=rng.integers(-(1 << 20), 1 << 20, (12, 3)),
        weight_formats=(QFormat(24, 12),) * 3,
        input_shift=12,
    )
    assert_equal(quantized, random_images(rng, quantized.fixed.network, 20))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_number_of_images(count: int) -> None:
    for seed in range(4):
        quantized, _ = random_quantized(seed)
        images = random_images(np.random.default_rng(1), quantized.fixed.network, count)
        assert_equal(quantized, images)


def test_names_that_the_model_has_taken() -> None:
    network = Network(
        "names",
        (
            Input(name="images", height=2, width=2),
            Dense(name="scores", inputs=("images",), units=3),
            Dense(name="class", inputs=("scores",), units=2),
        ),
    )
    rng = np.random.default_rng(0)
    arrays = {
        layer.name: {name: rng.normal(size=shape) for name, shape in layer.array_shapes(s).items()}
        for layer, s, _ in network.computing_layers()
    }
    images = random_images(rng, network, 20)
    quantized = golden.quantize(TrainedNetwork(network, arrays), images)
    run = execution.run(quantized.fixed, images)
    found = execute(export_onnx(quantized), images)
    assert list(found) == ["class", "scores", "scores.values", "class.values"]
    for name in ("scores", "class"):
        assert (found[f"{name}.values"] == run.outputs[name].transpose(0, 3, 1, 2)).all()
    entries = json.loads(properties(export_onnx(quantized))["layers"])
    assert [entry["output"] for entry in entries] == ["scores.values", "class.values"]


def properties(content: bytes) -> dict[str, str]:
    return {each.key: each.value for each in onnx.load_from_string(content).metadata_props}


def with_constant(content: bytes, name: str, change: int) -> bytes:
    """The model with the first integer of a constant changed."""
    model = onnx.load_from_string(content)
    (tensor,) = (each for each in model.graph.initializer if each.name == name)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += change
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    changed: bytes = model.SerializeToString()
    return changed


@pytest.fixture(scope="module")
def lenet() -> golden.QuantizedNetwork:
    trained = golden.load_network("lenet5")
    return golden.quantize(trained, golden.validation_digits().images[:50])


@pytest.mark.parametrize(
    ("constant", "change"),
    [
        ("C1.weights", 8),
        ("C1.pad", 1),
        ("C1.divisor", 1),
        ("S2.weights", 1),
        ("S2.half", 100),
        ("C3.bias", 1000),
        ("C3.row", 1),
        ("C5.high", -300),
        ("F6.low", 1),
        ("output.centres", 1),
    ],
)
def test_one_wrong_integer_is_seen(
    lenet: golden.QuantizedNetwork, constant: str, change: int
) -> None:
    images = golden.test_digits().images[:10]
    content = with_constant(export_onnx(lenet), constant, change)
    assert constant.partition(".")[0] in wrong(lenet, images, execute(content, images))


def test_all_values_are_integers_and_all_operators_are_of_the_opset(
    lenet: golden.QuantizedNetwork,
) -> None:
    for quantized in (lenet, *(random_quantized(seed)[0] for seed in range(20))):
        model = onnx.load_from_string(export_onnx(quantized))
        assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
        onnx.checker.check_model(model, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
        tensors = [*inferred.value_info, *inferred.output]
        assert {each.type.tensor_type.elem_type for each in tensors} == {onnx.TensorProto.INT64}
        assert {each.data_type for each in model.graph.initializer} == {onnx.TensorProto.INT64}
        assert {each.name for each in tensors} == {node.output[0] for node in model.graph.node}
        names = [node.name for node in model.graph.node]
        assert len(set(names)) == len(names)
        constants = [each.name for each in model.graph.initializer]
        used = {name for node in model.graph.node for name in node.input}
        assert set(constants) <= used
        assert len(set(constants)) == len(constants)


def test_outputs_and_metadata(lenet: golden.QuantizedNetwork) -> None:
    content = export_onnx(lenet)
    model = onnx.load_from_string(content)
    # What engines of 2020 read; docs/onnx.md says so.
    written = (model.ir_version, model.opset_import[0].version, model.producer_name)
    assert written == (7, 13, "systolith")
    graph = model.graph
    names = [layer.name for layer in lenet.fixed.layers]
    assert [each.name for each in graph.input] == ["images"]
    assert [each.name for each in graph.output] == ["class", "scores", *names]
    found = properties(content)
    assert found["schema"] == "systolith.onnx/1"
    assert found["network"] == graph.name == "lenet5"
    assert found["quantized_sha256"] == lenet.sha256
    entries = json.loads(found["layers"])
    assert [(each["name"], each["output"]) for each in entries] == [(n, n) for n in names]
    real = affines(lenet.fixed.network)
    for entry, layer in zip(entries, lenet.fixed.layers, strict=True):
        assert QFormat(**entry["format"]) == layer.output_format
        assert entry["type"] == layer.layer.type_name
        assert {key: entry[key] for key in ("gain", "offset")} == asdict(real[layer.name])


def test_the_same_network_gives_the_same_bytes(lenet: golden.QuantizedNetwork) -> None:
    again = golden.quantize(lenet.parent, golden.validation_digits().images[:50])
    assert export_onnx(lenet) == export_onnx(again)


def test_a_layer_without_an_exact_form_is_refused() -> None:
    class Strange(Pooling):
        type_name = "strange_pooling"

    quantized = one_layer(MaxPooling(name="P", inputs=("input",)))
    layer = replace(quantized.fixed["P"], layer=Strange(name="P", inputs=("input",)))
    with pytest.raises(ValueError, match=r"strange_pooling 'P': .* no exact form in ONNX"):
        add_layer(OnnxGraph(), layer, "input", "P")


@pytest.mark.parametrize("mode", ["rounding", "overflow"])
def test_an_arithmetic_without_an_exact_form_is_refused(mode: str) -> None:
    layer = pixelwise([1], 8, [1], [0], target=QFormat(8, 0)).fixed["C"]
    how = layer.requantization
    assert how is not None
    strange: Any = {mode: "strange"}
    layer = replace(layer, requantization=replace(how, **strange))
    with pytest.raises(ValueError, match=f"layer 'C': {mode} 'strange' has no exact form in ONNX"):
        add_layer(OnnxGraph(), layer, "input", "C")


def test_golden_does_without_onnx() -> None:
    program = "import sys, systolith.golden; sys.exit('onnx' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=_ROOT, check=True)


def shipped(bits: int) -> Iterator[golden.QuantizedNetwork]:
    """The networks that ship, calibrated as `systolith quantize` does."""
    settings = Settings.from_mapping({"weight_bits": bits, "activation_bits": bits})
    seen = golden.validation_digits().images[:1000]
    for name in ("lenet5", "lenet5-sigmoid", "lenet5-relu"):
        yield golden.quantize(golden.load_network(name), seen, settings)


def test_networks_that_ship() -> None:
    for quantized in shipped(8):
        assert_equal(quantized, golden.test_digits().images[:20])


@pytest.mark.long
@pytest.mark.parametrize("bits", [8, 4, 3])
def test_networks_that_ship_on_a_thousand_digits(bits: int) -> None:
    for quantized in shipped(bits):
        assert_equal(quantized, golden.test_digits().images[:1000])

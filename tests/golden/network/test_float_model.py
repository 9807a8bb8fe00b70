"""Each layer type against ONNX Runtime, on random shapes and values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from systolith.golden.files import datasets
from systolith.golden.network import float_model, shipped
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    Pooling,
    RadialBasis,
    Subsampling,
)
from systolith.golden.network.trained_network import TrainedNetwork, load_network

SEEDS = range(12)
SQUASHING = (
    Activation(),
    Activation("relu"),
    Activation("tanh", 1.7159, 2 / 3),
    Activation("sigmoid", 2.0, 0.5),
)


class OnnxGraph:
    """An ONNX graph made node by node; values are `(batch, channels, height, width)`."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.outputs: dict[str, str] = {}
        self.last = "x"

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, operator: str, *constants: str, **attributes: Any) -> None:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.last, *constants], [name], **attributes))
        self.last = name

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * 4)],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4)
                for name in self.outputs.values()
            ],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        pixels = images.astype(np.float32).transpose(0, 3, 1, 2)
        results = session.run(list(self.outputs.values()), {"x": pixels})
        return {
            name: np.asarray(values).transpose(0, 2, 3, 1)
            for name, values in zip(self.outputs, results, strict=True)
        }


def translate(trained: TrainedNetwork) -> OnnxGraph:
    """The network in ONNX operators."""
    onnx_graph = OnnxGraph()
    layer = trained.network.input
    around = [0, 0, layer.border, layer.border] * 2
    onnx_graph.add(
        "Pad", onnx_graph.constant(around, np.int64), onnx_graph.constant(layer.background)
    )
    onnx_graph.add("Mul", onnx_graph.constant(layer.scale))
    onnx_graph.add("Add", onnx_graph.constant(layer.offset))
    onnx_graph.outputs[layer.name] = onnx_graph.last
    for computing, _, shape in trained.network.computing_layers():
        _translate(onnx_graph, computing, trained.arrays[computing.name], list(shape))
        onnx_graph.outputs[computing.name] = onnx_graph.last
    return onnx_graph


def _translate(g: OnnxGraph, layer: Layer, arrays: Any, shape: Sequence[int]) -> None:
    height, width, channels = shape
    if isinstance(layer, Convolution):
        vertical, horizontal = layer.padding
        kernels = g.constant(arrays["weights"].transpose(3, 2, 0, 1))
        g.add(
            "Conv",
            kernels,
            g.constant(arrays["bias"]),
            pads=[vertical, horizontal, vertical, horizontal],
        )
    elif isinstance(layer, Subsampling):
        g.add("AveragePool", kernel_shape=layer.window, strides=layer.window)
        g.add("Mul", g.constant(layer.window[0] * layer.window[1]))
        g.add("Mul", g.constant(arrays["weights"][:, None, None]))
        g.add("Add", g.constant(arrays["bias"][:, None, None]))
    elif isinstance(layer, AveragePooling):
        g.add("AveragePool", kernel_shape=layer.window, strides=layer.window)
    elif isinstance(layer, MaxPooling):
        g.add("MaxPool", kernel_shape=layer.window, strides=layer.window)
    elif isinstance(layer, Dense):
        g.add("Transpose", perm=[0, 2, 3, 1])
        g.add("Flatten")
        g.add("Gemm", g.constant(arrays["weights"]), g.constant(arrays["bias"]))
        g.add("Reshape", g.constant([-1, channels, height, width], np.int64))
    else:
        assert isinstance(layer, RadialBasis)
        g.add("Transpose", perm=[0, 2, 3, 1])
        g.add("Flatten")
        g.add("Unsqueeze", g.constant([2], np.int64))
        g.add("Sub", g.constant(arrays["weights"]))
        g.nodes.append(helper.make_node("Mul", [g.last, g.last], ["squares"]))
        g.last = "squares"
        g.add("ReduceSum", g.constant([1], np.int64), keepdims=0)
        g.add("Reshape", g.constant([-1, channels, height, width], np.int64))
    activation = layer.activation
    if activation.kind == "relu":
        g.add("Relu")
    elif activation.kind != "none":
        g.add("Mul", g.constant(activation.slope))
        g.add("Tanh" if activation.kind == "tanh" else "Sigmoid")
        g.add("Mul", g.constant(activation.amplitude))


def filled(network: Network, rng: np.random.Generator) -> TrainedNetwork:
    """The network with random weights, zero where there is no connection."""
    arrays = {}
    for layer, source, _ in network.computing_layers():
        arrays[layer.name] = {
            name: rng.normal(size=shape).astype(np.float32)
            for name, shape in layer.array_shapes(source).items()
        }
        if isinstance(layer, Convolution) and layer.connection_table is not None:
            for out, maps in enumerate(layer.connection_table):
                absent = [m for m in range(source.channels) if m not in maps]
                arrays[layer.name]["weights"][:, :, absent, out] = 0
    return TrainedNetwork(network, arrays)


def random_input(rng: np.random.Generator) -> Input:
    height, width, channels, border = (int(v) for v in rng.integers([5, 5, 1, 0], [10, 10, 4, 3]))
    background = int(rng.integers(0, 256))
    return Input(
        name="input",
        height=height,
        width=width,
        channels=channels,
        border=border,
        background=background,
        scale=0.01,
        offset=float(rng.normal()),
    )


def random_layer(kind: type[Layer], source: Input, rng: np.random.Generator) -> Layer:
    common: dict[str, Any] = {"name": "layer", "inputs": ("input",)}
    if kind not in (MaxPooling, RadialBasis):
        common["activation"] = SQUASHING[rng.integers(len(SQUASHING))]
    if kind is Convolution:
        rows, columns = (int(v) for v in rng.integers(1, 6, 2))
        outputs = int(rng.integers(1, 7))
        table = tuple(
            tuple(
                sorted(
                    rng.choice(
                        source.channels, rng.integers(1, source.channels + 1), replace=False
                    ).tolist()
                )
            )
            for _ in range(outputs)
        )
        return Convolution(
            **common,
            kernel=(rows, columns),
            out_channels=outputs,
            padding=(int(rng.integers(rows)), int(rng.integers(columns))),
            connection_table=table if rng.integers(2) else None,
        )
    if kind in (Dense, RadialBasis):
        return kind(**common, units=int(rng.integers(1, 9)))
    assert issubclass(kind, Pooling)
    rows, columns = (int(v) for v in rng.integers(1, 5, 2))
    return kind(**common, window=(rows, columns))


def assert_equals_onnx_runtime(trained: TrainedNetwork, images: np.ndarray) -> None:
    expected = translate(trained).run(images)
    found = float_model.run(trained, images)
    assert list(found) == list(expected) == [layer.name for layer in trained.network.layers]
    for name, shape in trained.network.shapes().items():
        assert found[name].shape == (len(images), *shape)
        assert found[name].dtype == np.float32
        tolerance = 1e-5 * max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "kind", [Convolution, Subsampling, AveragePooling, MaxPooling, Dense, RadialBasis]
)
def test_a_layer_equals_onnx_runtime(kind: type[Layer], seed: int) -> None:
    rng = np.random.default_rng([seed, *kind.type_name.encode()])
    source = random_input(rng)
    network = Network("one", (source, random_layer(kind, source, rng)))
    images = rng.integers(0, 256, (3, *source.image_shape), dtype=np.uint8)
    assert_equals_onnx_runtime(filled(network, rng), images)


@pytest.mark.parametrize("name", shipped.names())
def test_the_networks_that_ship_equal_onnx_runtime(name: str) -> None:
    assert_equals_onnx_runtime(load_network(name), datasets.validation_digits().images[:5])


@pytest.mark.parametrize(
    ("name", "accuracy"), [("lenet5", 0.9905), ("lenet5-sigmoid", 0.983), ("lenet5-relu", 0.993)]
)
def test_accuracy_on_the_test_digits(name: str, accuracy: float) -> None:
    digits = datasets.test_digits()
    right = np.equal(float_model.classes(load_network(name), digits.images), digits.known_labels)
    assert np.mean(right) >= accuracy


@pytest.mark.parametrize("name", shipped.names())
def test_scores_of_many_images_are_the_last_layer_s_values(name: str) -> None:
    trained = load_network(name)
    images = datasets.validation_digits().images[:450]
    scores = float_model.scores(trained, images)
    values = float_model.run(trained, images)["output"]
    np.testing.assert_allclose(scores, values.reshape(450, 10), rtol=1e-5, atol=1e-4)
    best = np.argmin if trained.network.output.winner == "smallest" else np.argmax
    np.testing.assert_array_equal(float_model.classes(trained, images), best(scores, axis=1))


@pytest.mark.parametrize("kind", [Dense, RadialBasis])
def test_a_tie_goes_to_the_lowest_index(kind: type[Layer]) -> None:
    source = Input(name="input", height=1, width=1)
    network = Network("tie", (source, kind(name="out", inputs=("input",), units=4)))  # type: ignore[call-arg]
    weights = np.array([[9, 1, 1, 9]] if kind is RadialBasis else [[0, 1, 1, 0]], np.float32)
    arrays = {"weights": weights}
    if kind is Dense:
        arrays["bias"] = np.zeros(4, np.float32)
    trained = TrainedNetwork(network, {"out": arrays})
    assert float_model.classes(trained, np.ones((2, 1, 1, 1), np.uint8)).tolist() == [1, 1]


def test_scores_come_in_stream_order() -> None:
    source = Input(name="input", height=2, width=2, channels=3)
    network = Network("last", (source, MaxPooling(name="out", inputs=("input",), window=(1, 1))))
    images = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    scores = float_model.scores(TrainedNetwork(network, {}), images)
    assert scores.tolist() == [list(range(12))]


def test_extreme_values_raise_no_warning() -> None:
    source = Input(name="input", height=1, width=1, scale=1e4, offset=-1e6)
    dense = Dense(name="out", inputs=("input",), units=1, activation=Activation("sigmoid"))
    arrays = {"weights": np.ones((1, 1), np.float32), "bias": np.zeros(1, np.float32)}
    trained = TrainedNetwork(Network("far", (source, dense)), {"out": arrays})
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    assert float_model.scores(trained, images).tolist() == [[0.0], [1.0]]


def test_float64_weights_are_computed_in_float64() -> None:
    rng = np.random.default_rng(0)
    network = shipped.network("lenet5")
    single = filled(network, rng)
    double = TrainedNetwork(
        network,
        {
            layer: {name: array.astype(np.float64) for name, array in arrays.items()}
            for layer, arrays in single.arrays.items()
        },
    )
    images = rng.integers(0, 256, (2, 28, 28, 1), dtype=np.uint8)
    values = float_model.run(double, images)
    assert {array.dtype for array in values.values()} == {np.dtype(np.float64)}
    np.testing.assert_allclose(
        values["output"], float_model.run(single, images)["output"], rtol=1e-3
    )


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            np.zeros((1, 28, 28, 1)),
            "images must be uint8 of 28 x 28 x 1, not float64 of 28 x 28 x 1",
        ),
        (np.zeros((1, 28, 28), np.uint8), "not uint8 of 28 x 28"),
        (np.zeros((1, 32, 32, 1), np.uint8), "not uint8 of 32 x 32 x 1"),
        (np.zeros((0, 28, 28, 1), np.uint8), "network 'lenet5': needs at least 1 image, not 0"),
    ],
)
def test_other_images_are_refused(images: np.ndarray, message: str) -> None:
    trained = load_network("lenet5")
    for function in (float_model.run, float_model.scores, float_model.classes):
        with pytest.raises(ValueError, match=message):
            function(trained, images)


def test_values_before_the_activation_are_there_too() -> None:
    trained = load_network("lenet5-sigmoid")
    images = datasets.validation_digits().images[:3]
    outputs = float_model.run(trained, images)
    for name, before, after in float_model.intermediates(trained, images):
        assert np.array_equal(after, outputs[name])
        if trained.network[name].activation.kind == "sigmoid":
            expected = 1 / (1 + np.exp(np.clip(-before, -80, 80)))
            np.testing.assert_allclose(after, expected, atol=1e-6)
        else:
            assert np.array_equal(before, after)


def test_a_single_layer_is_applied() -> None:
    trained = load_network("lenet5")
    outputs = float_model.run(trained, datasets.validation_digits().images[:3])
    for layer in trained.network.layers[1:]:
        found = float_model.apply(trained, layer.name, outputs[layer.inputs[0]])
        assert np.array_equal(found, outputs[layer.name])

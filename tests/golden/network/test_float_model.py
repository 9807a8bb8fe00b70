"""The float model against ONNX Runtime, its accuracy, and what it refuses."""

import numpy as np
import pytest

from systolith.golden.files import datasets
from systolith.golden.network import float_model, shipped
from systolith.golden.network.affine import Affine, affines
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Subsampling,
)
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.golden.qformat import PIXELS, QFormat
from tests.golden.float_onnx import assert_floats_equal
from tests.golden.random_networks import random_images, random_trained


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_equal_onnx_runtime(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trained = random_trained(rng)
    assert_floats_equal(trained, random_images(rng, trained.network, 6))


@pytest.mark.parametrize("name", shipped.names())
def test_the_networks_that_ship_equal_onnx_runtime(name: str) -> None:
    assert_floats_equal(load_network(name), datasets.validation_digits().images[:5])


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


@pytest.mark.parametrize(
    ("fmt", "background"), [(PIXELS, 7), (QFormat(8, 3), -5), (QFormat(12, -2, signed=False), 9)]
)
def test_the_input_has_its_scale_its_offset_and_its_border(fmt: QFormat, background: int) -> None:
    source = Input(
        name="input",
        height=2,
        width=3,
        border=1,
        background=background,
        scale=0.5,
        offset=-3.0,
        format=fmt,
    )
    dense = Dense(name="out", inputs=("input",), units=1)
    arrays = {"weights": np.ones((20, 1), np.float32), "bias": np.zeros(1, np.float32)}
    trained = TrainedNetwork(Network("framed", (source, dense)), {"out": arrays})
    images = np.arange(1, 13).astype(fmt.raw_type).reshape(2, 2, 3, 1)
    found = float_model.run(trained, images)
    framed = np.full((2, 4, 5, 1), background)
    framed[:, 1:3, 1:4] = images
    expected = framed * 2.0**-fmt.frac_bits * 0.5 - 3.0
    assert np.array_equal(found["input"], expected)
    assert np.array_equal(found["out"].ravel(), expected.sum(axis=(1, 2, 3)))
    assert affines(trained.network)["input"] == Affine(0.5, -3.0)


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
    single = load_network("lenet5")
    double = TrainedNetwork(
        single.network,
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
    ("layer", "expected"),
    [
        (Convolution(name="L", inputs=("input",), kernel=(1, 1), out_channels=2), 7 / 3),
        (Convolution(name="L", inputs=("input",), kernel=(1, 1), out_channels=2, groups=2), 7 / 3),
        (Subsampling(name="L", inputs=("input",), window=(1, 1)), 7 / 3),
        (Dense(name="L", inputs=("input",), units=1), 7 / 3),
        (RadialBasis(name="L", inputs=("input",), units=1), (7 - 1 / 3) ** 2 + 1 / 9),
    ],
)
def test_weights_of_64_bits_lose_none_of_them(layer: Layer, expected: float) -> None:
    """A third times a pixel of 7, beside one of 0."""
    source = Input(name="input", height=1, width=1, channels=2)
    arrays = {
        name: np.full(shape, 1 / 3 if name == "weights" else 0.0)
        for name, shape in layer.array_shapes(source.image_shape).items()
    }
    if isinstance(layer, Convolution) and layer.groups == 2:
        arrays["weights"] *= np.eye(2)
    trained = TrainedNetwork(Network("third", (source, layer)), {"L": arrays})
    images = np.array([7, 0], np.uint8).reshape(1, 1, 1, 2)
    found = float_model.run(trained, images)["L"].ravel()[0]
    assert found == pytest.approx(expected, rel=1e-12)


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


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_have_no_class(score: float) -> None:
    trained = load_network("lenet5")
    scores = np.zeros((3, 10), np.float32)
    assert float_model.classes_of(trained, scores).tolist() == [0, 0, 0]
    scores[2, 9] = score
    with pytest.raises(ValueError, match="network 'lenet5': its float scores are not finite"):
        float_model.classes_of(trained, scores)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from systolith import golden
from systolith.golden.files.datasets import MNIST
from systolith.golden.network.graph import Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.qformat import QFormat
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.handover import vectors
from systolith.hw.handover.vectors import Vectors, hex_file, make_vectors
from systolith.hw.streams.result_layout import result_layout
from tests.hw.small_networks import ONE_LAYER, quantized


def quantized_on(network: Network) -> QuantizedNetwork:
    """A network of raw values with random weights."""
    rng = np.random.default_rng(3)
    arrays = {
        layer.name: {
            name: rng.normal(0, 0.5, shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    fmt = network.input.format
    images = rng.integers(fmt.min_raw, fmt.max_raw + 1, (20, *network.input.image_shape))
    return golden.quantize(TrainedNetwork(network, arrays), images.astype(fmt.raw_type))


def made_vectors(network: QuantizedNetwork, dataset: golden.Dataset | None = None) -> Vectors:
    return make_vectors(network, dataset, result_layout(network.fixed.layers[-1], "class"))


@pytest.mark.parametrize(("bits", "lanes"), [(1, 1), (5, 3), (8, 2), (23, 1), (32, 6), (4, 6)])
def test_a_line_is_a_beat_with_its_first_value_lowest(bits: int, lanes: int) -> None:
    values = np.random.default_rng(bits).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 3, 1, 6))
    lines = hex_file(values, bits, lanes).decode().splitlines()
    beats = iter(values.reshape(-1, lanes))
    assert [line for line in lines if line.startswith("//")] == ["// image 0", "// image 1"]
    for line in lines:
        if not line.startswith("//"):
            word = int(line, 16)
            assert len(line) == -(-bits * lanes // 4)
            assert word >> bits * lanes == 0
            for lane, value in enumerate(next(beats)):
                assert word >> lane * bits & (1 << bits) - 1 == value % (1 << bits)
    assert next(beats, None) is None


def test_results_are_those_of_the_model() -> None:
    network = quantized(ONE_LAYER)
    made = made_vectors(network)
    scores = made.outputs["scores"].reshape(10, 4)
    for (beat,), row in zip(made.results, scores, strict=True):
        score = int(row.max())
        assert int.from_bytes(beat, "little") == int(row.argmax()) + (score % 2**32 << 32)


def test_random_images_are_the_same_every_time() -> None:
    first, second = (made_vectors(quantized(ONE_LAYER)) for _ in range(2))
    assert first.source == "10 images of random pixels"
    assert (first.images == second.images).all() and len(np.unique(first.images)) > 20


def test_networks_trained_on_mnist_get_its_test_digits() -> None:
    layers = (
        Input(name="input", height=28, width=28),
        Dense(name="s", inputs=("input",), units=10),
    )
    network = quantized(Network("digits", layers))
    network = replace(network, parent=replace(network.parent, trained_on=MNIST))
    made = made_vectors(network)
    assert (made.images == golden.test_digits().images[:10]).all()
    assert made.source == "the first 10 of 10,000 images of 'mnist', 'test'"


def test_images_of_the_user_go_first() -> None:
    images = np.arange(3 * 6, dtype=np.uint8).reshape(3, 2, 3, 1)
    dataset = golden.Dataset("mine\n*/", "custom", images, np.zeros(3, np.int64))
    made = made_vectors(quantized(ONE_LAYER), dataset)
    assert (made.images == images).all()
    assert made.source == "the first 3 of 3 images of 'mine\\n*/'"
    wrong = golden.Dataset("wrong", "custom", images.reshape(3, 3, 2, 1), np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="has images of 3 x 2 x 1, network 'one-layer' takes"):
        made_vectors(quantized(ONE_LAYER), wrong)


def test_a_network_trained_on_other_images_gets_random_ones() -> None:
    layers = (
        Input(name="input", height=28, width=28),
        Dense(name="s", inputs=("input",), units=10),
    )
    network = quantized(Network("other", layers))
    other = type(MNIST)(MNIST.name, "0" * 64, MNIST.images)
    network = replace(network, parent=replace(network.parent, trained_on=other))
    assert made_vectors(network).source == "10 images of random pixels"


def test_random_values_are_all_that_the_input_takes() -> None:
    features = Input(name="input", height=2, width=40, background=0, format=QFormat(2, 0))
    layers = features, Dense(name="s", inputs=("input",), units=2)
    made = made_vectors(quantized_on(Network("features", layers)))
    assert made.source == "10 images of random values"
    assert made.images.shape == (10, 2, 40, 1)
    assert np.unique(made.images).tolist() == [-2, -1, 0, 1]


def test_the_split_of_a_data_set_is_named_and_a_single_image_is_no_plural(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = np.arange(1500 * 6).astype(np.uint8).reshape(1500, 2, 3, 1)
    # Labels that are no class of the network: no class is compared.
    labels = np.full(1500, 77)
    network = quantized(ONE_LAYER)
    made = made_vectors(network, golden.Dataset("mine", "validation", images, labels))
    assert made.source == "the first 10 of 1,500 images of 'mine', 'validation'"
    assert (made.images == images[:10]).all()
    made = made_vectors(network, golden.Dataset("mine", "custom", images[:1], labels[:1]))
    assert made.source == "the first 1 of 1 image of 'mine'"
    monkeypatch.setattr(vectors, "MAX_BYTES", 1)
    made = made_vectors(network, golden.Dataset("mine", "custom", images, labels))
    assert made.source == (
        "the first 1 of 1,500 images of 'mine' (no more than 1: files would become too large)"
    )
    assert len(made.images) == len(made.results) == len(made.outputs["scores"]) == 1
    assert made_vectors(network).source.startswith("1 image of random pixels (no more than 1: ")


def test_large_files_have_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    # 6 pixels of 3 characters and 4 scores of 6.
    network = quantized(ONE_LAYER)
    bits = network.fixed["scores"].output_format.bits
    size = 6 * 3 + 4 * (-(-bits // 4) + 1)
    for most, count in ((3 * size, 3), (3 * size - 1, 2), (1, 1)):
        monkeypatch.setattr(vectors, "MAX_BYTES", most)
        made = made_vectors(network)
        assert len(made.images) == len(made.results) == count
        assert f"(no more than {count}: files would become too large)" in made.source

"""The benchmark's networks are those that it says, and its figures are those that it measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith.golden.files.datasets import validation_digits
from systolith.golden.network import float_model
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
    RadialBasis,
)
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.scripts.benchmarks import model_speed
from tests.golden.random_networks import random_arrays, random_images


def small(*layers: object) -> TrainedNetwork:
    source = Input(name="input", height=8, width=7, channels=2, border=1, scale=0.01, offset=-0.3)
    network = Network("small", (source, *layers))  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    return TrainedNetwork(
        network,
        {
            layer.name: random_arrays(rng, layer, shape)
            for layer, shape, _ in network.computing_layers()
        },
    )


def test_onnx_runtime_computes_the_same_network() -> None:
    relu = Activation("relu")
    trained = small(
        Convolution(
            name="C", inputs=("input",), kernel=(3, 2), out_channels=4, padding=(1, 0),
            connection_table=((0,), (1,), (0, 1), (0, 1)), activation=relu,
        ),
        MaxPooling(name="M", inputs=("C",), window=(2, 3)),
        Dense(name="F", inputs=("M",), units=5, activation=relu),
        Dense(name="G", inputs=("F",), units=3),
    )  # fmt: skip
    images = random_images(np.random.default_rng(1), trained.network, 9)
    floats = model_speed.prepared(trained.network, images)
    assert floats.shape == (9, 2, 10, 9)
    found = model_speed.float_session(trained).run(None, {"images": floats})[0]
    np.testing.assert_allclose(found, float_model.scores(trained, images), atol=1e-4)


def test_its_int8_network_is_close_to_the_float_network() -> None:
    trained = load_network(model_speed.NETWORK)
    images = validation_digits().images[:100]
    floats = model_speed.prepared(trained.network, images)
    session = model_speed.int8_session(trained, floats)
    found = session.run(None, {"images": floats})[0]
    real = float_model.scores(trained, images)
    assert np.mean(found.argmax(axis=1) == real.argmax(axis=1)) >= 0.97
    assert np.abs(found - real).max() > 1e-3


def test_layers_that_it_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="radial_basis 'R': this layer type is not benchmarked"):
        model_speed.onnx_model(small(RadialBasis(name="R", inputs=("input",), units=2)))
    tanh = Dense(name="F", inputs=("input",), units=2, activation=Activation("tanh"))
    with pytest.raises(ValueError, match="dense 'F': activation 'tanh' is not benchmarked"):
        model_speed.onnx_model(small(tanh))


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    made = model_speed.Benchmark(
        images=10,
        onnxruntime_batch=5,
        fixed=(200.0, 300.0, 100.0),
        onnxruntime=(100.0, 100.0, 100.0),
        accuracy={"float": 0.9, "fixed": 0.8, "onnxruntime": 0.7},
        machine={"processor": "p"},
    )
    assert made.ratio == 2.0
    value = made.to_mapping()
    assert next(iter(value)) == "schema"
    assert value["images_per_second"] == {"fixed": 200, "onnxruntime": 100}
    assert [each["ratio"] for each in value["rounds"]] == [2.0, 3.0, 1.0]
    text = made.to_markdown()
    assert (
        "| fixed model | 200 | 300 | 0.8000 |\n| ONNX Runtime int8 | 100 | 100 | 0.7000 |" in text
    )
    assert "**2.00**" in text


def test_each_engine_has_its_own_networks_images_and_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ONNX Runtime is fastest with batches of 50; the fixed model is slower in the second round."""
    trained = load_network(model_speed.NETWORK)
    digits = validation_digits()
    calibration, dataset = digits.take(30), digits.part(np.arange(30, 70))
    labels = dataset.known_labels
    latest: list[Any] = []
    fixed_seconds = iter((2.0, 4.0, 2.5))

    def quantize(given: TrainedNetwork, images: Any, settings: Any) -> SimpleNamespace:
        assert given is trained and np.array_equal(images, calibration.images)
        assert (settings.default.weight_bits, settings.default.activation_bits) == (8, 8)
        return SimpleNamespace(fixed="twin")

    class Model:
        def __init__(self, twin: str) -> None:
            assert twin == "twin"

        def classes(self, images: Any) -> Any:
            assert np.array_equal(images, dataset.images)
            latest[:] = ["fixed"]
            return np.where(np.arange(40) < 30, labels, -1)

    def int8(given: TrainedNetwork, floats: Any) -> str:
        expected = model_speed.prepared(trained.network, calibration.images)
        assert given is trained and np.array_equal(floats, expected)
        return "int8"

    def scores(session: str, floats: Any, batch: int) -> Any:
        latest[:] = [session, batch]
        right = {"int8": 20, "float": 36}[session]
        return np.eye(11)[np.where(np.arange(len(floats)) < right, labels[: len(floats)], 10)]

    def seconds(work: Any) -> float:
        work()
        if latest[0] == "fixed":
            return next(fixed_seconds)
        return 8.0 if latest[1] == 50 else 9.0 + latest[1] / 1000

    monkeypatch.setattr(model_speed, "quantize", quantize)
    monkeypatch.setattr(model_speed, "FixedModel", Model)
    monkeypatch.setattr(model_speed, "int8_session", int8)
    monkeypatch.setattr(model_speed, "float_session", lambda _: "float")
    monkeypatch.setattr(model_speed, "_scores", scores)
    monkeypatch.setattr(model_speed, "_seconds", seconds)
    found = model_speed.bench(trained, calibration, dataset, 3)
    assert (found.images, found.onnxruntime_batch) == (40, 50)
    assert found.fixed == (20.0, 10.0, 16.0)
    assert found.onnxruntime == (5.0, 5.0, 5.0)
    assert found.ratio == 3.2
    assert found.accuracy == {"float": 0.9, "fixed": 0.75, "onnxruntime": 0.5}


def test_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_speed, "validation_digits", lambda: validation_digits().take(100))
    monkeypatch.setattr(model_speed, "REQUIRED_RATIO", 0.0)
    paths = [tmp_path / "b.json", tmp_path / "b.md"]
    options = ["--images", "60", "--rounds", "2", "--out", str(paths[0]), "--out", str(paths[1])]
    assert model_speed.main(options) == 0
    value = json.loads(paths[0].read_text())
    assert value["images"] == 60
    assert len(value["rounds"]) == 2
    assert set(value["accuracy"]) == {"float", "fixed", "onnxruntime"}
    assert min(value["accuracy"].values()) > 0.9
    assert paths[1].read_text() == capsys.readouterr().out
    monkeypatch.setattr(model_speed, "REQUIRED_RATIO", 1e9)
    assert model_speed.main(["--images", "60", "--rounds", "1"]) == 1


@pytest.mark.parametrize(
    "options", [["--out", "b.txt"], ["--rounds", "0"], ["--images", "0"], ["--images", "x"]]
)
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        model_speed.main(options)
    assert caught.value.code == 2
    assert options[0].strip("-") in capsys.readouterr().err

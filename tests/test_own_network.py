"""The page about a user's own network: its code and its commands run as they are written.

With PyTorch and scikit-learn (`make test-train`) the first block trains and exports the model;
without them a model of the same layers stands in for it.
"""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.fixed import execution
from systolith.golden.network.graph import Layer
from systolith.scripts.main import main
from tests.golden.onnx.small_models import model, node, normal

_PAGE = (Path(__file__).parents[1] / "docs" / "own-network.md").read_text("utf-8")
_TRAINS, _BUILDS = re.findall(r"^```python\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
_PYTORCH = {"weights": "weight", "bias": "bias"}
_COMMANDS, _FEATURES, _OUTPUTS = re.findall(r"^```sh\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)


def run_python(code: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run code of the page in the current folder; returns its names."""
    Path("page.py").write_text(code, "utf-8")
    return runpy.run_path("page.py", names)


def run_commands(commands: str = _COMMANDS) -> list[list[str]]:
    """Run commands of the page; returns them in words."""
    lines = [shlex.split(line, comments=True) for line in commands.strip().split("\n")]
    for program, *arguments in lines:
        assert (program, main(arguments)) == ("systolith", 0)
    return lines


def simulated(folder: str = "digits-rtl") -> dict[str, Any]:
    """The last simulation, which is bit-exact and took the cycles that were predicted."""
    found: dict[str, Any] = json.loads(Path(folder, "simulation.json").read_text("utf-8"))
    assert (found["bit_exact"], found["as_predicted"]) == (True, True)
    return found


def test_the_commands_take_an_exported_model_to_rtl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    statistics = {f"{name}{n}": np.full(n, 1.5, np.float32) for n in (8, 16) for name in "gbmv"}
    nodes = [
        node("Conv", "x c", "c1", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c1 g8 b8 m8 v8", "n1"),
        node("Relu", "n1", "r1"),
        node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p1 d", "c2"),
        node("BatchNormalization", "c2 g16 b16 m16 v16", "n2"),
        node("Relu", "n2", "r2"),
        node("Flatten", "r2", "f"),
        node("Gemm", "f w", "y"),
    ]
    weights = {"c": normal(8, 1, 3, 3), "d": normal(16, 8, 3, 3), "w": normal(64, 10)}
    Path("digits.onnx").write_bytes(model(nodes, statistics | weights))
    rng = np.random.default_rng(1)
    for name, count in (("train", 40), ("test", 20)):
        images = rng.integers(0, 17, (count, 8, 8), dtype=np.uint8)
        np.savez(f"{name}.npz", images=images, labels=rng.integers(0, 10, count))
    run_commands()
    assert simulated()["images"] == 20


def test_features_go_from_a_csv_file_to_rtl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    nodes = [
        node("Conv", "x c", "c1", pads=[0, 1, 0, 1]),
        node("Relu", "c1", "r1"),
        node("Flatten", "r1", "f"),
        node("Gemm", "f w", "y"),
    ]
    content = model(nodes, {"c": normal(3, 1, 1, 3), "w": normal(48, 3)}, ("N", 1, 1, 16))
    Path("sensor.onnx").write_bytes(content)
    rng = np.random.default_rng(1)
    names = ",".join(f"sample_{n}" for n in range(16))
    for name, count in (("train", 30), ("test", 12)):
        samples, labels = rng.normal(0, 1.6, (count, 16)), rng.integers(0, 3, count)
        rows = np.column_stack([samples, labels]).tolist()
        lines = [",".join(map(repr, [*row[:16], int(row[16])])) for row in rows]
        Path(f"{name}.csv").write_text("\n".join([f"{names},label", *lines]), "utf-8")
        outside = int(((samples < -4 - 1 / 64) | (samples > 4 - 1 / 64)).sum())
    run_commands(_FEATURES)
    found = simulated("sensor-rtl")
    assert found["images"] == 12
    assert [layer["mismatches"] for layer in found["layers"]] == [0, 0]
    assert found["dataset"]["saturated"] == outside > 0
    quantized = golden.QuantizedNetwork.load("q.npz")
    raw = golden.load_dataset("test.csv", quantized.fixed.network.input).images
    assert np.array_equal(raw.reshape(12, 16), golden.QFormat(8, 5).quantize(samples))
    right = execution.classes(quantized.fixed, raw) == labels
    assert found["correct"] == right.sum()
    warning = f"warning: {outside} of 192 values of test.csv are out of the range of s8.5, -4 to"
    assert capsys.readouterr().err.count(warning) == 4


def test_widths_of_a_regression_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    layers = (
        golden.Input(name="input", height=1, width=4, format=golden.QFormat(8, 5)),
        golden.Dense(name="prices", inputs=("input",), units=2),
    )
    arrays = {"prices": {"weights": normal(4, 2), "bias": normal(2)}}
    golden.TrainedNetwork(golden.Network("prices", layers), arrays).save("prices.npz")
    np.savetxt("prices.csv", np.random.default_rng(1).normal(size=(20, 4)), delimiter=",")
    run_commands(_OUTPUTS)
    assert "errors are those of the outputs" in " ".join(capsys.readouterr().out.split())


def test_the_network_that_is_built_is_that_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("test.npz", images=np.zeros((2, 8, 8), np.uint8))
    run_python(_BUILDS)
    assert capsys.readouterr().out.splitlines() == [
        "input (2, 8, 8, 1)",
        "C1 (2, 8, 8, 8)",
        "S2 (2, 4, 4, 8)",
        "C3 (2, 2, 2, 16)",
        "output (2, 1, 1, 10)",
    ]
    assert golden.load_network("digits.npz").trained_on is None


def test_pytorch_s_flattened_weights_are_permuted_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (how,) = re.findall(r"`(weight\.T\.reshape\(.*?)`", _PAGE, re.DOTALL)
    rng = np.random.default_rng(2)
    height, width, channels = 2, 3, 4
    weight = rng.normal(size=(5, channels * height * width))
    stacked = rng.normal(size=(channels, height, width))
    names = {"weight": weight, "height": height, "width": width, "channels": channels}
    monkeypatch.chdir(tmp_path)
    ours = run_python(f"ours = {how}", names)["ours"]
    assert np.allclose(stacked.transpose(1, 2, 0).ravel() @ ours, weight @ stacked.ravel())


@pytest.mark.training
def test_the_page_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn's digits, a network of PyTorch with batch normalization: all test images."""
    monkeypatch.chdir(tmp_path)
    run_python(_TRAINS)
    run_commands()
    found = simulated()
    assert found["images"] == 500
    assert found["correct"] > 450


@pytest.mark.training
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("dynamo", [True, False])
def test_both_exporters_of_pytorch_give_our_own_verilog(tmp_path: Path, dynamo: bool) -> None:
    """`lenet5-relu` in PyTorch, with the weights that ship."""
    import torch

    ours = golden.load_network("lenet5-relu")
    first = ours.network.input
    module = _lenet5_relu(first.border, first.scale * first.background + first.offset)
    state = {}
    for name, arrays in ours.arrays.items():
        for array, stored in arrays.items():
            values = np.array(stored)
            if array == "weights":
                values = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T
            state[f"{name}.{_PYTORCH[array]}"] = torch.tensor(values)
    module.load_state_dict(state)
    path = tmp_path / "lenet5-relu.onnx"
    torch.onnx.export(module.eval(), (torch.zeros(1, 1, 28, 28),), str(path), dynamo=dynamo)
    preprocessing = golden.Preprocessing((first.scale,), (-first.offset,))
    imported = golden.import_onnx(path, preprocessing).trained
    assert len(imported.network.layers) == len(ours.network.layers)
    theirs = _renamed(imported, [layer.name for layer in ours.network.layers])
    images = golden.validation_digits().images[:1000]
    verilog = []
    for place, trained in enumerate((ours, theirs)):
        quantized = golden.quantize(trained, images)
        manifest = hw.generate(quantized, tmp_path / str(place), name="top")
        text = (tmp_path / str(place) / manifest.files.verilog).read_text("utf-8")
        verilog.append([line for line in text.splitlines() if not line.startswith("//")])
    assert verilog[0] == verilog[1]


def _lenet5_relu(border: int, background: float) -> Any:
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            pad=nn.ConstantPad2d(border, background),
            C1=nn.Conv2d(1, 6, 5),
            relu1=nn.ReLU(),
            S2=nn.MaxPool2d(2),
            C3=nn.Conv2d(6, 16, 5),
            relu3=nn.ReLU(),
            S4=nn.MaxPool2d(2),
            C5=nn.Conv2d(16, 120, 5),
            relu5=nn.ReLU(),
            flat=nn.Flatten(),
            F6=nn.Linear(120, 84),
            relu6=nn.ReLU(),
            output=nn.Linear(84, 10),
        )
    )


def _renamed(trained: golden.TrainedNetwork, names: list[str]) -> golden.TrainedNetwork:
    """The network with other names of its layers."""
    layers: list[Layer] = []
    for name, layer in zip(names, trained.network.layers, strict=True):
        inputs = (layers[-1].name,) if layers else ()
        layers.append(replace(layer, name=name, inputs=inputs))
    arrays = {
        name: trained.arrays[layer.name]
        for name, layer in zip(names, trained.network.layers, strict=True)
        if layer.name in trained.arrays
    }
    network = golden.Network(trained.name, tuple(layers))
    return golden.TrainedNetwork(network, arrays)

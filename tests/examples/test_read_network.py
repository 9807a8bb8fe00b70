"""The reader that was written from the documents computes what the fixed-point model does."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from numpy.typing import NDArray

from systolith import golden
from systolith.golden import load_network, quantize, validation_digits
from systolith.golden.fixed import execution
from systolith.golden.network import shipped
from systolith.golden.network.graph import LAYER_TYPES, Convolution, Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.qformat import QFormat
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from tests.golden.random_networks import random_quantized

READER = Path(__file__).parents[2] / "examples" / "read_network.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location(READER.stem, READER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = loaded()


def require_same(network: QuantizedNetwork, images: NDArray[np.integer[Any]], path: Path) -> None:
    network.save(path)
    header, arrays = reader.read(path)
    values = reader.run(header, arrays, images)
    expected = execution.run(network.fixed, images).outputs
    assert list(values) == list(expected)
    for name, value in values.items():
        assert np.array_equal(value, expected[name]), name
    classes = execution.classes(network.fixed, images)
    assert np.array_equal(reader.classes(header, values), classes)


@pytest.mark.parametrize(
    "settings",
    [
        LayerSettings(),
        LayerSettings(weight_bits=4, activation_bits=3, granularity="tensor", rounding="half_even"),
        LayerSettings(weight_bits=16, activation_bits=12, rounding="floor", bias_correction=True),
    ],
    ids=lambda settings: f"{settings.weight_bits}-{settings.activation_bits}",
)
@pytest.mark.parametrize("name", shipped.names())
def test_networks_that_ship(name: str, settings: LayerSettings, tmp_path: Path) -> None:
    network = quantize(load_network(name), validation_digits().images[:20], Settings(settings))
    require_same(network, golden.test_digits().images[:4], tmp_path / "q.npz")


def test_every_layer_type_and_both_overflows(tmp_path: Path) -> None:
    seen: set[object] = set()
    for seed in range(40):  # 0 has a shift to the left
        network, images = random_quantized(seed)
        require_same(network, images, tmp_path / "q.npz")
        layers = [
            each
            if each.requantization is None
            else replace(each, requantization=replace(each.requantization, overflow="wrap"))
            for each in network.fixed.layers
        ]
        wrapping = replace(network, fixed=replace(network.fixed, layers=tuple(layers)))
        require_same(wrapping, images, tmp_path / "q.npz")
        for layer in network.fixed.layers:
            how = layer.requantization
            seen |= {layer.layer.type_name, layer.layer.activation.kind, layer.input_shift > 0}
            seen |= set() if how is None else {how.rounding, how.multiplier > 1, how.target.signed}
            if how is not None:
                seen |= {"left" if int(how.shifts.min()) < 0 else "right"}
            if layer.padding_value:
                seen.add("border")
    assert seen >= {
        *(set(LAYER_TYPES) - {"input"}),
        *("none", "relu", "tanh", "sigmoid", "half_up", "half_even", "floor"),
        *("left", "right", "border", True, False),
    }


def test_it_runs_as_the_docstring_says_and_needs_numpy_alone(tmp_path: Path) -> None:
    network, images = random_quantized(3)
    network.save(tmp_path / "q.npz")
    np.savez(tmp_path / "images.npz", images=images)
    command = [sys.executable, str(READER), "q.npz", "images.npz"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(each) for each in execution.classes(network.fixed, images)]
    tree = ast.parse(READER.read_text("utf-8"))
    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    assert imported == {"json", "sys", "numpy"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))


def test_it_is_short() -> None:
    text = READER.read_text("utf-8")
    docstring = ast.get_docstring(ast.parse(text), clean=False)
    assert docstring is not None
    assert text.count("\n") - docstring.count("\n") - 1 <= 100


def test_another_file_is_refused(tmp_path: Path) -> None:
    load_network("lenet5").save(tmp_path / "float.npz")
    with pytest.raises(SystemExit, match=r"is systolith\.trained-network/1, not a quantized"):
        reader.read(tmp_path / "float.npz")


@trying(max_examples=25, deadline=None)
@given(
    bits=st.integers(1, 16),
    frac_bits=st.integers(-4, 20),
    signed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_input_format(bits: int, frac_bits: int, signed: bool, seed: int) -> None:
    """The reader takes raw values as they are, so that formats meet an independent computation."""
    fmt = QFormat(bits, frac_bits, signed)
    assert QFormat.parse(str(fmt)) == fmt
    rng = np.random.default_rng(seed)
    raw = rng.integers(fmt.min_raw, fmt.max_raw, (4, 3, 4, 2), fmt.raw_type, endpoint=True)
    layers = (
        Input(
            name="input",
            height=3,
            width=4,
            channels=2,
            border=1,
            background=int(rng.integers(fmt.min_raw, fmt.max_raw, endpoint=True)),
            scale=float(rng.uniform(0.1, 2)),
            offset=float(rng.normal()),
            format=fmt,
        ),
        Convolution(name="C1", inputs=("input",), kernel=(3, 2), out_channels=2),
        Dense(name="out", inputs=("C1",), units=3),
    )
    network = Network("formats", layers)
    arrays = {
        layer.name: {
            name: rng.normal(size=shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    trained = TrainedNetwork(network, arrays)
    # The same real numbers, as pixels that stand for them.
    real = golden.float_maps(trained, raw)["input"][:, 1:-1, 1:-1]
    expected = fmt.dequantize(raw) * network.input.scale + network.input.offset
    np.testing.assert_allclose(real, expected, rtol=1e-12, atol=1e-12)
    with TemporaryDirectory() as folder:
        require_same(quantize(trained, raw), raw, Path(folder) / "q.npz")
        assert QuantizedNetwork.load(Path(folder) / "q.npz").fixed.network.input.format == fmt

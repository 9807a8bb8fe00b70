"""A layer type that a place does not know is an error there, and no type is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from systolith.golden.fixed import accumulator, consistency, kernels
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import affine, float_model
from systolith.golden.network.affine import Affine
from systolith.golden.network.graph import (
    LAYER_TYPES,
    Dense,
    GraphError,
    Input,
    Layer,
    MaxPooling,
    Network,
    Pooling,
    Shape,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.network.windows import Padding
from systolith.golden.onnx import operators
from systolith.golden.onnx.operators import OnnxGraph
from systolith.golden.quantization import layer_integers
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.layer_input import with_input

TABLES: Mapping[str, Mapping[type[Layer], Any]] = {
    "float model": float_model._COMPUTE,
    "scale": affine._STANDS_FOR,
    "quantization": layer_integers._QUANTIZATIONS,
    "accumulator range": accumulator._SUM_RANGES,
    "fixed-point kernel": kernels._KERNELS,
    "exact form in ONNX": operators._SUMS,
    "rules for its integers": consistency._RULES,
}


@dataclass(frozen=True, kw_only=True)
class Median(Pooling):
    """A type that only the graph knows."""

    type_name: ClassVar[str] = "median_pooling"


@dataclass(frozen=True, kw_only=True)
class BiggestOf(MaxPooling):
    """A type that is derived from one that is known, and means something else."""

    type_name: ClassVar[str] = "biggest_of"


@pytest.mark.parametrize("what", TABLES)
def test_every_place_knows_every_layer_type(what: str) -> None:
    assert set(TABLES[what]) | {Input} == set(LAYER_TYPES.values())


def test_a_graph_has_only_layers_of_its_types() -> None:
    layers = (Input(name="input", height=4, width=4), Median(name="M", inputs=("input",)))
    with pytest.raises(GraphError, match="median_pooling 'M': this layer type is not one of input"):
        Network("n", layers)


@pytest.mark.parametrize("strange", [Median, BiggestOf])
def test_a_type_that_a_place_does_not_know_is_an_error_there(
    monkeypatch: pytest.MonkeyPatch, strange: type[Pooling]
) -> None:
    images = np.zeros((2, 4, 4, 1), np.uint8)
    known = Network(
        "known",
        (Input(name="input", height=4, width=4), MaxPooling(name="P", inputs=("input",))),
    )
    fixed: FixedLayer = quantize(TrainedNetwork(known, {}), images).fixed["P"]
    monkeypatch.setitem(LAYER_TYPES, strange.type_name, strange)
    layer = strange(name="P", inputs=("input",))
    network = Network(
        "new",
        (known.input, layer, Dense(name="F", inputs=("P",), units=2)),
    )
    arrays = {"F": {"weights": np.ones((4, 2), np.float32), "bias": np.ones(2, np.float32)}}
    trained = TrainedNetwork(network, arrays)
    unknown = replace(fixed, layer=layer)
    asked: dict[str, Callable[[], Any]] = {
        "float model": lambda: float_model.run(trained, images),
        "scale": lambda: affine.pre_activation(layer, Affine()),
        "quantization": lambda: layer.entry(layer_integers._QUANTIZATIONS, "quantization"),
        "accumulator range": lambda: accumulator.accumulator_range(unknown),
        "fixed-point kernel": lambda: kernels.kernel_of(unknown),
        "exact form in ONNX": lambda: operators.add_layer(OnnxGraph(), unknown, "input", "P"),
        "rules for its integers": lambda: consistency.checked_range(network, unknown),
    }
    assert set(asked) == set(TABLES)
    for what, ask in asked.items():
        message = f"{strange.type_name} 'P': this layer type has no {what}: allowed are "
        with pytest.raises(GraphError, match=message):
            ask()
    with pytest.raises(GraphError, match="has no float model"):
        quantize(trained, images)


@dataclass(frozen=True, kw_only=True)
class Surrounded(Dense):
    """A type with padding of its own."""

    @property
    def pads(self) -> Padding:
        return Padding(1, 2, 1, 2)


def test_padding_is_that_of_the_layer_whatever_its_type() -> None:
    network = Network(
        "n",
        (
            Input(name="input", height=2, width=2, border=1, background=10, offset=-10.0),
            Dense(name="F", inputs=("input",), units=1),
        ),
    )
    layer = Surrounded(name="F", inputs=("input",), units=1)
    made = with_input(network, layer, Shape(1, 1, 1), None, Affine(1.0, -10.0))
    assert (made.padding, made.padding_value) == ((2, 3, 2, 3), 10)

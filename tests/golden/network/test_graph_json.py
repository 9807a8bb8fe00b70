import copy
import json
from typing import Any

import pytest

from systolith.golden.network import graph_json, shipped
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    GraphError,
    Input,
    Network,
    RadialBasis,
)

EVERYTHING = Network(
    "odd_one",
    (
        Input(name="input", height=9, width=7, channels=2, border=1, background=3, scale=0.1),
        Convolution(
            name="C1",
            inputs=("input",),
            kernel=(3, 2),
            out_channels=2,
            padding=(1, 0),
            connection_table=((0,), (0, 1)),
            activation=Activation("tanh", 1.5, 1 / 3),
        ),
        AveragePooling(name="P2", inputs=("C1",), window=(2, 3)),
        Dense(name="F3", inputs=("P2",), units=3, activation=Activation("relu")),
        RadialBasis(name="R4", inputs=("F3",), units=2),
    ),
)
GOOD = graph_json.to_json(EVERYTHING)


@pytest.mark.parametrize("network", [EVERYTHING, *map(shipped.network, shipped.names())])
def test_a_graph_survives_json(network: Network) -> None:
    assert graph_json.from_json(json.loads(json.dumps(graph_json.to_json(network)))) == network


def test_the_form() -> None:
    assert GOOD["layers"][2] == {
        "type": "average_pooling",
        "name": "P2",
        "inputs": ["C1"],
        "activation": {"kind": "none", "amplitude": 1.0, "slope": 1.0},
        "window": [2, 3],
    }


def change(value: Any, *path: Any) -> Any:
    """The good graph with the entry at `path` set to `value`."""
    changed = copy.deepcopy(GOOD)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def without(*path: Any) -> Any:
    changed = copy.deepcopy(GOOD)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"network: must be an object, not \[\]"),
        (without("name"), "network: key 'name' is missing"),
        (change(1, "extra"), "network: key 'extra' is unknown: allowed are layers, name"),
        (change(1, "name"), "must be a string, not 1"),
        (change("a b", "name"), "network 'a b': a name has"),
        (change({}, "layers"), "'layers' must be a list of 1 to 1024 layers"),
        (change([{}] * 1025, "layers"), "'layers' must be a list of 1 to 1024 layers"),
        (change("C", "layers", 1), "layer 1: must be an object, not 'C'"),
        (
            change("deconvolution", "layers", 1, "type"),
            "layer 1: type 'deconvolution' is unknown: allowed are input, convolution,",
        ),
        (change([], "layers", 1, "type"), r"layer 1: type \[\] is unknown"),
        (without("layers", 1, "type"), "layer 1: type None is unknown"),
        (change(1, "layers", 1, "stride"), "layer 1: key 'stride' is unknown"),
        (without("layers", 1, "padding"), "layer 1: key 'padding' is missing"),
        (
            change(True, "layers", 1, "out_channels"),
            "layer 1: 'out_channels': must be an integer from 0 to 65536, not True",
        ),
        (change(10**9, "layers", 1, "out_channels"), "must be an integer from 0 to 65536"),
        (change(2.0, "layers", 1, "out_channels"), "must be an integer from 0 to 65536, not 2.0"),
        (change([3], "layers", 1, "kernel"), "layer 1: 'kernel': must have 2 entries, not 1"),
        (change(3, "layers", 1, "kernel"), "layer 1: 'kernel': must be a list, not 3"),
        (change("x", "layers", 0, "scale"), "layer 0: 'scale': must be a number, not 'x'"),
        (change(10**400, "layers", 0, "scale"), "layer 0: 'scale': must be a number, not 1000"),
        (change(["C1", 2], "layers", 2, "inputs"), "layer 2: 'inputs': must be a string, not 2"),
        (
            change("swish", "layers", 3, "activation", "kind"),
            "layer 3: 'activation': 'swish' is unknown: allowed are none, relu, tanh, sigmoid",
        ),
        (without("layers", 3, "activation", "slope"), "'activation': activation: key 'slope'"),
        (
            change([[0], [5]], "layers", 1, "connection_table"),
            "output map 1 name input map 5, but there are 2",
        ),
        (change("C1", "layers", 3, "name"), "two layers are named 'C1'"),
    ],
)
def test_what_is_no_graph_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        graph_json.from_json(value)
    assert len(str(caught.value)) < 300


def test_long_values_are_cut_in_errors() -> None:
    with pytest.raises(GraphError, match=r"not 'x{56}\.\.\.$"):
        graph_json.from_json("x" * 1000)

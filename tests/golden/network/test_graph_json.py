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
    assert graph_json.from_json(json.dumps(graph_json.to_json(network)).encode()) == network


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
        ([], "graph: Expected `object`, got `array`"),
        (without("name"), "Object missing required field `name`"),
        (change(1, "extra"), "Object contains unknown field `extra`"),
        (change(1, "name"), r"Expected `str`, got `int` - at `\$\.name`"),
        (change("a b", "name"), "network 'a b': a name has"),
        (change({}, "layers"), r"Expected `array`, got `object` - at `\$\.layers`"),
        (change([], "layers"), r"Expected `array` of length >= 1 - at `\$\.layers`"),
        (
            change(GOOD["layers"] * 205, "layers"),
            r"Expected `array` of length <= 1024 - at `\$\.layers`",
        ),
        (change("C", "layers", 1), r"Expected `object`, got `str` - at `\$\.layers\[1\]`"),
        (
            change("deconvolution", "layers", 1, "type"),
            r"Invalid value 'deconvolution' - at `\$\.layers\[1\]\.type`",
        ),
        (change([], "layers", 1, "type"), r"Expected `str` - at `\$\.layers\[1\]\.type`"),
        (without("layers", 1, "type"), r"missing required field `type` - at `\$\.layers\[1\]`"),
        (
            change(1, "layers", 1, "stride"),
            r"contains unknown field `stride` - at `\$\.layers\[1\]`",
        ),
        (
            without("layers", 1, "padding"),
            r"missing required field `padding` - at `\$\.layers\[1\]`",
        ),
        (
            change(True, "layers", 1, "out_channels"),
            r"Expected `int`, got `bool` - at `\$\.layers\[1\]\.out_channels`",
        ),
        (change(10**9, "layers", 1, "out_channels"), "Expected `int` <= 65536"),
        (change(-1, "layers", 1, "padding", 0), r"Expected `int` >= 0 - at .*\.padding\[0\]`"),
        (change(2.0, "layers", 1, "out_channels"), "Expected `int`, got `float`"),
        (change([3], "layers", 1, "kernel"), r"`array` of length 2 - at .*\.kernel`"),
        (change(3, "layers", 1, "kernel"), r"Expected `array`, got `int` - at .*\.kernel`"),
        (change("x", "layers", 0, "scale"), r"Expected `float`, got `str` - at .*\.scale`"),
        (change(10**400, "layers", 0, "scale"), r"Number out of range - at .*\.scale`"),
        (change(["C1", 2], "layers", 2, "inputs"), r"Expected `str`, got `int` - at .*\[1\]`"),
        (
            change("swish", "layers", 3, "activation", "kind"),
            r"activation 'swish': allowed are none, .* - at `\$\.layers\[3\]`",
        ),
        (
            without("layers", 3, "activation", "slope"),
            r"missing required field `slope` - at `\$\.layers\[3\]\.activation`",
        ),
        (
            change([[0], [5]], "layers", 1, "connection_table"),
            "output map 1 name input map 5, but there are 2",
        ),
        (
            change([[0], [-1]], "layers", 1, "connection_table"),
            r"`int` >= 0 - at `\$\.layers\[1\]\.connection_table\[1\]\[0\]`",
        ),
        (change("C1", "layers", 3, "name"), "two layers are named 'C1'"),
    ],
)
def test_what_is_no_graph_is_refused_by_path(value: object, message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        graph_json.from_json(json.dumps(value).encode())
    assert len(str(caught.value)) < 300


def test_numbers_are_finite() -> None:
    text = json.dumps(GOOD).replace('"scale": 0.1', '"scale": 1e999')
    with pytest.raises(GraphError, match=r"Number out of range - at `\$\.layers\[0\]\.scale`"):
        graph_json.from_json(text.encode())

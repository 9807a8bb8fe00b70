import copy
import json
from dataclasses import replace
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
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
)
from systolith.golden.qformat import QFormat

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


def test_the_format_of_pixels_is_left_out_and_others_are_text() -> None:
    assert "format" not in GOOD["layers"][0]
    for fmt, background in ((QFormat(8, 5), -128), (QFormat(12, -4, signed=False), 4095)):
        first = replace(EVERYTHING.input, format=fmt, background=background)
        network = Network("other", (first, *EVERYTHING.layers[1:]))
        raw = graph_json.to_json(network)
        assert raw["layers"][0]["format"] == str(fmt)
        assert graph_json.from_json(json.dumps(raw).encode()) == network


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8.5", "must be s or u, the bits, a point and the fraction bits"),
        ("s8", "must be s or u"),
        ("s08.5 ", "must be s or u"),
        ("s0.5", "bits must be from 1 to 62, not 0"),
        ("s20.5", "must have at most 16 bits"),
        ("u1.-999", "frac_bits must be from"),
        ("s8.5" * 5, "Expected `str` of length <= 16"),
        (8, "Expected `str`, got `int`"),
    ],
)
def test_formats_that_cannot_be(text: Any, message: str) -> None:
    raw = change(text, "layers", 0, "format")
    with pytest.raises(GraphError, match=rf"^\$\.graph\.layers\[0\].*{message}"):
        graph_json.from_json(json.dumps(raw).encode())


def test_the_form() -> None:
    assert GOOD["layers"][2] == {
        "type": "average_pooling",
        "name": "P2",
        "inputs": ["C1"],
        "activation": {"kind": "none", "amplitude": 1.0, "slope": 1.0},
        "window": [2, 3],
    }


def test_what_has_its_default_and_came_later_is_left_out() -> None:
    """So files, and their hashes, stay what they were."""
    strided = Network(
        "n",
        (
            Input(name="input", height=9, width=7),
            Convolution(
                name="C",
                inputs=("input",),
                kernel=(3, 2),
                out_channels=2,
                stride=(2, 1),
                padding_end=(1, 0),
            ),
            AveragePooling(name="P", inputs=("C",), padding=(1, 0), count_padding=True),
        ),
    )
    made = graph_json.to_json(strided)
    assert made["layers"][1].keys() - GOOD["layers"][1].keys() == {"stride", "padding_end"}
    assert made["layers"][2].keys() - GOOD["layers"][2].keys() == {"padding", "count_padding"}
    assert graph_json.from_json(json.dumps(made).encode()) == strided


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
        ([], r"\$\.graph: Expected `object`, got `array`"),
        (without("name"), "Object missing required field `name`"),
        (change(1, "extra"), "Object contains unknown field `extra`"),
        (change(1, "name"), r"\$\.graph\.name: Expected `str`, got `int`"),
        (change("a b", "name"), "network 'a b': a name has"),
        (change({}, "layers"), r"\$\.graph\.layers: Expected `array`, got `object`"),
        (change([], "layers"), r"\$\.graph\.layers: Expected `array` of length >= 1"),
        (
            change(GOOD["layers"] * 205, "layers"),
            r"\$\.graph\.layers: Expected `array` of length <= 1024",
        ),
        (change("C", "layers", 1), r"\$\.graph\.layers\[1\]: Expected `object`, got `str`"),
        (
            change("deconvolution", "layers", 1, "type"),
            r"\$\.graph\.layers\[1\]\.type: Invalid value 'deconvolution'",
        ),
        (change([], "layers", 1, "type"), r"\$\.graph\.layers\[1\]\.type: Expected `str`"),
        (without("layers", 1, "type"), r"\$\.graph\.layers\[1\]: .*missing required field `type`"),
        (
            change(1, "layers", 1, "strides"),
            r"\$\.graph\.layers\[1\]: .*contains unknown field `strides`",
        ),
        (
            without("layers", 1, "padding"),
            r"\$\.graph\.layers\[1\]: .*missing required field `padding`",
        ),
        (
            change(True, "layers", 1, "out_channels"),
            r"\$\.graph\.layers\[1\]\.out_channels: Expected `int`, got `bool`",
        ),
        (change(10**9, "layers", 1, "out_channels"), "Expected `int` <= 65536"),
        (change(-1, "layers", 1, "padding", 0), r"\.padding\[0\]: Expected `int` >= 0"),
        (change(2.0, "layers", 1, "out_channels"), "Expected `int`, got `float`"),
        (change([3], "layers", 1, "kernel"), r"\.kernel: .*`array` of length 2"),
        (change(3, "layers", 1, "kernel"), r"\.kernel: Expected `array`, got `int`"),
        (change("x", "layers", 0, "scale"), r"\.scale: Expected `float`, got `str`"),
        (change(10**400, "layers", 0, "scale"), r"\.scale: Number out of range"),
        (change(["C1", 2], "layers", 2, "inputs"), r"\[1\]: Expected `str`, got `int`"),
        (
            change("mystery", "layers", 3, "activation", "kind"),
            r"\$\.graph\.layers\[3\]: activation 'mystery': allowed are none, ",
        ),
        (
            without("layers", 3, "activation", "slope"),
            r"\$\.graph\.layers\[3\]\.activation: .*missing required field `slope`",
        ),
        (
            change([[0], [5]], "layers", 1, "connection_table"),
            "output map 1 name input map 5, but there are 2",
        ),
        (
            change([[0], [-1]], "layers", 1, "connection_table"),
            r"\$\.graph\.layers\[1\]\.connection_table\[1\]\[0\]: .*`int` >= 0",
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
    with pytest.raises(GraphError, match=r"\$\.graph\.layers\[0\]\.scale: Number out of range"):
        graph_json.from_json(text.encode())


def chain(layers: int) -> Network:
    """An input, and poolings that change nothing."""
    poolings = [
        MaxPooling(name=f"P{n}", inputs=(f"P{n - 1}" if n else "input",), window=(1, 1))
        for n in range(layers)
    ]
    return Network("chain", (Input(name="input", height=1, width=1), *poolings))


def test_the_longest_graph() -> None:
    """Of 1,024 layers with its input."""
    raw = graph_json.to_json(chain(1023))
    assert graph_json.from_json(json.dumps(raw).encode()).layers[-1].name == "P1022"
    with pytest.raises(GraphError, match=r"'chain': has 1,025 layers .* 1,024 are support"):
        graph_json.to_json(chain(1024))


@pytest.mark.parametrize(
    ("layer", "key"),
    [
        (Dense(name="L", inputs=("input",), units=65537), "units"),
        (Input(name="L", height=65537, width=1), "height"),
        (MaxPooling(name="L", inputs=("input",), window=(1, 1), stride=(1, 65537)), "stride"),
    ],
)
def test_the_largest_size(layer: Layer, key: str) -> None:
    fits: Any = 65536 if isinstance(getattr(layer, key), int) else (1, 65536)
    changes: dict[str, Any] = {key: fits}
    for each in (layer, replace(layer, **changes)):
        source, last = EVERYTHING.input, Dense(name="F", inputs=("L",), units=1)
        layers = (each, last) if isinstance(each, Input) else (source, each, last)
        network = Network("large", layers)
        if each is layer:
            with pytest.raises(GraphError, match=f"'L': {key} is 65,537, at most 65,536 is suppor"):
                graph_json.to_json(network)
        else:
            text = json.dumps(graph_json.to_json(network)).encode()
            assert graph_json.from_json(text) == network


def test_a_place_in_the_file_counts_the_input() -> None:
    """The fourth layer, number 3, has an activation that cannot be."""
    raw = change(-1.0, "layers", 3, "activation", "slope")
    with pytest.raises(GraphError, match=r"^\$\.graph\.layers\[3\]: activation 'relu': slope"):
        graph_json.from_json(json.dumps(raw).encode())

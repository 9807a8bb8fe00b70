"""The counts are those of the paper (section II.B), except for C3's table, which it prints."""

from __future__ import annotations

import json

import pytest

from systolith.golden.network.graph import AveragePooling, Convolution, Input, Network
from systolith.scripts.commands.describe import described
from systolith.scripts.main import main

# Layer: parameters, connections, multiply-accumulates, scalings.
_LENET5 = {
    "input": (0, 0, 0, 0),
    "C1": (156, 122_304, 117_600, 0),
    "S2": (12, 5_880, 0, 1_176),
    "C3": (1_516, 151_600, 150_000, 0),
    "S4": (32, 2_000, 0, 400),
    "C5": (48_120, 48_120, 48_000, 0),
    "F6": (10_164, 10_164, 10_080, 0),
    "output": (840, 840, 840, 0),
}


def _described(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["describe", *arguments]) == 0
    return capsys.readouterr().out


def test_json_has_the_counts_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    description = json.loads(_described(capsys, "lenet5", "--json"))
    assert list(description) == ["schema", "network", "layers", "totals"]
    assert (description["schema"], description["network"]) == ("systolith.description/1", "lenet5")
    assert {layer["name"]: layer["type"] for layer in description["layers"]} == {
        "input": "input",
        "C1": "convolution",
        "S2": "subsampling",
        "C3": "convolution",
        "S4": "subsampling",
        "C5": "convolution",
        "F6": "dense",
        "output": "radial_basis",
    }
    counts = {
        layer["name"]: tuple(
            layer[key] for key in ("parameters", "connections", "macs", "scalings")
        )
        for layer in description["layers"]
    }
    assert counts == _LENET5
    assert description["totals"] == {
        "parameters": 60_840,
        "connections": 340_908,
        "macs": 326_520,
        "scalings": 1_576,
    }
    assert [layer["output_shape"] for layer in description["layers"]] == [
        [32, 32, 1],
        [28, 28, 6],
        [14, 14, 6],
        [10, 10, 16],
        [5, 5, 16],
        [1, 1, 120],
        [1, 1, 84],
        [1, 1, 10],
    ]


def test_dense_c3_and_linear_output(capsys: pytest.CaptureFixture[str]) -> None:
    description = json.loads(_described(capsys, "lenet5-relu", "--json"))
    assert description["totals"]["macs"] == 416_520


def test_table_shows_every_count(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _described(capsys, "lenet5").splitlines()
    for name, counts in _LENET5.items():
        row = next(line.split() for line in lines if line.split()[:1] == [name])
        assert row[-4:] == [f"{count:,}" for count in counts]
    total = next(line.split() for line in lines if line.split()[:1] == ["total"])
    assert total == ["total", "60,840", "340,908", "326,520", "1,576"]


def test_windows_are_shown_with_all_that_they_have() -> None:
    layers = (
        Input(name="input", height=8, width=8, channels=8),
        Convolution(
            name="C1",
            inputs=("input",),
            kernel=(3, 3),
            out_channels=8,
            stride=(2, 2),
            padding=(0, 1),
            padding_end=(1, 0),
            groups=8,
        ),
        AveragePooling(
            name="S2", inputs=("C1",), stride=(1, 1), padding=(1, 0), count_padding=True
        ),
    )
    [_, conv, pooling] = described(Network("strided", layers))["layers"]
    assert conv["form"] == "3 x 3 / 2, pad 0 1 1 0, 8 groups"
    assert pooling["form"] == "2 x 2, pad 1 0 1 0, padding counted"

# amaranth: UnusedElaboratable=no
"""Memories, formats and streams of a manifest, held against the Verilog and the network."""

from __future__ import annotations

import json
import re
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
)
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.folding import Folding
from systolith.hw.verilog.artifacts import generate, load
from tests.hw.small_networks import quantized

NETWORK = Network(
    "three-kinds",
    (
        Input(name="input", height=4, width=4),
        Convolution(
            name="C1",
            inputs=("input",),
            kernel=(2, 2),
            out_channels=2,
            activation=Activation("tanh"),
        ),
        MaxPooling(name="S2", inputs=("C1",), window=(3, 1)),
        Dense(name="F3", inputs=("S2",), units=3),
    ),
)
PLAN = {
    "C1": Folding(rows=2, columns=2, lanes=2),
    "S2": Folding(lanes=1),
    "F3": Folding(rows=2, columns=3, lanes=3),
}


@pytest.fixture(scope="module")
def network() -> QuantizedNetwork:
    return quantized(NETWORK)


@pytest.fixture(scope="module")
def folder(network: QuantizedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "rtl"
    generate(network, folder, PLAN)
    return folder


def memories(text: str) -> dict[str, tuple[int, int]]:
    """The words and the bits of each memory in Verilog, by name."""
    found = re.findall(r"^\s*reg (?:\[(\d+):0\] )?(\S+) \[(\d+):0\];", text, re.MULTILINE)
    return {name: (int(last) + 1, int(high or 0) + 1) for high, name, last in found}


def test_memories_are_those_of_the_verilog(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    text = (folder / "three-kinds.v").read_text()
    modules = dict(re.findall(r"^module (\S+)\((.*?)^endmodule", text, re.MULTILINE | re.DOTALL))
    assert manifest["memory_bits"] == sum(
        words * bits for module in modules.values() for words, bits in memories(module).values()
    )
    for layer in manifest["layers"]:
        expected = memories(modules[f"three_kinds_unit_{layer['name']}"])
        assert {
            memory["name"]: (memory["words"], memory["bits"]) for memory in layer["memories"]
        } == expected
        assert layer["memory_bits"] == sum(words * bits for words, bits in expected.values())


def test_formats_and_streams_are_those_of_the_network(
    folder: Path, network: QuantizedNetwork
) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [layer["name"] for layer in manifest["layers"]] == list(PLAN)
    for layer, fixed in zip(manifest["layers"], network.fixed.layers, strict=True):
        output = fixed.output_format
        assert layer["stream"] == {
            "lanes": PLAN[fixed.name].lanes,
            "bits": output.bits,
            "signed": output.signed,
        }
        given = {"input": fixed.input_format, "output": output}
        if fixed.requantization is not None and fixed.requantization.table is not None:
            given["index"] = fixed.requantization.target
            assert fixed.requantization.target.bits != output.bits
        weights = layer["formats"].pop("weights", None)
        assert layer["formats"] == {
            kind: {"bits": fmt.bits, "frac_bits": fmt.frac_bits, "signed": fmt.signed}
            for kind, fmt in given.items()
        }
        fractions = [fmt.frac_bits for fmt in fixed.weight_formats]
        if fractions:
            assert weights == {
                "bits": fixed.weight_formats[0].bits,
                "frac_bits": fractions[0] if len(set(fractions)) == 1 else fractions,
                "signed": True,
            }
        else:
            assert weights is None
    assert ["index" in layer["formats"] for layer in manifest["layers"]] == [True, False, False]


def test_multipliers_and_tools(folder: Path) -> None:
    """An array has rows times columns, and pooling none."""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [layer["multipliers"] for layer in manifest["layers"]] == [4, 0, 6]
    assert manifest["multipliers"] == 10
    for name in ("systolith", "amaranth"):
        assert manifest["tools"][name] == metadata.version(name)


def test_layers_in_another_order_than_the_network_s_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "rtl"
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["layers"][:2] = manifest["layers"][1::-1]
    (copy / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(FileFormatError, match=r"its layers are not those of three-kinds\.npz"):
        load(copy)

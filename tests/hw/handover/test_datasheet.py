# amaranth: UnusedElaboratable=no
from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from systolith import golden, hw
from systolith.hw.accelerator import axis_ports
from systolith.hw.handover.datasheet import MemoryGroup, memory_groups
from systolith.hw.verilog.artifacts import load
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, ONE_LAYER, quantized


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = quantized(EVERY_KIND)
    images = np.random.default_rng(1).integers(0, 256, (20, 9, 8, 2), np.uint8)
    dataset = golden.Dataset("a|b", "custom", images, np.arange(20) % 3)
    report = golden.evaluate(network, dataset)
    folder = tmp_path_factory.mktemp("datasheet") / "out"
    hw.generate(network, folder, EVERY_KIND_PLAN, dataset=dataset, report=report, mhz=12.5)
    (folder / "correct").write_text(str(report.correct))
    return folder


@pytest.fixture(scope="module")
def sheet(folder: Path) -> str:
    return (folder / "datasheet.md").read_text("utf-8")


def test_it_has_the_figures(folder: Path, sheet: str) -> None:
    manifest = load(folder).manifest
    predicted = manifest.predicted
    for text in (
        f"`{manifest.quantized_sha256}`",
        f"`{manifest.verilog_sha256}`",
        f"| {predicted.interval_cycles:,} cycles from one result to the next |",
        f"| {predicted.latency_cycles:,} cycles from the first pixel to its image's result |",
        f"| at 12.5 MHz | {12.5e6 / predicted.interval_cycles:,.0f} images/s, ",
        f" images/s, {predicted.latency_cycles / 12.5:,.1f} us latency |",
        "Up to 4 results wait at `m_axis`",
        f"| multipliers | {manifest.multipliers} |",
        f"| memory | {manifest.memory_bits:,} bits |",
        "| image | 9 x 8 x 2 pixels (rows x columns x channels), 8 bits each: 144 beats |",
        "with their 2 channels in ascending order, one in each beat.",
        "A raw value `p` stands for `p * 0.01 + 0`.",
        "adds a border of 1 pixel with the raw value 30 on each side.",
        "filled with pixels of the raw value 30.",
        "the index of the smallest of the 3 scores",
        "the first 10 of 20 images of 'a\\|b'.",
        f"| accuracy | {(folder / 'correct').read_text()} of 20 images right (",
    ):
        assert text in sheet


WINDOWS = {
    "C1": ["3 x 2"],
    "S2": ["1 x 2 / 1 x 2"],
    "C3": ["2 x 2, by table"],
    "S4": ["2 x 2 / 2"],
    "S5": ["3 x 1"],
}


def test_it_has_every_port_and_layer(folder: Path, sheet: str) -> None:
    for port, direction, width in axis_ports(8, 64):
        assert f"| `{port}` | {width} | {direction} |" in sheet
    for layer in load(folder).manifest.layers:
        [row] = [line for line in sheet.splitlines() if line.startswith(f"| {layer.name} |")]
        cells = [cell.strip() for cell in row.split("|")]
        unit = cells[2].replace("\\", "")
        assert unit == " ".join([layer.unit, *WINDOWS.get(layer.name, [])])
        assert cells[4] == str(layer.stream.lanes)
        assert cells[7] == str(layer.formats["output"])
        assert cells[10:12] == [str(layer.multipliers), f"{layer.cycles:,}"]


def test_every_memory_is_read_in_a_known_way(folder: Path) -> None:
    built = load(folder)
    groups = list(memory_groups(built.verilog))
    assert {group.read for group in groups} == {"asynchronous", "synchronous"}
    assert {group.kind for group in groups} == {"RAM", "ROM"}
    for layer in built.manifest.layers:
        own = [group for group in groups if group.module == f"every_kind_unit_{layer.name}"]
        assert sum(group.number for group in own) == len(layer.memories)
    # Weights are read into a register, and FIFOs combinationally.
    kinds = {(group.kind, group.read) for group in groups if "weights" in group.name}
    assert kinds == {("ROM", "synchronous")}
    kinds = {(group.kind, group.read) for group in groups if "fifo" in group.name}
    assert kinds == {("RAM", "asynchronous")}
    kinds = {(group.kind, group.read) for group in groups if "_finished" in group.name}
    assert kinds == {("RAM", "asynchronous")}


def test_memories_are_grouped_by_use() -> None:
    text = """module m(a);
  reg [7:0] a0 [3:0];
  reg [7:0] a1 [7:0];
  reg [3:0] a2 [3:0];
  reg b [1:0];
    a0[0] = 8'h00;
  assign x = a0[i];
  assign y =
      a1[i];
    if (en)
      a2[i] <=
        x;
    if (en) q <= a2[j];
    r <= b[j];
  assign z = b[j];
endmodule
"""
    assert list(memory_groups(text)) == [
        MemoryGroup("m", "a*", 2, "4 to 8", "8", "ROM", "asynchronous"),
        MemoryGroup("m", "a*", 1, "4", "4", "RAM", "synchronous"),
        MemoryGroup("m", "b", 1, "2", "1", "ROM", "asynchronous and synchronous"),
    ]


def test_the_two_drawings_show_the_same(sheet: str) -> None:
    drawing, *_ = re.findall(r"```\n(aclk.*?)```", sheet, re.DOTALL)
    lines = {line[:15].strip(): line[15:].ljust(42) for line in drawing.splitlines()}
    [wave] = re.findall(r"```json\n(.*?)```", sheet, re.DOTALL)
    signals = {each["name"]: each for each in json.loads(wave)["signal"]}

    def cycles(name: str) -> str:
        """The wave with its dots filled in."""
        shown = ""
        for each in signals[name]["wave"]:
            shown += shown[-1] if each == "." else each
        return shown

    for name in ("s_axis_tvalid", "s_axis_tready"):
        drawn = "".join("1" if lines[name][6 * at + 3] == "-" else "0" for at in range(7))
        assert drawn == cycles(name)
    # A beat moves at the edge that ends a cycle in which both are high.
    both = zip(cycles("s_axis_tvalid"), cycles("s_axis_tready"), strict=True)
    edges = [6 * (at + 1) for at, pair in enumerate(both) if pair == ("1", "1")]
    assert [match.start() for match in re.finditer(r"\d", lines["moves"])] == edges


def test_the_largest_score_may_win(tmp_path: Path) -> None:
    hw.generate(quantized(ONE_LAYER), tmp_path / "out")
    text = (tmp_path / "out" / "datasheet.md").read_text("utf-8")
    assert "the index of the largest of the 4 scores" in text
    assert "| accuracy | not given" in text

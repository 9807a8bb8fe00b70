# amaranth: UnusedElaboratable=no
from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.network.graph import Convolution, Dense, Input, Shape
from systolith.golden.qformat import PIXELS, QFormat
from systolith.hw.accelerator import axis_ports
from systolith.hw.folding import Folding
from systolith.hw.handover.datasheet import MemoryGroup, datasheet_facts, memory_groups
from systolith.hw.planning.estimate import PredictedEntry
from systolith.hw.streams.input_layout import InputLayout, StreamEntry
from systolith.hw.streams.result_layout import ResultField, ResultLayout
from systolith.hw.verilog.artifacts import load
from systolith.hw.verilog.manifest import ToolsEntry
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


def built(**source: Any) -> Any:
    """What a data sheet reads of a folder of hardware: two layers, and all scores come out."""
    layers = [
        Convolution(name="C", inputs=("in",), kernel=(2, 1), out_channels=4),
        Dense(name="F", inputs=("C",), units=5),
    ]
    shapes = Shape(3, 6, 4), Shape(1, 1, 5)
    formats = {"input": "s12.4", "weights": "s7.3", "output": "s9.1"}
    return SimpleNamespace(
        quantized=SimpleNamespace(
            fixed=SimpleNamespace(
                network=SimpleNamespace(input=Input(name="in", height=4, width=6, **source)),
                layers=[
                    SimpleNamespace(
                        layer=layer, output_shape=shape, output_format="s9.1", accumulator_bits=21
                    )
                    for layer, shape in zip(layers, shapes, strict=True)
                ],
            )
        ),
        manifest=SimpleNamespace(
            input=InputLayout(3, 12, True),
            result=ResultLayout("scores", 16, 5, (ResultField("score", 0, 16, True),)),
            tools=ToolsEntry("1.0", "2.0", "3.0"),
            verilog_sha256="ab",
            predicted=PredictedEntry(500, 90),
            multipliers=11,
            memory_bits=777,
            ports=axis_ports(48, 16),
            layers=[
                SimpleNamespace(
                    name=name,
                    unit=unit,
                    folding=Folding(rows, 2),
                    stream=StreamEntry(lanes, 9, True),
                    formats=formats,
                    multipliers=multipliers,
                    cycles=cycles,
                    latency_cycles=3,
                )
                for name, unit, rows, lanes, multipliers, cycles in (
                    ("C", "convolution", 3, 4, 6, 400),
                    ("F", "dense", 1, 5, 0, 350),
                )
            ],
        ),
        verilog="",
    )


FEATURES: dict[str, Any] = {
    "channels": 3,
    "format": QFormat(12, 4),
    "scale": 0.5,
    "offset": -1.25,
    "border": 2,
    "background": -7,
}


def test_the_facts_of_an_accelerator_of_features_whose_scores_come_out() -> None:
    folder = built(**FEATURES)
    facts = datasheet_facts(folder, None, mhz=25.0)
    rows = {row[0]: row[1:] for row in facts.pop("port_rows")}
    tdata = "3 fields of 16 bits, in each a raw value of s12.4 in the lowest 12 bits; those above"
    assert rows == {
        "aclk": ("input", 1, "", "the clock; everything happens at its rising edge"),
        "aresetn": ("input", 1, "", "reset, synchronous, active low"),
        "s_axis_tdata": ("input", 48, "", f"{tdata} are ignored"),
        "s_axis_tvalid": ("input", 1, "", "it is offered"),
        "s_axis_tready": ("output", 1, "0", "it is taken"),
        "s_axis_tlast": ("input", 1, "", "the final beat of an image"),
        "m_axis_tdata": ("output", 16, "any", "a score"),
        "m_axis_tuser": ("output", 1, "any", "the image had a wrong length"),
        "m_axis_tvalid": ("output", 1, "0", "a score is offered"),
        "m_axis_tready": ("input", 1, "", "the score is taken"),
        "m_axis_tlast": ("output", 1, "any", "the final score of an image"),
    }
    common = {"input": "s12.4", "weights": "s7.3", "output": "s9.1", "accumulator_bits": 21}
    assert facts == {
        "verilog_sha256": "ab",
        "made_by": "Systolith 1.0, Amaranth 2.0, Yosys 3.0",
        "image": Shape(4, 6, 3),
        "channels": 3,
        "feature_format": QFormat(12, 4),
        # A raw value is a sixteenth of what the network's scale is of.
        "scale": f"{0.5 / 16:.9g}",
        "offset": "- 1.25",
        "border": 2,
        "background": -7,
        "scores": 5,
        "score_shape": Shape(1, 1, 5),
        "winner": "largest",
        "score": "s9.1",
        "measure": "accuracy",
        "accuracy": None,
        "images_per_second": 25e6 / 500,
        "latency_us": 90 / 25,
        "multipliers": 11,
        "memory_bits": 777,
        "in_flight": 16,
        # Of the stream of scores; a classifier has room for four results.
        "result_fifo": 2,
        "memories": [],
        "layers": [
            {
                **common,
                "name": "C",
                "unit": "convolution 2 x 1",
                "shape": Shape(3, 6, 4),
                "lanes": 4,
                "array": "3 x 2",
                "multipliers": 6,
                "cycles": 400,
            },
            {
                **common,
                "name": "F",
                "unit": "dense",
                "shape": Shape(1, 1, 5),
                "lanes": 5,
                "array": "",
                "multipliers": 0,
                "cycles": 350,
            },
        ],
    }


@pytest.mark.parametrize(
    ("lanes", "fmt", "words"),
    [
        (1, PIXELS, "a channel of a pixel, unsigned"),
        (2, PIXELS, "2 fields of 8 bits, in each a channel of a pixel, unsigned"),
        (1, QFormat(16, 3), "a raw value of s16.3"),
        (1, QFormat(5, 1), "a raw value of s5.1 in the lowest 5 bits; those above are ignored"),
    ],
)
def test_what_a_beat_of_the_input_is(lanes: int, fmt: QFormat, words: str) -> None:
    folder = built(channels=2, format=fmt)
    folder.manifest.input = InputLayout(lanes, fmt.bits, fmt.signed)
    facts = datasheet_facts(folder, None, mhz=1.0)
    (meaning,) = (row[-1] for row in facts["port_rows"] if row[0] == "s_axis_tdata")
    assert meaning == words
    assert facts["feature_format"] == (None if fmt == PIXELS else fmt)
    assert facts["offset"] == "+ 0"


@pytest.mark.parametrize(
    ("labels", "measure", "words"),
    [
        ((1, 2), "accuracy", "900 of 1,200 images right (75.00%, 95 % confidence "),
        (None, "agreement", "900 of 1,200 images with the class of the float network (75.00%, 95 "),
    ],
)
def test_what_a_report_says_of_a_classifier(
    labels: tuple[int, ...] | None, measure: str, words: str
) -> None:
    """The images that were used are fewer than those of the data set."""
    report: Any = SimpleNamespace(
        dataset=SimpleNamespace(
            name="mine", split="test", sha256="0123456789abcdef" * 4, images=5000
        ),
        images=1200,
        matching=900,
        rate=0.75,
        interval=(0.72, 0.78),
        labels=labels,
        outputs=None,
        measure=measure,
    )
    facts = datasheet_facts(built(**FEATURES), report, mhz=1.0)
    assert facts["measure"] == measure
    assert facts["accuracy"].startswith(words)
    assert facts["accuracy"].endswith(
        "95 % confidence 72.00% to 78.00%): mine, test, sha256 0123456789abcdef"
    )


def test_what_a_report_says_of_a_network_without_classes() -> None:
    report: Any = SimpleNamespace(
        dataset=SimpleNamespace(name="mine", split="test", sha256="0123456789abcdef" * 4),
        images=1200,
        errors=[("rmse", "0.5"), ("worst", "2")],
        outputs=(),
        measure="error",
    )
    assert datasheet_facts(built(**FEATURES), report, mhz=1.0)["accuracy"] == (
        "rmse 0.5, worst 2; against the float network, 1,200 images: mine, test, "
        "sha256 0123456789abcdef"
    )


def test_a_range_of_words_is_from_the_smallest_to_the_largest() -> None:
    text = "module m(a);\n" + "".join(
        f"  reg [{bits - 1}:0] a{n} [{words - 1}:0];\n"
        for n, (words, bits) in enumerate([(40, 3), (5, 9), (2000, 3), (7, 5)])
    )
    text += "".join(f"  assign x{n} = a{n}[i];\n" for n in range(4)) + "endmodule\n"
    group = MemoryGroup("m", "a*", 4, "5 to 2,000", "3 to 9", "ROM", "asynchronous")
    assert list(memory_groups(text)) == [group]


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

# amaranth: UnusedElaboratable=no
"""What a report of a plan says: its table, its JSON, and what limits the interval."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from systolith.golden.network.graph import Dense, Input, MaxPooling, Network
from systolith.hw.accelerator import Accelerator, unit_part
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding
from systolith.hw.planning.budget import PRESETS, Goal, make_plan
from systolith.hw.planning.estimate import PlannedLayer, bottleneck, report_plan
from systolith.hw.planning.memories import memory_bits
from systolith.hw.planning.prediction import predict
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized


def layers(**cycles: int) -> list[PlannedLayer]:
    return [PlannedLayer(name, "dense", Folding(), 1, n, n, 0) for name, n in cycles.items()]


def test_presets_are_those_of_the_document() -> None:
    text = (Path(__file__).parents[3] / "docs" / "planning.md").read_text()
    small, medium, large = (PRESETS[name] for name in ("small", "medium", "large"))
    for line in (
        f"| `--preset small` | at most {small.max_multipliers} multipliers,",
        f"| `--preset medium` | at most {medium.max_multipliers}, as",
        f"| `--preset large` | an image every {large.target_cycles} cycles |",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("interval", "cycles", "result_beats", "words"),
    [
        (100, {"A": 100}, 1, "A holds the others back: 100 cycles an image"),
        (
            100,
            {"A": 20, "B": 100, "C": 75},
            1,
            "B holds the others back: 100 cycles an image; next is C with 75 (25.0% idle)",
        ),
        (
            100,
            {"A": 60, "B": 99},
            1,
            (
                "no unit needs 100 cycles an image: units wait for each other or for pixels; the "
                "slowest is B with 99"
            ),
        ),
        (
            1000,
            {"A": 200},
            999,
            (
                "no unit needs 1,000 cycles an image: units wait for each other or for pixels; the "
                "slowest is A with 200"
            ),
        ),
        (
            1000,
            {"A": 999, "B": 9},
            1000,
            "the 1,000 scores, one a cycle, hold the layers back; the slowest is A with 999",
        ),
        (
            1000,
            {"A": 1000, "B": 500},
            1000,
            "A holds the others back: 1,000 cycles an image; next is B with 500 (50.0% idle)",
        ),
    ],
)
def test_what_limits_the_interval(
    interval: int, cycles: dict[str, int], result_beats: int, words: str
) -> None:
    assert bottleneck(interval, layers(**cycles), result_beats) == words


# 9 x 9 windows of 12 elements for 4 maps; 8 x 3 windows, 14 pairs of maps with 4 elements each;
# 12 inputs for 5 outputs; 5 for 3.
MACS = 81 * 12 * 4 + 24 * 14 * 4 + 12 * 5 + 5 * 3

UNITS = {
    # Name: unit, multipliers. Averages over 3 values are multiplied, as sub-samplings are.
    "C1": ("convolution", 4 * 2),
    "S2": ("max_pooling", 0),
    "C3": ("convolution", 2 * 3),
    "S4": ("subsampling", 3),
    "S5": ("average_pooling", 1),
    "F6": ("dense", 3 * 5),
    "output": ("radial_basis", 2),
}


def test_every_figure_of_a_report() -> None:
    network = quantized(EVERY_KIND)
    accelerator = Accelerator(network.fixed, EVERY_KIND_PLAN, result="scores")
    prediction, bits = predict(accelerator), memory_bits(accelerator)
    multipliers = sum(number for _, number in UNITS.values())
    interval, latency = prediction.interval_cycles, prediction.latency_cycles
    # Figures that are mistaken for each other differ.
    assert interval != latency
    assert sum(bits[unit_part(name)] for name in UNITS) != sum(bits.values())
    found = json.loads(report_plan(network, EVERY_KIND_PLAN, "scores").to_json())
    layers = found.pop("layers")
    assert found == {
        "schema": "systolith.plan/1",
        "network": "every-kind",
        "quantized_sha256": network.sha256,
        "multipliers": multipliers,
        "macs": MACS,
        "mac_efficiency": pytest.approx(MACS / (multipliers * interval), rel=1e-12),
        "predicted": {"interval_cycles": interval, "latency_cycles": latency},
        "memory_bits": sum(bits.values()),
        "result": json.loads(msgspec.json.encode(accelerator.layout)),
        "input": {"lanes": 1, "bits": 8, "signed": False},
    }
    assert found["result"]["beats"] == 3
    for layer, (name, (unit, number)) in zip(layers, UNITS.items(), strict=True):
        alone = prediction.layers[name]
        assert alone.cycles != alone.latency_cycles
        assert layer == {
            "name": name,
            "unit": unit,
            "folding": asdict(EVERY_KIND_PLAN[name]),
            "multipliers": number,
            "cycles": alone.cycles,
            "latency_cycles": alone.latency_cycles,
            "memory_bits": bits[unit_part(name)],
        }


def test_a_plan_without_multipliers_has_no_efficiency() -> None:
    pooled = Network(
        "pooled",
        (
            Input(name="input", height=2, width=2, background=30),
            MaxPooling(name="P", inputs=("input",), window=(2, 2)),
        ),
    )
    report = report_plan(quantized(pooled), {"P": Folding()})
    assert (report.multipliers, report.macs, report.mac_efficiency) == (0, 0, 0.0)


def test_the_table_of_a_notebook_has_a_row_for_each_layer_and_figures_on_the_right() -> None:
    network = quantized(EVERY_KIND)
    report = report_plan(network, EVERY_KIND_PLAN)
    table = ElementTree.fromstring(report._repr_html_())
    heads, *rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert heads == ["layer", "unit", "rows", "columns", "multipliers", "memory bits", "cycles"]
    for row, layer in zip(rows, report.layers, strict=True):
        sizes = layer.folding.rows, layer.folding.columns
        figures = *sizes, layer.multipliers, layer.memory_bits, layer.cycles
        assert row == [layer.name, layer.unit, *map("{:,}".format, figures)]
    aligned = [cell.attrib["style"].rpartition(" ")[2] for cell in next(table.iter("tr"))]
    assert aligned == ["left"] * 2 + ["right"] * 5
    predicted = report.predicted
    assert table.findtext("caption") == (
        f"every-kind: {report.multipliers} multipliers, an image every "
        f"{predicted.interval_cycles:,} cycles, {predicted.latency_cycles:,} cycles from first "
        "pixel to result"
    )


def test_the_json_is_indented_by_two_and_ends_a_line() -> None:
    text = report_plan(quantized(EVERY_KIND), EVERY_KIND_PLAN).to_json().decode()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_all_scores_of_a_large_result_limit_the_interval() -> None:
    network = Network(
        "scores",
        (
            Input(name="input", height=1, width=2),
            Dense(name="A", inputs=("input",), units=3),
            Dense(name="B", inputs=("A",), units=200),
        ),
    )
    fixed = quantized(network).fixed
    with pytest.raises(PlanError, match="target_cycles must be at least 200, the shortest"):
        make_plan(fixed, Goal(target_cycles=199), result="scores")
    plan = make_plan(fixed, Goal(target_cycles=200), result="scores")
    assert report_plan(quantized(network), plan, "scores").predicted.interval_cycles == 200

"""What a simulation's report says of its own figures, and every key of its file."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from systolith.sim.record.scoreboard import LayerResult, Mismatch
from systolith.sim.report import SimulationReport, load_outcome
from systolith.sim.timing import Timing

EQUAL = LayerResult("C1", 40, 0, None)
WRONG = LayerResult("F6", 30, 2, Mismatch(1, 0, 0, 3, expected=5, found=-6))
REPORT = SimulationReport(
    network="net",
    quantized_sha256="aa",
    plan_sha256="bb",
    verilog_sha256="cc",
    as_generated=True,
    dataset={"name": "digits", "split": "test", "sha256": "dd", "images": 90},
    simulator="icarus",
    engines={"cocotb": 8},
    layer=None,
    stalls=7,
    fault=None,
    images=8,
    result="class",
    classes=(1, 2, 3, 4, 5, 6, 7, 8),
    correct=6,
    interval_cycles=110,
    latency_cycles=230,
    layers=(EQUAL, replace(EQUAL, name="F6")),
    layer_timings={"C1": Timing(111, 12)},
    deviations=(),
    waves_image=None,
    violations=(),
)


@pytest.mark.parametrize(
    ("layers", "violations", "deviations"),
    [
        *product(
            [(EQUAL,), (EQUAL, WRONG), (WRONG,)],
            [(), ("m_axis: broken",)],
            [None, (), ("latency_cycles: measured 9, predicted 8",)],
        )
    ],
)
def test_a_check_has_passed_if_nothing_at_all_is_wrong(
    layers: tuple[LayerResult, ...],
    violations: tuple[str, ...],
    deviations: tuple[str, ...] | None,
) -> None:
    report = replace(REPORT, layers=layers, violations=violations, deviations=deviations)
    values = (
        "F6: 2 of 30 values differ, the first in image 1, row 0, column 0, channel 3: "
        "expected 5, found -6"
    )
    lines = [values] * (WRONG in layers) + [*violations, *(deviations or ())]
    assert report.failures == tuple(lines)
    exact = WRONG not in layers and not violations
    assert report.bit_exact is exact
    assert report.as_predicted is (None if deviations is None else deviations == ())
    assert json.loads(report.to_json())["bit_exact"] is exact


def test_every_key_of_the_file() -> None:
    report = replace(
        REPORT,
        layers=(EQUAL, WRONG),
        deviations=("interval_cycles: measured 110, predicted 100",),
        violations=("1 of 8 images did not come out",),
    )
    assert json.loads(report.to_json()) == {
        "schema": "systolith.simulation/1",
        "network": "net",
        "quantized_sha256": "aa",
        "plan_sha256": "bb",
        "verilog_sha256": "cc",
        "as_generated": True,
        "dataset": {"name": "digits", "split": "test", "sha256": "dd", "images": 90},
        "simulator": "icarus",
        "engine": "cocotb",
        "engine_images": {"cocotb": 8},
        "layer": None,
        "stalls": 7,
        "images": 8,
        "bit_exact": False,
        "result": "class",
        "correct": 6,
        "accuracy": 0.75,
        "interval_cycles": 110,
        "latency_cycles": 230,
        "as_predicted": False,
        "deviations": ["interval_cycles: measured 110, predicted 100"],
        "layers": [
            {
                "name": "C1",
                "values": 40,
                "mismatches": 0,
                "first_mismatch": None,
                "interval_cycles": 111,
                "latency_cycles": 12,
            },
            {
                "name": "F6",
                "values": 30,
                "mismatches": 2,
                "first_mismatch": {
                    "image": 1,
                    "row": 0,
                    "column": 0,
                    "channel": 3,
                    "expected": 5,
                    "found": -6,
                },
                "interval_cycles": None,
                "latency_cycles": None,
            },
        ],
        "violations": ["1 of 8 images did not come out"],
    }


def test_two_engines_are_both() -> None:
    both = replace(REPORT, simulator="verilator", engines={"cocotb": 2, "bulk": 6})
    found = json.loads(both.to_json())
    assert found["engine"] == "both"
    assert [*found["engine_images"].items()] == [("cocotb", 2), ("bulk", 6)]


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, []),
        ({"deviations": None}, []),
        ({"layers": (EQUAL, WRONG)}, ["F6"]),
        ({"violations": ("C1: stuck",)}, ["streams and results"]),
        ({"deviations": ("late",)}, ["cycles as predicted"]),
        (
            {"layers": (WRONG,), "violations": ("stuck",), "deviations": ("late",)},
            ["F6", "streams and results", "cycles as predicted"],
        ),
    ],
)
def test_whatever_is_wrong_is_a_failed_case(changes: dict[str, Any], failed: list[str]) -> None:
    report = replace(REPORT, **changes)
    (suite,) = ElementTree.fromstring(report.to_junit())
    names = [case.get("name") for case in suite]
    cycles = [] if report.deviations is None else ["cycles as predicted"]
    assert names == [layer.name for layer in report.layers] + ["streams and results", *cycles]
    assert [case.get("name") for case in suite if len(case)] == failed
    assert (suite.get("tests"), suite.get("failures")) == (str(len(names)), str(len(failed)))
    assert bool(failed) == bool(report.failures)


@pytest.mark.parametrize(
    ("engines", "by"),
    [({"bulk": 8}, "bulk"), ({"cocotb": 2, "bulk": 6}, "cocotb and bulk")],
)
def test_the_suite_is_named_by_the_network_the_simulator_and_its_engines(
    engines: dict[Any, int], by: str
) -> None:
    report = replace(REPORT, simulator="verilator", engines=engines)
    (suite,) = ElementTree.fromstring(report.to_junit())
    assert suite.get("name") == f"net on verilator by {by}"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "every value equal"),
        # Cycles are no values.
        ({"deviations": ("interval_cycles: late",)}, "every value equal"),
        ({"violations": ("C1: stuck", "broken")}, "C1: stuck; broken"),
        (
            {"layers": (EQUAL, WRONG), "violations": ("broken",)},
            f"{WRONG}; broken",
        ),
    ],
)
def test_the_table_of_a_notebook(changes: dict[str, Any], verdict: str) -> None:
    report = replace(REPORT, images=1200, **changes)
    table = ElementTree.fromstring(report._repr_html_())
    assert table.findtext("caption") == f"net, 1,200 images on icarus: {verdict}"
    heads, *rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert heads == ["layer", "values compared", "mismatches"]
    assert rows == [[each.name, f"{each.values}", f"{each.mismatches}"] for each in report.layers]
    for row in table.iter("tr"):
        aligned = [cell.attrib["style"].rpartition(" ")[2] for cell in row]
        assert aligned == ["left", "right", "right"]


def test_a_network_that_gets_nothing_right_has_an_accuracy() -> None:
    assert replace(REPORT, correct=0).accuracy == 0.0


def test_an_outcome_is_what_an_accuracy_report_quotes(tmp_path: Path) -> None:
    report = replace(REPORT, layers=(EQUAL, WRONG), violations=("stuck",), engines={"bulk": 8})
    (tmp_path / "simulation.json").write_bytes(report.to_json())
    found = load_outcome(tmp_path)
    assert (found.quantized_sha256, found.plan_sha256, found.verilog_sha256) == ("aa", "bb", "cc")
    assert (found.images, found.layer, found.bit_exact) == (8, None, False)
    assert [layer.mismatches for layer in found.layers] == [0, 2]
    assert found.violations == ("stuck",)
    assert (found.simulator, found.engine_images) == ("icarus", {"bulk": 8})


def test_the_report_of_a_large_network_is_read(tmp_path: Path) -> None:
    many = tuple(replace(EQUAL, name=f"L{number}") for number in range(3000))
    (tmp_path / "simulation.json").write_bytes(replace(REPORT, layers=many).to_json())
    assert len(load_outcome(tmp_path).layers) == 3000


def test_a_layer_alone_has_no_accuracy() -> None:
    assert replace(REPORT, layer="C1", classes=(), correct=None).accuracy is None


@pytest.mark.parametrize(
    ("changes", "agrees"),
    [
        ({}, True),
        ({"layers": (EQUAL, WRONG)}, True),
        ({"violations": ("broken",)}, True),
        ({"deviations": ("late",)}, True),
        ({"layer": "C1"}, False),
    ],
)
def test_an_outcome_agrees_with_its_own_counts(
    changes: dict[str, Any], agrees: bool, tmp_path: Path
) -> None:
    report = replace(REPORT, **changes)
    (tmp_path / "simulation.json").write_bytes(report.to_json())
    outcome = load_outcome(tmp_path)
    assert (outcome.agrees, outcome.bit_exact) == (agrees, report.bit_exact)


@pytest.mark.parametrize(
    "edited",
    [
        {"bit_exact": False},
        {"images": 0},
        {"violations": ["broken"]},
        {"layers": [{"mismatches": 0}, {"mismatches": 1}]},
    ],
)
def test_an_outcome_that_was_edited_does_not_agree(
    edited: dict[str, object], tmp_path: Path
) -> None:
    document = json.loads(REPORT.to_json()) | edited
    (tmp_path / "simulation.json").write_text(json.dumps(document))
    assert not load_outcome(tmp_path).agrees

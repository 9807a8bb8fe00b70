"""Every key of a comparison's JSON and every column of its CSV, of figures made by hand."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from systolith.golden.reports.comparison import Row
from systolith.golden.reports.output_errors import OutputEntry
from systolith.scripts.comparing.comparison_document import to_csv, to_document
from systolith.scripts.comparing.report_csv import report_csv
from tests.scripts.comparing.comparisons import C1, COMPARISON, F6
from tests.scripts.comparing.comparisons import SECOND as FIXED

SECOND = {
    "network": "other",
    "kind": "fixed",
    "images": 10,
    "weights": 567,
    "weight_bits_total": 4321,
    "multipliers": 112,
    "interval_cycles": 3136,
    "latency_cycles": 7193,
    "target": "ecp5-85k",
    "luts": 16774,
    "clock_mhz": 84.19,
    "accuracy": 0.8,
    "measure": "accuracy",
    "agreement_with_float": 0.7,
}
# Wilson's intervals of 9 and of 8 in 10, by Newcombe's formula with z = 1.96.
NINE, EIGHT = (0.59585, 0.98213), (0.49016, 0.94332)


def test_every_key_of_the_json() -> None:
    found = json.loads(json.dumps(to_document(COMPARISON)))
    intervals = [each.pop("interval") for each in found["reports"]]
    assert intervals == [pytest.approx(each, abs=1e-4) for each in (NINE, EIGHT, EIGHT, EIGHT)]
    assert found == {
        "schema": "systolith.comparison/2",
        "level": 0.05,
        "reports": [
            {
                "name": "a.json",
                "label": "one",
                "network": "net",
                "kind": "float",
                "images": 10,
                "weights": None,
                "weight_bits_total": None,
                "multipliers": None,
                "interval_cycles": None,
                "latency_cycles": None,
                "target": None,
                "luts": None,
                "clock_mhz": None,
                "accuracy": 0.9,
                "measure": "accuracy",
                "agreement_with_float": 1.0,
                "difference": None,
                "difference_interval": None,
                "gains": None,
                "losses": None,
                "chance": None,
                "chance_corrected": None,
                "verdict": None,
            },
            {
                "name": "b.json",
                "label": "two",
                **SECOND,
                "difference": -0.1,
                "difference_interval": [-0.42, 0.23],
                "gains": 1,
                "losses": 2,
                "chance": 0.01,
                "chance_corrected": 0.02,
                "verdict": "worse",
            },
            {
                "name": "c.json",
                "label": "three",
                **SECOND,
                "difference": 0.2,
                "difference_interval": [0.12, 0.33],
                "gains": 4,
                "losses": 3,
                "chance": 0.03,
                "chance_corrected": 0.04,
                "verdict": "better",
            },
            {
                "name": "d.json",
                "label": "four",
                **SECOND,
                "difference": 0.2,
                "difference_interval": [0.12, 0.33],
                "gains": 4,
                "losses": 3,
                "chance": 0.04,
                "chance_corrected": 0.05,
                "verdict": "no difference shown",
            },
        ],
        "different": [{"name": "arithmetic", "values": ["float", "fixed", "fixed", "fixed"]}],
        "same": {"rounding": "floor"},
        "layers": [
            {
                "name": "C1",
                "sqnr_db": [None, 31.25, 31.25, None],
                "range_use": [None, 0.75, 0.75, None],
                "saturated": [None, 1200, 1200, None],
                "values": [None, 4800, 4800, None],
                "clipped_channels": [None, [0, 4], [0, 4], None],
                "dead_channels": [None, [5, 2, 3], [5, 2, 3], None],
                "accumulator_bits": [None, 21, 21, None],
            },
            {
                "name": "F6",
                "sqnr_db": [None, None, None, None],
                "range_use": [None, 0.5, None, 0.5],
                "saturated": [None, 3, None, 3],
                "values": [None, 840, None, 840],
                "clipped_channels": [None, [], None, []],
                "dead_channels": [None, [7], None, [7]],
                "accumulator_bits": [None, 19, None, 19],
            },
        ],
    }


def test_a_network_without_classes_has_the_errors_of_all_its_outputs() -> None:
    """Root of the mean of 0.3**2 and 0.4**2; the larger of 0.9 and 0.7; SQNR of the last layer."""
    outputs = (OutputEntry(-2.0, 3.0, 0.3, 0.9), OutputEntry(-5.0, 1.0, 0.4, 0.7))
    given = replace(FIXED, outputs=outputs, correct=None, labels=None, layers=(F6, C1))
    comparison = replace(COMPARISON, rows=(Row("x", "x.json", given, None),), layers=())
    (found,) = to_document(comparison)["reports"]
    assert found["output_rms_error"] == pytest.approx(0.125**0.5)
    assert (found["output_largest_error"], found["output_sqnr_db"]) == (0.9, 31.25)
    assert (found["measure"], found["interval"], found["accuracy"]) == ("error", None, None)
    for text in (to_csv(comparison), report_csv(given)):
        row, *_ = csv.DictReader(io.StringIO(text))
        assert float(row["output_rms_error"]) == pytest.approx(0.125**0.5)
        assert (row["output_largest_error"], row["output_sqnr_db"]) == ("0.9", "31.25")
        assert (row["interval_low"], row["interval_high"]) == ("", "")


def test_every_column_of_the_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(COMPARISON))))
    assert [(row["label"], row["layer"]) for row in rows] == [
        *(("one", ""), ("two", "C1"), ("two", "F6"), ("three", "C1"), ("four", "F6"))
    ]
    second = rows[1]
    for low, high, interval in (
        ("interval_low", "interval_high", EIGHT),
        ("difference_interval_low", "difference_interval_high", (-0.42, 0.23)),
    ):
        ends = float(second.pop(low)), float(second.pop(high))
        assert ends == pytest.approx(interval, abs=1e-4)
    assert second == {
        **{key: str(value) for key, value in SECOND.items()},
        "name": "b.json",
        "label": "two",
        "difference": "-0.1",
        "gains": "1",
        "losses": "2",
        "chance": "0.01",
        "chance_corrected": "0.02",
        "verdict": "worse",
        "weight_bits": "7",
        "layers.C1.weight_bits": "3",
        "calibrated_on": "some",
        "calibration_images": "77",
        "version": "1",
        "layer": "C1",
        "sqnr_db": "31.25",
        "range_use": "0.75",
        "saturated": "1200",
        "values": "4800",
        "clipped_channels": "2",
        "dead_channels": "3",
        "accumulator_bits": "21",
    }

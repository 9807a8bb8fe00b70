"""A report as CSV: a row for each layer, with the effects of other widths."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.statistics import paired_interval
from systolith.scripts.comparing.report_csv import report_csv
from systolith.scripts.main import main
from tests.scripts import tiny
from tests.scripts.comparing.comparisons import FIRST, SECOND


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The rows of `r.csv`, and next to it the same report as `r.json`."""
    monkeypatch.chdir(tmp_path)
    tiny.quantized().save("q.npz")
    tiny.quantized().parent.save("net.npz")
    for name, first in (("data", 0), ("trials", 30)):
        tiny.save_images(Path(f"{name}.npz"), 30, first)
    words = "evaluate q.npz --data data.npz --sensitivity --trial-data trials.npz"
    assert main([*words.split(), "--out", "r.csv", "--out", "r.json"]) == 0
    return list(csv.DictReader(Path("r.csv").read_text().splitlines()))


def test_each_layer_has_its_figures_and_those_of_the_report(rows: list[dict[str, str]]) -> None:
    report = json.loads(Path("r.json").read_text())
    assert [row["layer"] for row in rows] == ["conv", "dense"]
    for row, layer in zip(rows, report["layers"], strict=True):
        assert float(row["accuracy"]) == report["accuracy"]
        ends = [float(row["interval_low"]), float(row["interval_high"])]
        assert ends == report["interval"] != [0, 0]
        for key in ("network_sha256", "kind", "images", "correct", "agreement_with_float"):
            assert row[key] == str(report[key]), key
        assert int(row["weight_bits_total"]) == report["quantization"]["weight_bits_total"]
        assert int(row["saturated"]) == layer["saturated"]
        assert float(row["range_use"]) == layer["range_use"]
        assert (row["multipliers"], row["network"], row["weight_bits"]) == ("", "tiny", "8")


def test_the_effects_of_other_widths_are_those_of_the_trials(rows: list[dict[str, str]]) -> None:
    trials = json.loads(Path("r.json").read_text())["trials"]["trials"]
    names = {"weight_bits": "weights", "activation_bits": "map"}
    changes = {-2: "_minus_2", -1: "_minus_1", 1: "_plus_1"}
    by_layer = {row["layer"]: row for row in rows}
    seen = 0
    for trial in trials:
        if trial["layer"] is not None:
            row, name = by_layer[trial["layer"]], names[trial["key"]] + changes[trial["change"]]
            assert float(row[f"{name}_difference"]) == trial["difference"]
            assert float(row[f"{name}_interval_high"]) == trial["difference_interval"][1]
            assert int(row[f"{name}_bits_saved"]) == trial["bits_saved"]
            seen += 1
    assert seen == 9  # weights of two layers, and the map of the first: the last has no width


def test_every_column_of_a_layer_has_its_own_figure() -> None:
    """A report made by hand, of which no two figures are equal."""
    trials = Trials(
        *("other", "trial", 200, 150, 4321),
        (
            Trial(None, "bits", 4, 190, 40, 0, 2345),
            Trial("F6", "weight_bits", 9, 151, 2, 1, 4400, 2, -79),
            Trial("C1", "weight_bits", 6, 146, 3, 7, 4300, -1, 21),
            Trial("C1", "activation_bits", 9, 158, 9, 1, 4321, 1, -55),
        ),
    )
    dataset = replace(SECOND.dataset, name="digits", split="part")
    found = replace(SECOND, trials=trials, dataset=dataset)
    first, second = csv.DictReader(io.StringIO(report_csv(found)))
    for name, gains, losses in (("weights_minus_1", 3, 7), ("map_plus_1", 9, 1)):
        low, high = paired_interval(gains, losses, 200)
        ends = [float(first.pop(f"{name}_interval_{end}")) for end in ("low", "high")]
        assert ends == pytest.approx([low, high])
    # Wilson's interval of 8 in 10, by Newcombe's formula with z = 1.96.
    ends = [float(first.pop(f"interval_{end}")) for end in ("low", "high")]
    assert ends == pytest.approx([0.49016, 0.94332], abs=1e-4)
    empty = {key for key, value in first.items() if key.startswith("weights_plus_2")}
    assert all(first.pop(key) == "" for key in empty) and len(empty) == 4
    assert first == {
        "network": "other",
        "network_sha256": "0" * 64,
        "kind": "fixed",
        "dataset": "digits",
        "split": "part",
        "images": "10",
        "correct": "8",
        "accuracy": "0.8",
        "measure": "accuracy",
        "agreement_with_float": "0.7",
        "weights": "567",
        "weight_bits_total": "4321",
        "multipliers": "112",
        "interval_cycles": "3136",
        "latency_cycles": "7193",
        "target": "ecp5-85k",
        "luts": "16774",
        "clock_mhz": "84.19",
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
        "weights_minus_1_difference": "-0.02",
        "weights_minus_1_bits_saved": "21",
        "map_plus_1_difference": "0.04",
        "map_plus_1_bits_saved": "-55",
    }
    assert (second["layer"], second["weights_plus_2_difference"]) == ("F6", "0.005")
    assert (second["weights_plus_2_bits_saved"], second["map_plus_1_bits_saved"]) == ("-79", "")


def test_without_labels_or_classes_what_is_not_known_is_empty() -> None:
    given: dict[str, Any] = {
        "predictions": (0, 1) * 5,
        "float_predictions": (0, 1, 0, 1, 0, 1, 0, 0, 1, 0),
    }
    plain = replace(SECOND, labels=None, correct=None, **given)
    first, _ = csv.DictReader(io.StringIO(report_csv(plain)))
    assert (first["correct"], first["accuracy"], first["measure"]) == ("", "", "agreement")
    # Wilson's interval of the agreement, 7 of 10.
    ends = [float(first[f"interval_{end}"]) for end in ("low", "high")]
    assert ends == pytest.approx([0.39678, 0.89222], abs=1e-4)
    (row,) = csv.DictReader(io.StringIO(report_csv(FIRST)))
    assert (row["version"], row["calibrated_on"], row["multipliers"]) == ("1", "", "")


def test_a_float_network_has_one_row(rows: list[dict[str, str]]) -> None:
    assert main("evaluate net.npz --data data.npz --out f.csv".split()) == 0
    (row,) = csv.DictReader(Path("f.csv").read_text().splitlines())
    assert row["kind"] == "float" and "layer" not in row

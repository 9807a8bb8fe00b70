"""A report as CSV: a row for each layer, with the effects of other widths."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from systolith.scripts.main import main
from tests.scripts import tiny


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


def test_a_float_network_has_one_row(rows: list[dict[str, str]]) -> None:
    assert main("evaluate net.npz --data data.npz --out f.csv".split()) == 0
    (row,) = csv.DictReader(Path("f.csv").read_text().splitlines())
    assert row["kind"] == "float" and "layer" not in row

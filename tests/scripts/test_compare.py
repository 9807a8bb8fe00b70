from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import golden
from scripts.main import main


@pytest.fixture
def reports(tmp_path: Path) -> list[str]:
    """Two reports on ten images: the second gets one image right that the first does not,
    and two wrong that the first gets right."""
    trained = golden.load_network("lenet5-relu")
    first = golden.evaluate(trained, golden.test_digits(), 10)
    labels = list(first.labels)
    paths = []
    for name, wrong in (("first", {0}), ("second", {1, 2})):
        predictions = [(d + 1) % 10 if i in wrong else d for i, d in enumerate(labels)]
        confusion = [[0] * 10 for _ in range(10)]
        for label, given in zip(labels, predictions, strict=True):
            confusion[label][given] += 1
        path = tmp_path / f"{name}.json"
        replace(
            first,
            correct=10 - len(wrong),
            predictions=tuple(predictions),
            confusion=tuple(map(tuple, confusion)),
        ).save(path)
        paths.append(str(path))
    return paths


def test_json_counts_gains_and_losses(
    reports: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison.json"
    assert main(["compare", *reports, "--json", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert out.read_text() == text
    comparison = json.loads(text)
    assert next(iter(comparison)) == "schema"
    second = comparison["reports"][1]
    assert (second["name"], second["gains"], second["losses"]) == (reports[1], 1, 2)
    assert second["accuracy"] == 0.8
    assert second["difference"] == pytest.approx(-0.1)


def test_table_and_markdown(
    reports: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison.md"
    assert main(["compare", *reports, "--out", str(out)]) == 0
    assert "0.8000" in capsys.readouterr().out
    assert "0.8000" in out.read_text()


def test_a_single_report_is_refused(reports: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", reports[0]]) == 2
    assert "at least 2 reports" in capsys.readouterr().err

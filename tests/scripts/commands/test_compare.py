from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from systolith import golden
from systolith.scripts.commands.compare import names_of
from systolith.scripts.comparing.report_sources import Loaded
from systolith.scripts.main import main
from tests.scripts import tiny


@pytest.fixture
def reports(tmp_path: Path) -> list[str]:
    """Two reports on ten images: the second gets one image right that the first does not,
    and two wrong that the first gets right."""
    trained = golden.load_network("lenet5-relu")
    first = golden.evaluate(trained, golden.test_digits(), 10)
    labels = list(first.reference)
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
            agreement_with_float=1 - len(wrong) / 10,
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
    assert (second["name"], second["gains"], second["losses"]) == ("second.json", 1, 2)
    assert second["accuracy"] == 0.8
    assert second["difference"] == pytest.approx(-0.1)
    # Of the eight ways in which three coins fall, all are as uneven as one to two.
    assert second["chance"] == second["chance_corrected"] == 1
    assert second["verdict"] == "no difference shown"
    low, high = second["difference_interval"]
    assert low < -0.1 < high
    assert comparison["reports"][0]["verdict"] is None
    assert second["interval"][0] < 0.8 < second["interval"][1]
    assert (second["multipliers"], second["interval_cycles"]) == (None, None)


def test_names_are_as_short_as_can_be() -> None:
    folder = Path("reports")
    assert names_of([folder / "a.json", folder / "b.json"]) == ["a.json", "b.json"]
    assert names_of([folder / "old" / "a.json", folder / "a.json"]) == ["old/a.json", "a.json"]
    assert names_of([folder / "a.json", folder / "a.json"]) == ["a.json", "a.json"]
    assert names_of([Path("x/../a.json"), Path("b.json")]) == ["x/../a.json", "b.json"]


def test_a_drop_fails(reports: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *reports, "--fail-on-drop", "0.1"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["compare", *reports, "--fail-on-drop", "0.09"]) == 1
    shown = capsys.readouterr()
    assert "no difference shown" in shown.out
    assert shown.err == (
        "systolith: second.json: accuracy 0.8000 is 0.1000 below that of first.json; "
        "--fail-on-drop allows 0.09\n"
    )
    assert main(["compare", *reports, "--fail-on-drop", "0"]) == 1
    assert main(["compare", *reversed(reports), "--fail-on-drop", "0"]) == 0


def test_table_and_markdown(
    reports: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison.md"
    assert main(["compare", *reports, "--out", str(out)]) == 0
    assert "0.8000" in capsys.readouterr().out
    assert "0.8000" in out.read_text()


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ("", (None, None, None, None)),
        ("--data d.csv --images 7 --label-column kind", (Path("d.csv"), 7, "kind", None)),
        ("--result class", (None, None, None, True)),
        ("--result scores", (None, None, None, False)),
    ],
)
def test_every_option_reaches_the_evaluation_and_the_page(
    options: str,
    asked: tuple[object, ...],
    reports: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page has the networks, in the order of the reports, and their images."""
    paths = [Path(each) for each in reports]
    networks: list[golden.TrainedNetwork | golden.QuantizedNetwork | None]
    networks, dataset = [None, tiny.quantized()], golden.test_digits().take(10)
    loaded = Loaded(paths, [golden.AccuracyReport.load(each) for each in paths], networks, dataset)
    seen: list[Any] = []

    def load(*args: Any) -> Loaded:
        seen.append(args)
        return loaded

    def page(*args: Any) -> str:
        seen.append(args)
        return "page"

    monkeypatch.setattr("systolith.scripts.comparing.report_sources.load_reports", load)
    monkeypatch.setattr("systolith.scripts.pages.comparison_page.comparison_page", page)
    out = str(tmp_path / "c.html")
    words = [*reports, *options.split(), "--label", "old", "--label", "new", "--out", out]
    assert main(["compare", *words]) == 0
    given, (comparison, *known) = seen
    assert given == (paths, *asked)
    assert [(row.label, row.name) for row in comparison.rows] == [
        *(("old", "first.json"), ("new", "second.json"))
    ]
    assert known == [networks, dataset]


def test_each_drop_is_measured_from_the_first(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nine, eight, nine and eight of ten are right: each drop is named, wherever it stands."""
    labels = [word for label in "abcd" for word in ("--label", label)]
    assert main(["compare", *reports, *reports, *labels, "--fail-on-drop", "0.05"]) == 1
    said = "systolith: second.json: accuracy 0.8000 is 0.1000 below that of first.json; "
    assert capsys.readouterr().err == 2 * f"{said}--fail-on-drop allows 0.05\n"


def test_a_single_report_is_refused(reports: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", reports[0]]) == 2
    assert "at least 2 reports" in capsys.readouterr().err


def test_several_files_in_one_run(reports: list[str], tmp_path: Path) -> None:
    files = [tmp_path / f"c{suffix}" for suffix in (".json", ".md", ".csv", ".html")]
    outs = [word for file in files for word in ("--out", str(file))]
    assert main(["compare", *reports, *outs, "--label", "before", "--label", "after"]) == 0
    assert all("after" in file.read_text() for file in files)
    rows = list(csv.DictReader(files[2].read_text().splitlines()))
    assert [row["label"] for row in rows] == ["before", "after"]
    assert float(rows[1]["accuracy"]) == 0.8


def test_csv_has_a_row_for_each_report_and_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYSTOLITH_CACHE", str(tmp_path / "cached"))
    tiny.save_images(tmp_path / "data.npz", 30)
    quantized = tiny.quantized()
    quantized.save("q.npz")
    quantized.parent.save("net.npz")
    words = "compare net.npz q.npz --data data.npz --out c.csv --out c.json".split()
    assert main(words) == 0
    rows = list(csv.DictReader(Path("c.csv").read_text().splitlines()))
    assert [(row["label"], row["layer"]) for row in rows] == [
        ("float", ""),
        ("8 bits", "conv"),
        ("8 bits", "dense"),
    ]
    report = golden.evaluate(quantized, golden.load_dataset("data.npz"))
    for row, layer in zip(rows[1:], report.layers, strict=True):
        assert int(row["saturated"]) == layer.saturated
        assert int(row["clipped_channels"]) == len(layer.clipped_channels)
        assert float(row["sqnr_db"]) == layer.sqnr_db
        assert (row["weight_bits"], row["calibration"]) == ("8", "mse")
    document = json.loads(Path("c.json").read_text())
    assert document["schema"] == "systolith.comparison/2"
    assert document["same"]["network"] == "tiny"
    assert {"name": "arithmetic", "values": ["float", "fixed"]} in document["different"]
    assert document["layers"][0]["saturated"] == [None, report.layers[0].saturated]


def test_many_reports_are_summed_up_in_80_columns(
    reports: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    labels = [f"a rather long label of report {place} with settings" for place in range(40)]
    options = [word for label in labels for word in ("--label", label)]
    assert main(["compare", *(reports * 20), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) < 100
    text = " ".join(" ".join(lines).split())
    assert "0 better, 0 worse, 39 no difference shown." in text
    assert f"Compared with the first report: {labels[0]}" in text
    assert lines[-1].startswith("--out FILE.html (.md, .csv, .json) writes settings")


def test_up_to_eight_reports_are_printed_in_full(
    reports: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for count, out, summary in ((8, [], False), (9, [], True), (9, ["--out", "c.md"], False)):
        words = [str(tmp_path / word) if word == "c.md" else word for word in out]
        assert main(["compare", *(reports * 5)[:count], *words]) == 0
        assert ("--out FILE.html" in capsys.readouterr().out) == summary


def test_a_file_has_all_tables_of_many_reports(reports: list[str], tmp_path: Path) -> None:
    given = reports * 5
    out = tmp_path / "c.md"
    assert main(["compare", *given, "--out", str(out)]) == 0
    loaded = [golden.AccuracyReport.load(each) for each in given]
    names = ["first.json", "second.json"] * 5
    assert out.read_text() == golden.compare(loaded, names).to_markdown()


def test_what_is_compared_is_not_overwritten(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(reports[0]).read_bytes()
    assert main(["compare", *reports, "--out", reports[0]]) == 2
    assert "is an input of this command" in capsys.readouterr().err
    assert Path(reports[0]).read_bytes() == before

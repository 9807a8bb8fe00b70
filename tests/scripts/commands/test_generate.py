from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from systolith import golden, hw
from systolith.scripts.main import main
from tests.scripts import tiny


@pytest.fixture
def quantized(tmp_path: Path) -> str:
    path = tmp_path / "q.npz"
    tiny.quantized().save(path)
    return str(path)


def test_writes_the_hardware_and_prints_its_size(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("[layers.conv]\nrows = 2\ncolumns = 2\n")
    out = tmp_path / "rtl"
    assert main(["generate", quantized, "--out", str(out), "--plan", str(plan)]) == 0
    shown = capsys.readouterr().out
    assert (out / "tiny.v").exists()
    manifest = json.loads((out / "manifest.json").read_text())
    # 2 x 2 processing elements, and the dense layer's one.
    assert manifest["multipliers"] == 5
    total = next(line.split() for line in shown.splitlines() if line.split()[:1] == ["total"])
    assert total[1] == "5"
    assert shown.splitlines()[-1] == str(out / "tiny.v")


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        ("[layers.C9]\nrows = 2", "layers.C9"),
        ("[layers.conv]\nrow = 2", "layers.conv.row"),
        ("[layers.conv]\nrows = 0", "layers.conv.rows"),
        ("[layer.conv]\nrows = 2", "layer"),
        ("rows", "plan.toml"),
        ("[layers.conv]\nrows = 9", "conv"),
    ],
)
def test_a_bad_plan_is_one_line(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], plan: str, names: str
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(plan)
    out = tmp_path / "rtl"
    assert main(["generate", quantized, "--out", str(out), "--plan", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert names in err
    assert not out.exists()


def test_a_float_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "float.npz", tmp_path / "rtl"
    tiny.quantized().parent.save(path)
    assert main(["generate", str(path), "--out", str(out)]) == 2
    assert "is a trained network, not a quantized network" in capsys.readouterr().err
    assert not out.exists()


def test_the_bench_has_the_images_given_and_the_sheet_the_report(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, report, out = (str(tmp_path / name) for name in ("mine.npz", "r.json", "my rtl"))
    tiny.save_images(tmp_path / "mine.npz", 3)
    assert main(["evaluate", quantized, "--data", data, "--out", report]) == 0
    capsys.readouterr()
    options = ["--data", data, "--report", report, "--mhz", "50", "--name", "mine"]
    assert main(["generate", quantized, "--out", out, *options]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"test bench make -C '{out}/tb': the first 3 of 3 images of " in shown
    assert (Path(out) / "tb" / "images.hex").read_text().count("// image") == 3
    sheet = (Path(out) / "datasheet.md").read_text("utf-8")
    assert "of 3 images right" in sheet and "| at 50 MHz |" in sheet
    assert "module mine(" in (Path(out) / "mine.v").read_text("utf-8")


def test_a_report_of_another_network_is_one_line(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, other, report = (str(tmp_path / name) for name in ("d.npz", "float.npz", "r.json"))
    tiny.save_images(tmp_path / "d.npz", 3)
    tiny.quantized().parent.save(other)
    assert main(["evaluate", other, "--data", data, "--out", report]) == 0
    capsys.readouterr()
    out = tmp_path / "rtl"
    assert main(["generate", quantized, "--out", str(out), "--report", report]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "the report is of tiny " in err
    assert not out.exists()


def test_every_option_reaches_the_hardware(
    quantized: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value is another than by default."""
    data, report, out = (tmp_path / name for name in ("mine.npz", "r.json", "rtl"))
    tiny.save_images(data, 3)
    assert main(["evaluate", quantized, "--data", str(data), "--out", str(report)]) == 0
    seen: list[Any] = []

    def generate(*args: Any, **given: Any) -> None:
        seen.extend((args, given))
        raise ValueError("seen enough")

    monkeypatch.setattr(hw, "generate", generate)
    words = "--max-multipliers 9 --minimize latency --fix conv=3x1 --name mine --mhz 50"
    options = [*words.split(), "--result", "scores", "--data", str(data), "--report", str(report)]
    assert main(["generate", quantized, "--out", str(out), *options]) == 2
    (network, folder, plan, name, goal), given = seen
    assert (network.sha256, folder, name) == (tiny.quantized().sha256, out, "mine")
    assert goal == hw.Goal(max_multipliers=9, minimize="latency")
    expected = hw.make_plan(network.fixed, goal, {"conv": hw.GivenSize(3, 1)}, "scores")
    assert plan == expected
    assert given.pop("dataset").sha256 == golden.load_dataset(data).sha256
    assert given == {
        "report": golden.AccuracyReport.load(report),
        "mhz": 50.0,
        "result": "scores",
    }
    seen.clear()
    assert main(["generate", quantized, "--out", str(out)]) == 2
    (_, _, plan, name, goal), given = seen
    assert (name, goal) == (None, hw.PRESETS["medium"])
    assert plan == hw.make_plan(network.fixed, goal)
    assert given == {"dataset": None, "report": None, "mhz": 100.0, "result": None}


@pytest.mark.parametrize("given", ["0", "-1", "fast", "20000"])
def test_a_bad_frequency_is_one_line(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    assert main(["generate", quantized, "--out", str(tmp_path / "rtl"), "--mhz", given]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--mhz" in err and given in err

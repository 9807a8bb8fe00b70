"""Names in files of others do not reach the terminal or Markdown as anything but text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from systolith import golden
from systolith.scripts.main import main
from tests.scripts import tiny

HOSTILE = "x\x1b[2J\r\n| b | \x9b31m<script>alert(1)<&#96;script> \u202e[l](http:l)`"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images and accuracy reports that have such names."""
    monkeypatch.chdir(tmp_path)
    tiny.quantized().save("q.npz")
    tiny.save_images(tmp_path / "images.npz", 12)
    report = golden.evaluate(golden.load("q.npz"), golden.load_dataset("images.npz"))
    hostile = replace(
        report,
        network=HOSTILE,
        dataset=replace(report.dataset, name=HOSTILE, split=HOSTILE),
        layers=tuple(replace(layer, name=HOSTILE + layer.name) for layer in report.layers),
    )
    for name in ("a.json", f"{HOSTILE.replace('/', '')}.json"):
        hostile.save(name)
    return tmp_path


def require_harmless(text: str) -> None:
    assert text.replace("\n", "").isprintable()


def require_harmless_markdown(text: str) -> None:
    """No line of a table has more cells than its heading, and nothing of a name is Markdown."""
    require_harmless(text)
    assert re.search(r"(?<!\\)<|(?<!\\)`|(?<!\\)\[|(?<!\\)&", text) is None
    cells: list[int] = []
    for line in text.splitlines():
        if line.startswith("| "):
            cells.append(len(re.findall(r"(?<!\\)\|", line)))
            assert cells[-1] == cells[0]
        else:
            cells = []


def reports() -> Iterator[str]:
    return (name for name in sorted(os.listdir()) if name.endswith(".json"))


def test_compare(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--json"], ["--out", "c.md"]):
        assert main(["compare", *reports(), *more]) == 0
        out, err = capsys.readouterr()
        require_harmless(out)
        assert err == ""
    require_harmless_markdown((here / "c.md").read_text())


def test_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = f"{HOSTILE.replace('/', '')}.npz"
    tiny.save_images(here / data, 12)
    for more in ([], ["--json"], ["--out", "e.md"]):
        assert main(["evaluate", "q.npz", "--data", data, *more]) == 0
        require_harmless(capsys.readouterr().out)
    require_harmless_markdown((here / "e.md").read_text())


def test_a_sweep(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, test, network = (f"{HOSTILE.replace('/', '')}{each}.npz" for each in "dtn")
    tiny.save_images(here / data, 12)
    tiny.save_images(here / test, 12, seed=3)
    tiny.quantized().parent.save(network)
    options = ["--weight-bits", "8", "--activation-bits", "8", "--max-multipliers", "6"]
    images = ["--data", data, "--test-data", test, "--out", HOSTILE.replace("/", "")]
    for more in ([], ["--json"]):
        assert main(["sweep", network, *options, *images, "--jobs", "1", *more]) == 0
        require_harmless(capsys.readouterr().out)
    require_harmless_markdown((here / HOSTILE.replace("/", "") / "sweep.md").read_text())


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe", HOSTILE],
        ["describe", "lenet5", HOSTILE],
        ["describe", "--" + HOSTILE],
        [HOSTILE],
        ["evaluate", "q.npz", "--data", HOSTILE],
        ["evaluate", "q.npz", "--out", HOSTILE],
        ["quantize", "lenet5-relu", "--out", "r.npz", "--calibration", HOSTILE],
        ["quantize", "lenet5-relu", "--out", "r.npz", "--config", "keys.toml"],
        ["quantize", "lenet5-relu", "--out", "r.npz", "--config", "layers.toml"],
        ["plan", "q.npz", "--plan", "keys.toml"],
        ["simulate", HOSTILE],
    ],
)
def test_errors_are_one_line(
    here: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    key = '"' + "".join(f"\\u{ord(each):04x}" for each in HOSTILE) + '"'
    (here / "keys.toml").write_text(f"{key} = 1\n")
    (here / "layers.toml").write_text(f"[layers.{key}]\nweight_bits = 4\n")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("systolith: ") and err.count("\n") == 1
    require_harmless(err)


def test_a_file_name_that_is_not_text(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"q\xff.npz")
    Path("q.npz").rename(name)
    assert main(["export", name, "--out", os.fsdecode(b"\xfe.onnx")]) == 0
    assert r"\udcfe.onnx: tiny" in capsys.readouterr().out

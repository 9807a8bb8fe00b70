from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import golden
from scripts.main import main


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantized") / "q.npz"
    images = golden.validation_digits().images[:20]
    golden.quantize(golden.load_network("lenet5-relu"), images).save(path)
    return path


def test_json_on_standard_output_is_the_report(
    quantized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    arguments = ["evaluate", str(quantized), "--images", "50", "--json", "--out", str(out)]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert out.read_text() == text

    report = json.loads(text)
    assert next(iter(report)) == "schema"
    expected = golden.evaluate(golden.load(quantized), golden.test_digits(), 50)
    assert (report["kind"], report["images"]) == ("fixed", 50)
    assert report["correct"] == expected.correct
    assert report["predictions"] == list(expected.predictions)


def test_table_and_markdown_show_the_layers(
    quantized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.md"
    assert main(["evaluate", str(quantized), "--images", "20", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    for text in (shown, out.read_text()):
        assert "20 of mnist (test)" in text
        assert [name for name in ("C1", "S2", "C3", "S4", "C5", "F6") if name not in text] == []


def test_a_float_network_and_images_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = golden.test_digits()
    data = tmp_path / "some.npz"
    np.savez(data, images=digits.images[:7, :, :, 0], labels=digits.labels[:7])
    assert main(["evaluate", "lenet5-relu", "--data", str(data), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["images"], report["layers"]) == ("float", 7, [])
    assert report["labels"] == digits.labels[:7].tolist()

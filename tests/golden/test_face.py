"""The small face of the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from systolith import golden
from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz


def test_load_quantize_evaluate_compare(tmp_path: Path) -> None:
    trained = golden.load("lenet5-relu")
    assert isinstance(trained, golden.TrainedNetwork)
    digits = golden.validation_digits()
    quantized = golden.quantize(trained, digits.images[:50])
    reports = [golden.evaluate(network, digits, 30) for network in (trained, quantized)]
    assert golden.compare(reports).rows[1].report.kind == "fixed"

    quantized.save(tmp_path / "q.npz")
    trained.save(tmp_path / "t.npz")
    again = golden.load(tmp_path / "q.npz")
    assert isinstance(again, golden.QuantizedNetwork)
    assert again.sha256 == quantized.sha256
    assert golden.export_onnx(again) == golden.export_onnx(quantized)
    assert golden.load(tmp_path / "t.npz").sha256 == trained.sha256


def test_load_refuses_what_is_neither(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'lenet4' is neither a file nor one of lenet5"):
        golden.load("lenet4")
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    (tmp_path / "text.npz").write_text("text")
    for name in ("foreign.npz", "text.npz"):
        with pytest.raises(FileFormatError, match=name):
            golden.load(tmp_path / name)


def test_a_name_comes_before_a_file_and_a_file_is_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = golden.load("lenet5-relu")
    assert isinstance(trained, golden.TrainedNetwork)
    quantized = golden.quantize(trained, golden.validation_digits().images[:5])
    quantized.save("lenet5-relu")
    assert golden.load("lenet5-relu").sha256 == trained.sha256
    assert golden.load("./lenet5-relu").sha256 == quantized.sha256
    header, arrays = quantized.contents()
    npz.write("later.npz", "systolith.quantized-network/2", header, arrays)
    with pytest.raises(FileFormatError, match="quantized-network/2', which is another version"):
        golden.load("later.npz")

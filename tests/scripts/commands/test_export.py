from __future__ import annotations

import errno
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from systolith import golden
from systolith.hw.installation import install_extra
from systolith.scripts.main import main
from tests.scripts import tiny

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a quantized network in it."""
    monkeypatch.chdir(tmp_path)
    tiny.quantized().save("q.npz")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], here: Path, arguments: str, status: int) -> str:
    before = sorted(here.iterdir())
    assert main(arguments.split()) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("systolith: ")
    assert err.count("\n") == 1
    assert sorted(here.iterdir()) == before
    return err


def test_writes_what_golden_exports(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = golden.export_onnx(tiny.quantized())
    assert main(["export", "q.npz", "--out", "q.onnx"]) == 0
    assert capsys.readouterr().out == f"q.onnx: tiny, 2 layers, {len(content):,} bytes\n"
    assert (here / "q.onnx").read_bytes() == content


def test_a_float_network_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.quantized().parent.save("float.npz")
    assert "float.npz: " in refused(capsys, here, "export float.npz --out f.onnx", 2)
    assert "lenet5: no such file" in refused(capsys, here, "export lenet5 --out f.onnx", 2)


def test_without_onnx_it_says_how_to_get_it(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    line = refused(capsys, here, "export q.npz --out q.onnx", 3)
    assert install_extra("onnx") in line


def test_a_full_disk_leaves_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    line = refused(capsys, here, "export q.npz --out q.onnx", 3)
    assert "q.onnx: cannot be written: No space left" in line


def test_the_python_of_the_document_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (_ROOT / "docs" / "onnx.md").read_text(), re.DOTALL)
    quantized = golden.quantize(
        golden.load_network("lenet5"), golden.validation_digits().images[:50]
    )
    quantized.save(tmp_path / "lenet5.npz")
    (tmp_path / "lenet5.onnx").write_bytes(golden.export_onnx(quantized))
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    accuracy, real, *layers = done.stdout.splitlines()
    assert float(accuracy) > 0.95
    assert real.startswith("C3 ")
    assert layers == [f"{layer.name}: 0 differ" for layer in quantized.fixed.layers]

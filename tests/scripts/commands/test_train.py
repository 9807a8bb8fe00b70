from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from systolith.hw.installation import install_extra
from systolith.scripts.main import main


def test_without_pytorch_it_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    out = tmp_path / "t.npz"
    assert main(["train", "lenet5", "--data", str(tmp_path), "--out", str(out)]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert install_extra("train") in err
    assert not out.exists()

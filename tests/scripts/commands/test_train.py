from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from systolith import golden
from systolith.hw.installation import install_extra
from systolith.scripts.main import main
from tests.scripts import tiny


@pytest.mark.parametrize(("options", "seed"), [("", 0), ("--seed 7", 7)])
def test_network_files_and_seed_reach_the_training(
    options: str,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[object] = []
    made = tiny.quantized().parent

    def train(name: str, data: Path, given: int, report: object) -> golden.TrainedNetwork:
        seen.extend((name, data, given))
        return made

    trainer: Any = ModuleType("systolith.scripts.training.trainer")
    trainer.train = train
    monkeypatch.setitem(sys.modules, trainer.__name__, trainer)
    monkeypatch.setattr("systolith.scripts.training.trainer", trainer, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    out = tmp_path / "t.npz"
    words = ["train", "lenet5-relu", "--data", str(tmp_path), "--out", str(out)]
    assert main([*words, *options.split()]) == 0
    assert seen == ["lenet5-relu", tmp_path, seed]
    assert golden.load_network(str(out)).sha256 == made.sha256
    assert capsys.readouterr().out == f"{out}: tiny, sha256 {made.sha256}\n"


def test_an_unknown_network_is_refused_before_pytorch_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    words = ["train", "lenet6", "--data", str(tmp_path), "--out", str(tmp_path / "t.npz")]
    assert main(words) == 2
    assert "network 'lenet6' is unknown: allowed are lenet5" in capsys.readouterr().err


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

from __future__ import annotations

import json
from pathlib import Path

import pytest

from systolith import golden
from systolith.golden.fixed import execution
from systolith.scripts.benchmarks import layer_sensitivity
from systolith.scripts.comparing import parallel_trials


def test_the_best_bit_is_checked_on_test_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(layer_sensitivity, "names", lambda: ("lenet5-relu",))
    monkeypatch.setattr(parallel_trials, "processors", lambda: 1)
    assert layer_sensitivity.main(["--images", "120", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "sensitivity.md").read_text()
    assert text in capsys.readouterr().out
    value = json.loads((tmp_path / "sensitivity.json").read_text())
    (found,) = value["networks"]
    best, tested = found["helped_most"], found["test"]
    more = [each for each in found["trials"]["trials"] if each["change"] == 1]
    most = max(more, key=lambda each: int(each["gains"]) - int(each["losses"]))
    assert {key: most[key] for key in ("layer", "key", "bits")} == {
        key: best[key] for key in ("layer", "key", "bits")
    }
    assert best["bits"] == 5

    trained, digits = golden.load_network("lenet5-relu"), golden.test_digits().take(120)
    chosen_on = golden.validation_digits().images[:60]
    layers = {"layers": {best["layer"]: {best["key"]: 5}}}
    before, after = (
        execution.classes(
            golden.quantize(
                trained,
                chosen_on,
                golden.Settings.from_mapping({"weight_bits": 4, "activation_bits": 4, **own}),
            ).fixed,
            digits.images,
        )
        == digits.labels
        for own in ({}, layers)
    )
    assert (tested["images"], tested["correct"]) == (120, before.sum())
    assert tested["gains"] == (after & ~before).sum()
    assert tested["losses"] == (before & ~after).sum()
    part = "weights" if best["key"] == "weight_bits" else "map"
    assert f"A single bit more helps most in {best['layer']} {part}: " in text
    assert f"{tested['gains']} gained, {tested['losses']} lost" in text
    assert f" from {before.sum() / 120:.4f}; " in text
    assert (tmp_path / "sensitivity-lenet5-relu.svg").read_bytes().startswith(b"<svg")


@pytest.mark.parametrize("options", [["--out", "absent"], ["--images", "1"], ["--images", "5001"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        layer_sensitivity.main(options)
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err

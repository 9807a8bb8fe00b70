from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from systolith import golden
from systolith.golden.quantization.methods import METHODS
from systolith.scripts.commands.quantize import read_settings
from systolith.scripts.main import main
from tests.scripts import tiny


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text('weight_bits = 6\ncalibration = "minmax"\n[layers.C3]\nweight_bits = 4\n')
    return path


def test_the_file_is_that_of_the_python_face(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "q.npz"
    arguments = ["quantize", "lenet5-relu", "--out", str(out), "--config", str(config)]
    assert main([*arguments, "--weight-bits", "5"]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: lenet5-relu")

    quantized = golden.QuantizedNetwork.load(out)
    assert quantized.settings.of("C1").weight_bits == 5
    assert quantized.settings.of("C3").weight_bits == 4
    assert quantized.settings.of("C1").calibration == "minmax"
    assert quantized.settings.of("C1").activation_bits == 8

    first = out.read_bytes()
    assert main([*arguments, "--weight-bits", "5"]) == 0
    assert out.read_bytes() == first


def test_help_names_every_calibration_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantize", "--help"]) == 0
    words = capsys.readouterr().out.replace("|", " ").split()
    # Written out in the help, which does not wait for numpy.
    assert [word for word in words if word in METHODS][: len(METHODS)] == list(METHODS)


@pytest.mark.parametrize("calibration", METHODS)
def test_methods_are_options(
    tmp_path: Path, calibration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("systolith.scripts.calibration_split.CALIBRATION_IMAGES", 20)
    out = tmp_path / "q.npz"
    arguments = ["quantize", "lenet5-relu", "--out", str(out), "--calibration", calibration]
    found = []
    for more in ([], ["--bias-correction"]):
        assert main([*arguments, *more]) == 0
        settings = golden.QuantizedNetwork.load(out).settings.of("C1")
        found.append((settings.calibration, settings.bias_correction))
    assert found == [(calibration, False), (calibration, True)]


@pytest.mark.parametrize(
    ("option", "key", "value"),
    [
        ("", "", None),
        ("--weight-bits 4", "weight_bits", 4),
        ("--activation-bits 5", "activation_bits", 5),
        ("--calibration percentile", "calibration", "percentile"),
    ],
)
def test_an_option_overrides_its_own_key_of_the_file_alone(
    option: str, key: str, value: Any, tmp_path: Path
) -> None:
    settings = {
        "weight_bits": 6,
        "activation_bits": 7,
        "calibration": "minmax",
        "granularity": "tensor",
        "rounding": "floor",
        "bias_correction": True,
    }
    file, out = tmp_path / "settings.toml", tmp_path / "q.npz"
    file.write_text("".join(f"{name} = {json.dumps(each)}\n" for name, each in settings.items()))
    tiny.quantized().parent.save(tmp_path / "net.npz")
    tiny.save_images(tmp_path / "data.npz", 20)
    words = ["quantize", str(tmp_path / "net.npz"), "--data", str(tmp_path / "data.npz")]
    assert main([*words, "--config", str(file), "--out", str(out), *option.split()]) == 0
    found = golden.QuantizedNetwork.load(out).settings.to_mapping()
    assert found == {**settings, **({key: value} if key else {}), "layers": {}}


def test_no_file_and_no_options_are_the_defaults() -> None:
    assert read_settings(None, {}) == golden.Settings()


def test_options_come_before_the_file(config: Path) -> None:
    settings = read_settings(config, {"weight_bits": 3})
    assert (settings.of("C1").weight_bits, settings.of("C3").weight_bits) == (3, 4)


def test_an_error_in_the_file_names_the_file(config: Path) -> None:
    config.write_text("weight_bits = 1\n")
    with pytest.raises(ValueError, match=r"settings\.toml: weight_bits: must be .* not 1"):
        read_settings(config, {"weight_bits": 8})

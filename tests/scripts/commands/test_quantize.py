from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import golden
from systolith.golden.files.datasets import images_sha256
from systolith.golden.files.seeded_choice import chosen_numbers
from systolith.golden.network.graph import Convolution, Dense, Input, Network
from systolith.golden.quantization.methods import METHODS
from systolith.golden.reports.memory_size import in_kibibytes
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


def test_what_it_was_made_on_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zeros around an image are 0.25 in this network, whose pixels stand for 0.5 * pixel + 0.25."""
    monkeypatch.chdir(tmp_path)
    layers = (
        Input(name="input", height=5, width=4, scale=0.5, offset=0.25),
        Convolution(name="conv", inputs=("input",), kernel=(3, 3), padding=(1, 1), out_channels=2),
        Dense(name="dense", inputs=("conv",), units=3),
    )
    network = Network("padded", layers)
    arrays = {
        layer.name: {
            name: np.full(shape, 0.5) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    golden.TrainedNetwork(network, arrays).save("net.npz")
    tiny.save_images(Path("data.npz"), 20)
    images = golden.load_images("data.npz")
    for options, count, how in (
        ("", 20, ""),
        ("--images 6 --weight-bits 4", 6, ", chosen of 20 with seed 1"),
    ):
        words = f"quantize net.npz --data data.npz --out q.npz {options}"
        assert main(words.split()) == 0
        made = golden.QuantizedNetwork.load("q.npz")
        numbers = range(20) if count == 20 else chosen_numbers(20, count)
        known = made.calibrated_on
        assert known is not None
        assert (known.name, known.images) == (f"data.npz (custom{how})", count)
        assert known.sha256 == images_sha256(images[[*numbers]])
        # 2 filters of 3 x 3, and 40 weights of each of 3 units.
        bits = 138 * made.settings.default.weight_bits
        assert made.weight_bits_total == bits
        ratio = 32 / made.settings.default.weight_bits
        size = f"{in_kibibytes(bits)}, {ratio:.2f}x smaller than 32-bit floats"
        assert capsys.readouterr().out.splitlines() == [
            f"q.npz: padded, weights of {size}",
            f"formats chosen on {count} images of data.npz (custom{how})",
            "conv pads with 0.25 instead of 0, the nearest raw value",
        ]


def test_no_file_and_no_options_are_the_defaults() -> None:
    assert read_settings(None, {}) == golden.Settings()


def test_options_come_before_the_file(config: Path) -> None:
    settings = read_settings(config, {"weight_bits": 3})
    assert (settings.of("C1").weight_bits, settings.of("C3").weight_bits) == (3, 4)


def test_an_error_in_the_file_names_the_file(config: Path) -> None:
    config.write_text("weight_bits = 1\n")
    with pytest.raises(ValueError, match=r"settings\.toml: weight_bits: must be .* not 1"):
        read_settings(config, {"weight_bits": 8})

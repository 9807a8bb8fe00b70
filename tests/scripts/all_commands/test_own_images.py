"""Networks that were trained on other images than the digits that ship, and images of their own.

Both take 28 x 28 pixels, like the digits, on which they would be calibrated wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import golden, sim
from systolith.golden.files.seeded_choice import chosen_numbers
from systolith.golden.network.graph import Network
from systolith.scripts.main import main
from tests.scripts import tiny

CALIBRATION, TRIALS, TEST = slice(0, 120), slice(1050, 1150), slice(1000, 1300)
# With `--images 50` no image of the trials is one that is evaluated.


def dim() -> golden.TrainedNetwork:
    """`lenet5-relu` for digits whose pixels are divided by 16."""
    trained = golden.load_network("lenet5-relu")
    return golden.TrainedNetwork(
        _with_input(trained.network, "dim", scale=trained.network.input.scale * 16), trained.arrays
    )


def inverted() -> golden.TrainedNetwork:
    """`lenet5-relu` for dark digits on white: v = gain * (255 - x) + offset = -gain * x + more."""
    trained = golden.load_network("lenet5-relu")
    layer = trained.network.input
    network = _with_input(trained.network, "inverted", offset=0.0, background=255)
    weights, bias = trained.arrays["C1"]["weights"], trained.arrays["C1"]["bias"]
    more = np.float32(255 * layer.scale + layer.offset)
    first = {"weights": -weights, "bias": bias + more * weights.sum(axis=(0, 1, 2))}
    return golden.TrainedNetwork(
        network,
        {**trained.arrays, "C1": first},
        golden.DatasetReference("dark digits", "d" * 64, 60_000),
    )


def _with_input(network: Network, name: str, **changes: Any) -> Network:
    first, *others = network.layers
    return Network(name, (replace(first, **changes), *others))


STRANGERS: dict[str, tuple[Callable[[], golden.TrainedNetwork], Callable[[Any], Any]]] = {
    "dim": (dim, lambda pixels: pixels // 16),
    "inverted": (inverted, lambda pixels: 255 - pixels),
}


@pytest.fixture(params=STRANGERS)
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network in the current folder, with images of its own, unlabelled to calibrate."""
    monkeypatch.chdir(tmp_path)
    name: str = request.param
    make, seen = STRANGERS[name]
    make().save(f"{name}.npz")
    digits = golden.validation_digits()
    np.savez("calibration.npz", images=seen(digits.images[CALIBRATION]))
    for file, part in (("trials.npz", TRIALS), ("test.npz", TEST)):
        np.savez(file, images=seen(digits.images[part]), labels=digits.known_labels[part])
    return name


def test_digits_are_refused_and_own_images_give_the_accuracy(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["quantize", f"{name}.npz", "--out", "q.npz"]
    words += ["--weight-bits", "6", "--activation-bits", "6"]
    assert main(words) == 2
    assert not Path("q.npz").exists()
    assert main([*words, "--data", "calibration.npz"]) == 0
    quantized, test = golden.QuantizedNetwork.load("q.npz"), golden.load_dataset("test.npz")
    own = golden.evaluate(quantized, test)
    assert own.rate > 0.98
    assert (
        abs(own.matching - golden.evaluate(golden.load_network(f"{name}.npz"), test).matching) < 3
    )
    known = quantized.calibrated_on
    assert known is not None and (known.name, known.images) == ("calibration.npz (custom)", 120)

    # The digits that ship choose formats badly for one, and are not what the other can read.
    digits = golden.validation_digits()
    if name == "dim":
        wrong = golden.quantize(quantized.parent, digits.images[CALIBRATION], quantized.settings)
        assert golden.evaluate(wrong, test).rate < 0.92
    else:
        assert golden.evaluate(quantized, digits, 300).rate < 0.5


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("quantize {} --out new.npz", "--data"),
        ("evaluate {}", "--data"),
        ("evaluate q.npz --out new.json", "--data"),
        ("evaluate q.npz --advice --data test.npz", "--trial-data"),
        ("evaluate q.npz --advice --trial-data trials.npz", "--data"),
        ("run --network {} --out new", "--data"),
        ("sweep {} --out new", "--data"),
        ("sweep {} --out new --data trials.npz", "--test-data"),
        ("sweep lenet5 {} --out new --test-data test.npz", "--data"),
    ],
)
def test_the_option_is_named_before_any_work(
    name: str, command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = golden.load_network(f"{name}.npz")
    golden.quantize(trained, golden.load_images("calibration.npz")).save("q.npz")
    before = sorted(Path().rglob("*"))
    assert main(command.format(f"{name}.npz").split()) == 2
    out, err = capsys.readouterr()
    whose = "images that its file does not name" if name == "dim" else "'dark digits'"
    assert out == ""
    assert err == (
        f"systolith: network '{name}' was trained on {whose}, not on the digits that ship: "
        f"give images of its own with {option} FILE\n"
    )
    assert sorted(Path().rglob("*")) == before


def test_hardware_is_not_simulated_on_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.generate(tmp_path)
    assert main(["simulate", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("give images of its own with --data FILE\n")
    with pytest.raises(ValueError, match="not on the digits that ship"):
        sim.simulate(tmp_path)


def test_advice_has_images_of_its_own(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("systolith.scripts.comparing.parallel_trials.processors", lambda: 1)
    trained = golden.load_network(f"{name}.npz")
    golden.quantize(trained, golden.load_images("calibration.npz")).save("q.npz")
    words = ["evaluate", "q.npz", "--advice", "--data", "test.npz", "--images", "50"]
    assert main([*words, "--trial-data", "trials.npz", "--json"]) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert (trials["dataset"], trials["split"], trials["images"]) == ("trials.npz", "trial", 50)
    assert trials["correct"] >= 48

    assert main([*words, "--trial-data", "test.npz"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "--trial-data: 50 of the images of test.npz (trial) are among those of test.npz" in err


def test_run_splits_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = tiny.quantized().parent
    trained.save("mine.npz")
    tiny.save_images(tmp_path / "data.npz", 60)
    named = "data.npz (custom, chosen of 60 with seed 1)"
    assert main("run --network mine.npz --data data.npz --images 12 --out out".split()) == 0
    out = capsys.readouterr().out
    assert "quantize mine.npz" in out and out.count("--data data.npz") == 3
    assert f"formats chosen on 30 images of {named}" in " ".join(out.split())
    folder, data = Path("out", "tiny"), golden.load_dataset("data.npz")
    numbers = chosen_numbers(60, 30)
    for kind in ("float", "fixed"):
        report = golden.AccuracyReport.load(folder / f"{kind}.json")
        assert report.dataset.name == "data.npz"
        assert report.dataset.split == "without the 30 of 60 chosen with seed 1"
        assert report.labels == tuple(np.delete(data.known_labels, numbers).tolist())
    known = report.calibrated_on
    assert known is not None
    assert (known.name, known.images, known.in_dataset) == (named, 30, False)
    expected = golden.quantize(trained, data.images[numbers], name=named)
    assert golden.QuantizedNetwork.load(folder / "tiny.npz").sha256 == expected.sha256
    simulated = json.loads((folder / "rtl" / "simulation.json").read_text())
    assert simulated["bit_exact"] is True
    assert (simulated["images"], simulated["dataset"]["images"]) == (12, 30)

    # The same choice of quantize is recognised in the data that it was made of.
    capsys.readouterr()
    assert main("quantize mine.npz --data data.npz --images 30 --out q.npz".split()) == 0
    assert f"formats chosen on 30 images of {named}\n" in capsys.readouterr().out
    assert golden.QuantizedNetwork.load("q.npz").sha256 == expected.sha256
    assert main("evaluate q.npz --data data.npz".split()) == 0
    assert "formats were chosen on 30 images of the same data" in " ".join(
        capsys.readouterr().out.split()
    )

    one = "run --network mine.npz --data data.npz --images 31 --out new"
    assert main(one.split()) == 2
    assert "from 1 to 30" in capsys.readouterr().err
    assert not Path("new").exists()


def test_accuracy_on_calibration_images_is_no_test(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["quantize", f"{name}.npz", "--out", "q.npz", "--data"]
    line = "This accuracy is not that of a test"
    for data, is_no_test in (("test.npz", True), ("calibration.npz", False)):
        assert main([*words, data]) == 0
        for more in ([], ["--images", "20"]):
            evaluate = ["evaluate", "q.npz", "--data", "test.npz", *more]
            capsys.readouterr()
            assert main([*evaluate, "--out", "report.json"]) == 0
            out = " ".join(capsys.readouterr().out.split())
            assert (line in out) == is_no_test
            assert f"of {data} (custom)" in out
            known = json.loads(Path("report.json").read_text())["calibrated_on"]
            assert known["in_dataset"] == is_no_test
            assert golden.AccuracyReport.load("report.json").calibrated_on is not None


def test_shipped_networks_keep_the_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    golden.load_network("lenet5-relu").save("saved.npz")
    for network in ("lenet5-relu", "saved.npz"):
        assert main(["quantize", network, "--out", f"q-{network}"[:3] + ".npz"]) == 0
        assert main(["evaluate", network, "--images", "20"]) == 0
    quantized = golden.QuantizedNetwork.load("q-l.npz")
    assert quantized.sha256 == golden.QuantizedNetwork.load("q-s.npz").sha256
    known = quantized.calibrated_on
    assert known is not None and (known.name, known.images) == ("mnist (validation)", 1000)


def test_what_trial_data_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--trial-data", "x.npz"], "--trial-data: needs --advice or --sensitivity"),
        (["--advice"], "--advice: needs a quantized network, not the float network 'lenet5'"),
    ):
        assert main(["evaluate", "lenet5", *words]) == 2
        assert message in capsys.readouterr().err

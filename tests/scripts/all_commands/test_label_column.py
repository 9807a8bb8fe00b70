"""`--label-column` reaches every reader of a CSV file, whatever command it is given to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw
from systolith.scripts.commands.run import Flow
from systolith.scripts.comparing import evaluation_cache
from systolith.scripts.main import main
from systolith.scripts.sweeping import workers
from systolith.scripts.sweeping.workers import Workers
from tests.golden.onnx.small_models import model, node, normal
from tests.scripts import tiny

LABELS = np.arange(30) % 3


def save(name: Path, seed: int) -> None:
    """Images with their labels in the third of 21 columns."""
    images = np.random.default_rng(seed).integers(0, 256, (30, 20))
    rows = np.insert(images, 2, LABELS, axis=1)
    names = [f"p{place}" for place in range(20)]
    names.insert(2, "kind")
    np.savetxt(name, rows, "%d", ",", header=",".join(names), comments="")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("columns")
    tiny.quantized().save(made / "q.npz")
    tiny.quantized().parent.save(made / "net.npz")
    save(made / "f.csv", 5)
    save(made / "t.csv", 6)
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f d", "y")]
    content = model(nodes, {"d": normal(20, 3)}, ("N", 1, 5, 4))
    (made / "net.onnx").write_bytes(content)
    return made


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In that folder; work goes to no other process, and neither hardware nor a picture is made."""

    @contextmanager
    def here(_: int) -> Iterator[Workers]:
        with ThreadPoolExecutor(1) as executor:
            yield Workers(executor)

    def seen(*_: object, dataset: golden.Dataset, **__: object) -> None:
        raise ValueError(f"the labels of {dataset.name} are {dataset.known_labels[:4]}")

    monkeypatch.chdir(folder)
    monkeypatch.setenv("SYSTOLITH_CACHE", str(folder / "cache"))
    monkeypatch.setattr(workers, "local_workers", here)
    monkeypatch.setattr(evaluation_cache, "local_workers", here)
    monkeypatch.setattr("systolith.scripts.comparing.parallel_trials.processors", lambda: 1)
    monkeypatch.setattr(hw, "generate", seen)
    monkeypatch.setattr("systolith.scripts.pages.pareto_picture.draw_pareto", lambda _: b"")


@pytest.mark.parametrize(
    "command",
    [
        "quantize net.npz --data f.csv --out made.npz",
        "evaluate q.npz --data f.csv",
        "evaluate q.npz --data f.csv --advice --trial-data t.csv",
        "compare q.npz net.npz --data f.csv",
        "predict q.npz f.csv",
        "import net.onnx --raw --data f.csv --out imported.npz",
        "sweep net.npz --data f.csv --test-data t.csv --out s --weight-bits 8 --max-multipliers 2",
    ],
    ids=lambda command: " ".join(word for word in command.split() if "." not in word),
)
def test_labels_are_read_from_the_column_that_is_named(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    assert "name the column of labels with --label-column" in capsys.readouterr().err
    assert main([*command.split(), "--label-column", "kind"]) == 0
    if command.startswith("sweep"):
        # The page has the command that makes the network of a point.
        assert "--label-column kind" in Path("s/sweep.html").read_text("utf-8")


@pytest.mark.parametrize(
    "command",
    [
        "sweep lenet5-relu --data d.csv --out s --max-multipliers 28",
        "evaluate digits.npz --data d.csv --advice",
    ],
    ids=["sweep", "evaluate"],
)
def test_the_digits_that_ship_have_no_columns(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The column is that of `--data` alone if there is no other file."""
    images = np.random.default_rng(7).integers(0, 256, (4, 784))
    names = ",".join([*(f"p{place}" for place in range(784)), "kind"])
    rows = np.hstack([images, np.arange(4)[:, None]])
    np.savetxt("d.csv", rows, "%d", ",", header=names, comments="")
    relu = golden.load_network("lenet5-relu")
    golden.quantize(relu, golden.validation_digits().images[:3]).save("digits.npz")

    def seen(*_: object) -> None:
        raise ValueError("seen enough")

    monkeypatch.setattr("systolith.scripts.sweeping.runner.sweep", seen)
    monkeypatch.setattr("systolith.scripts.commands.evaluate._trials", seen)
    assert main([*command.split(), "--label-column", "kind"]) == 2
    assert capsys.readouterr().err == "systolith: seen enough\n"


def test_they_are_the_labels_of_their_images(capsys: pytest.CaptureFixture[str]) -> None:
    command = "evaluate q.npz --data f.csv --label-column kind --json"
    assert main(command.split()) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["labels"] == LABELS.tolist()
    images = np.random.default_rng(5).integers(0, 256, (30, 20)).astype(np.uint8)
    expected = golden.Dataset("f.csv", "custom", images.reshape(30, 5, 4, 1), LABELS)
    assert report["dataset"]["sha256"] == expected.sha256
    assert main("generate q.npz --data f.csv --out rtl --label-column kind".split()) == 2
    assert "the labels of f.csv are [0 1 2 0]" in capsys.readouterr().err


def test_run_reads_it_and_repeats_it_in_what_may_be_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flows: list[Any] = []

    def run(flow: Flow) -> None:
        flows.append(flow)
        flow._print_next()
        raise ValueError("seen enough")

    monkeypatch.setattr(Flow, "run", run)
    words = "run --network net.npz --data f.csv --out ran --label-column kind".split()
    assert main(words) == 2
    shown, error = capsys.readouterr()
    assert "seen enough" in error
    assert shown.count("--data f.csv --label-column kind") == 3
    assert set(flows[0].evaluated.known_labels) <= set(LABELS)

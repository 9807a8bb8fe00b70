from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import golden
from systolith.scripts.benchmarks import sweep_cost
from systolith.scripts.benchmarks.sweep_cost import Result
from systolith.scripts.sweeping.outcome import SweepReport
from tests.scripts.pages.test_pareto_picture import report


@pytest.mark.parametrize(("seconds", "status"), [(39.9, 0), (40.1, 1)])
def test_a_slow_sweep_is_a_failure(
    seconds: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = Result("lenet5-relu", 12, 10_000, seconds, 3.0)
    monkeypatch.setattr(sweep_cost, "measure", lambda *_: result)
    examples: list[tuple[str, ...]] = []

    def example(folder: Path, *words: str) -> SweepReport:
        examples.append(words)
        return report((f"net-{len(examples)}",), (990, 985, 900))

    monkeypatch.setattr(sweep_cost, "example", example)
    paths = [tmp_path / f"sweep.{suffix}" for suffix in ("json", "md", "svg")]
    arguments = [word for path in paths for word in ("--out", str(path))]
    assert sweep_cost.main(arguments) == status
    value = json.loads(paths[0].read_text())
    assert (value["cpu_seconds"], value["cpu_seconds_again"]) == (seconds, 3.0)
    assert examples == [sweep_cost.EXAMPLE, sweep_cost.FEW_BITS]
    swept = [value[name]["networks"][0]["network"] for name in ("example", "few_bits")]
    assert swept == ["net-1", "net-2"]
    text = paths[1].read_text()
    assert f"| `lenet5-relu` | 12 | 10,000 | {seconds} | 3.0 |" in text
    assert text.startswith("# ") and text.count("\n# ") == 0 and text.count("\n## ") == 2
    assert paths[2].read_text().startswith("<svg")


def test_measuring_sweeps_twice_a_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    def seconds(*arguments: str) -> float:
        commands.append(arguments)
        return 10.0 + len(commands)

    monkeypatch.setattr(sweep_cost, "command_seconds", seconds)
    monkeypatch.setattr(sweep_cost, "read_report", lambda folder: report(("one",), (1, 2, 3)))
    found = sweep_cost.measure(tmp_path, 9_000, 2)
    # Of 11, 12, 13 and 14 seconds the even ones are those of the same command again.
    assert found == Result("lenet5-relu", 3, 1000, 11.0, 12.0)
    assert len(commands) == 4
    assert commands[0] == commands[1] != commands[2]

    digits, saved = golden.validation_digits(), golden.load_dataset(tmp_path / "digits.npz")
    assert len(saved) == 10_000
    np.testing.assert_array_equal(saved.images[:5000], digits.images)
    np.testing.assert_array_equal(saved.images[5000:9000], digits.images[1000:])


@pytest.mark.parametrize("options", [["--out", "p.txt"], ["--digits", "0"], ["--rounds", "0"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        sweep_cost.main(options)
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_the_sweep_of_few_bits_finds_the_method_of_the_accuracies() -> None:
    """And its best network of equal widths has the accuracy that is documented for them."""
    docs = Path(__file__).parents[3] / "docs"
    swept = json.loads((docs / "sweep.json").read_text("utf-8"))["few_bits"]
    documented = json.loads((docs / "accuracy.json").read_text("utf-8"))
    best: dict[tuple[int, int], dict[str, Any]] = {}
    for point in swept["points"]:
        own = point["settings"]
        best.setdefault((own["weight_bits"], own["activation_bits"]), point)
    assert len(swept["points"]) == 24 and len(best) == 4
    for point in best.values():
        found = {key: point["settings"][key] for key in documented["settings"]}
        assert found == documented["settings"]
    accuracies = {
        row["bits"]: row["accuracy"] for row in documented["test"] if row["network"] == "lenet5"
    }
    assert best[4, 4]["test"]["accuracy"] == accuracies[4]

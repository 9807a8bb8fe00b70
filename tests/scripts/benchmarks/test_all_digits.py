from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest

from systolith.golden.network.shipped import names
from systolith.scripts.benchmarks import all_digits
from systolith.scripts.benchmarks.all_digits import Result

RESULT = Result(
    network="lenet5",
    preset="medium",
    interval_cycles=3_136,
    digits=10_000,
    right=9_919,
    values=80_940_000,
    mismatches=0,
    bit_exact=True,
    seconds=40.1,
    cycles_per_second=501_000,
)


def test_all_presets_of_all_networks() -> None:
    hardware = list(all_digits.hardware())
    assert len(hardware) == 9
    assert {network for network, _ in hardware} == set(names())
    assert {preset for _, preset in hardware} == {"small", "medium", "large"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 0),
        ({"bit_exact": False}, 1),
        ({"seconds": 50.1}, 1),
        ({"cycles_per_second": 500_000}, 0),
        ({"cycles_per_second": 499_999}, 1),
        ({"preset": "large", "seconds": 40.1}, 1),
        ({"preset": "large", "seconds": 40.0, "cycles_per_second": 200_000}, 0),
        ({"preset": "small", "seconds": 240.0}, 0),
        ({"preset": "small", "seconds": 240.1}, 1),
    ],
)
def test_what_is_wrong_or_too_slow_is_a_failure(
    changes: dict[str, object], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = dataclasses.replace(RESULT, **changes)  # type: ignore[arg-type]
    monkeypatch.setattr(all_digits, "hardware", lambda: [(result.network, result.preset)])
    monkeypatch.setattr(all_digits, "measure", lambda *_: result)
    paths = [tmp_path / "s.json", tmp_path / "s.md"]
    arguments = ["--out", str(paths[0]), "--out", str(paths[1])]
    assert all_digits.main(arguments) == status
    assert json.loads(paths[0].read_text())["hardware"] == [dataclasses.asdict(result)]
    assert f"| `lenet5` | `{result.preset}` | 3,136 | 10,000 | 9,919 |" in paths[1].read_text()


def test_each_figure_is_that_of_the_simulation_and_the_best_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []
    paces = iter((9e9, *(100.0 + n for n in range(2 * all_digits.PACES)), 0.0))
    clock = iter((10.0, 13.26, 20.0, 22.04))
    report = {
        "interval_cycles": 3136,
        "images": 500,
        "correct": 490,
        "bit_exact": True,
        "layers": [{"values": 1000, "mismatches": 3}, {"values": 234, "mismatches": 4}],
    }

    def seconds(*arguments: str) -> float:
        commands.append(arguments)
        built = tmp_path / "lenet5-relu-small"
        built.mkdir(exist_ok=True)
        (built / "simulation.json").write_text(json.dumps(report))
        return 0.0

    monkeypatch.setattr(all_digits, "command_seconds", seconds)
    monkeypatch.setattr(all_digits, "pace", lambda _: next(paces))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    result = all_digits.measure("lenet5-relu", "small", tmp_path, "500", 2)
    folder = str(tmp_path / "lenet5-relu-small")
    network = str(tmp_path / "lenet5-relu.npz")
    assert commands == [
        ("generate", network, "--out", folder, "--preset", "small"),
        *2 * [("simulate", folder, "--images", "500")],
    ]
    # The first pace, in which the simulator is built, does not count.
    fastest = 100 + 2 * all_digits.PACES - 1
    assert result == Result(*("lenet5-relu", "small", 3136, 500, 490, 1234, 7, True, 2.0, fastest))


@pytest.mark.parametrize("options", [["--out", "s.txt"], ["--rounds", "0"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        all_digits.main(options)
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err

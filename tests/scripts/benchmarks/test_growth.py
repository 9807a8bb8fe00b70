# amaranth: UnusedElaboratable=no
from __future__ import annotations

import json
from pathlib import Path

import pytest

from systolith.hw.accelerator import Accelerator
from systolith.scripts.benchmarks import growth
from systolith.scripts.benchmarks.growth import Growth, array_case, layers_case


def test_the_exponent_is_that_of_what_is_beyond_the_smallest() -> None:
    sizes = (2, 3, 6, 12)
    for exponent in (0.5, 1.0, 2.0):
        seconds = tuple(7 + 3 * (size - 2) ** exponent for size in sizes)
        assert Growth("work", "things", sizes, seconds).exponent == pytest.approx(exponent)


def test_the_sizes_are_those_of_the_hardware() -> None:
    quantized, plan = array_case(4)
    assert Accelerator(quantized.fixed, plan).multipliers == 4 * 4 + 1
    quantized, plan = layers_case(3)
    accelerator = Accelerator(quantized.fixed, plan)
    assert len(accelerator.units) == 3
    assert accelerator.multipliers == 2 * 9 * 2 + 1


def test_the_command_really_runs() -> None:
    assert growth.generate_seconds(layers_case(2)) > 0.5
    assert growth.plan_seconds(layers_case(2)) > 0.2


@pytest.mark.parametrize(("power", "status"), [(1, 0), (2, 1)])
def test_the_whole(
    power: int,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = iter(
        5.0 + round_number + size**power
        for sizes in ((2, 5, 17), (2, 3, 4)) * 2
        for round_number in (1, 0)
        for size in sizes
    )
    monkeypatch.setattr(growth, "SIDES", (1, 2, 4))
    monkeypatch.setattr(growth, "LAYERS", (2, 3, 4))
    monkeypatch.setattr(growth, "generate_seconds", lambda case: next(taken))
    monkeypatch.setattr(growth, "plan_seconds", lambda case: next(taken))
    paths = [tmp_path / "g.json", tmp_path / "g.md"]
    options = ["--rounds", "2", "--out", str(paths[0]), "--out", str(paths[1])]
    assert growth.main(options) == status
    value = json.loads(paths[0].read_text())
    assert [each["unit"] for each in value["growths"]] == ["multipliers", "layers"] * 2
    assert value["growths"][0]["points"][1] == {"size": 5, "cpu_seconds": 5.0 + 5**power}
    assert paths[1].read_text() == capsys.readouterr().out


@pytest.mark.parametrize("options", [["--out", "g.txt"], ["--rounds", "0"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        growth.main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err

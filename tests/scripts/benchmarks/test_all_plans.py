from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from systolith import hw, sim
from systolith.golden.network.shipped import names
from systolith.scripts.benchmarks import all_plans
from systolith.scripts.benchmarks.all_plans import Plan, Result


def test_every_preset_of_every_network_is_measured() -> None:
    plans = list(all_plans.plans())
    assert len(set(plans)) == len(plans)
    for network in names():
        for preset in ("small", "medium", "large"):
            assert Plan(network, ("--preset", preset)) in plans


@pytest.mark.parametrize(
    ("as_predicted", "bit_exact", "status"), [(True, True, 0), (False, True, 1), (True, False, 1)]
)
def test_a_plan_that_is_not_what_it_says_is_a_failure(
    as_predicted: bool,
    bit_exact: bool,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = Result(
        network="lenet5",
        options="--preset small",
        multipliers=27,
        memory_bits=9,
        mac_efficiency=0.5,
        interval_cycles=15_000,
        latency_cycles=31_000,
        measured_interval_cycles=15_000,
        measured_latency_cycles=31_000,
        as_predicted=as_predicted,
        bit_exact=bit_exact,
        plan_seconds=1.5,
        generate_seconds=4.0,
    )
    monkeypatch.setattr(all_plans, "names", lambda: ())
    monkeypatch.setattr(all_plans, "plans", lambda: [Plan("lenet5", ("--preset", "small"))])
    monkeypatch.setattr(all_plans, "measure", lambda *_: result)
    paths = [tmp_path / "p.json", tmp_path / "p.md"]
    assert all_plans.main(["--out", str(paths[0]), "--out", str(paths[1])]) == status
    assert json.loads(paths[0].read_text())["plans"][0]["interval_cycles"] == 15_000
    row = paths[1].read_text().splitlines()[6]
    assert row.startswith("| `lenet5` | `--preset small` | 27 | 15,000 | 31,000 |")
    assert ("no" in row) == (status == 1)


def test_each_figure_is_that_of_its_own_command_and_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []
    asked: list[object] = []

    def seconds(*arguments: str) -> float:
        commands.append(arguments)
        return {"plan": 1.26, "generate": 4.04}[arguments[0]]

    def simulate(folder: Path, **given: object) -> SimpleNamespace:
        asked.extend((folder, given))
        return SimpleNamespace(
            interval_cycles=101, latency_cycles=303, as_predicted=False, bit_exact=True
        )

    predicted = SimpleNamespace(interval_cycles=100, latency_cycles=300)
    manifest = SimpleNamespace(
        multipliers=27, memory_bits=987_654, mac_efficiency=0.123456, predicted=predicted
    )
    monkeypatch.setattr(all_plans, "command_seconds", seconds)
    monkeypatch.setattr(hw, "load_manifest", lambda _: manifest)
    monkeypatch.setattr(sim, "simulate", simulate)
    plan = Plan("lenet5", ("--preset", "large", "--minimize", "latency"))
    network, built = tmp_path / "q.npz", tmp_path / "lenet5-preset-large-minimize-latency"
    result = all_plans.measure(plan, network, tmp_path, 20)
    file = str(built.with_suffix(".toml"))
    assert commands == [
        ("plan", str(network), *plan.options, "--out", file),
        ("generate", str(network), "--plan", file, "--out", str(built)),
    ]
    assert asked == [built, {"images": 20, "engine": "bulk"}]
    expected = Result(
        network="lenet5",
        options="--preset large --minimize latency",
        multipliers=27,
        memory_bits=987_654,
        mac_efficiency=0.1235,
        interval_cycles=100,
        latency_cycles=300,
        measured_interval_cycles=101,
        measured_latency_cycles=303,
        as_predicted=False,
        bit_exact=True,
        plan_seconds=1.3,
        generate_seconds=4.0,
    )
    assert result == expected
    row = all_plans.to_markdown([expected], 20).splitlines()[6]
    assert row == (
        "| `lenet5` | `--preset large --minimize latency` | 27 | 100 | 300 | no | yes | 0.123 | "
        "987,654 | 1.3 | 4.0 |"
    )


def test_the_largest_preset_is_planned_for_latency_and_one_for_a_number_of_multipliers() -> None:
    found = [each.options for each in all_plans.plans() if each.network == "lenet5-relu"]
    assert found == [
        *(("--preset", each) for each in ("small", "medium", "large")),
        ("--preset", "large", "--minimize", "latency"),
        ("--max-multipliers", "106"),
    ]


@pytest.mark.parametrize("options", [["--out", "p.txt"], ["--digits", "9"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        all_plans.main(options)
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err

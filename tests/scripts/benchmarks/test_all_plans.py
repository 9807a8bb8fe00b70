from __future__ import annotations

import json
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("options", [["--out", "p.txt"], ["--digits", "9"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        all_plans.main(options)
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.quantization import observation
from systolith.hw.silicon.targets import Capacity
from systolith.scripts.sweeping import jobs
from systolith.scripts.sweeping.jobs import Accuracy, Subject, plan_cost, program_version, run_job
from tests.scripts import tiny


def subject(name: str, images: int) -> Subject:
    return Subject(golden.load_network(name), golden.validation_digits().images[:images])


@pytest.mark.parametrize("name", ["lenet5", "lenet5-relu"])
def test_a_plan_costs_the_same_at_all_widths(name: str) -> None:
    own = subject(name, 20)
    goal = hw.Goal(max_multipliers=60)
    cost = plan_cost(own, goal)
    quantized = own.quantized({"weight_bits": 2, "activation_bits": 3, "calibration": "minmax"})
    report = hw.report_plan(quantized, hw.make_plan(quantized.fixed, goal))
    assert report.multipliers == cost.multipliers
    assert report.predicted.interval_cycles == cost.interval_cycles
    assert report.predicted.latency_cycles == cost.latency_cycles


def test_a_network_is_observed_once_for_tasks_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def observe(trained: golden.TrainedNetwork, *more: object) -> golden.Observations:
        seen.append(trained.name)
        return observation.observe(trained, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(golden, "observe", observe)
    for name, images in (("lenet5", 11), ("lenet5", 11), ("lenet5-relu", 11), ("lenet5-relu", 12)):
        subject(name, images).quantized({})
    assert seen == ["lenet5", "lenet5-relu", "lenet5-relu"]


def test_accuracy_is_that_of_evaluate() -> None:
    own, digits = subject("lenet5-relu", 50), golden.validation_digits()
    data = golden.Dataset("some", "validation", digits.images[-300:], digits.known_labels[-300:])
    quantized = golden.quantize(own.trained, own.calibration_images)
    for settings, network in ((None, own.trained), ({}, quantized)):
        expected = golden.evaluate(network, data).matching
        assert jobs.measure_accuracy(own, settings, data) == Accuracy(300, expected)


def test_a_point_is_synthesized_with_the_plan_of_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second design is too large."""
    made: list[tuple[str, Path, hw.Plan]] = []
    synthesized: list[tuple[Path, str]] = []

    def generate(quantized: golden.QuantizedNetwork, folder: Path, plan: hw.Plan) -> None:
        made.append((quantized.sha256, folder, plan))

    def synthesize(folder: Path, target: str) -> SimpleNamespace:
        synthesized.append((folder, target))
        misfit = ("too large",) if len(synthesized) == 2 else ()
        return SimpleNamespace(occupied=Capacity(16, 15, 14, 13, 12), misfit=misfit)

    monkeypatch.setattr("systolith.hw.verilog.artifacts.generate", generate)
    monkeypatch.setattr(jobs, "synthesize_folder", synthesize)
    own = Subject(tiny.quantized().parent, np.zeros((3, 5, 4, 1), np.uint8))
    quantized = own.quantized({"weight_bits": 5})
    for place, most in enumerate((2, 6)):
        goal = hw.Goal(max_multipliers=most)
        cost = jobs.synthesize_point(own, {"weight_bits": 5}, goal, "ecp5-45k")
        assert cost == jobs.SiliconCost(16, 15, 14, 13, 12, fits=place == 0)
        sha256, folder, plan = made[place]
        assert (sha256, plan) == (quantized.sha256, hw.make_plan(quantized.fixed, goal))
        assert synthesized[place] == (folder, "ecp5-45k")
    assert made[0][2] != made[1][2]


def test_another_version_is_refused() -> None:
    assert run_job(len, program_version(), "abc") == 3
    for other in ("9.9", "0.0"):
        with pytest.raises(
            ChildProcessError, match=rf"a worker has systolith .*, and this is .* {other}"
        ):
            run_job(len, other, "abc")


def test_refusals_survive_the_way_between_processes() -> None:
    with pytest.raises(ValueError, match="max_multipliers") as caught:
        run_job(plan_cost, program_version(), subject("lenet5-relu", 5), hw.Goal(max_multipliers=1))
    assert type(caught.value) is ValueError

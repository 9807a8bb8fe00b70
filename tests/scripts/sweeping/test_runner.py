from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.network import float_model
from systolith.golden.network.graph import Convolution, Network
from systolith.scripts.sweeping import jobs, runner
from systolith.scripts.sweeping.jobs import PointResult, SiliconCost
from systolith.scripts.sweeping.outcome import Score, SweepReport
from systolith.scripts.sweeping.pareto import distinct_front
from systolith.scripts.sweeping.runner import Sweep, quantized_front, ranked, sweep
from systolith.scripts.sweeping.workers import Workers
from tests.scripts import tiny


class Here(Executor):
    """Runs every job at once in this process, and records their names."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls.append(args[0].__name__)
        try:
            future.set_result(fn(*args, **kwargs))
        except ValueError as error:
            future.set_exception(error)
        return future


def settings(*pairs: tuple[int, int]) -> list[golden.Settings]:
    return [
        golden.Settings.from_mapping({"weight_bits": weights, "activation_bits": maps})
        for weights, maps in pairs
    ]


def small_sweep() -> Sweep:
    trained = tiny.quantized().parent
    images = np.random.default_rng(3).integers(0, 256, (90, 5, 4, 1), dtype=np.uint8)
    labels = float_model.classes(trained, images)
    return Sweep(
        networks={"tiny": trained},
        settings=settings((8, 8), (4, 8), (3, 3), (2, 2)),
        budgets={"few": hw.Goal(max_multipliers=2), "more": hw.Goal(max_multipliers=6)},
        calibration_images=images[:20],
        validation=golden.Dataset("some", "validation", images[20:60], labels[20:60]),
        test=golden.Dataset("some", "test", images[60:], labels[60:]),
    )


def run(
    folder: Path, request: Sweep | None = None, warn: Callable[[str], None] = pytest.fail
) -> tuple[SweepReport, list[str]]:
    executor = Here()
    report = sweep(request or small_sweep(), folder, Workers(executor), warn=warn)
    return report, executor.calls


def test_points_are_those_of_quantize_and_evaluate(tmp_path: Path) -> None:
    request = small_sweep()
    report, _ = run(tmp_path)
    trained = request.networks["tiny"]
    assert len(report.points) == 4
    for point in report.points:
        own = golden.Settings.from_mapping(point.settings)
        quantized = golden.quantize(trained, request.calibration_images, own)
        assert point.quantized_sha256 == quantized.sha256
        assert point.weight_bits_total == quantized.weight_bits_total
        assert point.validation.correct == golden.evaluate(quantized, request.validation).correct
        assert point.not_built is None
        assert point.on_front == (point.test is not None)
        if point.test is not None:
            assert point.test.correct == golden.evaluate(quantized, request.test).correct
    assert report.networks[0].test.accuracy == report.networks[0].validation.accuracy == 1
    assert [each.rank for each in report.points] == [1, 2, 3, 4]
    accuracies = [each.validation.rate for each in report.points]
    assert accuracies == sorted(accuracies, reverse=True)


def test_accuracies_on_validation_and_on_test_images_are_not_mixed_up(tmp_path: Path) -> None:
    """Labels are changed so that the float network has 39 of 40 right, and 27 of 30."""
    request = small_sweep()
    validation, test = request.validation.known_labels.copy(), request.test.known_labels.copy()
    validation[:1], test[:3] = (validation[:1] + 1) % 3, (test[:3] + 1) % 3
    request = replace(
        request,
        validation=replace(request.validation, labels=validation),
        test=replace(request.test, labels=test),
    )
    report, _ = run(tmp_path, request)
    (network,) = report.networks
    assert (network.validation, network.test) == (Score(39, 0.975), Score(27, 0.9))
    assert (report.data.sha256, report.data.images) == (request.validation.sha256, 40)
    assert (report.test.sha256, report.test.images) == (request.test.sha256, 30)
    assert (report.data.split, report.test.split) == ("validation", "test")
    for point in report.points:
        own = golden.Settings.from_mapping(point.settings)
        fixed = golden.quantize(network_of(request), request.calibration_images, own)
        found = golden.evaluate(fixed, request.validation)
        assert point.validation == Score(found.correct, found.matching / 40)
        if point.test is not None:
            found = golden.evaluate(fixed, request.test)
            assert point.test == Score(found.correct, found.matching / 30)
    best = report.points[0]
    assert best.test is not None and best.test.accuracy != best.validation.accuracy


def network_of(request: Sweep) -> golden.TrainedNetwork:
    return request.networks["tiny"]


def first_unbeaten(choices: Sequence[tuple[tuple[float, ...], Any]]) -> list[Any]:
    """By the definition: nothing is as good everywhere and better somewhere; once for equals."""
    found: dict[tuple[float, ...], Any] = {}
    for costs, name in choices:
        others = (other for other, _ in choices if other != costs)
        if not any(all(a <= b for a, b in zip(o, costs, strict=True)) for o in others):
            found.setdefault(costs, name)
    return list(found.values())


@pytest.mark.parametrize("unlabelled", ["validation", "test"])
def test_scores_without_labels_are_agreements_beside_accuracies(
    unlabelled: str, tmp_path: Path
) -> None:
    """Of the float network with itself, it is 1; all labels are its classes but every third."""
    request = small_sweep()
    parts = {}
    for name in ("validation", "test"):
        data = getattr(request, name)
        labels = data.known_labels.copy()
        labels[::3] = (labels[::3] + 1) % 3
        parts[name] = replace(data, labels=None if name == unlabelled else labels)
    report, _ = run(tmp_path, replace(request, **parts))
    (network,) = report.networks
    for name, score, images in (
        ("validation", network.validation, report.data),
        ("test", network.test, report.test),
    ):
        count = len(parts[name])
        right = count - len(range(0, count, 3))
        labelled = Score(right, right / count)
        assert score == (Score(None, None, 1.0) if name == unlabelled else labelled)
        assert images.measure == ("agreement" if name == unlabelled else "accuracy")
    for point in report.points:
        assert (point.validation.correct is None) == (unlabelled == "validation")
        assert point.test is None or (point.test.correct is None) == (unlabelled == "test")


def test_the_fronts_are_those_of_weights_and_of_multipliers_and_interval(tmp_path: Path) -> None:
    """By the definition, of the figures in the file."""
    found = json.loads(run(tmp_path)[0].to_json())
    points = [
        ((-each["validation"]["accuracy"], each["weight_bits_total"]), each["rank"])
        for each in found["points"]
    ]
    designs = [
        (
            (-point["validation"]["accuracy"], plan["multipliers"], plan["interval_cycles"]),
            (point["rank"], plan["budget"]),
        )
        for point in found["points"]
        for plan in found["plans"]
    ]
    assert found["weight_front"] == first_unbeaten(points)
    hardware_front = [(each["rank"], each["budget"]) for each in found["hardware_front"]]
    assert hardware_front == first_unbeaten(designs)
    assert 1 < len(found["weight_front"]) < len(points)
    assert 1 < len(hardware_front) < len(designs)


def test_plans_and_front(tmp_path: Path) -> None:
    request = small_sweep()
    report, _ = run(tmp_path)
    for plan in report.plans:
        for each in request.settings:
            quantized = golden.quantize(request.networks["tiny"], request.calibration_images, each)
            planned = hw.report_plan(
                quantized, hw.make_plan(quantized.fixed, request.budgets[plan.budget])
            )
            assert planned.multipliers == plan.multipliers
            assert planned.predicted.interval_cycles == plan.interval_cycles
            assert planned.predicted.latency_cycles == plan.latency_cycles
    designs = list(report.designs())
    assert len(designs) == 8
    fewest = [each.costs for each in designs]
    assert report.hardware_front == [designs[place] for place in distinct_front(fewest)]
    weights = [(-each.validation.rate, each.weight_bits_total) for each in report.points]
    assert report.weight_front == [report.points[n].rank for n in distinct_front(weights)]
    assert {*report.weight_front, *(each.rank for each in report.hardware_front)} == {
        each.rank for each in report.points if each.on_front
    }


def test_networks_of_the_fronts_are_made_unless_they_are_there_with_the_same_content(
    tmp_path: Path,
) -> None:
    request = small_sweep()
    report, _ = run(tmp_path)
    wanted = {point.name: point.quantized_sha256 for point in report.points if point.on_front}
    first, second, *_ = wanted
    there = {first: wanted[first], second: "0" * 64, "another": wanted[second]}
    made = quantized_front(request, report, there, Workers(Here()))
    assert {name: hashlib.sha256(content).hexdigest() for name, content in made.items()} == {
        name: sha256 for name, sha256 in wanted.items() if name != first
    }


def test_equal_accuracies_are_ranked_by_all_bits_of_weights_and_not_by_a_weight_s() -> None:
    choices = [("small", each) for each in settings((8, 8))]
    choices += [("large", each) for each in settings((4, 8))]
    results = [PointResult(10, 9, "", bits, None) for bits in (50, 100)]
    assert [point.network for point in ranked(choices, results, "accuracy")] == ["small", "large"]


def test_a_name_is_that_of_a_file_on_every_system() -> None:
    """Without its folder and its suffix, and no other name differs from it in case alone."""
    networks = ("a/My Net.npz", "my_net", "x" * 200 + ".npz", "plain.npz")
    choices = [(name, each) for name in networks for each in settings((8, 6))]
    results = [PointResult(10, 9 - place, "", 1, None) for place in range(4)]
    assert [point.name for point in ranked(choices, results, "accuracy")] == [
        *("My_Net-w8-a6-1", "my_net-w8-a6-2", "x" * 100, "plain-w8-a6"),
    ]


# By network and bits of weights: images that are right, and bits of all weights.
_POINTS = {("a", 8): (36, 250), ("a", 4): (36, 260), ("b", 8): (38, 300), ("b", 4): (30, 310)}
# By network and multipliers of the budget: multipliers, interval, and latency.
_PLANS = {
    ("a", 2): (2, 100, 500),
    ("a", 6): (6, 40, 400),
    ("b", 2): (3, 90, 300),
    ("b", 6): (5, 45, 200),
}
# By network and multipliers of the budget: LUTs and multipliers on the device, and whether it fits.
_SILICON = {
    ("b", 2): (700, 3, True),
    ("b", 6): (650, 9, False),
    ("a", 2): (600, 1, True),
    ("a", 6): (640, 8, True),
}


def test_every_figure_of_a_sweep_is_that_of_its_own_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two networks, two widths, two budgets: results made by hand, of which no two are equal."""
    one, two = (tiny.quantized(seed).parent for seed in (1, 2))
    names = {one.sha256: "a", two.sha256: "b"}
    base = small_sweep()

    def name_of(subject: jobs.Subject) -> str:
        return names[subject.trained.sha256]

    def score_point(subject: jobs.Subject, own: dict[str, Any], data: golden.Dataset) -> Any:
        assert data is base.validation
        right, bits = _POINTS[name_of(subject), own["weight_bits"]]
        return PointResult(40, right, f"{name_of(subject)}{own['weight_bits']}", bits, None)

    def measure(subject: jobs.Subject, own: dict[str, Any] | None, data: golden.Dataset) -> Any:
        name, is_test = name_of(subject), data is base.test
        if own is None:
            right = {"a": (39, 29), "b": (37, 28)}[name][is_test]
            return jobs.Accuracy(len(data), right)
        assert is_test and own["weight_bits"] == 8
        return jobs.Accuracy(len(data), {"a": 25, "b": 27}[name])

    def plan_cost(subject: jobs.Subject, goal: hw.Goal) -> Any:
        return jobs.Cost(*_PLANS[name_of(subject), goal.max_multipliers or 0])

    def synthesize(subject: jobs.Subject, own: Any, goal: hw.Goal, target: str) -> Any:
        luts, multipliers, fits = _SILICON[name_of(subject), goal.max_multipliers or 0]
        assert (own["weight_bits"], target) == (8, "ecp5-25k")
        return SiliconCost(luts, luts + 1, multipliers, luts + 2, luts + 3, fits)

    for job, name in (
        *((score_point, "score_point"), (measure, "measure_accuracy")),
        *((plan_cost, "plan_cost"), (synthesize, "synthesize_point")),
    ):
        job.__name__ = name
        monkeypatch.setattr(jobs, name, job)
    monkeypatch.setattr(runner, "find_tool", lambda _: SimpleNamespace(version="0.99"))
    request = replace(
        base, networks={"a": one, "b": two}, settings=settings((8, 7), (4, 7)), target="ecp5-25k"
    )
    seen: list[tuple[int, int]] = []
    report = sweep(request, tmp_path, Workers(Here()), lambda *each: seen.append(each))

    assert [
        (each.rank, each.network, each.widths, each.weight_bits_total, each.quantized_sha256)
        for each in report.points
    ] == [
        *((1, "b", "8/7", 300, "b8"), (2, "a", "8/7", 250, "a8")),
        *((3, "a", "4/7", 260, "a4"), (4, "b", "4/7", 310, "b4")),
    ]
    assert [each.validation for each in report.points] == [
        *(Score(38, 0.95), Score(36, 0.9), Score(36, 0.9), Score(30, 0.75)),
    ]
    assert [each.test for each in report.points] == [Score(27, 0.9), Score(25, 25 / 30), None, None]
    assert [each.on_front for each in report.points] == [True, True, False, False]
    weights = 12 + 54  # two filters of 3 x 2, and 3 x 3 x 2 values to each of three units
    assert [(each.network, each.name, each.sha256, each.weights) for each in report.networks] == [
        *(("a", "tiny", one.sha256, weights), ("b", "tiny", two.sha256, weights)),
    ]
    assert [(each.validation.correct, each.test.correct) for each in report.networks] == [
        *((39, 29), (37, 28)),
    ]
    assert [msgspec.structs.astuple(each) for each in report.plans] == [
        *(("a", "few", 2, 100, 500), ("a", "more", 6, 40, 400)),
        *(("b", "few", 3, 90, 300), ("b", "more", 5, 45, 200)),
    ]
    # By bits of all weights: of 4 bits, the third point has more of them than the second.
    assert report.weight_front == [1, 2]
    assert [msgspec.structs.astuple(each) for each in report.hardware_front] == [
        (1, "b", "few", 0.95, 300, 3, 90, 300, None),
        (1, "b", "more", 0.95, 300, 5, 45, 200, None),
        (2, "a", "few", 0.9, 250, 2, 100, 500, None),
        (2, "a", "more", 0.9, 250, 6, 40, 400, None),
    ]
    synthesis = report.synthesis
    assert synthesis is not None
    assert (synthesis.target, synthesis.tool) == ("ecp5-25k", "0.99")
    assert [msgspec.structs.astuple(each) for each in synthesis.designs] == [
        (1, "b", "few", 0.95, 90, 700, 701, 3, 702, 703, True, None),
        (1, "b", "more", 0.95, 45, 650, 651, 9, 652, 653, False, None),
        (2, "a", "few", 0.9, 100, 600, 601, 1, 602, 603, True, None),
        (2, "a", "more", 0.9, 40, 640, 641, 8, 642, 643, True, None),
    ]
    # By LUTs alone: what else a design takes decides nothing.
    assert synthesis.lut_front == [1, 2]
    # Plans, points and floats, tests and floats, designs: each stage adds to the number of all.
    stages = [4, 4 + 4 + 2, 4 + 6 + 2 + 2, 4 + 6 + 4 + 4]
    assert list(dict.fromkeys(total for _, total in seen)) == stages
    assert [done for done, _ in seen] == [*range(5), *range(4, 11), *range(10, 15), *range(14, 19)]


def test_ties_go_to_fewer_bits_of_weights_then_of_maps() -> None:
    choices = [("a", each) for each in settings((8, 8), (8, 3), (4, 8), (4, 6), (6, 6), (5, 5))]
    correct_and_bits = [(9, 80), (9, 80), (9, 40), (9, 40), (10, 60), (8, 50)]
    results = [PointResult(10, right, "", bits, None) for right, bits in correct_and_bits]
    points = ranked(choices, results, "accuracy")
    assert [point.widths for point in points] == ["6/6", "4/6", "4/8", "8/3", "8/8", "5/5"]


def test_the_test_set_decides_nothing(tmp_path: Path) -> None:
    request = small_sweep()
    labels = (request.test.known_labels + 1) % 3
    report, _ = run(tmp_path / "a", request)
    other, _ = run(tmp_path / "b", replace(request, test=replace(request.test, labels=labels)))
    assert report.hardware_front == other.hardware_front
    assert report.weight_front == other.weight_front
    assert [p.quantized_sha256 for p in report.points] == [p.quantized_sha256 for p in other.points]
    assert [p.validation for p in report.points] == [p.validation for p in other.points]
    assert [p.test for p in report.points] != [p.test for p in other.points]


def test_cached_results_are_not_computed_again(tmp_path: Path) -> None:
    report, calls = run(tmp_path)
    assert calls.count("score_point") == 4
    assert calls.count("plan_cost") == 2
    again, calls = run(tmp_path)
    assert calls == []
    assert again.to_json() == report.to_json()

    request = small_sweep()
    more = replace(request, settings=[*request.settings, *settings((5, 5))])
    _, calls = run(tmp_path, more)
    assert calls.count("score_point") == 1
    assert calls.count("plan_cost") == 0


def other(data: golden.Dataset, images: bool = False, labels: bool = False) -> golden.Dataset:
    """A data set that differs in one pixel, or in one label."""
    pixels, classes = data.images.copy(), data.known_labels.copy()
    pixels[0, 0, 0, 0] ^= images
    classes[0] = (classes[0] + labels) % 3
    return replace(data, images=pixels, labels=classes)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        # Another goal is another plan, and nothing else.
        (
            lambda request: {
                "budgets": {
                    name: replace(goal, minimize="latency")
                    for name, goal in request.budgets.items()
                }
            },
            {"plan_cost": 2},
        ),
        (lambda request: {"budgets": {"few": hw.Goal(max_multipliers=3)}}, {"plan_cost": 1}),
        # Formats are chosen on other images: every result is another.
        (
            lambda request: {"calibration_images": request.calibration_images[:-1]},
            {"plan_cost": 2, "score_point": 4, "measure_accuracy": "all"},
        ),
        (
            lambda request: {"calibration_images": request.calibration_images ^ 1},
            {"plan_cost": 2, "score_point": 4, "measure_accuracy": "all"},
        ),
        (
            lambda request: {"calibration_name": "other"},
            {"plan_cost": 2, "score_point": 4, "measure_accuracy": "all"},
        ),
        (
            lambda request: {"networks": {"tiny": tiny.quantized(seed=2).parent}},
            {"plan_cost": 2, "score_point": 4, "measure_accuracy": "all"},
        ),
        # Points and the float network are scored again; what is tested depends on the front.
        (
            lambda request: {"validation": other(request.validation, images=True)},
            {"score_point": 4, "measure_accuracy": "some"},
        ),
        (
            lambda request: {"validation": other(request.validation, labels=True)},
            {"score_point": 4, "measure_accuracy": "some"},
        ),
        (
            lambda request: {"test": other(request.test, images=True)},
            {"measure_accuracy": "tests"},
        ),
        (
            lambda request: {"test": other(request.test, labels=True)},
            {"measure_accuracy": "tests"},
        ),
        # A name of a network or a budget is no input of any result.
        (lambda request: {"networks": {"other": request.networks["tiny"]}}, {}),
    ],
    ids=[
        *("minimize", "budget", "fewer calibration images", "other calibration images"),
        *("calibration name", "network", "validation images", "validation labels"),
        *("test images", "test labels", "name of the network"),
    ],
)
def test_a_result_of_other_inputs_is_not_taken_from_the_cache(
    tmp_path: Path, change: Callable[[Sweep], dict[str, Any]], again: dict[str, Any]
) -> None:
    run(tmp_path)
    request = replace(small_sweep(), **change(small_sweep()))
    report, calls = run(tmp_path, request)
    counts = {name: calls.count(name) for name in set(calls)}
    measured, tested = counts.pop("measure_accuracy", 0), sum(p.on_front for p in report.points)
    least, most = {
        None: (0, 0),
        "tests": (1 + tested, 1 + tested),
        "some": (1, 1 + tested),
        "all": (2 + tested, 2 + tested),
    }[again.get("measure_accuracy")]
    assert least <= measured <= most
    assert counts == {name: n for name, n in again.items() if name != "measure_accuracy"}
    fresh, _ = run(tmp_path / "fresh", request)
    assert report.to_json() == fresh.to_json()


def test_a_result_of_another_version_of_the_program_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = run(tmp_path)
    for module in (jobs, runner):
        monkeypatch.setattr(module, "program_version", lambda: "99")
    report, calls = run(tmp_path)
    assert (report.version, calls) == ("99", whole)


def test_a_sweep_that_was_stopped_continues(tmp_path: Path) -> None:
    report, every = run(tmp_path / "whole")
    for stop in range(1, len(every)):
        folder = tmp_path / f"{stop}"

        def until(done: int, _: int, stop: int = stop) -> None:
            if done == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sweep(small_sweep(), folder, Workers(Here()), until)
        rest, calls = run(folder)
        assert len(calls) == len(every) - stop
        assert rest.to_json() == report.to_json()


def test_a_damaged_result_is_computed_again(tmp_path: Path) -> None:
    report, _ = run(tmp_path)
    victim = next((tmp_path / "cache").glob("point-*.json"))
    victim.write_bytes(victim.read_bytes()[:100])
    warnings: list[str] = []
    again, calls = run(tmp_path, warn=warnings.append)
    assert calls == ["score_point"]
    assert warnings == [f"{victim}: damaged, so it is computed again"]
    assert again.to_json() == report.to_json()


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path / "a")
    run(tmp_path / "b")
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.json")}
        for name in "ab"
    )
    assert first == second


def test_points_without_hardware_have_no_designs(tmp_path: Path) -> None:
    rounding = {"weight_bits": 7, "activation_bits": 7, "rounding": "floor"}
    other = golden.Settings.from_mapping(rounding)
    request = replace(small_sweep(), settings=[other, *settings((8, 8))])
    report, _ = run(tmp_path, request)
    refused = {point.widths: point.not_built for point in report.points}
    assert refused["8/8"] is None
    assert "hardware builds the rounding 'half_up' only" in (refused["7/7"] or "")
    assert {each.weight_bits_total for each in report.designs()} == {
        point.weight_bits_total for point in report.points if point.widths == "8/8"
    }
    assert "## Not built\n\n- point " in report.to_markdown()


def test_a_point_without_hardware_is_on_no_front_though_it_is_the_best(tmp_path: Path) -> None:
    rounding = {"weight_bits": 8, "activation_bits": 8, "rounding": "floor"}
    best = golden.Settings.from_mapping(rounding)
    request = replace(small_sweep(), settings=[*settings((8, 2)), best])
    report, _ = run(tmp_path, request)
    assert [(each.widths, each.not_built is None) for each in report.points] == [
        *(("8/8", False), ("8/2", True)),
    ]
    assert report.weight_front == [2]
    assert {each.rank for each in report.hardware_front} == {2}


def test_weights_that_are_not_connected_are_not_counted(tmp_path: Path) -> None:
    """6 of two filters, 4 of three connections, and 8 of each of three units."""
    first, conv, dense = tiny.quantized().parent.network.layers
    sparse = Convolution(
        name="sparse",
        inputs=("conv",),
        kernel=(2, 2),
        out_channels=2,
        connection_table=((0,), (0, 1)),
    )
    network = Network("sparse", (first, conv, sparse, replace(dense, inputs=("sparse",))))
    rng = np.random.default_rng(1)
    arrays = {
        layer.name: {key: rng.normal(size=shape) for key, shape in layer.array_shapes(of).items()}
        for layer, of, _ in network.computing_layers()
    }
    arrays["sparse"]["weights"][:, :, 1, 0] = 0
    trained = golden.TrainedNetwork(network, arrays)
    request = replace(
        small_sweep(),
        networks={"sparse": trained},
        settings=settings((8, 8)),
        budgets={"few": hw.Goal(max_multipliers=3)},
    )
    report, _ = run(tmp_path, request)
    assert report.networks[0].weights == 2 * 6 + 3 * 4 + 3 * 8


def test_what_cannot_be_swept(tmp_path: Path) -> None:
    request = small_sweep()
    trained = request.networks["tiny"]
    digits = golden.test_digits().take(2)
    strange = replace(request.test, labels=request.test.known_labels * 0 + 3)
    for change, message in (
        ({"networks": {}}, "needs at least one network"),
        ({"settings": []}, "needs at least one settings"),
        ({"budgets": {}}, "needs at least one budget"),
        ({"networks": {"a": trained, "b": trained}}, "network 'b' is the same as 'a'"),
        ({"settings": settings((8, 8), (8, 8))}, "settings '2' is the same as '1'"),
        (
            {"test": digits},
            r"data 'mnist' \(test\) has images of 28 x 28 x 1, network 'tiny' takes",
        ),
        ({"validation": digits}, "28 x 28 x 1"),
        ({"test": strange}, "has the label 3, network 'tiny' has the classes 0 to 2"),
        ({"settings": [golden.Settings(layers={"C9": {"weight_bits": 4}})]}, "no layer 'C9'"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(request, **change)
    few = replace(request, budgets={"one": hw.Goal(max_multipliers=1)})
    with pytest.raises(ValueError, match="max_multipliers must be at least 2"):
        run(tmp_path, few)


def test_a_synthesis_is_cached_by_all_that_it_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(
        weights: int = 8, budget: str = "few", target: str = "ecp5-25k", version: str = "0.70"
    ) -> str:
        tool = SimpleNamespace(version=version)
        monkeypatch.setattr(runner, "find_tool", lambda name: tool)
        request = replace(small_sweep(), target=target)
        found = runner._Tasks(request).synthesis("tiny", {"weight_bits": weights}, budget)
        assert found.arguments[1:] == ({"weight_bits": weights}, request.budgets[budget], target)
        return found.key

    assert key() == key()
    others = key(weights=4), key(budget="more"), key(target="ecp5-85k"), key(version="0.71")
    assert len({key(), *others}) == 5


def test_points_of_the_fronts_are_synthesized_under_every_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synthesize_point(
        subject: jobs.Subject, settings: dict[str, Any], goal: hw.Goal, target: str
    ) -> SiliconCost:
        assert target == "ecp5-25k" and goal.max_multipliers is not None
        luts = 100 * settings["weight_bits"] + goal.max_multipliers
        return SiliconCost(luts, 7, 6, 5, 4, fits=luts < 800)

    monkeypatch.setattr(jobs, "synthesize_point", synthesize_point)
    request = replace(small_sweep(), target="ecp5-25k")
    report, calls = run(tmp_path, request)
    found = report.synthesis
    assert found is not None and found.target == "ecp5-25k"
    points = {point.rank: point for point in report.points}
    expected = [
        (rank, budget) for rank in points if points[rank].on_front for budget in ("few", "more")
    ]
    assert [(each.rank, each.budget) for each in found.designs] == expected
    assert calls.count("synthesize_point") == len(expected)
    for each in found.designs:
        luts = 100 * points[each.rank].settings["weight_bits"] + (2 if each.budget == "few" else 6)
        assert (each.luts, each.fits) == (luts, luts < 800)
    choices = [((-each.rate, each.luts), place) for place, each in enumerate(found.designs)]
    assert sorted(found.lut_front) == sorted(first_unbeaten(choices))
    again, calls = run(tmp_path, request)
    assert again == report and calls == []
    _, calls = run(tmp_path, replace(request, target=None))
    assert calls == []

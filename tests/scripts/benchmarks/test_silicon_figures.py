from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw
from systolith.hw.accelerator import part_module
from systolith.hw.planning.budget import Goal, make_plan
from systolith.hw.silicon.estimation import (
    FEATURES,
    Coefficients,
    FamilyCoefficients,
    coefficients,
)
from systolith.hw.silicon.synthesis_report import PartEntry
from systolith.hw.silicon.targets import DEVICES, Capacity
from systolith.scripts.benchmarks import silicon_figures
from systolith.scripts.benchmarks.silicon_figures import (
    FITTED,
    error,
    fit,
    fit_family,
    made_network,
    part_entries,
    to_markdown,
)


def test_coefficients_are_found_again() -> None:
    rng = np.random.default_rng(1)
    wanted = dict.fromkeys(FEATURES, 0.0) | {"adder": 1.5, "register": 0.25, "multiplier": 20.0}
    rows = []
    for _ in range(40):
        values = [int(each) for each in rng.integers(0, 1000, len(FEATURES))]
        values[FEATURES.index("multiplier")] %= 5
        count = sum(value * wanted[name] for name, value in zip(FEATURES, values, strict=True))
        rows.append((values, round(count)))
    found = fit(rows)
    assert found == {
        name: pytest.approx(each, abs=0.01) for name, each in wanted.items() if name != "multiplier"
    } | {"multiplier": pytest.approx(20, abs=1)}


def part(name: str, luts: int, flip_flops: int, occupied: Capacity) -> PartEntry:
    return PartEntry(name, luts, 0, flip_flops, 0, 0, 0, occupied, 0, None)


def test_logic_carries_and_flip_flops_are_fitted_on_their_own() -> None:
    """A part of one feature each: of 700 LUTs 400 are logic, and 2 for each of 20 memories."""
    family = DEVICES["ecp5-85k"].family
    memories = 20 * family.luts_of_distributed_memory
    ones = [[int(n == place) for n in range(len(FEATURES))] for place in range(2)]
    rows = [
        (ones[0], part("a", 400, 900, Capacity(700, 900, 0, 0, 20))),
        (ones[1], part("b", 100, 50, Capacity(130, 50, 0, 0, 0))),
    ]
    found = fit_family(family, rows)
    first, second, *others = FEATURES
    for fitted, expected in (
        (found.logic_luts, (400, 100)),
        (found.carry_luts, (300 - memories, 30)),
        (found.flip_flops, (900, 50)),
    ):
        assert (fitted[first], fitted[second]) == pytest.approx(expected)
        assert {fitted[name] for name in others} <= {0.0}


def test_families_that_are_not_fitted_keep_their_coefficients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, other, new = (FamilyCoefficients({"adder": n}, {}, {}) for n in (1.0, 2.0, 3.0))
    family = DEVICES["ecp5-85k"].family.name
    before = Coefficients("before", {family: old, "other": other})
    monkeypatch.setattr(silicon_figures, "FITTED", ())
    monkeypatch.setattr(silicon_figures, "coefficients", lambda: before)
    monkeypatch.setattr(silicon_figures, "fit_family", lambda *_: new)
    found = silicon_figures.fitted(["ecp5-85k"])
    assert found.families == {family: new, "other": other}


def test_parts_are_found_by_the_names_of_their_modules() -> None:
    nothing = Capacity(0, 0, 0, 0, 0)
    layers = [part(name, 1, 1, nothing) for name in ("C1", "F6")]
    others = [part(name, 1, 1, nothing) for name in ("frame checker", "classifier", "top")]
    report: Any = SimpleNamespace(layers=layers, parts=others)
    found = part_entries(report, "net")
    expected = ["unit_C1", "unit_F6", "frame_checker", "classifier"]
    assert {name: each.name for name, each in found.items()} == {
        part_module("net", module): entry.name
        for module, entry in zip(expected, [*layers, *others], strict=False)
    } | {"net": "top"}


def test_each_network_is_placed_with_its_plan_on_its_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two networks under two budgets, which the presets give."""
    asked: list[Any] = []

    @contextmanager
    def generated(quantized: object, plan: object) -> Iterator[tuple[object, object]]:
        yield quantized, plan

    def synthesize(rtl: object, *given: object) -> dict[str, object]:
        asked.append((rtl, *given))
        return {"number": len(asked)}

    monkeypatch.setattr(silicon_figures, "calibration_images", lambda: None)
    monkeypatch.setattr(golden, "load_network", lambda name: name)
    monkeypatch.setattr(
        silicon_figures, "quantize", lambda name, _: SimpleNamespace(fixed=f"twin of {name}")
    )
    monkeypatch.setattr(silicon_figures, "make_plan", lambda *given: given)
    monkeypatch.setattr(silicon_figures, "generated", generated)
    monkeypatch.setattr(silicon_figures, "synthesize_folder", synthesize)
    found = silicon_figures.placed()
    assert found == [
        {"design": f"{name} {preset}", "number": n}
        for n, (name, preset, _, _) in enumerate(silicon_figures.PLACED, 1)
    ]
    for (rtl, *given), (name, preset, target, grade) in zip(
        asked, silicon_figures.PLACED, strict=True
    ):
        quantized, plan = rtl
        assert plan == (f"twin of {name}", hw.PRESETS[preset])
        assert quantized.fixed == f"twin of {name}"
        assert given == [target, grade, silicon_figures.SEEDS]


def test_made_networks_can_be_planned() -> None:
    quantized = made_network(FITTED[2])
    plan = make_plan(quantized.fixed, Goal(max_multipliers=FITTED[2].multipliers))
    assert list(plan) == ["C1", "S2", "C3", "F4", "output"]
    assert len({made.name for made in FITTED}) == len(FITTED)


def test_errors_are_relative() -> None:
    assert error(100, 100) == 0.0
    assert error(1200, 1000) == pytest.approx(0.2)
    assert error(50, 0) == 50


def test_the_documents_have_the_errors_of_the_estimates() -> None:
    docs = Path(__file__).parents[3] / "docs"
    found: dict[str, dict[str, list[float]]] = {}
    for each in json.loads((docs / "silicon.json").read_text())["estimates"]:
        for name, real in each["real"].items():
            of = found.setdefault(each["target"], {}).setdefault(name, [])
            of.append(100 * error(each["estimate"][name], real))
    text = (docs / "synthesis.md").read_text()
    for target, errors in found.items():
        cells = []
        for each in errors.values():
            low, high = (f"{round(of):+d}" if round(of) else "0" for of in (min(each), max(each)))
            cells.append(f"{low} to {high} %" if any(each) else "exact")
        assert f"| `{target}` | {' | '.join(cells)} |\n" in text


@pytest.mark.parametrize(
    ("changes", "options", "status"),
    [
        ({}, [], 0),
        ({"luts": 1199}, ["--place"], 0),
        ({"luts": 801}, [], 0),
        ({"luts": 1201}, [], 1),
        # Too small an estimate is as wrong as too large a one.
        ({"flip_flops": 1590}, [], 1),
        ({"block_memories": 3}, [], 1),
    ],
)
def test_an_estimate_that_is_far_off_is_a_failure(
    changes: dict[str, int],
    options: list[str],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = {"luts": 1000, "flip_flops": 2000, "multipliers": 3}
    real |= {"block_memories": 4, "distributed_memories": 5}
    estimates = [
        {"design": "a", "target": "ecp5-85k", "estimate": real | each, "real": real}
        for each in (changes, {})
    ]
    made = Coefficients("schema", {})
    asked: list[object] = []

    def fitted(targets: object) -> Coefficients:
        asked.append(targets)
        return made

    def validated(targets: object) -> list[dict[str, Any]]:
        asked.append(targets)
        return estimates

    monkeypatch.setattr(silicon_figures, "_COEFFICIENTS", tmp_path / "coefficients.json")
    monkeypatch.setattr(silicon_figures, "fitted", fitted)
    monkeypatch.setattr(silicon_figures, "validated", validated)
    monkeypatch.setattr(silicon_figures, "placed", list)
    words = ["--out", str(tmp_path), "--targets", "gowin-gw2a18", "xc7a100t", *options]
    try:
        assert silicon_figures.main(words) == status
    finally:
        coefficients.cache_clear()
    assert asked == 2 * [["gowin-gw2a18", "xc7a100t"]]
    document = json.loads((tmp_path / "silicon.json").read_text())
    assert document == {"schema": "systolith.silicon/1", "estimates": estimates, "placements": []}
    assert json.loads((tmp_path / "coefficients.json").read_text())["families"] == {}
    assert (tmp_path / "silicon.md").read_text() == to_markdown(document)


def test_the_page_has_every_figure() -> None:
    capacity = {"luts": 1000, "flip_flops": 2000, "multipliers": 3}
    capacity |= {"block_memories": 4, "distributed_memories": 5}
    document = {
        "estimates": [
            {
                "design": "net small",
                "target": "ecp5-85k",
                "estimate": capacity | {"luts": 1100},
                "real": capacity,
            }
        ],
        "placements": [
            {
                "design": "net small",
                "part": "LFE5U-85F",
                "grade": "6",
                "clock_mhz": 91.25,
                "best_clock_mhz": 93.0,
                "occupied": capacity,
                "images_per_second": 12345.6,
                "latency_us": 70.1,
            }
        ],
    }
    page = to_markdown(document)
    assert "| net small | ecp5-85k | LUTs | 1,100 | 1,000 | +10.0% |" in page
    assert "| net small | LFE5U-85F | 6 | 91.2 | 93.0 | 1,000 | 12,346 | 70.1 us |" in page
    assert "After routing" not in to_markdown(document | {"placements": []})

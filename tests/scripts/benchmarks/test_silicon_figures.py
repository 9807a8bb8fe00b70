from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.hw.planning.budget import Goal, make_plan
from systolith.hw.silicon.estimation import FEATURES, Coefficients, coefficients
from systolith.scripts.benchmarks import silicon_figures
from systolith.scripts.benchmarks.silicon_figures import (
    FITTED,
    error,
    fit,
    made_network,
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

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from systolith.hw.planning.budget import Goal, make_plan
from systolith.hw.silicon.estimation import FEATURES
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

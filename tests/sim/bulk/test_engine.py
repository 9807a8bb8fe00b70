"""The processes that simulate parts of the images: what they are told, and how each may end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from systolith.sim.bulk import engine
from systolith.sim.bulk.program import RULE_BROKEN_STATUS
from systolith.sim.errors import SimulationError
from systolith.sim.record.taps import RuleBroken
from tests.sim.toy_network import toy_images, toy_network


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each process, which does nothing and ends well."""
    calls: list[dict[str, Any]] = []

    def command_line(*_: object, **options: Any) -> list[str]:
        calls.append(options)
        return ["true"]

    monkeypatch.setattr(engine, "build_engine", lambda network: Path("engine"))
    monkeypatch.setattr(engine, "command_line", command_line)
    return calls


def run(images: int = 12, stalls: int | None = None) -> None:
    list(engine.simulate_bulk(toy_network(), toy_images(images), stalls, processes=4))


def test_a_worker_that_ends_early_without_an_error_is_one(told: list[dict[str, Any]]) -> None:
    with pytest.raises(SimulationError, match=r"the simulation of images 0 to 11 .*status 0"):
        run()


def test_a_worker_that_ends_in_mid_image_is_an_error(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = toy_network().record_type.itemsize
    words = ["head", "-c", str(12 * size - 1), "/dev/zero"]
    monkeypatch.setattr(engine, "command_line", lambda *_, **options: words)
    with pytest.raises(SimulationError, match="the simulation of images 11 to 11"):
        run()


def test_a_broken_rule_is_what_the_worker_wrote(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"echo C1: valid was dropped >&2; exit {RULE_BROKEN_STATUS}"
    monkeypatch.setattr(engine, "command_line", lambda *_, **options: ["sh", "-c", script])
    with pytest.raises(RuleBroken, match=r"^C1: valid was dropped$"):
        run()


def test_every_part_pauses_in_its_own_way(told: list[dict[str, Any]]) -> None:
    for stalls in range(5):
        with pytest.raises(SimulationError):
            run(40, stalls)
    assert [(each["first"], each["count"]) for each in told[:4]] == [
        *((0, 10), (10, 10), (20, 10), (30, 10))
    ]
    seeds = [each["seed"] for each in told]
    assert len(set(seeds)) == 20 and all(seeds)


def test_without_stalls_no_part_pauses(told: list[dict[str, Any]]) -> None:
    with pytest.raises(SimulationError):
        run(40)
    assert [each["seed"] for each in told] == [0] * 4

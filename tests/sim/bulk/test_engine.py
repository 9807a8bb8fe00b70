"""The processes that simulate parts of the images: what they are told, and how each may end."""

from __future__ import annotations

import os
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

    monkeypatch.setattr(engine, "build_engine", lambda network, trace=False: Path("engine"))
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


@pytest.mark.parametrize("image", [0, 9, 10, 25, 39])
def test_a_waveform_is_of_the_part_of_its_image_with_the_pauses_of_the_run(
    image: int, told: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    with pytest.raises(SimulationError):
        run(40, stalls=3)
    (part,) = (each for each in told if 0 <= image - each["first"] < each["count"])
    told.clear()
    # A process that writes no waveform is an error afterwards.
    with pytest.raises((SimulationError, FileNotFoundError)):
        engine.trace_image(toy_network(), toy_images(40), 3, image, (2, 5), tmp_path / "w.fst")
    (found,) = told
    assert found["seed"] == part["seed"]
    assert (found["first"], found["count"]) == (0, part["count"])
    assert found["image"] == image - part["first"]
    assert (found["layer"], found["beat"]) == (2, 5)
    # Nothing but pauses happens to it.
    assert (found["reset_cycles"], found["wrong_frames"]) == (0, 0)

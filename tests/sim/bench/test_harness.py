"""The loop over the parts of a bench, edge by edge, without a simulator."""

from __future__ import annotations

from typing import Any

import pytest

from systolith.golden.network.graph import Shape
from systolith.hw.streams.result_layout import ResultLayout
from systolith.sim.bench import harness as module
from systolith.sim.bench.harness import Harness
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.taps import NetworkStreams, RuleBroken
from tests.sim.bench.test_endpoints import FakePort

STREAMS = NetworkStreams(
    BeatFormat(1, 8, False), Shape(1, 1, 1), (), ResultLayout("scores", 8, 1, ()), patience=3
)


class Part:
    """Takes a beat at the edges that are told, and notes what happens."""

    def __init__(self, name: str, takes: set[int]) -> None:
        self.name, self.takes = name, takes
        self.seen: list[int] = []
        self.restarts = 0

    def clock(self, cycle: int) -> bool:
        self.seen.append(cycle)
        return cycle in self.takes

    def restart(self) -> None:
        self.restarts += 1

    def state(self) -> str:
        return f"{self.name} saw {len(self.seen)}"


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakePort]:
    found: dict[str, FakePort] = {}

    def bit(dut: object, name: str) -> FakePort:
        return found.setdefault(name, FakePort())

    class Nothing:
        def __init__(self, *_: object) -> None:
            pass

        def start(self) -> None:
            pass

    monkeypatch.setattr(module, "bit", bit)
    monkeypatch.setattr(module, "Clock", Nothing)
    monkeypatch.setattr(module, "RisingEdge", Nothing)
    monkeypatch.setattr(module, "Event", lambda: None)
    monkeypatch.setattr("cocotb.start_soon", lambda coroutine: coroutine.close())
    return found


def out_of_reset(ports: dict[str, FakePort], *parts: Part, cycles: int = 4) -> Any:
    """A harness after its first reset."""
    dut: Any = None
    harness = Harness(dut, STREAMS)
    for part in parts:
        harness.add(part)
    ports["m_axis_tvalid"].bits = "0"
    start(harness.reset(cycles))
    for _ in range(cycles):
        harness._edge()
    return harness


def start(waiting: Any) -> None:
    """Run a coroutine up to where it would wait for an event of the simulator."""
    with pytest.raises(AttributeError, match="wait"):
        waiting.send(None)


@pytest.mark.parametrize("cycles", [1, 4, 9])
def test_a_reset_takes_its_cycles_and_restarts_every_part_once(
    ports: dict[str, FakePort], cycles: int
) -> None:
    first, second = Part("a", set()), Part("b", set())
    harness = out_of_reset(ports, first, second, cycles=cycles)
    assert [first.restarts, second.restarts] == [1, 1]
    assert (harness.cycle, first.seen) == (0, [])
    assert ports["aresetn"].written == [0, 0, 1]
    harness._edge()
    assert first.seen == second.seen == [1]
    start(harness.reset(cycles))
    for _ in range(cycles - 1):
        harness._edge()
    assert ports["aresetn"].bits == "0"
    harness._edge()
    assert ports["aresetn"].bits == "1"
    # Cycles of a reset are not counted.
    assert (harness.cycle, first.restarts) == (1, 2)


def test_a_result_that_is_valid_at_the_end_of_a_reset_breaks_a_rule(
    ports: dict[str, FakePort],
) -> None:
    harness = out_of_reset(ports, cycles=1)
    start(harness.reset(2))
    ports["m_axis_tvalid"].bits = "1"
    harness._edge()
    with pytest.raises(RuleBroken, match=r"m_axis: tvalid is high during reset \(cycle 0\)"):
        harness._edge()


def test_before_the_first_reset_nothing_can_be_waited_for(ports: dict[str, FakePort]) -> None:
    dut: Any = None
    harness = Harness(dut, STREAMS)
    with pytest.raises(RuntimeError, match="the network is in reset: await `reset` first"):
        harness.until(lambda: True).send(None)


def test_a_network_is_stuck_after_its_patience_while_somebody_waits(
    ports: dict[str, FakePort],
) -> None:
    """Any part that takes a beat counts, whichever is called last."""
    moving, still = Part("moving", {3, 9}), Part("still", set())
    harness = out_of_reset(ports, moving, still)
    for _ in range(8):
        harness._edge()
    assert harness.cycle == 8
    harness._waiting.append((lambda: False, None))
    for _ in range(4):
        harness._edge()
    # Moved in cycle 9; 10, 11 and 12 are as many as it may take.
    with pytest.raises(RuleBroken) as stuck:
        harness._edge()
    assert str(stuck.value) == (
        "nothing moved for 4 cycles; moving saw 13, still saw 13 (cycle 13)"
    )


def test_a_bench_whose_parent_is_gone_ends(
    ports: dict[str, FakePort], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = out_of_reset(ports)
    for _ in range(1023):
        harness._edge()
    monkeypatch.setattr("os.getppid", lambda: 1)
    with pytest.raises(RuntimeError, match="the parent process has ended"):
        harness._edge()

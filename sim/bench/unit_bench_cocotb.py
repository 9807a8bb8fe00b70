"""The cocotb side of `unit_bench`, which runs inside the simulator.

It plays one stall pattern or pace after another, and ends at the first that fails.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge, Timer
from numpy.typing import NDArray

from systolith.sim.bench.cocotb_run import read_task, write_result
from systolith.sim.bench.endpoints import (
    BeatCycles,
    Frame,
    ReadyDriver,
    StreamDriver,
    StreamMonitor,
    read,
)
from systolith.sim.bench.handles import bit, port, stream_ports
from systolith.sim.record import stalls
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.scoreboard import LayerScoreboard

_PERIOD = 20  # simulator steps; the high half leaves room to change inputs and look
_FIRST_CYCLE = 2  # the first edge after a reset lets a beat be offered in the cycle after it
_RESETS = 3
_PROBED_CYCLES = 100
_QUIET_CYCLES = 64
_INVERTED = str.maketrans("01", "10")

Beats = list[tuple[int, bool]]


class Failed(Exception):
    """A pattern failed; `Bench.failures` says why."""


@dataclass
class Bench:
    """The unit, its source, its sink and its monitor.

    Parameters
    ----------
    dut
        The flat module.
    task
        The task that `unit_bench` wrote.
    frames, expected
        The arguments of `run_unit_bench`.
    """

    dut: HierarchyObject
    task: dict[str, Any]
    frames: NDArray[np.int64]
    expected: NDArray[np.int64]
    failures: list[str] = field(default_factory=list)
    cycle: int = 0

    def __post_init__(self) -> None:
        for name, value in self.task["constants"].items():
            port(self.dut, name).value = value
        source, sink = stream_ports(self.dut, "i_"), stream_ports(self.dut, "o_")
        input_format = BeatFormat(**self.task["input"])
        output_format = BeatFormat(**self.task["output"])
        self.beats = [pack_frame(input_format, frame) for frame in self.frames]
        self.driver = StreamDriver(source)
        self.sink = ReadyDriver(sink)
        self.monitor = StreamMonitor(
            self.task["name"],
            sink,
            output_format,
            self.expected[0].size // output_format.lanes,
            self._compare,
            self.failures.append,
        )
        self.reset_signal = bit(self.dut, "rst")
        self.edge = RisingEdge(bit(self.dut, "clk"))
        self.parent = os.getppid()
        self.complete = 0
        self.output = BeatCycles()

    @property
    def given(self) -> int:
        """The number of beats that came out."""
        return len(self.output.taken) + self.monitor.frame.beats

    def cycles(self) -> dict[str, list[int]]:
        """The cycles of all beats, counted from the first cycle that can offer one."""
        streams = {
            "taken": self.driver.cycles.taken,
            "offered": self.output.offered,
            "given": self.output.taken,
        }
        return {name: [cycle - _FIRST_CYCLE for cycle in of] for name, of in streams.items()}

    def _compare(self, frame: Frame) -> None:
        index = self.complete
        self.complete += 1
        self.output.offered += frame.cycles.offered
        self.output.taken += frame.cycles.taken
        if index >= len(self.expected):
            self.failures.append(f"{self.task['name']}: more frames come out than went in")
            return
        board = LayerScoreboard(self.task["name"])
        expected = self.expected[index : index + 1]
        board.compare(index, expected, np.array(frame.values).reshape(expected.shape))
        if board.result.mismatches:
            self.failures.append(str(board.result))

    async def reset(self) -> None:
        """Reset the unit for two cycles, and forget all frames."""
        self.driver.start([], itertools.repeat(True))
        self.sink.start(itertools.repeat(True))
        self.reset_signal.value = 1
        await self.edge
        self.sink.clock()
        await self.edge
        self.reset_signal.value = 0
        self.monitor.restart()
        self.complete = 0
        self.output = BeatCycles()
        self.cycle = 0

    async def clock(self) -> bool:
        """One rising edge; returns whether a beat went in or out."""
        await self.edge
        self.cycle += 1
        went_in = self.driver.clock(self.cycle)
        went_out = self.monitor.clock(self.cycle)
        self.sink.clock()
        if self.failures:
            raise Failed
        if self.cycle % 4096 == 0 and os.getppid() != self.parent:
            raise RuntimeError("the parent process has ended")
        return went_in or went_out

    async def until(self, done: Callable[[], bool]) -> None:
        """Clock until `done`; fail if nothing moves for too long."""
        idle = 0
        while not done():
            idle = 0 if await self.clock() else idle + 1
            if idle > self.task["patience"]:
                self.failures.append(
                    f"{self.task['name']}: nothing moved for {idle} cycles, after "
                    f"{self.driver.taken} beats in, {self.complete} of {len(self.expected)} frames "
                    f"out and {len(self.monitor.frame.values)} values of the next"
                )
                raise Failed

    async def all_frames(self, idle: Iterator[bool], busy: Iterator[bool]) -> None:
        """Stream all frames with these pauses, and check that nothing follows them."""
        self.driver.start(itertools.chain.from_iterable(self.beats), idle)
        self.sink.start(busy)
        await self.until(self.finished)
        await self.quiet()

    async def quiet(self) -> None:
        """Check for some cycles that no beat comes out."""
        self.sink.start(stalls.pauses("none"))
        for _ in range(_QUIET_CYCLES):
            if await self.clock():
                self.failures.append(f"{self.task['name']}: more beats come out than were expected")
                raise Failed

    def finished(self) -> bool:
        """Whether all frames went in and came out."""
        return self.driver.exhausted and self.complete == len(self.expected)


async def paced(bench: Bench, offers: Sequence[int], takes: Sequence[int]) -> None:
    """Offer and take each beat in the first cycle that the pace allows."""

    def before(cycles: Sequence[int], beat: Callable[[], int]) -> Iterator[bool]:
        """For each cycle: whether it is before the cycle of the next beat."""
        while beat() < len(cycles):
            yield bench.cycle + 1 - _FIRST_CYCLE < cycles[beat()]

    idle = before(offers, lambda: bench.driver.taken)
    busy = before(takes, lambda: bench.given)
    await bench.all_frames(idle, busy)


async def ready_held_low(bench: Bench) -> None:
    """Hold `ready` low until the unit is full: `valid` must rise and stay high."""
    bench.driver.start(itertools.chain.from_iterable(bench.beats), stalls.pauses("none"))
    bench.sink.start(itertools.repeat(True))
    cycles = 0
    while not bench.monitor.valid:
        await bench.clock()
        cycles += 1
        if cycles > bench.task["patience"]:
            bench.failures.append(f"{bench.task['name']}: valid waits for ready")
            raise Failed
    # Once nothing more goes in, all buffers are full, if there are enough beats.
    idle = 0
    while idle < _QUIET_CYCLES:
        idle = 0 if await bench.clock() else idle + 1
    bench.sink.start(stalls.pauses("none"))
    await bench.until(bench.finished)
    await bench.quiet()


async def reset_in_mid_frame(bench: Bench, seed: int) -> None:
    """Reset after some beats: the frames that follow must come out as from a new unit."""
    total = sum(map(len, bench.beats))
    generator = np.random.default_rng(seed)
    beats = int(generator.integers(1, max(total, 2)))
    kinds = generator.choice(stalls.STALL_KINDS, 2)
    idle, busy = (stalls.pauses(kind, seed) for kind in kinds)
    bench.driver.start(itertools.chain.from_iterable(bench.beats), idle)
    bench.sink.start(busy)
    await bench.until(lambda: bench.driver.taken >= beats)
    await bench.reset()
    await bench.all_frames(stalls.pauses("none"), stalls.pauses("none"))


async def combinational_paths(bench: Bench, seed: int) -> None:
    """Change inputs between clock edges: certain outputs must not follow."""
    bench.driver.start(itertools.chain.from_iterable(bench.beats), stalls.pauses("random", seed))
    bench.sink.start(stalls.pauses("random", seed + 1))
    source, sink = bench.driver.ports, bench.monitor.ports
    probes = [
        ("o.ready", sink.ready, {"i.ready": source.ready, "o.valid": sink.valid}),
        ("i.valid", source.valid, {"o.valid": sink.valid}),
        ("i.payload", source.data, {"o.valid": sink.valid}),
    ]
    if source.last is not None:
        probes.append(("i.payload", source.last, {"o.valid": sink.valid}))
    step = Timer(1, "step")
    for _ in range(_PROBED_CYCLES):
        await bench.clock()
        await step
        for name, signal, watched in probes:
            original = str(signal.value)
            before = {output: read(port) for output, port in watched.items()}
            signal.value = int(original.translate(_INVERTED), 2)
            await step
            for output, handle in watched.items():
                if read(handle) != before[output]:
                    bench.failures.append(
                        f"{bench.task['name']}: a combinational path leads from {name} to {output}"
                    )
            signal.value = int(original, 2)
            await step
    await bench.until(bench.finished)
    await bench.quiet()


def scenarios(seed: int) -> Iterator[tuple[str, Callable[[Bench], Awaitable[None]]]]:
    """The name of each pattern and what plays it, in order."""
    seeds = itertools.count(seed * 1000)
    for idle, busy in itertools.product(stalls.STALL_KINDS, repeat=2):
        yield (
            f"idle {idle}, backpressure {busy}",
            partial(Bench.all_frames, idle=_pauses(idle, seeds), busy=_pauses(busy, seeds)),
        )
    yield "ready held low", ready_held_low
    for number in range(1, _RESETS + 1):
        yield f"reset in mid-frame, {number}", partial(reset_in_mid_frame, seed=next(seeds))
    yield "combinational paths", partial(combinational_paths, seed=next(seeds))


def _pauses(kind: stalls.StallKind, seeds: Iterator[int]) -> Iterator[bool]:
    return stalls.pauses(kind, next(seeds))


def pack_frame(beat: BeatFormat, frame: NDArray[np.int64]) -> Beats:
    """The beats of a frame, `last` set on the final one."""
    values = frame.ravel().tolist()
    beats = [
        (beat.pack(values[start : start + beat.lanes]), False)
        for start in range(0, len(values), beat.lanes)
    ]
    beats[-1] = (beats[-1][0], True)
    return beats


@cocotb.test()
async def every_pattern(dut: HierarchyObject) -> None:
    """Play one pace or pattern after another, until one fails."""
    task, arrays = read_task()
    bench = Bench(dut, task, arrays["frames"], arrays["expected"])
    Clock(bit(dut, "clk"), _PERIOD, "step").start()
    played: list[str] = []
    cycles: list[dict[str, list[int]]] = []
    paces = [
        (f"pace {number}", partial(paced, offers=pace["offers"], takes=pace["takes"]))
        for number, pace in enumerate(task["paces"])
    ]
    for name, play in paces or scenarios(task["seed"]):
        played.append(name)
        await bench.reset()
        try:
            await play(bench)
        except Failed:
            break
        cycles.append(bench.cycles())
    write_result({"scenarios": played, "failures": bench.failures, "cycles": cycles})

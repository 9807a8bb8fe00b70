"""The cocotb side of `network_bench`, which runs inside the simulator.

It drives `s_axis` and `m_axis`, checks every stream, and appends a record for each image.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from numpy.typing import NDArray

from systolith.sim.bench.cocotb_run import (
    bench_folder,
    expect_progress,
    read_task,
    write_result,
)
from systolith.sim.bench.endpoints import (
    BeatCycles,
    Concatenation,
    Frame,
    ReadyDriver,
    StreamDriver,
    StreamMonitor,
    StreamPorts,
    read,
)
from systolith.sim.bench.handles import bit, stream_ports
from systolith.sim.bench.network_bench import RECORDS
from systolith.sim.record import stalls
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.taps import CYCLES_FIELD, RuleBroken, record_type

_QUIET_CYCLES = 64
_HELD_CYCLES = 16
_RESET_CYCLES = 4
_RESULT_BITS = 64
_SURPLUS_BEAT = 0x5A

expect_progress()  # the simulator imports this before it runs `initial` blocks, which may not end


class Bench:
    """The network, its source and sink, and the monitors of all its streams.

    Parameters
    ----------
    dut
        The flat module.
    task
        The task that `simulate_cocotb` wrote.
    images
        The beats of each image (`BeatFormat.pack_frames`).
    records
        The file of the records.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        task: dict[str, Any],
        images: NDArray[np.uint8],
        records: BinaryIO,
    ) -> None:
        self._task = task
        self._images = images
        self._lengths = [length or images.shape[1] for length in task["lengths"]]
        self._ends = [0, *itertools.accumulate(self._lengths)]
        self._records = records
        self._record_type = record_type([(name, kind, size) for name, kind, size in task["values"]])
        self._reset = bit(dut, "aresetn")
        self._edge = RisingEdge(bit(dut, "aclk"))
        self._parent = os.getppid()
        self._cycle = 0
        self._idle = 0
        self._written = 0
        self._recording = not task["reset_after"]
        self._results: deque[Frame] = deque()
        self._frames: dict[str, deque[Frame]] = {}

        self._driver = StreamDriver(stream_ports(dut, "s_axis_t"))
        sink = stream_ports(dut, "m_axis_t")
        user_and_data = Concatenation((bit(dut, "m_axis_tuser"), sink.data))
        sink = StreamPorts(user_and_data, sink.valid, sink.ready, sink.last)
        self._sink = ReadyDriver(sink)
        beat = BeatFormat(lanes=1, bits=_RESULT_BITS + 1, signed=False)
        beats = task["result_beats"]
        self._result = StreamMonitor(
            "m_axis", sink, beat, beats, self._results.append, self._broken
        )
        self._monitors = [self._result]
        for tap in task["taps"]:
            frames = self._frames[tap["layer"]] = deque()
            self._monitors.append(
                StreamMonitor(
                    tap["layer"],
                    stream_ports(dut, f"tap_{tap['layer']}_"),
                    BeatFormat(**tap["beat"]),
                    tap["frame_beats"],
                    frames.append,
                    self._broken,
                )
            )

    async def play(self) -> None:
        """Stream all images, and check that nothing follows them.

        Raises
        ------
        RuleBroken
            If a stream breaks a rule, or nothing moves any more.
        """
        await self._restart()
        seed = self._task["stalls"]
        kind: stalls.StallKind = "none" if seed is None else "random"
        seeds = itertools.count(2 * (seed or 0))
        if self._task["reset_after"]:
            self._driver.start(self._beats(), stalls.pauses(kind, next(seeds)))
            self._sink.start(stalls.pauses(kind, next(seeds)))
            while self._driver.taken < self._task["reset_after"]:
                await self._clock()
            await self._restart()
            self._recording = True
        self._driver.start(self._beats(), stalls.pauses(kind, next(seeds)))
        if seed is not None:
            await self._hold_ready()
        self._sink.start(stalls.pauses(kind, next(seeds)))
        while self._written < len(self._images) or not self._driver.exhausted:
            await self._clock()
        for _ in range(_QUIET_CYCLES):
            if await self._clock():
                self._broken("a beat comes that no image asked for")

    def _beats(self) -> Iterator[tuple[int, bool]]:
        """The beats of all images; some images are cut off, and some have surplus beats."""
        for image, length in zip(self._images, self._lengths, strict=True):
            whole = (int.from_bytes(beat.tobytes(), "little") for beat in image)
            beats = itertools.chain(whole, itertools.repeat(_SURPLUS_BEAT))
            for position, beat in enumerate(itertools.islice(beats, length)):
                yield beat, position == length - 1

    async def _restart(self) -> None:
        """Reset the network, and forget all frames."""
        self._driver.start([], itertools.repeat(True))
        self._sink.start(itertools.repeat(True))
        self._reset.value = 0
        for _ in range(_RESET_CYCLES):
            await self._edge
            self._sink.clock()
        if read(self._result.ports.valid):
            self._broken("m_axis: tvalid is high during reset")
        self._reset.value = 1
        for monitor in self._monitors:
            monitor.restart()
        for queue in (self._results, *self._frames.values()):
            queue.clear()

    async def _hold_ready(self) -> None:
        """Do not take the first result before it has waited for some cycles."""
        self._sink.start(itertools.repeat(True))
        held = 0
        while held < _HELD_CYCLES:
            await self._clock()
            held += self._result.valid
            self._idle = 0 if self._result.valid else self._idle

    async def _clock(self) -> bool:
        """One rising edge; returns whether any beat was taken."""
        await self._edge
        expect_progress()
        self._cycle += 1
        moved = self._driver.clock(self._cycle)
        for monitor in self._monitors:
            moved |= monitor.clock(self._cycle)
        self._sink.clock()
        self._idle = 0 if moved else self._idle + 1
        if self._idle > self._task["patience"]:
            self._stuck()
        if self._cycle % 1024 == 0 and os.getppid() != self._parent:
            raise RuntimeError("the parent process has ended")
        self._write_record()
        return moved

    def _write_record(self) -> None:
        """Write the record of the next image if all its frames are complete."""
        queues = [*self._frames.values(), self._results]
        if not (self._recording and all(queues) and self._written < len(self._images)):
            return
        start, end = self._ends[self._written : self._written + 2]
        if self._driver.taken < end:
            return
        frames = [queue.popleft() for queue in queues]
        record = np.zeros((), self._record_type)
        for layer, frame in zip(self._frames, frames, strict=False):
            record[layer] = frame.values
        result = frames[-1].values[-1]
        record["result data"] = result & ((1 << _RESULT_BITS) - 1)
        record["result user"] = result >> _RESULT_BITS
        record["result last"] = 1
        pixels = self._driver.cycles
        streams = [BeatCycles(pixels.offered[start:end], pixels.taken[start:end])]
        streams += [frame.cycles for frame in frames]
        record[CYCLES_FIELD] = [
            (cycles.offered[0], cycles.taken[0], cycles.taken[-1]) for cycles in streams
        ]
        self._records.write(record.tobytes())
        self._records.flush()
        self._written += 1

    def _stuck(self) -> NoReturn:
        state = [f"{self._written} images were complete"]
        state += [
            f"{monitor.name} had {len(self._frames[monitor.name])} frames and "
            f"{monitor.frame.beats} beats more"
            for monitor in self._monitors[1:]
        ]
        self._broken(f"nothing moved for {self._idle} cycles; " + ", ".join(state))

    def _broken(self, message: str) -> NoReturn:
        raise RuleBroken(f"{message} (cycle {self._cycle})")


@cocotb.test()
async def whole_network(dut: HierarchyObject) -> None:
    """Stream all images and write their records."""
    task, arrays = read_task()
    broken = None
    with (bench_folder() / RECORDS).open("wb") as records:
        bench = Bench(dut, task, arrays["images"], records)
        Clock(bit(dut, "aclk"), 10, "step").start()
        try:
            await bench.play()
        except RuleBroken as error:
            broken = str(error)
    write_result({"broken": broken})

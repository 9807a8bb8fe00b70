"""The cocotb side of `network_bench`, which runs inside the simulator.

It streams images through the network, checks every stream, and appends a record for each image.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

import cocotb
import msgspec
import numpy as np
from cocotb.handle import HierarchyObject
from numpy.typing import NDArray

from systolith.sim.bench.cocotb_run import (
    bench_folder,
    expect_progress,
    read_task,
    write_result,
)
from systolith.sim.bench.endpoints import BeatCycles
from systolith.sim.bench.harness import Harness
from systolith.sim.bench.network_bench import RECORDS
from systolith.sim.bench.testbench import LayerMonitor, Sink, Source
from systolith.sim.record import stalls
from systolith.sim.record.taps import CYCLES_FIELD, RESULT_FIELD, NetworkStreams, RuleBroken

_HELD_CYCLES = 16

expect_progress()  # the simulator imports this before it runs `initial` blocks, which may not end


class Recorder:
    """Streams images through a network, and writes the record of each.

    Parameters
    ----------
    dut
        The flat module.
    task
        The task that `simulate_cocotb` wrote.
    images
        The images.
    file
        The file of the records.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        task: dict[str, Any],
        images: NDArray[np.integer[Any]],
        file: BinaryIO,
    ) -> None:
        streams = msgspec.convert(task["streams"], NetworkStreams)
        self._task = task
        self._images = images
        lengths = (length or streams.source_beats for length in task["lengths"])
        self._ends = [0, *itertools.accumulate(lengths)]
        self._file = file
        self._type = streams.record_type
        self._written = 0
        self._recording = not task["reset_after"]
        self._harness = Harness(dut, streams)
        self._source = Source(self._harness)
        self._layers = [LayerMonitor(self._harness, tap.layer) for tap in streams.taps]
        self._sink = Sink(self._harness)
        self._harness.add(self)

    async def play(self) -> None:
        """Stream all images, and check that nothing follows them.

        Raises
        ------
        RuleBroken
            If a stream breaks a rule, or nothing moves any more.
        """
        seed = self._task["stalls"]
        kind: stalls.StallKind = "none" if seed is None else "random"
        seeds = itertools.count(2 * (seed or 0))
        beats = self._task["reset_after"]
        await self._harness.reset()
        if beats:
            self._start(kind, seeds, hold=False)
            await self._harness.until(lambda: self._source.taken >= beats)
            await self._harness.reset()
            self._recording = True
        self._start(kind, seeds, hold=seed is not None)
        await self._harness.until(lambda: self._written == len(self._images) and self._source.idle)
        await self._harness.quiet()

    def _start(self, kind: stalls.StallKind, seeds: Iterator[int], hold: bool) -> None:
        self._source.stall(stalls.pauses(kind, next(seeds)))
        pauses = stalls.pauses(kind, next(seeds))
        self._sink.stall(self._held(pauses) if hold else pauses)
        self._source.start(self._images, self._task["lengths"])

    def _held(self, pauses: Iterator[bool]) -> Iterator[bool]:
        """Pauses in which the first result waits for some cycles before it is taken."""
        waited = 0
        while waited < _HELD_CYCLES:
            yield True
            waited += self._sink.valid
        yield from pauses

    def clock(self, cycle: int) -> bool:
        """Write the record of the next image if all its frames are complete."""
        expect_progress()
        if not self._sink.frames or not self._recording or self._written == len(self._images):
            return False
        streams = [*self._layers, self._sink]
        if not all(stream.frames for stream in streams):
            return False
        start, end = self._ends[self._written : self._written + 2]
        if self._source.taken < end:
            return False
        frames = [stream.frames.popleft() for stream in streams]
        record = np.zeros((), self._type)
        for layer, frame in zip(self._layers, frames, strict=False):
            record[layer.name] = np.reshape(frame.values, layer.tap.shape)
        result = record[RESULT_FIELD]
        result["data"], result["user"] = self._sink.beats(frames[-1])
        result["last"][-1] = 1  # the sink has checked every one
        pixels = self._source.cycles
        cycles = [BeatCycles(pixels.offered[start:end], pixels.taken[start:end])]
        cycles += [frame.cycles for frame in frames]
        record[CYCLES_FIELD] = [(of.offered[0], of.taken[0], of.taken[-1]) for of in cycles]
        self._file.write(record.tobytes())
        self._file.flush()
        cocotb.log.info("image %d came out in cycle %d", self._written, cycle)
        self._written += 1
        return False

    def restart(self) -> None:
        """Keep the records: those of images before a reset are never written."""

    def state(self) -> str:
        return f"{self._written} images were complete"


@cocotb.test()
async def whole_network(dut: HierarchyObject) -> None:
    """Stream all images and write their records."""
    task, arrays = read_task()
    broken = None
    with (bench_folder() / RECORDS).open("wb") as file:
        try:
            await Recorder(dut, task, arrays["images"], file).play()
        except RuleBroken as error:
            broken = str(error)
            cocotb.log.error(broken)
    write_result({"broken": broken})

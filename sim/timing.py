"""Interval and latency of a network and its layers, from the cycles in the records of images.

`Stopwatch` takes them during a simulation; `measure_network` simulates images for them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.sim.bench.network_bench import simulate_cocotb
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.record.taps import CYCLES_FIELD, FRAME_CYCLES, Batch, Records, TappedNetwork
from systolith.sim.simulators.installed import Engine, Simulator

Cycles = NDArray[np.int64]

MEASURED_IMAGES = 10
"""The number of images, from the first on, whose cycles a report is made from."""


@dataclass(frozen=True)
class Timing:
    """Interval and latency of a layer, or of a whole network, in clock cycles.

    Parameters
    ----------
    interval_cycles
        Between the final beats of the last two frames at the output; None for a single frame.
    latency_cycles
        From the first beat of the first frame taken at the input to its first beat offered at the
        output.
    """

    interval_cycles: int | None
    latency_cycles: int


@dataclass(frozen=True, eq=False)
class StreamTimeline:
    """The cycles in which the frames of one stream passed; each array has the shape `(images,)`.

    Parameters
    ----------
    offered
        The cycle in which a frame's first beat was first offered: `valid` is high.
    first
        The cycle of its first handshake.
    last
        The cycle of its last beat's handshake.
    """

    offered: Cycles
    first: Cycles
    last: Cycles


@dataclass(frozen=True, eq=False)
class Timeline:
    """The cycles in which consecutive images passed the streams of a network.

    Cycle 0 is that of the first handshake at `s_axis`.

    Parameters
    ----------
    source
        `s_axis`.
    taps
        The streams after the input and after each layer, in order, by name.
    result
        `m_axis`.
    """

    source: StreamTimeline
    taps: dict[str, StreamTimeline]
    result: StreamTimeline

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.source.first)

    @property
    def whole(self) -> Timing:
        """The timing of the whole network, from pixels to results."""
        return _timing(self.source, self.result)

    @property
    def layers(self) -> dict[str, Timing]:
        """The timing of each layer, by name, from the stream before it to its own."""
        return {
            name: _timing(before, after)
            for (_, before), (name, after) in pairwise(self.taps.items())
        }


def _timing(before: StreamTimeline, after: StreamTimeline) -> Timing:
    ends = after.last[-2:].tolist()
    return Timing(
        interval_cycles=ends[1] - ends[0] if len(ends) == 2 else None,
        latency_cycles=int(after.offered[0] - before.first[0]),
    )


def timeline(network: TappedNetwork, records: Records) -> Timeline:
    """The timeline from the records of consecutive images; at least one."""
    cycles = records[CYCLES_FIELD]
    zero = int(cycles["first"][0, 0])
    relative = [cycles[name].astype(np.int64) - zero for name, _ in FRAME_CYCLES]
    streams = (StreamTimeline(*columns) for columns in zip(*(c.T for c in relative), strict=True))
    source, *taps, result = streams
    names = (tap.layer for tap in network.taps)
    return Timeline(source, dict(zip(names, taps, strict=True)), result)


def measure_network(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    simulator: Simulator = "verilator",
    engine: Engine | None = None,
) -> Timeline:
    """Simulate consecutive images in one process, source and sink never pausing.

    Parameters
    ----------
    network
        What is simulated.
    images
        The values that go in, shape `(images, height, width, channels)`; at least one image.
    simulator
        Its name.
    engine
        Its name; by default `bulk` on Verilator.

    Raises
    ------
    MissingToolError
        If a tool is not installed.
    SimulationError
        If the build fails, or the simulator dies.
    RuleBroken
        If a stream breaks a rule, or nothing moves any more.
    """
    batches: Generator[Batch, None, object]
    if simulator == "verilator" and engine != "cocotb":
        batches = simulate_bulk(network, images, None, processes=1)
    else:
        batches = simulate_cocotb(network, images, None, simulator)
    with closing(batches):
        return timeline(network, np.concatenate([batch.records for batch in batches]))


class Stopwatch:
    """Copies the records of the first images of a simulation, and makes the timeline from them.

    Parameters
    ----------
    network
        What is simulated.
    """

    def __init__(self, network: TappedNetwork) -> None:
        self._network = network
        self._records = np.empty(0, network.record_type)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches, and copy the first `MEASURED_IMAGES` records of the first part."""
        for batch in batches:
            if batch.part == 0 and len(self._records) < MEASURED_IMAGES:
                records = np.concatenate([self._records, batch.records])
                self._records = records[:MEASURED_IMAGES]
            yield batch

    @property
    def timeline(self) -> Timeline | None:
        """The timeline of the images copied; None if there are none."""
        return timeline(self._network, self._records) if len(self._records) else None

"""The cycles in which frames pass every stream of a network, and what follows from them."""

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
from systolith.sim.simulators.installed import Simulator

Cycles = NDArray[np.int64]

MEASURED_IMAGES = 10
"""So many images, the first to pass, give the cycles that a report tells."""


@dataclass(frozen=True)
class Timing:
    """How long a layer, or a whole network, takes.

    Parameters
    ----------
    interval_cycles
        Between the final beats of the last two frames at the output; None of a single frame.
    latency_cycles
        From the first beat of the first frame taken at the input to its first one offered at the
        output.
    """

    interval_cycles: int | None
    latency_cycles: int


@dataclass(frozen=True, eq=False)
class StreamTimeline:
    """When the frames of one stream passed; every array has the shape `(images,)`.

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
    """When some images, one after the other, passed the streams of a network.

    All cycles count from that of the first handshake at `s_axis`, which is 0.

    Parameters
    ----------
    source
        `s_axis`.
    taps
        The streams behind the input and each layer, in order, by name.
    result
        `m_axis`.
    """

    source: StreamTimeline
    taps: dict[str, StreamTimeline]
    result: StreamTimeline

    @property
    def images(self) -> int:
        """How many images passed."""
        return len(self.source.first)

    @property
    def whole(self) -> Timing:
        """From pixels to results."""
        return _timing(self.source, self.result)

    @property
    def layers(self) -> dict[str, Timing]:
        """Each layer after the input, by name: from the stream before it to its own."""
        return {
            name: _timing(before, behind)
            for (_, before), (name, behind) in pairwise(self.taps.items())
        }


def _timing(before: StreamTimeline, behind: StreamTimeline) -> Timing:
    ends = behind.last[-2:].tolist()
    return Timing(
        interval_cycles=ends[1] - ends[0] if len(ends) == 2 else None,
        latency_cycles=int(behind.offered[0] - before.first[0]),
    )


def timeline(network: TappedNetwork, records: Records) -> Timeline:
    """The timeline of the records of images that passed one after the other; at least one."""
    cycles = records[CYCLES_FIELD]
    zero = int(cycles["first"][0, 0])
    relative = [cycles[name].astype(np.int64) - zero for name, _ in FRAME_CYCLES]
    streams = (StreamTimeline(*columns) for columns in zip(*(c.T for c in relative), strict=True))
    source, *taps, result = streams
    names = (tap.layer for tap in network.taps)
    return Timeline(source, dict(zip(names, taps, strict=True)), result)


def measure_network(
    network: TappedNetwork, images: NDArray[np.integer[Any]], simulator: Simulator = "verilator"
) -> Timeline:
    """Simulate images in a row, source and sink never pausing.

    Parameters
    ----------
    network
        What is simulated.
    images
        The values that go in, shape `(images, height, width, channels)`; at least one image. All
        pass in one go, after a reset.
    simulator
        Which one.

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
    if simulator == "verilator":
        batches = simulate_bulk(network, images, None, processes=1)
    else:
        batches = simulate_cocotb(network, images, None, simulator)
    with closing(batches):
        return timeline(network, np.concatenate([batch.records for batch in batches]))


class Stopwatch:
    """Takes the cycles of the first images of a simulation while its records pass.

    Parameters
    ----------
    network
        What is simulated.
    """

    def __init__(self, network: TappedNetwork) -> None:
        self._network = network
        self._records = np.empty(0, network.record_type)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on, and note the first `MEASURED_IMAGES` records of the first part."""
        for batch in batches:
            if batch.part == 0 and len(self._records) < MEASURED_IMAGES:
                records = np.concatenate([self._records, batch.records])
                self._records = records[:MEASURED_IMAGES]
            yield batch

    @property
    def timeline(self) -> Timeline | None:
        """Of the images noted; None if none came out."""
        return timeline(self._network, self._records) if len(self._records) else None

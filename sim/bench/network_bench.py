"""Some images under cocotb, on any simulator: slow, and with nothing but the bench in between."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.sim.bench.cocotb_run import BenchRun, running_bench
from systolith.sim.record.taps import Batch, RuleBroken, TappedNetwork
from systolith.sim.simulators.installed import Simulator

RECORDS = "records"
"""The file in the bench's folder to which the record of each image is appended."""

_BENCH = "systolith.sim.bench.network_bench_cocotb"
_POLL_SECONDS = 0.2


def simulate_cocotb(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    stalls: int | None,
    simulator: Simulator,
    lengths: Sequence[int | None] | None = None,
    reset_after: int = 0,
) -> Generator[Batch]:
    """Stream images through a network, and give what came out as it comes.

    As `bulk_engine.simulate_bulk`, in one part, and with the same rules checked.

    Parameters
    ----------
    network, images, stalls
        As there.
    simulator
        Which one.
    lengths
        Of some images, how many beats go in until `tlast`, where it is not the right number.
    reset_after
        Beats after which the network is reset, before all images go in from the start.

    Raises
    ------
    MissingToolError
        If a tool is not installed.
    SimulationError
        If the build fails, or the simulator dies.
    RuleBroken
        If a stream breaks a rule, or nothing moves any more; the batches before it were given.
    """
    task = {
        "result_beats": network.result_beats,
        "taps": [
            {"layer": tap.layer, "frame_beats": tap.frame_beats, "beat": asdict(tap.beat)}
            for tap in network.taps
        ],
        "values": [(tap.layer, tap.value_type.str, tap.shape.size) for tap in network.taps],
        "stalls": stalls,
        "lengths": [None] * len(images) if lengths is None else list(lengths),
        "reset_after": reset_after,
        "patience": network.patience,
    }
    arrays = {"images": network.source.pack_frames(images)}
    optimize = len(images) > 20
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(
            running_bench(
                network.design, _BENCH, task, arrays, simulator=simulator, optimize=optimize
            )
        )
        first = 0
        ended = False
        while not ended:
            ended = bench.wait(_POLL_SECONDS)
            records = _new_records(bench, network, first)
            if len(records):
                yield Batch(0, first, records)
                first += len(records)
        broken = bench.result()["broken"]
    if broken is not None:
        raise RuleBroken(broken)


def _new_records(bench: BenchRun, network: TappedNetwork, first: int) -> NDArray[np.void]:
    """The records that are complete, from image `first` on."""
    path = bench.folder / RECORDS
    size = network.record_type.itemsize
    if not path.exists():
        return np.empty(0, network.record_type)
    with path.open("rb") as file:
        file.seek(first * size)
        content = file.read()
    return np.frombuffer(content[: len(content) // size * size], network.record_type)

"""A few images under cocotb, on any simulator.

It is the engine for Icarus, and on Verilator an independent check of the C++ engine, which is about
30 times as fast.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith.sim.bench.cocotb_run import BenchRun, running_bench
from systolith.sim.record.taps import Batch, RuleBroken, TappedNetwork
from systolith.sim.simulators.installed import Simulator

RECORDS = "records"
"""The name of the file in the bench's folder to which the records are appended."""

_BENCH = "systolith.sim.bench.network_bench_cocotb"
_POLL_SECONDS = 0.2
_MANY_IMAGES = 200  # for fewer, optimizing a model takes longer than it saves


def simulate_cocotb(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    stalls: int | None,
    simulator: Simulator,
    lengths: Sequence[int | None] | None = None,
    reset_after: int = 0,
    log: list[str] | None = None,
) -> Generator[Batch]:
    """Stream images through a network, and yield the records of those that came out.

    It does what `sim.bulk.engine.simulate_bulk` does, in one part, and checks the same rules.

    Parameters
    ----------
    network, images, stalls
        As for `simulate_bulk`.
    simulator
        Its name.
    lengths
        For each image, the number of beats up to `tlast` if it is a wrong one, else None.
    reset_after
        The network is reset after this number of beats, and all images go in again; 0: it is not.
    log
        The simulator's output is appended to it at the end, also after an error.

    Raises
    ------
    MissingToolError
        If a tool is not installed.
    SimulationError
        If the build fails, or the simulator dies.
    RuleBroken
        If a stream breaks a rule, or nothing moves any more; earlier batches have been yielded.
    """
    task = {
        "streams": msgspec.to_builtins(network.streams),
        "stalls": stalls,
        "lengths": [None] * len(images) if lengths is None else list(lengths),
        "reset_after": reset_after,
    }
    arrays = {"images": images}
    optimize = len(images) > _MANY_IMAGES
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(
            running_bench(
                network.design, _BENCH, task, arrays, simulator=simulator, optimize=optimize
            )
        )
        if log is not None:
            stack.callback(lambda: log.append(bench.output()))
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
    """The complete records from image `first` on."""
    path = bench.folder / RECORDS
    size = network.record_type.itemsize
    if not path.exists():
        return np.empty(0, network.record_type)
    with path.open("rb") as file:
        file.seek(first * size)
        content = file.read()
    return np.frombuffer(content[: len(content) // size * size], network.record_type)

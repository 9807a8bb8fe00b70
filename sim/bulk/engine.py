"""Many images on Verilator: the C++ engine runs in one process for each part of the images.

`sim.simulate` uses it on Verilator for many images; it is about 30 times as fast as cocotb.
"""

from __future__ import annotations

import itertools
import os
import re
import selectors
import subprocess
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.hw.child_processes import started, temporary_folder
from systolith.sim.bulk.fst import finish
from systolith.sim.bulk.program import RULE_BROKEN_STATUS, build_engine, command_line
from systolith.sim.errors import SimulationError
from systolith.sim.record.taps import Batch, RuleBroken, TappedNetwork
from systolith.sim.simulators.processes import describe_status, tail, text_of

_BATCH = 64
_IMAGES = "images"
_LEAST_IMAGES = 10  # of a part; of fewer, most of the time goes into filling the pipeline
_COUNTS = re.compile(r"cycles (\d+) resets (\d+) wrong_frames (\d+)")


@dataclass(frozen=True)
class Disturbances:
    """What happens to a network in addition to pauses; none of it may change the results.

    Parameters
    ----------
    reset_cycles
        The network is reset at random, once in this number of cycles on average; 0: never. The
        images that did not come out go in again.
    wrong_frames
        Before one image in this number, at random, comes a frame of random pixels and of a wrong
        length, whose result must have `tuser` set; 0: none.
    """

    reset_cycles: int = 0
    wrong_frames: int = 0


@dataclass(frozen=True)
class PartCounts:
    """The cycles that a part of the images took, and the disturbances in them."""

    cycles: int
    resets: int
    wrong_frames: int


def simulate_bulk(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    stalls: int | None,
    processes: int | None = None,
    disturbances: Disturbances | None = None,
    log: list[str] | None = None,
) -> Generator[Batch, None, tuple[PartCounts, ...]]:
    """Stream images through a network, and yield the records of those that came out.

    Parameters
    ----------
    network
        What is simulated.
    images
        The values that go in, shape `(images, height, width, channels)`. They are split into parts,
        each of which goes through without a gap and without a reset.
    stalls
        The seed of random pauses of source and sink; None for none.
    processes
        The largest number of parts; None for the number of processors.
    disturbances
        Of each part; None for none. The cycles in the records are then of little use.
    log
        The output of each part's process is appended to it at the end, also after an error.

    Yields
    ------
    Batch
        At most 64 images of a part, in the part's order; the parts take turns.

    Returns
    -------
    tuple
        The counts of each part.

    Raises
    ------
    MissingToolError
        If Verilator or the C++ compiler is not installed.
    SimulationError
        If the build fails, or a process dies.
    RuleBroken
        If a stream breaks a rule, or nothing moves any more; earlier batches have been yielded.
    """
    program = build_engine(network)
    with temporary_folder("systolith-") as folder, ExitStack() as stack:
        _write_images(network, images, folder)
        disturbed = disturbances or Disturbances()
        parts: list[_Part] = []
        if log is not None:
            stack.callback(lambda: log.extend(part.output_text() for part in parts))
        for first, count in split(len(images), processes or os.cpu_count() or 1):
            command = command_line(
                program,
                network,
                images=folder / _IMAGES,
                first=first,
                count=count,
                seed=_seed(stalls, first),
                reset_cycles=disturbed.reset_cycles,
                wrong_frames=disturbed.wrong_frames,
            )
            errors_path = folder / f"errors-{first}"
            errors = stack.enter_context(errors_path.open("wb"))
            process = stack.enter_context(
                started(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
            )
            parts.append(_Part(len(parts), first, count, network.record_type, process, errors_path))
        with selectors.DefaultSelector() as selector:
            for part in parts:
                selector.register(part.output, selectors.EVENT_READ, part)
            while selector.get_map():
                for key, _ in selector.select():
                    part = key.data
                    is_open = part.read()
                    yield from part.batches(everything=not is_open)
                    if not is_open:
                        selector.unregister(key.fileobj)
                        part.finish()
        return tuple(part.counts() for part in parts)


def trace_image(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    stalls: int | None,
    image: int,
    mark: tuple[int, int],
    path: Path,
) -> int:
    """Write the waveform of one of the images that `simulate_bulk` streams, with the same pauses.

    Parameters
    ----------
    network, images, stalls
        As for `simulate_bulk`.
    image
        Its number.
    mark
        A beat of it: the place of a tap, and the number of the beat.
    path
        The file, FST. A cycle takes 10 units of time.

    Returns
    -------
    int
        The cycle in which the beat was taken, 0 if it was not.

    Raises
    ------
    MissingToolError, SimulationError
        As for `simulate_bulk`; the file may then be incomplete.
    """
    program = build_engine(network, trace=True)
    parts = split(len(images), os.cpu_count() or 1)
    first, count = next(part for part in reversed(parts) if part[0] <= image)
    with temporary_folder("systolith-") as folder:
        _write_images(network, images[first : first + count], folder)
        command = command_line(
            program,
            network,
            images=folder / _IMAGES,
            first=0,
            count=count,
            seed=_seed(stalls, first),
            reset_cycles=0,
            wrong_frames=0,
            waves=path,
            image=image - first,
            layer=mark[0],
            beat=mark[1],
        )
        log, output = folder / "errors", folder / "output"
        with (
            log.open("wb") as errors,
            output.open("wb") as out,
            started(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors) as process,
        ):
            status = process.wait()
        if status not in (0, RULE_BROKEN_STATUS):
            raise SimulationError(f"writing {path.name} {describe_status(status)}: {tail(log)}")
        finish(path)
        return int(output.read_text("utf-8"))


def split(images: int, processors: int) -> list[tuple[int, int]]:
    """Parts of about equal size, not too small: the first image of each, and its images."""
    parts = max(1, min(processors, images // _LEAST_IMAGES))
    ends = [images * part // parts for part in range(parts + 1)]
    return [(first, end - first) for first, end in itertools.pairwise(ends)]


def _write_images(network: TappedNetwork, images: NDArray[np.integer[Any]], folder: Path) -> None:
    with (folder / _IMAGES).open("wb") as file:
        for first in range(0, len(images), _BATCH):
            network.source.pack_frames(images[first : first + _BATCH]).tofile(file)


def _seed(stalls: int | None, first: int) -> int:
    """The seed of a part's own pauses; 0 means none."""
    return 0 if stalls is None else 1 + (stalls * 1_000_003 + first) % (1 << 62)


class _Part:
    """The process that simulates a part of the images, and the records that it has written.

    Parameters
    ----------
    number
        The part's, counted from 0.
    first, count
        Its images.
    record_type
        Of the records.
    process
        The engine.
    log
        The file of its standard error.
    """

    def __init__(
        self,
        number: int,
        first: int,
        count: int,
        record_type: np.dtype[np.void],
        process: subprocess.Popen[bytes],
        log: Path,
    ) -> None:
        assert process.stdout is not None
        self.output = process.stdout
        self._number = number
        self._first = self._next = first
        self._end = first + count
        self._type = record_type
        self._process = process
        self._log = log
        self._bytes = bytearray()

    def read(self) -> bool:
        """Read what the process has written; returns whether more may follow."""
        piece = os.read(self.output.fileno(), 1 << 20)
        self._bytes += piece
        return bool(piece)

    def batches(self, everything: bool) -> Iterator[Batch]:
        """The batches that are complete, or everything that was read."""
        while True:
            count = min(len(self._bytes) // self._type.itemsize, _BATCH)
            if count == 0 or (count < _BATCH and not everything):
                return
            size = count * self._type.itemsize
            records = np.frombuffer(bytes(self._bytes[:size]), self._type)
            del self._bytes[:size]
            yield Batch(self._number, self._next, records)
            self._next += count

    def finish(self) -> None:
        """Wait for the end of the process, and raise if it did not simulate everything."""
        status = self._process.wait()
        if status == RULE_BROKEN_STATUS:
            raise RuleBroken(self._log.read_text("utf-8", "replace").strip())
        if status or self._next != self._end:
            raise SimulationError(
                f"the simulation of images {self._next} to {self._end - 1} "
                f"{describe_status(status)}: {tail(self._log)}"
            )

    def output_text(self) -> str:
        """What the process has printed on standard error, and the images that it simulated."""
        return f"images {self._first} to {self._end - 1}: {text_of(self._log)}"

    def counts(self) -> PartCounts:
        """What a process that succeeded printed last."""
        found = _COUNTS.search(self._log.read_text("utf-8", "replace"))
        if found is None:
            raise SimulationError(f"the simulation did not print its counts: {tail(self._log)}")
        return PartCounts(*map(int, found.groups()))

"""Many images on Verilator: a C++ loop around the model, a process for each part of them."""

from __future__ import annotations

import itertools
import os
import selectors
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.builds import build_verilator_program
from sim.errors import SimulationError
from sim.processes import describe_status, started, tail
from sim.taps import Batch, RuleBroken, Tap, TappedNetwork

_BROKEN = 10  # the status of bulk_engine.cpp after a rule was broken
_BATCH = 64
_SMALLEST_PART = 10  # in so many images a network comes into its pace


def simulate_bulk(
    network: TappedNetwork,
    images: NDArray[np.uint8],
    stalls: int | None,
    processes: int | None = None,
) -> Generator[Batch]:
    """Stream images through a network, and give what came out as it comes.

    Parameters
    ----------
    network
        What is simulated.
    images
        uint8, shape `(images, height, width, channels)`. They are split into parts, each of which
        goes through without a gap and without a reset.
    stalls
        The seed of random pauses at source and sink; None for none.
    processes
        Parts at most; None for as many as there are processors.

    Yields
    ------
    Batch
        At most 64 images of a part, in the part's order; parts mix.

    Raises
    ------
    MissingToolError
        If Verilator or the C++ compiler is not installed.
    SimulationError
        If the build fails, or a process dies.
    RuleBroken
        If a stream breaks a rule, or nothing moves any more; the batches before it were given.
    """
    program = build_verilator_program(network.design, _main(), {"taps.h": taps_header(network)})
    with tempfile.TemporaryDirectory(prefix="systolith-") as name, ExitStack() as stack:
        folder = Path(name)
        np.ascontiguousarray(images).tofile(folder / "images")
        parts = [
            _Part(network, program, folder, number, first, count, stalls, stack)
            for number, (first, count) in enumerate(
                split(len(images), processes or os.cpu_count() or 1)
            )
        ]
        with selectors.DefaultSelector() as selector:
            for part in parts:
                selector.register(part.output, selectors.EVENT_READ, part)
            while selector.get_map():
                for key, _ in selector.select():
                    part = key.data
                    open_ = part.read()
                    yield from part.batches(everything=not open_)
                    if not open_:
                        selector.unregister(key.fileobj)
                        part.finish()


def split(images: int, processors: int) -> list[tuple[int, int]]:
    """Parts of about equal size, first image and count of each, none needlessly small."""
    parts = max(1, min(processors, images // _SMALLEST_PART))
    ends = [images * part // parts for part in range(parts + 1)]
    return [(first, end - first) for first, end in itertools.pairwise(ends)]


class _Part:
    """One process and its part of the images."""

    def __init__(
        self,
        network: TappedNetwork,
        program: Path,
        folder: Path,
        number: int,
        first: int,
        count: int,
        stalls: int | None,
        stack: ExitStack,
    ) -> None:
        self._number = number
        self._type = network.record_type
        self._next = first
        self._end = first + count
        self._bytes = bytearray()
        self._log = folder / f"errors-{first}"
        # Every part has pauses of its own; 0 means none.
        seed = 0 if stalls is None else 1 + (stalls * 1_000_003 + first) % (1 << 62)
        numbers = map(str, (first, count, seed, network.patience))
        errors = stack.enter_context(self._log.open("wb"))
        self._process = stack.enter_context(
            started(
                [program, folder / "images", *numbers],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        )
        assert self._process.stdout is not None
        self.output = self._process.stdout

    def read(self) -> bool:
        """Take what the process wrote; whether more may follow."""
        piece = os.read(self.output.fileno(), 1 << 20)
        self._bytes += piece
        return bool(piece)

    def batches(self, everything: bool) -> Iterator[Batch]:
        """The complete batches, and at the end the rest."""
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
        """Judge the process's end."""
        status = self._process.wait()
        if status == _BROKEN:
            raise RuleBroken(self._log.read_text("utf-8", "replace").strip())
        if status or self._next != self._end:
            raise SimulationError(
                f"the simulation of images {self._next} to {self._end - 1} "
                f"{describe_status(status)}: {tail(self._log)}"
            )


def taps_header(network: TappedNetwork) -> str:
    """The C++ that tells `bulk_engine.cpp` of the network's streams."""
    lines = [f"constexpr size_t kPixels = {network.image_shape.size};", "const Tap taps[] = {"]
    lines += [f"    {_tap_initializer(tap)}," for tap in network.taps]
    return "\n".join([*lines, "};", ""])


def _tap_initializer(tap: Tap) -> str:
    def member(port: str) -> str:
        return f"m.{verilated_name(tap.port(port))}"

    flags = [
        f"[](const Vtop& m) -> bool {{ return {member(p)}; }}" for p in ("valid", "ready", "last")
    ]
    data = f"[](const Vtop& m, uint32_t* out) {{ words({member('data')}, out); }}"
    beat = tap.beat
    numbers = (beat.lanes, beat.bits, int(beat.signed), tap.value_type.itemsize, tap.frame_beats)
    return "{" + ", ".join([f'"{tap.layer}"', *map(str, numbers), *flags, data]) + "}"


def verilated_name(port: str) -> str:
    """What Verilator calls a port: two underscores together are encoded."""
    return port.replace("__", "___05F")


def _main() -> str:
    return resources.files("sim").joinpath("bulk_engine.cpp").read_text("utf-8")

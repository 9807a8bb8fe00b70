"""Many images on Verilator: a C++ loop around the model, a process for each part of them."""

from __future__ import annotations

import itertools
import os
import selectors
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.sim.errors import SimulationError
from systolith.sim.record.taps import Batch, RuleBroken, Tap, TappedNetwork
from systolith.sim.simulators.builds import build_verilator_program
from systolith.sim.simulators.processes import describe_status, started, tail

_BROKEN = 10  # the status of engine.cpp after a rule was broken
_BATCH = 64
_IMAGES = "images"
_SMALLEST_PART = 10  # in so many images a network comes into its pace


@dataclass(frozen=True)
class Disturbances:
    """What a network is put through beside pauses; none of it may show in what comes out.

    Parameters
    ----------
    reset_cycles
        It is reset in one of so many cycles, at random; 0: never. The images that did not come out
        go in once more.
    wrong_frames
        Before about one of so many images comes a frame of random pixels and of a wrong length,
        whose result must have `tuser` set; 0: none.
    """

    reset_cycles: int = 0
    wrong_frames: int = 0


def simulate_bulk(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    stalls: int | None,
    processes: int | None = None,
    disturbances: Disturbances | None = None,
) -> Generator[Batch, None, tuple[str, ...]]:
    """Stream images through a network, and give what came out as it comes.

    Parameters
    ----------
    network
        What is simulated.
    images
        The values that go in, shape `(images, height, width, channels)`. They are split into parts,
        each of which goes through without a gap and without a reset.
    stalls
        The seed of random pauses at source and sink; None for none.
    processes
        Parts at most; None for as many as there are processors.
    disturbances
        Of each part; None for none. The cycles of images then say little.

    Yields
    ------
    Batch
        At most 64 images of a part, in the part's order; parts mix.

    Returns
    -------
    tuple
        Of each part, what disturbances there were, in words.

    Raises
    ------
    MissingToolError
        If Verilator or the C++ compiler is not installed.
    SimulationError
        If the build fails, or a process dies.
    RuleBroken
        If a stream breaks a rule, or nothing moves any more; the batches before it were given.
    """
    program = _program(network)
    with tempfile.TemporaryDirectory(prefix="systolith-") as name, ExitStack() as stack:
        folder = Path(name)
        _write_images(network, images, folder)
        parts = [
            _Part(network, program, folder, number, first, count, stalls, disturbances, stack)
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
        return tuple(part.said for part in parts)


def _program(network: TappedNetwork, trace: bool = False) -> Path:
    main = resources.files("systolith.sim.bulk").joinpath("engine.cpp").read_text("utf-8")
    return build_verilator_program(network.design, main, {"taps.h": taps_header(network)}, trace)


def _write_images(network: TappedNetwork, images: NDArray[np.integer[Any]], folder: Path) -> None:
    with (folder / _IMAGES).open("wb") as file:
        for first in range(0, len(images), _BATCH):
            network.source.pack_frames(images[first : first + _BATCH]).tofile(file)


def _seed(stalls: int | None, first: int) -> int:
    """Every part has pauses of its own; 0 means none."""
    return 0 if stalls is None else 1 + (stalls * 1_000_003 + first) % (1 << 62)


def trace_image(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    stalls: int | None,
    image: int,
    mark: tuple[int, int],
    path: Path,
) -> int:
    """Write the waveform of one of the images that `simulate_bulk` streams, as it does.

    Parameters
    ----------
    network, images, stalls
        As there.
    image
        Its number.
    mark
        A beat of it: the place of a tap, and which of its beats.
    path
        The file, VCD. In it a cycle takes 10 units of time.

    Returns
    -------
    int
        The cycle in which the beat was taken, 0 if it was not.

    Raises
    ------
    MissingToolError, SimulationError
        As there; the file may then be half written.
    """
    program = _program(network, trace=True)
    parts = split(len(images), os.cpu_count() or 1)
    first, count = next(part for part in reversed(parts) if part[0] <= image)
    with tempfile.TemporaryDirectory(prefix="systolith-") as name:
        folder = Path(name)
        _write_images(network, images[first : first + count], folder)
        held = network.constants.values()
        seed = _seed(stalls, first)
        numbers = (0, count, seed, network.patience, *astuple(Disturbances()), *held)
        where = map(str, (image - first, *mark))
        command = [str(program), str(folder / _IMAGES), *map(str, numbers), str(path), *where]
        log, output = folder / "errors", folder / "output"
        with (
            log.open("wb") as errors,
            output.open("wb") as out,
            started(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors) as process,
        ):
            status = process.wait()
        if status not in (0, _BROKEN):
            raise SimulationError(f"writing {path.name} {describe_status(status)}: {tail(log)}")
        return int(output.read_text("utf-8"))


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
        disturbances: Disturbances | None,
        stack: ExitStack,
    ) -> None:
        self.said = ""
        self._number = number
        self._type = network.record_type
        self._next = first
        self._end = first + count
        self._bytes = bytearray()
        self._log = folder / f"errors-{first}"
        held = network.constants.values()
        disturbed = astuple(disturbances or Disturbances())
        seed = _seed(stalls, first)
        numbers = map(str, (first, count, seed, network.patience, *disturbed, *held))
        errors = stack.enter_context(self._log.open("wb"))
        self._process = stack.enter_context(
            started(
                [program, folder / _IMAGES, *numbers],
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
        self.said = self._log.read_text("utf-8", "replace").strip()
        if status == _BROKEN:
            raise RuleBroken(self.said)
        if status or self._next != self._end:
            raise SimulationError(
                f"the simulation of images {self._next} to {self._end - 1} "
                f"{describe_status(status)}: {tail(self._log)}"
            )


def taps_header(network: TappedNetwork) -> str:
    """The C++ that tells `engine.cpp` of the network's streams."""
    sizes = {
        "kSourceBeats": network.source_beats,
        "kSourceBytes": network.source.bytes,
        "kResultBeats": network.result_beats,
    }
    lines = [f"constexpr size_t {name} = {size};" for name, size in sizes.items()]
    lines.append("const Tap taps[] = {")
    lines += [f"    {_tap_initializer(tap)}," for tap in network.taps]
    lines += ["};", "void hold(Vtop& m, char** values) {"]
    lines += [
        f"    m.{verilated_name(port)} = std::strtoul(values[{position}], nullptr, 10);"
        for position, port in enumerate(network.constants)
    ]
    return "\n".join([*lines, "}", f"constexpr int kConstants = {len(network.constants)};", ""])


def _tap_initializer(tap: Tap) -> str:
    def member(port: str) -> str:
        return f"m.{verilated_name(tap.port(port))}"

    flags = [
        f"[](const Vtop& m) -> const CData* {{ return &{member(p)}; }}"
        for p in ("valid", "ready", "last")
    ]
    data = f"[](const Vtop& m, uint32_t* out) {{ words({member('data')}, out); }}"
    beat = tap.beat
    numbers = (beat.lanes, beat.bits, int(beat.signed), tap.value_type.itemsize, tap.frame_beats)
    return "{" + ", ".join([f'"{tap.layer}"', *map(str, numbers), *flags, data]) + "}"


def verilated_name(port: str) -> str:
    """What Verilator calls a port: two underscores together are encoded."""
    return port.replace("__", "___05F")

"""The parts of a cocotb test of an accelerator: source, sink, monitors, scoreboard.

`systolith.sim.bench` exports them for the tests of users; `network_bench_cocotb` uses them as well.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from cocotb.handle import HierarchyObject
from numpy.typing import NDArray

from systolith.golden.fixed.integers import Integers
from systolith.golden.qformat import RawImages
from systolith.hw.accelerator import stream_signal
from systolith.hw.streams.result_layout import Bytes
from systolith.hw.verilog import artifacts
from systolith.sim.bench.endpoints import (
    BeatCycles,
    Concatenation,
    Frame,
    ReadyDriver,
    StreamDriver,
    StreamMonitor,
    StreamPorts,
)
from systolith.sim.bench.handles import bit, stream_ports
from systolith.sim.bench.harness import Harness
from systolith.sim.record import reference as references
from systolith.sim.record import stalls as patterns
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.reference import Reference, Result, results_of
from systolith.sim.record.scoreboard import LayerScoreboard
from systolith.sim.record.taps import Tap, streams_of

HARDWARE = "SYSTOLITH_HARDWARE"
"""The environment variable with the folder of the accelerator that is simulated."""

_SURPLUS_BEAT = 0x5A

Pauses = Iterator[bool]
"""For each clock cycle, whether to pause (`record.stalls.pauses`)."""


class Accelerator(Harness):
    """An accelerator that `generate` wrote, in a cocotb test: its clock, reset, layers and values.

    Make one at the beginning of a test, then the sources, sinks and monitors on it, and then await
    `reset`. Any coroutine of the test may await `until`.

    Parameters
    ----------
    dut
        The argument of the cocotb test.
    folder
        The folder that `generate` wrote; by default the one that was given to `bench.run`, or the
        environment variable `SYSTOLITH_HARDWARE`.

    Members
    -------
    network
        The quantized network.
    layers
        The names of its layers, in order.

    Raises
    ------
    ValueError
        If no folder is given.
    FileFormatError, PlanError
        If the folder is not one that `generate` wrote.
    AttributeError
        If `dut` has not the ports of an accelerator.
    """

    def __init__(self, dut: HierarchyObject, folder: str | os.PathLike[str] | None = None) -> None:
        folder = folder or os.environ.get(HARDWARE)
        if folder is None:
            raise ValueError(f"the folder of the accelerator: give it, or set {HARDWARE}")
        built = artifacts.load(folder)
        self.network = built.quantized
        self.layers = tuple(layer.name for layer in self.network.fixed.layers)
        super().__init__(dut, streams_of(self.network.fixed, built.manifest))

    def reference(self, images: RawImages) -> Reference:
        """What must come out for images, `(images, height, width, channels)`, by the model."""
        return references.reference(self.network.fixed, images, self.streams.result)

    def monitors(self) -> list[LayerMonitor]:
        """A monitor on the stream of every layer, in order."""
        return [LayerMonitor(self, name) for name in self.layers]


class Source:
    """Sends images into `s_axis`, with or without stalls.

    Parameters
    ----------
    harness
        The accelerator.
    stalls
        For each clock cycle in which a beat could be offered, whether to pause; by default never.
    """

    def __init__(self, harness: Harness, stalls: Pauses | None = None) -> None:
        self._harness = harness
        self._driver = StreamDriver(stream_ports(harness.dut, "s_axis_t"))
        self.stall(stalls or patterns.pauses("none"))
        harness.add(self)

    @property
    def cycles(self) -> BeatCycles:
        """The cycles of all beats since the last `start`."""
        return self._driver.cycles

    @property
    def taken(self) -> int:
        """The number of beats taken since the last `start`."""
        return self._driver.taken

    @property
    def idle(self) -> bool:
        """Whether every beat was taken."""
        return self._driver.exhausted

    def stall(self, pauses: Pauses) -> None:
        """Pause by another pattern from now on."""
        self._pauses = pauses

    async def send(
        self, images: NDArray[np.integer[Any]], lengths: Sequence[int | None] | None = None
    ) -> None:
        """Send images, one after the other without a gap; returns when the last beat was taken.

        Parameters
        ----------
        images
            Pixels, shape `(images, height, width, channels)`, or one image without the first axis.
        lengths
            For each image, the number of beats up to `tlast` if it is a wrong one, else None: the
            frame is cut off, or surplus beats follow. By default all images are whole.

        Raises
        ------
        ValueError
            If the images do not have the shape of the network's input, or a value does not fit.
        RuntimeError
            If an earlier `send` is under way.
        RuleBroken
            If a stream breaks a rule, or nothing moves any more.
        """
        if not self.idle:
            raise RuntimeError("the source is sending already: await the earlier send first")
        self.start(images, lengths)
        await self._harness.until(lambda: self.idle)

    def start(
        self, images: NDArray[np.integer[Any]], lengths: Sequence[int | None] | None = None
    ) -> None:
        """Begin to send images, as `send` does, and do not wait; drops what was not sent yet."""
        streams = self._harness.streams
        images = np.asarray(images)
        images = images[None] if images.ndim == 3 else images
        if images.shape[1:] != tuple(streams.source_shape):
            raise ValueError(
                f"images of shape {images.shape} cannot go in: (images, height, width, channels) "
                f"must end with {tuple(streams.source_shape)}"
            )
        low, high = streams.source.limits
        if images.size and not (low <= images.min() and images.max() <= high):
            raise ValueError(f"values of images must be from {low} to {high}")
        packed = streams.source.pack_frames(images)
        self._driver.start(_beats(packed, lengths or [None] * len(images)), self._now())

    def _now(self) -> Iterator[bool]:
        """The pauses of the pattern that is set at each cycle."""
        while True:
            yield next(self._pauses, True)

    def clock(self, cycle: int) -> bool:
        return self._driver.clock(cycle)

    def restart(self) -> None:
        self._driver.start((), itertools.repeat(True))

    def state(self) -> str:
        return f"s_axis took {self._driver.taken} beats"


class _Watched:
    """The frames of a stream, checked and collected."""

    def __init__(
        self, harness: Harness, name: str, ports: StreamPorts, beat: BeatFormat, frame_beats: int
    ) -> None:
        self.name = name
        self.frames: deque[Frame] = deque()
        self._harness = harness
        self._monitor = StreamMonitor(
            name, ports, beat, frame_beats, self.frames.append, harness.fail
        )
        harness.add(self)

    @property
    def valid(self) -> bool:
        """Whether a beat was offered at the last rising edge."""
        return self._monitor.valid

    def clock(self, cycle: int) -> bool:
        return self._monitor.clock(cycle)

    def restart(self) -> None:
        self._monitor.restart()
        self.frames.clear()

    def state(self) -> str:
        return (
            f"{self.name} had {len(self.frames)} frames and {self._monitor.frame.beats} beats more"
        )

    async def _next(self, count: int) -> list[Frame]:
        await self._harness.until(lambda: len(self.frames) >= count)
        return [self.frames.popleft() for _ in range(count)]


class LayerMonitor(_Watched):
    """Watches the output stream of a layer: checks its rules, and collects its values.

    The rules: an offered payload stays, unchanged and valid, until it is taken; `last` is on the
    final beat of each frame and on no other; nothing is undefined. A broken rule ends the test.

    Parameters
    ----------
    harness
        The accelerator.
    layer
        The name of a layer, or of the input.

    Members
    -------
    frames
        The frames that have passed and were not received yet.

    Raises
    ------
    ValueError
        If there is no such layer.
    AttributeError
        If the simulator does not show the layer's stream.
    """

    def __init__(self, harness: Harness, layer: str) -> None:
        taps = {tap.layer: tap for tap in harness.streams.taps}
        if layer not in taps:
            raise ValueError(f"layer {layer!r}: the network has {', '.join(taps)}")
        self.tap = taps[layer]
        ports = _tap_ports(harness.dut, self.tap)
        super().__init__(harness, layer, ports, self.tap.beat, self.tap.frame_beats)

    async def receive(self, count: int = 1) -> Integers:
        """Wait for the next frames; returns their values, `(count, height, width, channels)`.

        Raises
        ------
        RuleBroken
            If a stream breaks a rule, or nothing moves any more.
        """
        values = [frame.values for frame in await self._next(count)]
        return np.array(values, np.int64).reshape(count, *self.tap.shape)


class Sink(_Watched):
    """Takes results from `m_axis`, with or without stalls, and checks the rules of the stream.

    Parameters
    ----------
    harness
        The accelerator.
    stalls
        For each clock cycle, whether to pause; by default never.

    Members
    -------
    frames
        The results that came out and were not received yet, as beats.
    """

    def __init__(self, harness: Harness, stalls: Pauses | None = None) -> None:
        ports = stream_ports(harness.dut, "m_axis_t")
        user_and_data = Concatenation((bit(harness.dut, "m_axis_tuser"), ports.data))
        ports = StreamPorts(user_and_data, ports.valid, ports.ready, ports.last)
        layout = harness.streams.result
        beat = BeatFormat(lanes=1, bits=layout.bits + 1, signed=False)
        self._ready = ReadyDriver(ports)
        self.stall(stalls or patterns.pauses("none"))
        super().__init__(harness, "m_axis", ports, beat, layout.beats)

    def stall(self, pauses: Pauses) -> None:
        """Pause by another pattern from the next rising edge on."""
        self._ready.start(pauses)

    async def receive(self, count: int = 1) -> list[Result]:
        """Wait for the next results.

        Raises
        ------
        RuleBroken
            If a stream breaks a rule, or nothing moves any more.
        ValueError
            If a beat is no part of a result.
        """
        layout = self._harness.streams.result
        found = [self.beats(frame) for frame in await self._next(count)]
        data = np.reshape([data for data, _ in found], (count, layout.beats, layout.bytes))
        users = [bool(users[-1]) for _, users in found]
        return list(results_of(layout, data.astype(np.uint8), users))

    def beats(self, frame: Frame) -> tuple[Bytes, list[int]]:
        """`tdata` of every beat of a frame, `(beats, bytes)`, and `tuser`."""
        layout = self._harness.streams.result
        mask = (1 << layout.bits) - 1
        data = b"".join((beat & mask).to_bytes(layout.bytes, "little") for beat in frame.values)
        users = [beat >> layout.bits for beat in frame.values]
        return np.frombuffer(data, np.uint8).reshape(-1, layout.bytes), users

    def clock(self, cycle: int) -> bool:
        moved = super().clock(cycle)
        self._ready.clock()
        return moved

    def restart(self) -> None:
        super().restart()
        self._ready.hold()


class Scoreboard:
    """Compares what the monitors and the sink collected with the fixed-point model, exactly.

    Parameters
    ----------
    reference
        What must come out for all images that the test sends (`Accelerator.reference`).
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    async def check(self, *streams: LayerMonitor | Sink) -> None:
        """Wait until all images have passed the streams, and compare every value.

        Raises
        ------
        AssertionError
            If a value differs. The message names, for each layer that differs, the number of
            values, and image, row, column, channel, expected and found value of the first one;
            and for each result that differs the image.
        RuleBroken
            If a stream breaks a rule, or nothing moves any more.
        """
        wrong = [line for stream in streams for line in await self._differences(stream)]
        if wrong:
            raise AssertionError("\n".join(wrong))

    async def _differences(self, stream: LayerMonitor | Sink) -> list[str]:
        expected = self._reference.results
        if isinstance(stream, LayerMonitor):
            board = LayerScoreboard(stream.name)
            values = await stream.receive(len(expected))
            board.compare(0, self._reference.layers[stream.name], values)
            return [str(board.result)] if board.result.mismatches else []
        found = await stream.receive(len(expected))
        return [
            f"m_axis: image {image}: expected {each}, found {found[image]}"
            for image, each in enumerate(expected)
            if found[image] != each
        ]


def _tap_ports(dut: HierarchyObject, tap: Tap) -> StreamPorts:
    """The ports of a wrapper that exposes the streams, or the signals inside the accelerator."""
    if hasattr(dut, tap.port("valid")):
        return stream_ports(dut, tap.port(""))
    return stream_ports(dut, stream_signal(tap.layer, ""))


def _beats(images: NDArray[np.uint8], lengths: Sequence[int | None]) -> Iterator[tuple[int, bool]]:
    """The beats of all images; some images are cut off, and some have surplus beats."""
    for image, given in zip(images, lengths, strict=True):
        length = given or len(image)
        whole = (int.from_bytes(beat.tobytes(), "little") for beat in image)
        beats = itertools.chain(whole, itertools.repeat(_SURPLUS_BEAT))
        for position, beat in enumerate(itertools.islice(beats, length)):
            yield beat, position == length - 1

"""Predicts the initiation interval and the latency of an accelerator, by the cycle model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.accelerator import RESULT, SOURCE, Accelerator
from systolith.hw.folding import Plan, input_lanes
from systolith.hw.planning.timeline import Timeline
from systolith.hw.streams.cycles import StreamCycles, always_ready, offering
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.registry import Unit, unit_type

PREDICTED_IMAGES = 10
"""The image whose interval is predicted if images do not keep the pace of the slowest part."""


@dataclass(frozen=True)
class LayerPrediction:
    """The cycles of a layer's unit.

    Parameters
    ----------
    cycles
        The initiation interval of the unit alone.
    latency_cycles
        From the first input beat of the first image, taken, to its first output beat, offered.
    """

    cycles: int
    latency_cycles: int


@dataclass(frozen=True)
class Prediction:
    """The cycles of an accelerator, source and sink always ready.

    Parameters
    ----------
    interval_cycles
        The initiation interval: from a result to the next, in the steady state. If no steady state
        was found, between the last two results of the first `PREDICTED_IMAGES`.
    latency_cycles
        From the first pixel of the first image, taken, to its result, offered.
    layers
        Every layer after the input, by name.
    """

    interval_cycles: int
    latency_cycles: int
    layers: dict[str, LayerPrediction]


def timeline(accelerator: Accelerator, interval: int) -> Timeline:
    """The timeline of an accelerator: `SOURCE`, the streams after all layers, `RESULT`.

    Parameters
    ----------
    accelerator
        The accelerator.
    interval
        Cycles between the first pixels of two images. 0: the source is always ready.
    """
    fixed, pixels = accelerator.fixed, accelerator.input_beats
    beats = {SOURCE: pixels, fixed.network.input.name: pixels, RESULT: accelerator.layout.beats}
    for layer in fixed.layers:
        beats[layer.name] = layer.output_shape.size // accelerator.plan[layer.name].lanes
    return Timeline(accelerator.cycles(interval).streams, beats)


def unit_cycles(fixed: FixedNetwork, plan: Plan) -> dict[str, int]:
    """The initiation interval of each layer's unit alone, by its closed form.

    It is a lower bound: buffers that are too small make a unit slower.
    """
    cycles = {}
    lanes = input_lanes(fixed.network.input, plan)
    for layer in fixed.layers:
        folding = plan[layer.name]
        size = ArraySize(folding.rows, folding.columns, folding.lanes, folding.order)
        cycles[layer.name] = int(unit_type(layer).frame_cycles(layer, size, lanes))
        lanes = folding.lanes
    return cycles


def min_interval(fixed: FixedNetwork, plan: Plan, result_beats: int = 1) -> int:
    """The shortest possible initiation interval: of the slowest unit, the pixels, the result."""
    source = fixed.network.input
    pixels = source.image_shape.size // input_lanes(source, plan)
    return max(pixels, result_beats, *unit_cycles(fixed, plan).values())


def predict(accelerator: Accelerator) -> Prediction:
    """Predict the cycles of an accelerator, source and sink always ready.

    Images are first sent at the slowest unit's initiation interval. If they keep it, a source that
    is always ready reaches the same interval: nothing arrives later then, and the slowest unit is
    not faster.
    """
    fixed, plan = accelerator.fixed, accelerator.plan
    alone = unit_cycles(fixed, plan)
    slowest = min_interval(fixed, plan, accelerator.layout.beats)
    images, interval = _steady_interval(partial(timeline, accelerator), RESULT, slowest)

    def latency(source: str, sink: str) -> int:
        return int(images.offered(sink)[0, 0] - images.taken(source)[0, 0])

    layers = {}
    for before, name in pairwise([fixed.network.input.name, *accelerator.units]):
        beats = {stream: images.beats[stream] for stream in (before, name)}
        make = partial(_timeline_alone, accelerator.units[name], beats)
        _, cycles = _steady_interval(make, name, alone[name])
        layers[name] = LayerPrediction(cycles, latency(before, name))
    return Prediction(interval, latency(SOURCE, RESULT), layers)


def _timeline_alone(unit: Unit, beats: Mapping[str, int], interval: int) -> Timeline:
    """The timeline of a unit alone: its input and its output, the two streams of `beats`."""
    streams = {name: StreamCycles() for name in beats}
    i, o = streams.values()
    offering(i, [0] * next(iter(beats.values())), interval)
    unit.cycles(i, o)
    always_ready(o)
    return Timeline(streams, beats)


def _steady_interval(
    make: Callable[[int], Timeline], stream: str, shortest: int
) -> tuple[Timeline, int]:
    """A timeline with images, and the initiation interval at a stream.

    Parameters
    ----------
    make
        Starts a timeline with an interval between images.
    stream
        The name of the stream.
    shortest
        The shortest interval that is possible.
    """
    images = make(shortest)
    if not images.lag(shortest):
        return images, shortest
    images = make(0)
    images.run(PREDICTED_IMAGES)
    before, last = images.taken(stream)[-2:, -1].tolist()
    return images, last - before

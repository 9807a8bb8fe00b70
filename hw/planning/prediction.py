"""What the cycle model says of an accelerator, before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.folding import Plan
from systolith.hw.planning.timeline import Timeline
from systolith.hw.streams.cycles import StreamCycles, always_ready, offering
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.registry import Unit, unit_type

PREDICTED_IMAGES = 10
"""Images after which the interval is told of what does not keep the pace of its slowest part."""


@dataclass(frozen=True)
class LayerPrediction:
    """A layer's cycles.

    Parameters
    ----------
    cycles
        From an image to the next, as fast as the layer's unit alone could take them.
    latency_cycles
        From the first beat taken of the first image to the first one offered.
    """

    cycles: int
    latency_cycles: int


@dataclass(frozen=True)
class Prediction:
    """An accelerator's cycles, source and sink always ready.

    Parameters
    ----------
    interval_cycles
        From a result to the next, once that is steady; if that is not seen, between the last two of
        the first `PREDICTED_IMAGES`.
    latency_cycles
        From the first pixel taken of the first image to its result offered.
    layers
        Every layer after the input, by name.
    """

    interval_cycles: int
    latency_cycles: int
    layers: dict[str, LayerPrediction]


def timeline(accelerator: Accelerator, interval: int = 0) -> Timeline:
    """The streams of an accelerator: "s_axis", those behind the layers by their names, "m_axis".

    Parameters
    ----------
    accelerator
        What images pass.
    interval
        Cycles from the first pixel of an image to that of the next; 0: as they are taken.
    """
    fixed = accelerator.fixed
    pixels = fixed.network.input.image_shape.size
    beats = {"s_axis": pixels, fixed.network.input.name: pixels, "m_axis": 1}
    for layer in fixed.layers:
        beats[layer.name] = layer.output_shape.size // accelerator.plan[layer.name].lanes
    return Timeline(accelerator.cycles(interval).streams, beats)


def unit_cycles(fixed: FixedNetwork, plan: Plan) -> dict[str, int]:
    """For each layer, the cycles from an image to the next by its unit alone, if no buffer of it
    is too small: it is never faster.
    """
    cycles = {}
    lanes = 1
    for layer in fixed.layers:
        folding = plan[layer.name]
        size = ArraySize(folding.rows, folding.columns, folding.lanes, folding.order)
        cycles[layer.name] = int(unit_type(layer).frame_cycles(layer, size, lanes))
        lanes = folding.lanes
    return cycles


def min_interval(fixed: FixedNetwork, plan: Plan) -> int:
    """The cycles of the slowest unit, or an image's pixels: no image takes less."""
    return max(fixed.network.input.image_shape.size, *unit_cycles(fixed, plan).values())


def predict(accelerator: Accelerator) -> Prediction:
    """The cycles of an accelerator.

    If images that come at the slowest unit's pace pass in step with it, they do so as well when
    they come as they are taken: nothing comes later then, and the slowest unit gets no faster.
    """
    fixed, plan = accelerator.fixed, accelerator.plan
    least = unit_cycles(fixed, plan)
    slowest = min_interval(fixed, plan)
    passing, interval = _in_a_row(partial(timeline, accelerator), "m_axis", slowest)

    def latency(source: str, sink: str) -> int:
        return int(passing.offered(sink)[0, 0] - passing.taken(source)[0, 0])

    layers = {}
    for before, name in pairwise([fixed.network.input.name, *accelerator.units]):
        beats = {stream: passing.beats[stream] for stream in (before, name)}
        alone = partial(_timeline_alone, accelerator.units[name], beats)
        _, cycles = _in_a_row(alone, name, least[name])
        layers[name] = LayerPrediction(cycles, latency(before, name))
    return Prediction(interval, latency("s_axis", "m_axis"), layers)


def _timeline_alone(unit: Unit, beats: Mapping[str, int], interval: int) -> Timeline:
    """The streams of a unit alone, the first and the last of those whose beats are given."""
    streams = {name: StreamCycles() for name in beats}
    i, o = streams.values()
    offering(i, [0] * next(iter(beats.values())), interval)
    unit.cycles(i, o)
    always_ready(o)
    return Timeline(streams, beats)


def _in_a_row(make: Callable[[int], Timeline], stream: str, least: int) -> tuple[Timeline, int]:
    """A timeline of images in a row, and the cycles from one to the next at a stream.

    `make` starts a timeline at an interval of its images; none shorter than `least` can be kept.
    """
    passing = make(least)
    if not passing.lag(least):
        return passing, least
    passing = make(0)
    passing.run(PREDICTED_IMAGES)
    before, last = passing.taken(stream)[-2:, -1].tolist()
    return passing, last - before

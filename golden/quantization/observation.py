"""The float values of a network on calibration images, for which formats are then chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from systolith.golden.files.datasets import UNNAMED, DatasetReference, images_sha256
from systolith.golden.network import float_model
from systolith.golden.network.trained_network import Array, TrainedNetwork
from systolith.golden.qformat import RawImages

_BATCH = 200
_SAMPLED_VALUES = 1 << 20
_POINTS = 1 << 12


class CalibrationError(ValueError):
    """A network that cannot be quantized with these settings: names the layer and the reason."""


@dataclass(frozen=True, eq=False)
class Observed:
    """A layer's values before the activation, on an even sample of the calibration images.

    Parameters
    ----------
    values
        Those of every `every`-th image, about a million in all: `(images, height, width,
        channels)`.
    ends
        The least and the greatest value on all images.
    every
        The distance of the sampled images, the first of which is the first of all.
    """

    values: Array
    ends: tuple[float, float]
    every: int

    def map(self, function: Callable[[Array], Array], rises: bool = True) -> Observed:
        """The same with each value replaced by that of a function.

        The ends of one that never decreases are those of its argument. Otherwise they are sought
        at many points.
        """
        points = np.array(self.ends) if rises else np.linspace(*self.ends, _POINTS)
        found = function(points)
        ends = float(found.min()), float(found.max())
        return replace(self, values=function(self.values), ends=ends)


@dataclass(frozen=True, eq=False)
class Observations:
    """A network and its float values on calibration images: enough to quantize it in any way.

    Parameters
    ----------
    trained
        The network.
    layers
        What was observed of every layer after the input, by name.
    images
        The calibration images.
    calibrated_on
        Their name, hash and number.
    """

    trained: TrainedNetwork
    layers: Mapping[str, Observed]
    images: RawImages
    calibrated_on: DatasetReference


def observe(
    trained: TrainedNetwork, calibration_images: RawImages, name: str = UNNAMED
) -> Observations:
    """Run a network on calibration images, once for all the settings it is quantized with.

    Parameters and errors are those of `quantize`.
    """
    images = calibration_images
    if not len(images):
        raise ValueError("calibration: needs at least 1 image, not 0")
    computing = [layer.name for layer in trained.network.layers[1:]]
    shapes = trained.network.shapes()
    every = {name: -(-shapes[name].size * len(images) // _SAMPLED_VALUES) for name in computing}
    parts: dict[str, list[Array]] = {name: [] for name in computing}
    ends: dict[str, list[float]] = {layer.name: [] for layer in trained.network.layers}
    # An overflow is found among the values.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            for layer_name, before, _ in float_model.intermediates(trained, batch):
                low, high = float(before.min()), float(before.max())
                if not math.isfinite(low) or not math.isfinite(high):
                    layer = trained.network[layer_name]
                    raise CalibrationError(
                        f"{layer.type_name} {layer_name!r}: its float values are not finite"
                    )
                ends[layer_name] += [low, high]
                if layer_name in parts:
                    sampled = slice(-start % every[layer_name], None, every[layer_name])
                    parts[layer_name].append(before[sampled])
    layers = {
        each: Observed(np.concatenate(parts[each]), (min(ends[each]), max(ends[each])), every[each])
        for each in computing
    }
    calibrated_on = DatasetReference(name, images_sha256(images), len(images))
    return Observations(trained, layers, images, calibrated_on)

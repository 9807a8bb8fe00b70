"""Whether another common preprocessing classifies images better than the declared one.

`import --data` uses it: no ONNX file says how its input is computed, and a wrong declaration may
cost 90 points of accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from systolith.golden import Dataset, ImportedNetwork, Preprocessing, TrainedNetwork
from systolith.golden.network import float_model
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.qformat import PIXELS
from systolith.golden.reports.statistics import mcnemar, wilson_interval

_UNIT = (1 / 255,)
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

COMMON: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "--raw": Preprocessing(),
        "--scale 1/255": Preprocessing(_UNIT),
        "--scale 1/255 --mean 0.5 --std 0.5": Preprocessing(_UNIT, (0.5,), (0.5,)),
        "--scale 1/255 --mean 0.5": Preprocessing(_UNIT, (0.5,)),
        "--scale 1/255 --mean 0.1307 --std 0.3081": Preprocessing(_UNIT, (0.1307,), (0.3081,)),
        "--scale 1/255 --mean 0.2860 --std 0.3530": Preprocessing(_UNIT, (0.2860,), (0.3530,)),
        "--scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225": Preprocessing(
            _UNIT, *_IMAGENET
        ),
    }
)
"""Preprocessings that are tried, by the options that declare them: pixels as they are, from 0 to 1,
from -1 to 1, around 0, and standardized as is usual for MNIST, Fashion-MNIST and ImageNet."""

_LEAST_GAIN = 0.02
_CHANCE = 0.001


@dataclass(frozen=True)
class PreprocessingCheck:
    """The accuracy under the declared preprocessing, and under the best common one.

    Parameters
    ----------
    images, correct
        The number of images, and of those that get the class of their label as declared.
    better, better_correct
        The options of the most accurate common preprocessing and its number of images, if it is
        clearly better: by 2 points, by more than chance explains (McNemar's test: 0.001), and
        better than the most frequent label for every image (95 % interval). Else None and 0.
    """

    images: int
    correct: int
    better: str | None = None
    better_correct: int = 0


def check_preprocessing(imported: ImportedNetwork, dataset: Dataset) -> PreprocessingCheck:
    """Classify the images of a data set as declared, and as other networks declare it.

    Raises
    ------
    ValueError
        Images or labels do not fit the network.
    """
    check_dataset(imported.trained.network, dataset)
    right = _right(imported.trained, dataset)
    images, correct = len(dataset), int(right.sum())
    tried = {}
    for options, preprocessing in COMMON.items():
        channels = imported.trained.network.input.channels
        if imported.preprocessing.format != PIXELS:
            break
        if preprocessing != imported.preprocessing and preprocessing.fits(channels):
            # What overflows under another preprocessing says nothing about the declared one.
            with suppress(ValueError):
                tried[options] = _right(imported.with_preprocessing(preprocessing), dataset)
    if not tried:
        return PreprocessingCheck(images, correct)
    best = max(tried, key=lambda options: int(tried[options].sum()))
    gains, losses = int((tried[best] & ~right).sum()), int((right & ~tried[best]).sum())
    better = correct + gains - losses
    most_frequent = int(np.bincount(dataset.known_labels).max())
    if (
        gains - losses >= _LEAST_GAIN * images
        and mcnemar(gains, losses) < _CHANCE
        and wilson_interval(better, images)[0] > most_frequent / images
    ):
        return PreprocessingCheck(images, correct, best, better)
    return PreprocessingCheck(images, correct)


def _right(trained: TrainedNetwork, dataset: Dataset) -> NDArray[np.bool_]:
    """Whether each image gets the class of its label."""
    right: NDArray[np.bool_] = float_model.classes(trained, dataset.images) == dataset.known_labels
    return right

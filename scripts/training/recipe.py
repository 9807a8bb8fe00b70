"""Recipes: the hyperparameters with which the networks that ship are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a network's training.

    Parameters
    ----------
    epochs
        Passes over the training images.
    peak_rate
        The highest learning rate of the one-cycle schedule.
    weight_decay
        AdamW's.
    rotation, scaling
        The largest angle by which a training image is rotated, in degrees, and the largest fraction
        by which its height and its width are changed. All images are shifted as well.
    averaging
        Decay, per step, of the running average of the weights. The average is evaluated.
    start
        Initial weights: `paper` is uniform in +-2.4 / fan-in (LeCun et al., 1998, appendix A), `he`
        is normal with the variance 2 / fan-in (He et al., 2015).
    centres
        Initial centres of a radial basis output for background and ink of the output codes.
    train_centres
        Whether these centres are trained.
    distance_scale
        The factor of squared distances in the MAP criterion.
    """

    epochs: int
    peak_rate: float
    weight_decay: float = 0.0
    rotation: float = 0.0
    scaling: float = 0.0
    averaging: float = 0.998
    start: Literal["paper", "he"] = "paper"
    centres: tuple[float, float] = (-1.0, 1.0)
    train_centres: bool = False
    distance_scale: float = 1.0


RECIPES: Mapping[str, Recipe] = {
    "lenet5": Recipe(epochs=16, peak_rate=2e-3, weight_decay=1e-2, distance_scale=0.05),
    "lenet5-sigmoid": Recipe(
        epochs=24, peak_rate=8e-3, centres=(0.0, 1.0), train_centres=True, distance_scale=0.2
    ),
    "lenet5-relu": Recipe(
        epochs=20, peak_rate=3e-3, weight_decay=1e-3, rotation=10.0, scaling=0.1, start="he"
    ),
}
"""The recipes of the networks that ship, by name."""

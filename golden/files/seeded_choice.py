"""Which images of a user's file choose formats: the same ones each time, from all over it.

A file that is sorted by class would else give the images of its first classes only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SEED = 1
"""The seed of every choice; reports name it."""


def chosen_numbers(images: int, count: int) -> NDArray[np.int64]:
    """The numbers of `count` of the images, ascending; a larger choice has those of a smaller one.

    They are the first `count` of `numpy.random.default_rng(SEED).permutation(images)`.
    """
    numbers: NDArray[np.int64] = np.random.default_rng(SEED).permutation(images)[:count]
    return np.sort(numbers)

"""The search for sizes: the fewest multipliers for a limit of cycles, over all units together.

Units depend on each other through the lanes of the streams between them. So the least that the
layers from one on need is known for each number of lanes before it, from the last layer to the
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.folding import Folding
from systolith.hw.planning.sizes import Options, unit_options

Least = list[dict[int, float]]
"""For each layer, by the lanes of its input: the fewest multipliers of it and all behind it; then,
behind the last layer, 0 for any lanes."""

Limits = list[int]
"""For each layer, the cycles from an image to the next that its unit may take."""


@dataclass(frozen=True, eq=False)
class Search:
    """The options of every layer of a network."""

    fixed: FixedNetwork

    @cached_property
    def options(self) -> list[dict[int, Options]]:
        """For each layer, by the lanes of its input."""
        reached: list[dict[int, Options]] = []
        lanes = [1]
        for layer in self.fixed.layers:
            reached.append({each: unit_options(layer, each) for each in lanes})
            lanes = np.unique(
                np.concatenate([options.size.lanes for options in reached[-1].values()])
            ).tolist()
        return reached

    @cached_property
    def cycles(self) -> list[int]:
        """All numbers of cycles that a unit may take, ascending; no image takes less than these."""
        pixels = self.fixed.network.input.image_shape.size
        every = [options.cycles for by_lanes in self.options for options in by_lanes.values()]
        return [int(cycles) for cycles in np.unique(np.maximum(np.concatenate(every), pixels))]

    def least(self, limits: Limits) -> Least:
        """The fewest multipliers with which no unit takes more cycles than its limit."""
        lanes = {int(n) for options in self.options[-1].values() for n in options.size.lanes}
        least: Least = [dict.fromkeys(lanes, 0.0)]
        for by_lanes, limit in zip(reversed(self.options), reversed(limits), strict=True):
            behind = _table(least[0])
            least.insert(
                0,
                {
                    lanes: float(
                        np.where(
                            options.cycles <= limit,
                            options.multipliers + behind[options.size.lanes],
                            inf,
                        ).min()
                    )
                    for lanes, options in by_lanes.items()
                },
            )
        return least

    def foldings(
        self, position: int, input_lanes: int, limit: int, behind: dict[int, float], budget: int
    ) -> Iterator[tuple[Folding, int]]:
        """Foldings of a layer, with their multipliers, that leave enough for the layers behind it.

        Of those that differ in their lanes alone, the first and the last.
        """
        options = self.options[position][input_lanes]
        needed = options.multipliers + _table(behind)[options.size.lanes]
        places = np.flatnonzero((options.cycles <= limit) & (needed <= budget))
        alike: dict[tuple[int, int], list[int]] = {}
        for place in map(int, places):
            size = int(options.size.rows[place]), int(options.size.columns[place])
            alike.setdefault(size, []).append(place)
        for (rows, columns), same in alike.items():
            for place in sorted({same[0], same[-1]}):
                folding = Folding(rows, columns, int(options.size.lanes[place]), depth=1)
                yield folding, int(options.multipliers[place])


def _table(values: dict[int, float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Values by their keys, infinite where there is none."""
    table = np.full(max(values) + 1, inf)
    table[list(values)] = list(values.values())
    return table

"""The search for sizes: the fewest multipliers within a limit of cycles, over all units together.

The lanes of the streams between units couple their sizes. So this is a dynamic program from the
last layer to the first: the fewest multipliers of a layer and all after it, for each number of
lanes of its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding
from systolith.hw.planning.sizes import NOT_GIVEN, GivenSize, Options, unit_options

MinMultipliers = list[dict[int, float]]
"""For each layer, by the lanes of its input: the fewest multipliers of it and all layers after it.
A last entry, for the output of the network, has 0 for any lanes."""

Limits = list[int]
"""For each layer, the longest initiation interval that its unit may have."""


@dataclass(frozen=True, eq=False)
class Search:
    """The options of every layer of a network, and the fewest multipliers for them.

    Parameters
    ----------
    fixed
        The network.
    given
        The sizes that single layers must have, by name; and the lanes of the input.
    result_beats
        The beats of an image's result.
    """

    fixed: FixedNetwork
    given: Mapping[str, GivenSize]
    result_beats: int

    @property
    def input_lanes(self) -> int:
        """The values in a beat of the input: 1, unless they are given."""
        return self.given.get(self.fixed.network.input.name, NOT_GIVEN).lanes or 1

    @property
    def input_beats(self) -> int:
        """The beats of an image at the input."""
        return self.fixed.network.input.image_shape.size // self.input_lanes

    @cached_property
    def options(self) -> list[dict[int, Options]]:
        """The options of each layer, by the lanes of its input.

        Raises
        ------
        PlanError
            A layer has none with the sizes that are given.
        """
        reached: list[dict[int, Options]] = []
        lanes = [self.input_lanes]
        for layer in self.fixed.layers:
            given = self.given.get(layer.name, NOT_GIVEN)
            reached.append({each: unit_options(layer, each, given) for each in lanes})
            if not any(len(options.cycles) for options in reached[-1].values()):
                raise PlanError(
                    f"layer {layer.name!r}: {given.lanes} lanes do not fit the other sizes that "
                    f"are given: its input has {' or '.join(map(str, lanes))}"
                )
            lanes = np.unique(
                np.concatenate([options.size.lanes for options in reached[-1].values()])
            ).tolist()
        return reached

    @cached_property
    def cycles(self) -> list[int]:
        """All initiation intervals that the units could have, ascending."""
        shortest = max(self.input_beats, self.result_beats)
        every = [options.cycles for by_lanes in self.options for options in by_lanes.values()]
        return [int(cycles) for cycles in np.unique(np.maximum(np.concatenate(every), shortest))]

    def min_multipliers(self, limits: Limits) -> MinMultipliers:
        """The fewest multipliers with which each unit keeps its limit; infinite if none does."""
        lanes = {int(n) for options in self.options[-1].values() for n in options.size.lanes}
        fewest: MinMultipliers = [dict.fromkeys(lanes, 0.0)]
        for by_lanes, limit in zip(reversed(self.options), reversed(limits), strict=True):
            after = _table(fewest[0])
            fewest.insert(
                0,
                {
                    lanes: float(
                        np.where(
                            options.cycles <= limit,
                            options.multipliers + after[options.size.lanes],
                            inf,
                        ).min(initial=inf)
                    )
                    for lanes, options in by_lanes.items()
                },
            )
        return fewest

    def foldings(
        self,
        position: int,
        input_lanes: int,
        limit: int,
        after: dict[int, float],
        budget: int,
        fewest_lanes: bool,
    ) -> Iterator[tuple[Folding, int]]:
        """Foldings of a layer that keep its limit, each with its multipliers.

        Of foldings that differ in their lanes only, it yields those with the fewest and the most.

        Parameters
        ----------
        position
            The number of the layer.
        input_lanes
            The lanes of its input.
        limit
            The longest initiation interval.
        after
            The fewest multipliers of the layers after it, by the lanes of its output.
        budget
            The multipliers that this layer and all layers after it may have.
        fewest_lanes
            Whether to leave out those with the most lanes.
        """
        options = self.options[position][input_lanes]
        needed = options.multipliers + _table(after)[options.size.lanes]
        places = np.flatnonzero((options.cycles <= limit) & (needed <= budget))
        by_size: dict[tuple[int, int], list[int]] = {}
        for place in map(int, places):
            size = int(options.size.rows[place]), int(options.size.columns[place])
            by_size.setdefault(size, []).append(place)
        for (rows, columns), same in by_size.items():
            for place in same[:1] if fewest_lanes else sorted({same[0], same[-1]}):
                folding = Folding(rows, columns, int(options.size.lanes[place]), depth=1)
                yield folding, int(options.multipliers[place])


def _table(values: dict[int, float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Values by their keys, infinite where there is none."""
    table = np.full(max(values) + 1, inf)
    table[list(values)] = list(values.values())
    return table

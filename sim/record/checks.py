"""Compares the records of a network with the fixed-point model, batch by batch.

Both engines yield the same records, so that this check is the same for all simulators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np

from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedNetwork, Integers
from systolith.golden.qformat import RawImages
from systolith.sim.record.reference import winning
from systolith.sim.record.scoreboard import LayerResult, LayerScoreboard
from systolith.sim.record.taps import Batch, RuleBroken

_CLASS_MASK = 0xFF


class Check:
    """Compares layers and results, and collects what is wrong.

    Parameters
    ----------
    fixed
        The network that the hardware implements.
    images
        The images that go in, `(images, height, width, channels)`.
    layers
        The names of the layers to compare.
    results
        Whether to compare the results at `m_axis`, which a layer alone does not have.

    Members
    -------
    came_out
        For each image, whether it came out.
    classes
        The class of each image by the hardware; -1 before it came out.
    """

    def __init__(
        self,
        fixed: FixedNetwork,
        images: RawImages,
        layers: Iterable[str],
        results: bool = True,
    ) -> None:
        self._fixed = fixed
        self._model = FixedModel(fixed)
        self._images = images
        self._boards = {name: LayerScoreboard(name) for name in layers}
        self._broken: list[str] = []
        self._results = results
        self._wrong_results: dict[int, str] = {}
        self.came_out = np.zeros(len(images), bool)
        self.classes = np.full(len(images), -1, np.int64)

    def expected(self, images: RawImages) -> dict[str, Integers]:
        """Every layer's values, `(images, height, width, channels)`, by the fixed-point model."""
        return self._model.run(images).outputs

    def take(self, batches: Iterable[Batch]) -> Iterator[int]:
        """Compare batches until a rule is broken; yields the number of images of each batch."""
        try:
            for batch in batches:
                self._compare(batch)
                yield len(batch.records)
        except RuleBroken as error:
            self._broken.append(str(error))

    def layer_results(self) -> tuple[LayerResult, ...]:
        """The result of each layer."""
        return tuple(board.result for board in self._boards.values())

    def violations(self) -> tuple[str, ...]:
        """What is wrong apart from the values of layers, a line each."""
        violations = list(self._broken)
        if self._wrong_results:
            first = min(self._wrong_results)
            violations.append(
                f"m_axis: {len(self._wrong_results)} wrong results, the first of image {first}: "
                f"{self._wrong_results[first]}"
            )
        missing = int(np.count_nonzero(~self.came_out))
        if missing:
            violations.append(f"{missing} of {len(self.came_out)} images did not come out")
        return tuple(violations)

    def _compare(self, batch: Batch) -> None:
        images = slice(batch.first, batch.first + len(batch.records))
        expected = self.expected(self._images[images])
        for name, board in self._boards.items():
            board.compare(batch.first, expected[name], batch.records[name])
        self.came_out[images] = True
        if self._results:
            self._compare_results(batch, expected[self._fixed.layers[-1].name])

    def _compare_results(self, batch: Batch, values: Integers) -> None:
        """Compare the class and the score of each image with the winner's; no flag may be set."""
        columns = ("result data", "result user", "result last")
        found = zip(*(batch.records[name].tolist() for name in columns), strict=True)
        expected = winning(self._fixed, values)
        for image, result, (data, user, last) in zip(
            count(batch.first), expected, found, strict=False
        ):
            self.classes[image] = data & _CLASS_MASK
            if (data, user, last) != (result.tdata, 0, 1):
                self._wrong_results[image] = (
                    f"expected tdata {result.tdata:016x}, tuser 0, tlast 1, "
                    f"found {data:016x}, {user}, {last}"
                )

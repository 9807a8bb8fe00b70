"""Compares the records of a network with the fixed-point model, batch by batch.

Both engines yield the same records, so that this check is the same for all simulators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedNetwork, Integers
from systolith.golden.qformat import RawImages
from systolith.hw.streams.result_layout import Bytes, ResultLayout, hex_text
from systolith.sim.record.scoreboard import LayerResult, LayerScoreboard
from systolith.sim.record.taps import RESULT_FIELD, Batch, Records, RuleBroken


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
    layout
        Of the results at `m_axis`, to compare them as well; None for a layer alone, which has none.

    Members
    -------
    came_out
        For each image, whether it came out.
    classes
        The class of each image by the hardware; -1 before it came out. Empty if results have none.
    """

    def __init__(
        self,
        fixed: FixedNetwork,
        images: RawImages,
        layers: Iterable[str],
        layout: ResultLayout | None = None,
    ) -> None:
        self._fixed = fixed
        self._model = FixedModel(fixed)
        self._images = images
        self._boards = {name: LayerScoreboard(name) for name in layers}
        self._broken: list[str] = []
        self._layout = layout
        self._wrong_results: dict[int, str] = {}
        self.came_out = np.zeros(len(images), bool)
        by_class = layout is not None and layout.kind == "class"
        self.classes = np.full(len(images) if by_class else 0, -1, np.int64)

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
        if self._layout is not None:
            values = expected[self._fixed.layers[-1].name]
            found = batch.records[RESULT_FIELD]
            if self._layout.kind == "class":
                self.classes[images] = self._layout.unpack(found["data"])["class"][:, 0]
            self._compare_results(batch.first, self._layout.results(self._fixed, values), found)

    def _compare_results(self, first: int, data: Bytes, found: Records) -> None:
        """Compare every beat of the results of images from `first` on; no flag may be set."""
        beats = found.shape[1]
        last = np.arange(beats) == beats - 1
        wrong = (found["data"] != data).any(axis=2) | (found["user"] != 0) | (found["last"] != last)
        for place in np.flatnonzero(wrong.any(axis=1)).tolist():
            beat = int(np.argmax(wrong[place]))
            given, user, at_end = found[place, beat]
            where = f"beat {beat}: " if beats > 1 else ""
            self._wrong_results[first + place] = (
                f"{where}expected tdata {hex_text(data[place, beat])}, tuser 0, "
                f"tlast {int(last[beat])}, found {hex_text(given)}, {user}, {at_end}"
            )

"""Images through a board, and its classes and scores beside those of the fixed-point model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.execution import FixedModel, winners
from systolith.golden.qformat import RawImages
from systolith.hw.boards.board_client import BoardClient, Port
from systolith.hw.boards.packets import Result
from systolith.hw.boards.serial_accelerator import identity_of

if TYPE_CHECKING:
    from systolith.hw.verilog.artifacts import Artifacts

_BITS_PER_BYTE = 10
_LEAST_HZ = 1_000_000


@dataclass(frozen=True)
class BoardRun:
    """What a board made of some images.

    Parameters
    ----------
    results
        The result of each image.
    expected
        The class and the winning score of each image by the fixed-point model.
    resent
        The images that had to be sent again.
    """

    results: tuple[Result, ...]
    expected: tuple[tuple[int, int], ...]
    resent: int

    @property
    def mismatches(self) -> tuple[int, ...]:
        """The images whose class or score is not that of the model."""
        pairs = zip(self.results, self.expected, strict=True)
        return tuple(
            place
            for place, (found, expected) in enumerate(pairs)
            if (found.index, found.score) != expected
        )

    def correct(self, labels: NDArray[np.integer[Any]]) -> int:
        """The number of images whose class is that of their label."""
        found = np.array([result.index for result in self.results])
        return int(np.count_nonzero(found == labels))


def answer_seconds(built: Artifacts, bits_per_second: float) -> float:
    """How long a host waits for an answer: well above what the line and the accelerator need.

    Parameters
    ----------
    built
        The content of the folder (`hw.verilog.artifacts.load`).
    bits_per_second
        The speed of the line.
    """
    identity = identity_of(built)
    most_bytes = 2 * identity.window * identity.image_bytes  # all are escaped
    cycles = built.manifest.predicted.latency_cycles * identity.window
    return 1 + 2 * most_bytes * _BITS_PER_BYTE / bits_per_second + cycles / _LEAST_HZ


def run_on_board(
    built: Artifacts,
    images: RawImages,
    port: Port,
    seconds: float,
    progress: Callable[[int, int], None] | None = None,
) -> BoardRun:
    """Send images to the board of a folder's accelerator, and compare its results.

    Parameters
    ----------
    built
        The content of the folder (`hw.verilog.artifacts.load`).
    images
        The images, `(images, height, width, channels)`.
    port
        The line to the board.
    seconds
        How long to wait for an answer.
    progress
        Called with the images that are done, and their number.

    Raises
    ------
    BoardError
        The board gives no answer.
    WrongBoardError
        It has another accelerator than the folder.
    """
    client = BoardClient(port, identity_of(built), seconds)
    results = []
    for result in client.classify([image.tobytes() for image in images]):
        results.append(result)
        if progress is not None:
            progress(len(results), len(images))
    fixed = built.quantized.fixed
    scores = FixedModel(fixed).scores(images)
    classes = winners(fixed, scores)
    best = scores[np.arange(len(images)), classes]
    expected = zip(classes.tolist(), best.tolist(), strict=True)
    return BoardRun(tuple(results), tuple(expected), client.resent)

"""The images to which a report of a comparison gives another class than the first report.

The page of a comparison shows them with pictures where the images are known, and with the scores of
both networks where these are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Literal

from systolith import golden
from systolith.golden import AccuracyReport, Dataset, QuantizedNetwork, TrainedNetwork
from systolith.golden.network.graph import Input
from systolith.golden.qformat import PIXELS
from systolith.golden.reports.comparison import Comparison
from systolith.golden.reports.side_by_side import side_by_side
from systolith.scripts.pages import map_pictures

MOST_IMAGES = 200
"""The largest number of changes that a page shows."""

_MOST_SCORES = 8000
"""The largest number of scores of one report that a page shows: fewer images of many classes."""

Kind = Literal["gained", "lost", "still wrong"]
KINDS: tuple[Kind, ...] = ("gained", "lost", "still wrong")

Network = TrainedNetwork | QuantizedNetwork


@dataclass(frozen=True)
class Given:
    """A class that a network gives to an image, and its scores; empty if they are not known."""

    by: str
    number: int
    scores: tuple[float, ...]


@dataclass(frozen=True)
class ChangedImage:
    """An image that a report gives another class than the first one does.

    Parameters
    ----------
    image, label
        Its number from 0, and its label.
    picture
        A `data:` address; empty if the image is not known.
    kind
        Whether the report is right, the first is, or neither.
    before, after
        The class of the first report, and that of this one.
    """

    image: int
    label: int
    picture: str
    kind: Kind
    before: Given
    after: Given


@dataclass(frozen=True)
class ChangedImages:
    """Those that are shown, and the number of all by report and kind.

    Parameters
    ----------
    shown
        By report, and then by image; if there are too many, of each report and each kind in turn.
    totals
        The number of all changes, `images`, by the label of the `report` and by `kind`.
    """

    shown: tuple[ChangedImage, ...]
    totals: tuple[dict[str, str | int], ...]

    @property
    def total(self) -> int:
        """The number of all changes."""
        return sum(int(each["images"]) for each in self.totals)

    @property
    def has_scores(self) -> bool:
        """Whether there is a network whose scores are known."""
        return any(given.scores for each in self.shown for given in (each.before, each.after))


def changed_images(
    comparison: Comparison, networks: Sequence[Network | None], dataset: Dataset | None
) -> ChangedImages:
    """The changes of all reports but the first.

    Parameters
    ----------
    comparison
        Reports about the same images.
    networks
        The network of each report, None where it is not known.
    dataset
        The images of the reports; None if they are not known, unless these are digits that ship.
    """
    reports = [row.report for row in comparison.rows]
    dataset = _known(reports[0]) if dataset is None else dataset
    changes = [_changes(report, reports[0]) for report in reports[1:]]
    in_turns = chain.from_iterable(
        zip_longest(*([(place, image) for image in each] for place, each in enumerate(changes, 1)))
    )
    known = next((each for each in networks if each is not None), None)
    fmt = PIXELS if known is None else _input(known).format
    most = min(MOST_IMAGES, max(1, _MOST_SCORES // len(reports[0].confusion)))
    chosen = sorted(islice((each for each in in_turns if each is not None), most))
    scores = {
        place: _scores(networks[place], dataset, images)
        for place in range(len(networks))
        if (images := sorted({image for of, image in chosen if place in (0, of)}))
    }

    def given(place: int, image: int) -> Given:
        row = comparison.rows[place]
        known = scores.get(place, {}).get(image, ())
        return Given(row.label, row.report.predictions[image], known)

    shown = (
        ChangedImage(
            image=image,
            label=reports[0].reference[image],
            picture="" if dataset is None else map_pictures.grey(dataset.images[image], fmt),
            kind=_kind(reports[place], reports[0], image),
            before=given(0, image),
            after=given(place, image),
        )
        for place, image in chosen
    )
    counts = Counter(
        (place, _kind(reports[place], reports[0], image))
        for place, images in enumerate(changes, 1)
        for image in images
    )
    totals: tuple[dict[str, str | int], ...] = tuple(
        {"report": comparison.rows[place].label, "kind": kind, "images": count}
        for (place, kind), count in counts.items()
    )
    return ChangedImages(tuple(shown), totals)


def _known(report: AccuracyReport) -> Dataset | None:
    """The digits that ship, if the report is about them."""
    for digits in (golden.test_digits(), golden.validation_digits()):
        if digits.sha256 == report.dataset.sha256:
            return digits
    return None


def _changes(report: AccuracyReport, first: AccuracyReport) -> list[int]:
    """The images that change, of each kind in turn, so that a few of them show the rare kinds."""
    pairs = enumerate(zip(report.predictions, first.predictions, strict=True))
    by_kind: dict[Kind, list[int]] = {kind: [] for kind in KINDS}
    for image, (after, before) in pairs:
        if after != before:
            by_kind[_kind(report, first, image)].append(image)
    in_turns = chain.from_iterable(zip_longest(*by_kind.values()))
    return [image for image in in_turns if image is not None]


def _kind(report: AccuracyReport, first: AccuracyReport, image: int) -> Kind:
    if report.predictions[image] == report.reference[image]:
        return "gained"
    return "lost" if first.predictions[image] == first.reference[image] else "still wrong"


def _input(network: Network) -> Input:
    trained = network.parent if isinstance(network, QuantizedNetwork) else network
    return trained.network.input


def _scores(
    network: Network | None, dataset: Dataset | None, images: Sequence[int]
) -> dict[int, tuple[float, ...]]:
    """The scores of some images in real numbers, by image; empty if they are not known."""
    if network is None or dataset is None:
        return {}
    pixels = dataset.images[list(images)]
    if isinstance(network, QuantizedNetwork):
        *_, last = side_by_side(network, pixels)
        rows = last.held.reshape(len(images), -1).tolist()
    else:
        real = golden.float_maps(network, pixels)[network.network.output.name]
        rows = real.reshape(len(images), -1).tolist()
    return {image: tuple(row) for image, row in zip(images, rows, strict=True)}

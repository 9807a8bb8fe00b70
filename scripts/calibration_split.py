"""Which images choose and which ones test the result, so that no image does both.

The digits that ship serve networks that were trained on MNIST; others need images of their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from systolith.scripts.options import load_data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from systolith.golden import Dataset, TrainedNetwork
    from systolith.golden.qformat import RawImages
    from systolith.golden.quantization.trials import Trials

CALIBRATION_IMAGES = 1000
"""More images choose the same formats, and take longer."""


def calibration_images() -> RawImages:
    """The digits on which formats are chosen: validation digits, which no training has seen."""
    from systolith.golden import validation_digits

    return validation_digits().images[:CALIBRATION_IMAGES]


def named_calibration(
    trained: TrainedNetwork,
    data: Path | None,
    count: int | None = None,
    label_column: str | None = None,
) -> tuple[RawImages, str]:
    """The images on which a network's formats are chosen, and their name.

    They are chosen (`choose`) from a file, which needs no labels, or from the validation digits:
    `count`, or without a number 1,000, or all if there are fewer.

    Raises
    ------
    ValueError
        There is no file and the network was not trained on MNIST, the file is not valid, or it has
        fewer than `count` images.
    """
    found = validation_images(data, "--data FILE", trained, label_column=label_column)
    if count is not None and count > len(found):
        raise ValueError(f"--images: {found.title} has {len(found):,} images, not {count:,}")
    chosen = choose(found, count or min(len(found), CALIBRATION_IMAGES))
    return chosen.images, chosen.title


def validation_images(
    data: Path | None, option: str, *networks: TrainedNetwork, label_column: str | None
) -> Dataset:
    """The images by which something is chosen: those of a file, or the validation digits.

    Raises
    ------
    ValueError
        There is no file and a network was not trained on MNIST (the message names `option`), or
        the file is not valid.
    """
    from systolith import golden

    if data is not None:
        return _loaded(data, label_column, networks)
    if label_column is not None:
        raise ValueError(f"--label-column: needs a .csv file, by {option}")
    _check_origins(networks, option)
    return golden.validation_digits()


def test_images(
    data: Path | None, option: str, *networks: TrainedNetwork, label_column: str | None
) -> Dataset:
    """The images on which nothing is chosen: those of a file, or the test digits.

    Errors are those of `validation_images`.
    """
    from systolith import golden

    if data is not None:
        return _loaded(data, label_column, networks)
    if label_column is not None:
        raise ValueError(f"--label-column: needs a .csv file, by {option}")
    _check_origins(networks, option)
    return golden.test_digits()


def _loaded(data: Path, label_column: str | None, networks: tuple[TrainedNetwork, ...]) -> Dataset:
    """The images of a file as all these networks take them."""
    first, *others = (trained.network for trained in networks)
    for network in others:
        if network.input.format != first.input.format:
            raise ValueError(
                f"network {network.name!r} takes {network.input.format}, and {first.name!r} takes "
                f"{first.input.format}: {data} cannot be for both"
            )
    return load_data(data, first, label_column)


def choose(data: Dataset, count: int) -> Dataset:
    """`count` images of a data set; the title says how they were chosen, unless they are all.

    They are the first of the digits that ship. Of other images `seeded_choice` chooses, as a file
    may be sorted by class.

    Raises
    ------
    ValueError
        There are fewer.
    """
    from systolith.golden.files.seeded_choice import SEED

    if _ships(data) or count >= len(data):
        return data.take(count)
    how = f"{data.split}, chosen of {len(data):,} with seed {SEED}"
    return replace(data.part(_numbers(data, count)), split=how)


def split(data: Dataset) -> tuple[Dataset, Dataset]:
    """The images on which formats are chosen (`choose`), at most half, and the others in order.

    Raises
    ------
    ValueError
        There are fewer than two images.
    """
    import numpy as np

    count = min(CALIBRATION_IMAGES, len(data) // 2)
    if not count:
        raise ValueError(f"data {data.name!r}: needs at least 2 images, to choose formats and rank")
    others = np.delete(np.arange(len(data)), _numbers(data, count))
    return choose(data, count), data.part(others)


def _ships(data: Dataset) -> bool:
    return data.split == "validation"


def _numbers(data: Dataset, count: int) -> NDArray[np.int64]:
    import numpy as np

    from systolith.golden.files.seeded_choice import chosen_numbers

    return np.arange(count) if _ships(data) else chosen_numbers(len(data), count)


def how_to_repeat(trials: Trials) -> str:
    """The command that makes the network of a trial from its settings, in a sentence."""
    from systolith.golden.files.datasets import images_sha256

    network, known, notes = trials.shipped, trials.calibrated_on, []
    if network is None:
        network = "NETWORK.npz"
        notes.append("NETWORK.npz: the float network")
    data = ""
    if known is None or known.sha256 != images_sha256(calibration_images()):
        count = "" if known is None else f" --images {known.images}"
        data = f" --data IMAGES{count}"
        notes.append(f"IMAGES: the images of {trials.dataset}")
    command = f"systolith quantize {network} --config SETTINGS.toml --out q.npz{data}"
    return f"Each settings file gives its network by: {'; '.join([command, *notes])}"


def check_apart(chosen_on: Dataset, tested: Dataset, option: str, why: str) -> None:
    """Refuse images that would both choose and test; `why` says what needs others.

    Raises
    ------
    ValueError
        The data sets share images; names both, and the option that gives others.
    """
    shared = len(_digests(chosen_on) & _digests(tested))
    if shared:
        raise ValueError(
            f"{option}: {shared:,} of the images of {chosen_on.title} are among those of "
            f"{tested.title}, {why}"
        )


def _digests(data: Dataset) -> set[bytes]:
    return {hashlib.sha256(image.tobytes()).digest() for image in data.images}


def _check_origins(networks: tuple[TrainedNetwork, ...], option: str) -> None:
    from systolith.golden.network.dataset_check import check_origin

    for trained in networks:
        check_origin(trained, option)

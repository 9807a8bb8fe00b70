"""Which images of a data set choose and which score, held against the seed that reports name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import golden
from systolith.golden.network.graph import Network
from systolith.golden.qformat import QFormat
from systolith.scripts.calibration_split import (
    calibration_images,
    check_apart,
    choose,
    named_calibration,
    split,
    validation_images,
)
from systolith.scripts.calibration_split import test_images as images_for_tests
from tests.scripts import tiny

TINY = tiny.quantized().parent


def data(count: int, name: str = "a.npz") -> golden.Dataset:
    """Images that are all different, sorted by class."""
    pixels = np.arange(count * 2, dtype=np.uint16).view(np.uint8).reshape(count, 2, 2, 1)
    return golden.Dataset(name, "custom", pixels, np.arange(count) * 3 // count)


def by_seed(images: int, count: int) -> list[int]:
    """The numbers that NumPy's generator gives for seed 1, ascending."""
    found: list[int] = sorted(np.random.default_rng(1).permutation(images)[:count].tolist())
    return found


@pytest.mark.parametrize(
    ("images", "count"), [(2, 1), (3, 1), (7, 3), (1998, 999), (2000, 1000), (2001, 1000)]
)
def test_at_most_half_and_at_most_a_thousand_choose_and_all_others_score(
    images: int, count: int
) -> None:
    whole = data(images)
    chosen, others = split(whole)
    numbers = by_seed(images, count)
    assert np.array_equal(chosen.images, whole.images[numbers])
    assert chosen.known_labels.tolist() == whole.known_labels[numbers].tolist()
    rest = [number for number in range(images) if number not in set(numbers)]
    assert np.array_equal(others.images, whole.images[rest])
    assert others.known_labels.tolist() == whole.known_labels[rest].tolist()
    assert chosen.split == f"custom, chosen of {images:,} with seed 1"
    assert (chosen.name, others.name, others.split) == ("a.npz", "a.npz", "custom")


def test_one_image_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"^data 'a\.npz': needs at least 2 images"):
        split(data(1))


def test_of_the_digits_the_first_choose() -> None:
    digits = golden.validation_digits()
    chosen, others = split(digits)
    assert np.array_equal(chosen.images, digits.images[:1000])
    assert np.array_equal(others.images, digits.images[1000:])
    assert others.known_labels.tolist() == digits.known_labels[1000:].tolist()
    assert np.array_equal(calibration_images(), digits.images[:1000])
    few = choose(digits, 7)
    assert np.array_equal(few.images, digits.images[:7])
    assert few.split == digits.split == "validation"


def test_all_images_are_taken_in_their_order_and_called_as_they_were() -> None:
    whole = data(5)
    every = choose(whole, 5)
    assert np.array_equal(every.images, whole.images) and every.split == "custom"
    with pytest.raises(ValueError, match="from 1 to 5"):
        choose(whole, 6)


@pytest.mark.parametrize(
    ("images", "option", "count"),
    [
        # As many as the option says, otherwise 1,000 or all.
        *((1200, None, 1000), (1200, 1100, 1100), (1200, 1200, 1200), (1200, 7, 7)),
        *((30, None, 30), (30, 30, 30), (30, 29, 29)),
    ],
)
def test_as_many_images_choose_as_the_option_says(
    images: int, option: int | None, count: int, tmp_path: Path
) -> None:
    tiny.save_images(tmp_path / "a.npz", images)
    own = golden.load_dataset(tmp_path / "a.npz").images
    chosen, name = named_calibration(TINY, tmp_path / "a.npz", option)
    numbers = range(images) if count == images else by_seed(images, count)
    assert np.array_equal(chosen, own[[*numbers]])
    how = "" if count == images else f", chosen of {images:,} with seed 1"
    assert name == f"a.npz (custom{how})"


def test_more_images_than_there_are_is_one_line(tmp_path: Path) -> None:
    tiny.save_images(tmp_path / "a.npz", 30)
    with pytest.raises(ValueError, match=r"^--images: a\.npz \(custom\) has 30 images, not 31$"):
        named_calibration(TINY, tmp_path / "a.npz", 31)


def test_images_that_would_choose_and_test_are_counted_and_named() -> None:
    """Labels and the order do not matter; an image that is there twice is one."""
    chosen, tested = data(6, "a.npz"), data(9, "b.npz")
    shuffled = tested.images[[7, 5, 5, 3, 8]]
    tested = replace(tested, images=shuffled, labels=np.zeros(5, np.int64), split="part")
    check_apart(replace(chosen, images=chosen.images[:3], labels=None), tested, "--x", "why")
    said = (
        r"^--x: 2 of the images of a\.npz \(custom\) are among those of b\.npz \(part\), which is "
        r"wrong$"
    )
    with pytest.raises(ValueError, match=said):
        check_apart(chosen, tested, "--x", "which is wrong")


def changed(name: str, **changes: Any) -> golden.TrainedNetwork:
    first, *others = TINY.network.layers
    return replace(TINY, network=Network(name, (replace(first, **changes), *others)))


@pytest.mark.parametrize("load", [validation_images, images_for_tests])
def test_a_file_is_read_for_all_networks_if_they_take_the_same_format(
    load: Any, tmp_path: Path
) -> None:
    """What a value stands for may differ from network to network."""
    tiny.save_images(tmp_path / "a.npz", 4)
    other = changed("other", scale=0.5)
    assert len(load(tmp_path / "a.npz", "--data FILE", TINY, other, label_column=None)) == 4
    signed = changed("signed", format=QFormat(8, 3))
    with pytest.raises(
        ValueError, match=r"^network 'signed' takes s8\.3, and 'tiny' takes u8\.0: .*a\.npz cannot"
    ):
        load(tmp_path / "a.npz", "--data FILE", TINY, other, signed, label_column=None)


@pytest.mark.parametrize(
    ("load", "part"), [(validation_images, "validation"), (images_for_tests, "test")]
)
def test_digits_are_for_networks_that_were_trained_on_them_alone(load: Any, part: str) -> None:
    shipped = golden.load_network("lenet5-relu")
    assert load(None, "--x FILE", shipped, label_column=None).split == part
    with pytest.raises(ValueError, match=r"^--label-column: needs a \.csv file, by --x FILE$"):
        load(None, "--x FILE", shipped, label_column="kind")
    with pytest.raises(ValueError, match=r"^network 'tiny' was trained on .* with --x FILE$"):
        load(None, "--x FILE", shipped, TINY, label_column=None)

"""Folders of pictures: which image has which label, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from systolith.golden.errors import FileFormatError
from systolith.golden.files.datasets import Dataset, load_dataset, load_images


def draw(path: Path, value: int, shape: tuple[int, ...] = (3, 2)) -> None:
    """A picture of one value, written without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels: NDArray[np.uint8] = np.full(shape, value, np.uint8)
    Image.fromarray(pixels).save(path)


def labels_by_value(data: Dataset) -> dict[int, int]:
    pairs = zip(data.images, data.known_labels, strict=True)
    return {int(image.max()): int(label) for image, label in pairs}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes `ant`, `bee` and `cat` with pictures of values 10 to 13, 20 to 22, and 30."""
    for name, first, count in (("bee", 20, 3), ("ant", 10, 4), ("cat", 30, 1)):
        for place in range(count):
            draw(tmp_path / "pictures" / name / f"{place}.PNG", first + place)
    (tmp_path / "pictures" / "ant" / "notes.txt").write_text("no picture")
    (tmp_path / "pictures" / "list.csv").write_text("no class")
    return tmp_path / "pictures"


def test_each_picture_has_the_label_of_its_subfolder(folder: Path) -> None:
    data = load_dataset(folder)
    assert (data.name, data.images.shape) == ("pictures", (8, 3, 2, 1))
    found = {
        int(image.max()): int(label)
        for image, label in zip(data.images, data.known_labels, strict=True)
    }
    assert found == {10: 0, 11: 0, 12: 0, 13: 0, 20: 1, 21: 1, 22: 1, 30: 2}
    assert all(image.min() == image.max() for image in data.images)


def test_the_order_is_mixed_and_always_the_same(folder: Path) -> None:
    data = load_dataset(folder)
    assert sorted(data.known_labels.tolist()) != data.known_labels.tolist()
    assert load_dataset(folder).sha256 == data.sha256
    assert np.array_equal(load_images(folder), data.images)


def test_a_folder_without_subfolders_has_images_only(folder: Path) -> None:
    assert load_images(folder / "ant").ravel()[::6].tolist() == [10, 11, 12, 13]
    assert load_dataset(folder / "ant").labels is None


def test_pictures_in_colour_have_three_channels(tmp_path: Path) -> None:
    for place in range(2):
        draw(tmp_path / str(place) / "a.png", place, (4, 5, 3))
    assert load_dataset(tmp_path).images.shape == (2, 4, 5, 3)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 3)])
def test_pictures_of_another_size_or_kind_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    draw(folder / "bee" / "9.png", 5, shape)
    first = folder / "bee" / "0.PNG"
    kind = "in colour" if len(shape) == 3 else "in grey"
    message = (
        f"9.png: is {shape[0]} x {shape[1]} {kind}, and {first} is 3 x 2 in grey: all pictures"
    )
    with pytest.raises(FileFormatError, match=re.escape(message)):
        load_dataset(folder)
    draw(folder / "bee" / "9.png", 5)
    assert len(load_dataset(folder)) == 9


def test_a_damaged_picture_is_named(folder: Path) -> None:
    (folder / "cat" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(FileFormatError, match=r"cat/x\.png: "):
        load_dataset(folder)


def test_an_empty_class_is_refused(folder: Path) -> None:
    (folder / "dog").mkdir()
    with pytest.raises(FileFormatError, match=r"dog: has no pictures \(\.png, "):
        load_dataset(folder)


def test_numbers_that_are_not_in_alphabetical_order_are_refused(tmp_path: Path) -> None:
    """The label of the subfolder 10 would be 1 for some readers and 2 or 10 for others."""
    for name in ("0", "2", "10"):
        draw(tmp_path / name / "a.png", int(name))
    with pytest.raises(FileFormatError, match=r"0, 10, 2, .* such as 02"):
        load_dataset(tmp_path)
    for name in ("0", "2"):
        (tmp_path / name).rename(tmp_path / f"0{name}")
    data = load_dataset(tmp_path)
    assert {int(i.max()): int(n) for i, n in zip(data.images, data.known_labels, strict=True)} == {
        0: 0,
        2: 1,
        10: 2,
    }


def test_the_order_is_that_of_numpy_s_first_seed(folder: Path) -> None:
    """Reports of data sets are comparable only as long as the first images are the same."""
    values = [10, 11, 12, 13, 20, 21, 22, 30]
    order = np.random.default_rng(0).permutation(8)
    assert load_images(folder)[:, 0, 0, 0].tolist() == [values[place] for place in order]


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "bmp", "GIF", "ppm", "pgm", "webp"])
def test_pictures_are_known_by_their_suffix_in_any_case(suffix: str, tmp_path: Path) -> None:
    shape = (3, 2) if suffix == "pgm" else (3, 2, 3)
    draw(tmp_path / f"b.{suffix}", 250, shape)
    draw(tmp_path / "a.png", 0, shape)
    draw(tmp_path / "c.tiff", 99, shape)
    images = load_images(tmp_path)
    assert len(images) == 2
    assert images[0].max() == 0 and images[1].min() > 240


@pytest.mark.parametrize(
    ("names", "is_refused"),
    [
        (["1", "2", "10"], True),
        (["01", "02", "10"], False),
        (["1", "2", "3", "04"], True),
        (["1", "2", "3", "30", "4"], True),
        (["1", "10", "9", "x"], False),
        (["7", "8", "9"], False),
    ],
)
def test_numbers_must_be_in_their_own_order(
    names: list[str], is_refused: bool, tmp_path: Path
) -> None:
    for place, name in enumerate(sorted(names)):
        draw(tmp_path / name / "a.png", place)
    if is_refused:
        with pytest.raises(FileFormatError, match="write all of them with as many digits"):
            load_dataset(tmp_path)
    else:
        data = load_dataset(tmp_path)
        assert data.images[:, 0, 0, 0].tolist() == data.known_labels.tolist()


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    suffixes = ".png, .jpg, .jpeg, .bmp, .gif, .ppm, .pgm, .webp"
    with pytest.raises(FileFormatError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value) == f"{tmp_path}: has no pictures ({suffixes})"


def test_more_pixels_than_are_read_are_refused_before_they_are_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("systolith.golden.files.npz.MAX_BYTES", 23)
    with pytest.raises(FileFormatError) as caught:
        load_images(folder / "ant")
    assert str(caught.value) == f"{folder / 'ant'}: 4 pictures have 24 bytes, at most 23 are read"
    monkeypatch.setattr("systolith.golden.files.npz.MAX_BYTES", 24)
    assert len(load_images(folder / "ant")) == 4

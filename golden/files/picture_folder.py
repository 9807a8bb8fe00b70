"""A folder of pictures as images: a subfolder for each class, or no subfolders and no labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.files.picture_decoding import decode_picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".webp")
"""The names of pictures end with one of these, in lower or upper case."""

_SEED = 0


def read(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """The images of a folder, and their labels if it has a subfolder for each class.

    Shapes: `(images, height, width, channels)` and `(images,)`.

    Raises
    ------
    FileFormatError
        The folder has neither pictures nor subfolders, a subfolder has no pictures, the numbers of
        subfolders are in another order than the alphabetical one, or pictures cannot be read or are
        not of one size and kind.
    """
    if any(each.is_dir() for each in folder.iterdir()):
        return _labelled(folder)
    files = _pictures(folder)
    if not files:
        raise FileFormatError(f"{folder}: has no pictures ({', '.join(SUFFIXES)})")
    return _stacked(files), None


def _labelled(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images of a folder with a subfolder for each class, and their labels.

    Classes are the subfolders in alphabetical order, from 0. Images are shuffled, in the same way
    each time, so that the first ones are of all classes.
    """
    classes = sorted(each for each in folder.iterdir() if each.is_dir())
    names = [each.name for each in classes]
    if all(name.isdecimal() for name in names) and names != sorted(names, key=int):
        raise FileFormatError(
            f"{folder}: the alphabetical order of its classes, {', '.join(names[:3])}, ..., is not "
            "that of their numbers: write all of them with as many digits, such as 02"
        )
    files, labels = [], []
    for label, each in enumerate(classes):
        found = _pictures(each)
        if not found:
            raise FileFormatError(f"{each}: has no pictures ({', '.join(SUFFIXES)})")
        files += found
        labels += [label] * len(found)
    order = np.random.default_rng(_SEED).permutation(len(files))
    return _stacked([files[place] for place in order]), np.array(labels, np.int64)[order]


def _pictures(folder: Path) -> list[Path]:
    """The pictures in a folder, by name; other files are left alone."""
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)


def _stacked(files: Sequence[Path]) -> NDArray[np.uint8]:
    """Pictures of one size and kind as one array."""
    images: NDArray[np.uint8] | None = None
    for place, file in enumerate(files):
        pixels = np.asarray(decode_picture(file).upright)
        if images is None:
            size = len(files) * pixels.size
            if size > npz.MAX_BYTES:
                raise FileFormatError(
                    f"{file.parent}: {len(files)} pictures have {size} bytes, at most "
                    f"{npz.MAX_BYTES} are read"
                )
            images = np.empty((len(files), *pixels.shape), np.uint8)
        if pixels.shape != images.shape[1:]:
            raise FileFormatError(
                f"{file}: is {_described(pixels.shape)}, and {files[0]} is "
                f"{_described(images.shape[1:])}: all pictures have one size and kind"
            )
        images[place] = pixels
    assert images is not None
    return images if images.ndim == 4 else images[..., np.newaxis]


def _described(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} {'in colour' if len(shape) == 3 else 'in grey'}"

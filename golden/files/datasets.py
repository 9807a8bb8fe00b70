"""Images, mostly with labels: from the files of users, and the digits that ship.

The digits are MNIST's: the 10,000 of the test files, and the last 5,000 of the 60,000 of the
training files. The validation digits are held out of training, and every choice is made on them:
seed, checkpoint, calibration, widths.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import re
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign, idx, npz
from systolith.golden.files.csv_features import read_features
from systolith.golden.files.json_files import MAX_COUNT
from systolith.golden.files.raw_values import Counts, Taker, raw_images
from systolith.golden.files.whole_files import read_whole, write_whole
from systolith.golden.qformat import RawImages

VALIDATION_IMAGES = 5000
"""The number of images, the last ones, that are held out of the training files."""

MAX_LABEL = 2**31 - 1
"""The largest label that is read; a network has far fewer classes."""

UNNAMED = "unnamed"
"""The name of images that came without one."""

Measure = Literal["accuracy", "agreement"]
"""By what a network is scored: the fraction of images that get the class of their label or, where
labels are not known, the class that the float network gives them."""

_RAW_TYPES = (np.uint8, np.int8, np.uint16, np.int16)
_TRAINING = "train"
_TEST = "t10k"
_VALIDATION = "validation"
_IMAGES_SUFFIX = "-images-idx3-ubyte"
_LABELS_SUFFIX = "-labels-idx1-ubyte"


class DatasetReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says in the file of a network on which images it was trained or calibrated.

    Parameters
    ----------
    name
        Of the data set, for people: images are recognised by their hash.
    sha256
        In hex: `Dataset.sha256` of what a network was trained on, `images_sha256` of the images on
        which formats were chosen, whose labels nothing depends on.
    images
        Their number.

    Raises
    ------
    ValueError
        The hash is not a sha256 in hex, or the number is out of range.
    """

    name: str
    sha256: str
    images: int

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 must be 64 hex digits in lower case, not {self.sha256!r}")
        if not 1 <= self.images <= MAX_COUNT:
            raise ValueError(f"images must be from 1 to {MAX_COUNT}, not {self.images}")


MNIST = DatasetReference(
    "mnist", "bc07d45d9d28f2181e2f8a33b5f8ac10683f042cb15abb33db22280bdf434cdd", 60_000
)
"""The images and labels of MNIST's training files, the last 5,000 of which ship."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, if these are known, read-only.

    Parameters
    ----------
    name
        Where they are from.
    split
        `test`, `validation`, `training`, or `custom` for files of unknown origin.
    images
        Raw values, shape `(images, height, width, channels)`, at least one: uint8 for pixels,
        the `raw_type` of its format for another input.
    labels
        The class of each image, from 0, shape `(images,)`; None if they are not known.
    saturated_values
        For each image the number of values that were out of the range of the input's format; None
        if there are none.

    Raises
    ------
    ValueError
        Images or labels have another shape or type, or a label is out of range.
    """

    name: str
    split: str
    images: RawImages
    labels: NDArray[np.int64] | None
    saturated_values: Counts | None = None

    def __post_init__(self) -> None:
        images = self.images
        if images.dtype not in _RAW_TYPES or images.ndim != 4 or not images.size:
            raise ValueError(
                f"dataset {self.name!r}: images must be integers of 8 or 16 bits of shape "
                f"(images, height, width, channels), not {images.dtype} of {images.shape}"
            )
        self._freeze("images", images)
        if self.labels is not None:
            self._freeze("labels", self._checked(self.labels))

    def _freeze(self, field: str, array: NDArray[Any]) -> None:
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(self, field, view)

    def _checked(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        images = self.images
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
            raise ValueError(
                f"dataset {self.name!r}: {len(images)} images need {len(images)} integer labels, "
                f"not {labels.dtype} of {labels.shape}"
            )
        # Before the conversion to int64, in which large unsigned labels would become negative.
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high > MAX_LABEL:
            raise ValueError(
                f"dataset {self.name!r}: labels must be from 0 to {MAX_LABEL}, "
                f"not {low if low < 0 else high}"
            )
        return labels.astype(np.int64)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sha256(self) -> str:
        """The sha256 of the images' shape, the images and the labels (64 bits each), in hex.

        Images without labels have another one than `images_sha256`.
        """
        state = _hash_of(self.images)
        labels = b"no labels" if self.labels is None else self.labels.astype("<i8").tobytes()
        state.update(labels)
        return state.hexdigest()

    @property
    def known_labels(self) -> NDArray[np.int64]:
        """The labels, for what needs them.

        Raises
        ------
        ValueError
            They are not known.
        """
        if self.labels is None:
            raise ValueError(f"data {self.name!r} ({self.split}) has no labels, which this needs")
        return self.labels

    @property
    def saturated(self) -> int:
        """The number of values that were out of the range of the input's format."""
        return 0 if self.saturated_values is None else int(self.saturated_values.sum())

    @property
    def measure(self) -> Measure:
        """By what a network is scored on these images."""
        return "agreement" if self.labels is None else "accuracy"

    @property
    def title(self) -> str:
        """The name and the split, as reports print them."""
        return f"{self.name} ({self.split})"

    def part(self, part: slice | NDArray[np.int64]) -> Dataset:
        """Some of the images, with their labels: a slice of them, or those of these numbers."""
        labels = None if self.labels is None else self.labels[part]
        saturated = None if self.saturated_values is None else self.saturated_values[part]
        return replace(self, images=self.images[part], labels=labels, saturated_values=saturated)

    def take(self, count: int) -> Dataset:
        """The first `count` images.

        Raises
        ------
        ValueError
            `count` is less than 1 or more than the number of images.
        """
        if not 1 <= count <= len(self):
            raise ValueError(
                f"images: must be from 1 to {len(self)}, the number in {self.name!r} "
                f"({self.split}), not {count}"
            )
        return self.part(slice(count))


def images_sha256(images: RawImages) -> str:
    """The sha256 of the shape (64 bits a side) and the raw values of images, in hex."""
    return _hash_of(images).hexdigest()


@cache
def test_digits() -> Dataset:
    """The 10,000 digits of MNIST's test files: for reports; nothing is chosen on them."""
    return _shipped(_TEST, "test")


@cache
def validation_digits() -> Dataset:
    """The last 5,000 digits of MNIST's training files: held out of training, to choose on."""
    return _shipped(_VALIDATION, "validation")


def load_dataset(
    path: str | os.PathLike[str], taker: Taker | None = None, label_column: str | None = None
) -> Dataset:
    """Images from a file, with their labels if it has them.

    Parameters
    ----------
    path
        An `.npz` file with `images` (integers, `(images, height, width)` with or without channels)
        and possibly `labels`; or an IDX file of images, gzipped or not, whose name contains
        `images-idx3`, with the file of its labels in the same folder, with `labels-idx1` in that
        place of the name, or without labels; or a folder of pictures with a subfolder for each
        class, or of pictures without labels (`picture_folder`); or a CSV file (`csv_features`).
    taker
        The input of the network (`network.input`) that takes the images. Values are then brought
        into its format (`raw_values`), and rows of values, those of a CSV file too, into its shape.
        Without one, images are pixels.
    label_column
        The name of the column of labels in a CSV file; other files have none.

    Raises
    ------
    FileFormatError
        A file is missing, damaged, foreign or without images, images and labels do not fit each
        other, or a value does not fit the input.
    """
    source = Path(path)
    if source.suffix == ".csv":
        if taker is None:
            raise FileFormatError(f"{source}: the shape of its images is that of a network's input")
        images, labels, saturated = read_features(source, taker, label_column)
        return replace(_dataset(source, images, labels), saturated_values=saturated)
    if label_column is not None:
        raise FileFormatError(f"{source}: only CSV files have a column of labels, {label_column!r}")
    values, labels = _read(source)
    if values.shape[:1] == (0,):
        raise FileFormatError(f"{source}: has no images")
    if taker is None:
        return _dataset(source, values, labels)
    try:
        images, saturated = raw_images(values, taker)
    except FileFormatError as error:
        raise FileFormatError(f"{source}: {error}") from None
    return replace(_dataset(source, images, labels), saturated_values=saturated)


def load_images(path: str | os.PathLike[str], taker: Taker | None = None) -> RawImages:
    """The images of `load_dataset`: raw values `(images, height, width, channels)`.

    Raises
    ------
    FileFormatError
        As `load_dataset`.
    """
    return load_dataset(path, taker).images


def _read(source: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Images, and labels if there are any, from anything but a CSV file."""
    if source.is_dir():
        from systolith.golden.files import picture_folder  # imports Pillow

        return picture_folder.read(source)
    if source.suffix == ".npz":
        arrays = _read_npz(source)
        return arrays["images"], arrays.get("labels")
    images = _read_idx_images(source)
    labels = source.with_name(source.name.replace("images-idx3", "labels-idx1"))
    return images, idx.read(labels) if labels.exists() else None


def training_files(folder: str | os.PathLike[str]) -> Dataset:
    """All images to train and validate on, from the folder of MNIST's training files.

    Files of other data sets have the same names: the data set is only named `mnist` if it is.

    Raises
    ------
    FileFormatError
        A file is missing or damaged, or has no more images than `hold_out` holds out.
    """
    path, images, labels = _read_pair(Path(folder), _TRAINING)
    if len(images) <= VALIDATION_IMAGES:
        raise FileFormatError(
            f"{path}: must have more than the {VALIDATION_IMAGES} images that are held out, "
            f"not {len(images)}"
        )
    found = replace(_dataset(path, images, labels), split="training")
    return replace(found, name=MNIST.name) if found.sha256 == MNIST.sha256 else found


def hold_out(everything: Dataset) -> tuple[Dataset, Dataset]:
    """The images to train on, and the last 5,000, which are held out to choose on."""
    count = len(everything) - VALIDATION_IMAGES
    validation = replace(everything.part(slice(count, None)), split="validation")
    return everything.take(count), validation


def embed_digits(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> list[Path]:
    """Write the files of digits that ship to `target`, from the MNIST files in `source`.

    Returns the paths written. The same input and zlib give the same bytes.
    """
    _, images, labels = _read_pair(Path(source), _TEST)
    _, held_out = hold_out(training_files(source))
    validation = held_out.images[..., 0].astype(np.uint8), held_out.known_labels.astype(np.uint8)
    written = []
    for stem, pair in ((_TEST, (images, labels)), (_VALIDATION, validation)):
        for suffix, array in zip((_IMAGES_SUFFIX, _LABELS_SUFFIX), pair, strict=True):
            path = Path(target) / f"{stem}{suffix}.gz"
            write_whole(path, gzip.compress(idx.encode(array), compresslevel=9, mtime=0))
            written.append(path)
    return written


def _shipped(stem: str, split: str) -> Dataset:
    arrays = []
    for suffix in (_IMAGES_SUFFIX, _LABELS_SUFFIX):
        name = f"{stem}{suffix}.gz"
        resource = resources.files("systolith.golden").joinpath("assets", name)
        arrays.append(idx.decode(name, resource.read_bytes()))
    images, labels = arrays
    return Dataset("mnist", split, images[..., np.newaxis], labels.astype(np.int64))


def _read_pair(folder: Path, stem: str) -> tuple[Path, NDArray[np.uint8], NDArray[np.uint8]]:
    """The images, from the path that is returned too, and the labels; gzipped files or not."""
    paths = []
    for suffix in (_IMAGES_SUFFIX, _LABELS_SUFFIX):
        path = folder / f"{stem}{suffix}"
        paths.append(path if path.exists() else path.with_name(path.name + ".gz"))
    return paths[0], idx.read(paths[0]), idx.read(paths[1])


def _hash_of(images: RawImages) -> hashlib._Hash:
    state = hashlib.sha256(np.array(images.shape, "<i8").tobytes())
    if images.dtype != np.uint8:
        state.update(images.dtype.str.encode())
    state.update(np.ascontiguousarray(images).data)
    return state


def _dataset(path: Path, images: NDArray[Any], labels: NDArray[Any] | None) -> Dataset:
    if images.ndim == 3:
        images = images[..., np.newaxis]
    try:
        return Dataset(path.name, "custom", images, labels)
    except ValueError as error:
        raise FileFormatError(f"{path}: {error}") from None


def _read_idx_images(path: Path) -> NDArray[np.uint8]:
    if "images-idx3" not in path.name:
        reason = FileFormatError(
            "images are read from .npz and .csv files, IDX files named *images-idx3* and "
            "folders of pictures"
        )
        raise foreign.refusal(path, read_whole(path, npz.MAX_BYTES), foreign.IMAGES, reason)
    return idx.read(path)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays `images` and, if it is there, `labels` in an `.npz` file, compressed or not."""
    content = read_whole(path, npz.MAX_BYTES)
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if "images.npy" not in archive.namelist():
                raise FileFormatError("has no array 'images'")
            for name, kinds in (("images", "iuf"), ("labels", "iu")):
                if f"{name}.npy" in archive.namelist():
                    with archive.open(f"{name}.npy") as member:
                        arrays[name] = _read_numbers(name, kinds, member)
    except FileFormatError as error:
        raise foreign.refusal(path, content, foreign.ARRAYS, error) from None
    # What zipfile raises for damaged archives in addition to its own error.
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        OSError,
        RuntimeError,
        OverflowError,
    ) as error:
        reason = FileFormatError(f"not an intact .npz file ({error})")
        raise foreign.refusal(path, content, foreign.ARRAYS, reason) from None
    return arrays


def _read_numbers(name: str, kinds: str, member: IO[bytes]) -> NDArray[Any]:
    shape, fortran_order, dtype = npz.array_header(name, member)
    if dtype.kind not in kinds:
        numbers = "numbers" if "f" in kinds else "integers"
        raise FileFormatError(f"array {name!r} must be of {numbers}, not {dtype}")
    size = math.prod(shape) * dtype.itemsize
    if size > npz.MAX_BYTES:
        raise FileFormatError(f"array {name!r} has {size} bytes, at most {npz.MAX_BYTES} are read")
    values = member.read(size)
    if len(values) != size or member.read(1):
        raise FileFormatError(f"array {name!r} does not have the {size} bytes of {shape}")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran_order else "C")

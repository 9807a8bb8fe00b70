import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files import datasets, idx
from systolith.golden.files.datasets import Dataset

# Checksums of the unpacked MNIST files, as they are published.
TEST_IMAGES_MD5 = "2646ac647ad5339dbf082846283269ea"
TEST_LABELS_MD5 = "27ae3e4e09519cfbb04c329615203637"


def md5(array: np.ndarray) -> str:
    content = idx.encode(array.astype(np.uint8))
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_the_test_digits_are_mnist_s() -> None:
    digits = datasets.test_digits()
    assert (digits.name, digits.split, len(digits)) == ("mnist", "test", 10_000)
    assert digits.images.shape == (10_000, 28, 28, 1)
    assert md5(digits.images[..., 0]) == TEST_IMAGES_MD5
    assert md5(digits.known_labels) == TEST_LABELS_MD5


def test_the_validation_digits_are_others() -> None:
    digits = datasets.validation_digits()
    assert (digits.name, digits.split, len(digits)) == ("mnist", "validation", 5_000)
    assert digits.images.shape == (5_000, 28, 28, 1)
    assert set(digits.known_labels) == set(range(10))
    test = {image.tobytes() for image in datasets.test_digits().images}
    assert not test & {image.tobytes() for image in digits.images}


def dataset(count: int = 4) -> Dataset:
    images = np.arange(count * 6, dtype=np.uint8).reshape(count, 3, 2, 1)
    return Dataset("few", "custom", images, np.arange(count))


def test_take() -> None:
    few = dataset().take(3)
    assert (few.name, few.split, len(few)) == ("few", "custom", 3)
    np.testing.assert_array_equal(few.images, dataset().images[:3])
    np.testing.assert_array_equal(few.labels, [0, 1, 2])
    for count in (0, -1, 5):
        with pytest.raises(
            ValueError,
            match=rf"images: must be from 1 to 4, the number in 'few' \(custom\), not {count}",
        ):
            dataset().take(count)


def test_a_part_has_its_own_labels_and_saturated_values() -> None:
    whole = replace(dataset(), saturated_values=np.array([1, 20, 300, 4000]))
    assert (whole.saturated, dataset().saturated) == (4321, 0)
    for part, numbers in (
        (whole.take(2), [0, 1]),
        (whole.part(slice(1, None)), [1, 2, 3]),
        (whole.part(np.array([0, 3])), [0, 3]),
    ):
        assert part.saturated == sum((1, 20, 300, 4000)[number] for number in numbers)
        assert part.known_labels.tolist() == numbers
        assert part.images[:, 0, 0, 0].tolist() == [6 * number for number in numbers]


def test_the_digest_depends_on_pixels_labels_and_shape() -> None:
    base = dataset()
    images, labels = base.images.copy(), base.known_labels.copy()
    images[3, 2, 1, 0] ^= 1
    labels[3] += 1
    digests = {
        base.sha256,
        Dataset("few", "custom", images, base.labels).sha256,
        Dataset("few", "custom", base.images, labels).sha256,
        Dataset("few", "custom", base.images.reshape(4, 2, 3, 1), base.labels).sha256,
        base.take(3).sha256,
    }
    assert len(digests) == 5
    assert Dataset("other", "test", base.images[:], base.known_labels.astype(np.uint8)).sha256 == (
        base.sha256
    )


def test_a_dataset_is_read_only_and_leaves_what_it_was_given_alone() -> None:
    images = np.zeros((1, 2, 2, 1), np.uint8)
    made = Dataset("few", "custom", images, np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="read-only"):
        made.images[0] = 1
    assert images.flags.writeable


PIXEL = np.zeros((1, 1, 1, 1), np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            np.zeros((2, 3, 3, 1)),
            np.zeros(2, int),
            "dataset 'x': images must be integers of 8 or 16 bits of shape",
        ),
        (np.zeros((2, 3, 3, 1), np.int32), np.zeros(2, int), r"not int32 of \(2, 3, 3, 1\)"),
        (np.zeros((2, 3, 3, 1), np.uint32), np.zeros(2, int), r"not uint32 of \(2, 3, 3, 1\)"),
        (np.zeros((2, 3, 3), np.uint8), np.zeros(2, int), r"not uint8 of \(2, 3, 3\)"),
        (np.zeros((0, 3, 3, 1), np.uint8), np.zeros(0, int), r"not uint8 of \(0, 3, 3, 1\)"),
        (
            np.zeros((2, 3, 3, 1), np.uint8),
            np.zeros(3, int),
            r"dataset 'x': 2 images need 2 integer labels, not int64 of \(3,\)",
        ),
        (np.zeros((2, 3, 3, 1), np.uint8), np.zeros(2), "not float64"),
        (PIXEL, np.array([-1]), "labels must be from 0 to 2147483647, not -1"),
        (PIXEL, np.array([2**31]), "labels must be from 0 to 2147483647, not 2147483648"),
        (PIXEL, np.array([2**63], np.uint64), "from 0 to 2147483647, not 9223372036854775808"),
        (PIXEL, np.array([2**64 - 1], np.uint64), "0 to 2147483647, not 18446744073709551615"),
    ],
)
def test_what_is_no_dataset_is_refused(
    images: np.ndarray, labels: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Dataset("x", "custom", images, labels)


def save(**arrays: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)  # type: ignore[arg-type]


@pytest.mark.parametrize("save_as", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("axes", [3, 4])
def test_npz_files(save_as: Callable[..., None], axes: int, tmp_path: Path) -> None:
    images, labels = dataset().images, dataset().labels
    images = images if axes == 4 else images[..., 0]
    save_as(tmp_path / "few.npz", images=np.asfortranarray(images), labels=labels, other=images)
    loaded = datasets.load_dataset(tmp_path / "few.npz")
    assert (loaded.name, loaded.split) == ("few.npz", "custom")
    np.testing.assert_array_equal(loaded.images, dataset().images)
    np.testing.assert_array_equal(loaded.labels, labels)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(suffix: str, tmp_path: Path) -> None:
    pack = gzip.compress if suffix else bytes
    images, labels = dataset().images[..., 0], dataset().known_labels.astype(np.uint8)
    path = tmp_path / f"my-images-idx3-ubyte{suffix}"
    path.write_bytes(pack(idx.encode(images.astype(np.uint8))))
    (tmp_path / f"my-labels-idx1-ubyte{suffix}").write_bytes(pack(idx.encode(labels)))
    loaded = datasets.load_dataset(str(path))
    assert (loaded.name, loaded.split) == (path.name, "custom")
    np.testing.assert_array_equal(loaded.images[..., 0], images)
    np.testing.assert_array_equal(loaded.labels, labels)


def test_images_without_labels(tmp_path: Path) -> None:
    images = dataset().images.astype(np.uint8)
    np.savez(tmp_path / "few.npz", images=images[..., 0])
    (tmp_path / "my-images-idx3-ubyte").write_bytes(idx.encode(images[..., 0]))
    for name in ("few.npz", "my-images-idx3-ubyte"):
        np.testing.assert_array_equal(datasets.load_images(tmp_path / name), images)
        found = datasets.load_dataset(tmp_path / name)
        assert found.labels is None and found.part(slice(1, None)).labels is None
        assert found.sha256 not in (dataset().sha256, datasets.images_sha256(images))
        with pytest.raises(ValueError, match=f"data '{name}' .* has no labels, which this needs"):
            _ = found.known_labels
    for wrong in (np.array(3, np.uint8), images.astype(np.int64)):
        np.savez(tmp_path / "bad.npz", images=wrong)
        with pytest.raises(
            FileFormatError, match=r"bad\.npz: .* images must be integers of 8 or 16 bits of shape"
        ):
            datasets.load_images(tmp_path / "bad.npz")
    (tmp_path / "digits.txt").write_text("0", "utf-8")
    with pytest.raises(FileFormatError, match=r"read from .npz and .csv files, IDX files"):
        datasets.load_images(tmp_path / "digits.txt")


def test_only_mnist_is_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fashion-MNIST and others have files of the same names."""
    write_mnist(tmp_path, 5_001, 2)
    found = datasets.training_files(tmp_path)
    assert (found.name, len(found)) == ("train-images-idx3-ubyte", 5_001)
    known = datasets.DatasetReference("mnist", found.sha256, len(found))
    monkeypatch.setattr(datasets, "MNIST", known)
    assert datasets.training_files(tmp_path).name == "mnist"


PIXELS = np.zeros((2, 3, 3), np.uint8)
LABELS = np.zeros(2, np.int64)


def cut(path: Path) -> None:
    np.savez_compressed(path, images=PIXELS, labels=LABELS)
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (cut, "not an intact .npz file"),
        (lambda path: path.write_bytes(b"x"), "not an intact .npz file"),
        (save(labels=LABELS), "has no array 'images'"),
        (
            lambda path: np.savez(path, images=np.array([{}]), labels=LABELS, allow_pickle=True),
            "array 'images' must be of numbers, not object",
        ),
        (save(images=PIXELS + 0.5, labels=LABELS), "images must be integers of .*, not float64"),
        (save(images=PIXELS, labels=LABELS + 0.5), "array 'labels' must be of integers, not float"),
        (
            save(images=PIXELS.astype(int), labels=LABELS),
            "images must be integers of 8 or 16 bits of shape",
        ),
        (save(images=PIXELS, labels=np.array([0, 2**63], np.uint64)), "not 9223372036854775808"),
        (save(images=PIXELS, labels=LABELS[:1]), "2 images need 2 integer labels"),
        (
            save(images=PIXELS[:0] + 0.5, labels=LABELS[:0]),
            "has no images$",
        ),
    ],
)
def test_npz_files_without_images_and_labels_are_refused(
    write: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.npz"
    write(path)
    with pytest.raises(FileFormatError, match=message) as caught:
        datasets.load_dataset(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_compressed_file_cannot_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, images=np.zeros((9, 100, 100), np.uint8), labels=np.zeros(9, int))
    monkeypatch.setattr("systolith.golden.files.npz.MAX_BYTES", 50_000)
    with pytest.raises(FileFormatError, match="'images' has 90000 bytes, at most 50000 are read"):
        datasets.load_dataset(path)


def test_other_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        datasets.load_dataset(tmp_path / "none.npz")
    (tmp_path / "digits.txt").write_text("0", "utf-8")
    with pytest.raises(FileFormatError, match=r"read from .npz and .csv files, IDX files named"):
        datasets.load_dataset(tmp_path / "digits.txt")
    (tmp_path / "features.csv").write_text("0", "utf-8")
    with pytest.raises(FileFormatError, match="shape of its images is that of a network's input"):
        datasets.load_dataset(tmp_path / "features.csv")
    (tmp_path / "a-images-idx3").write_bytes(idx.encode(PIXELS))
    with pytest.raises(FileFormatError, match="only CSV files have a column of labels, 'kind'"):
        datasets.load_dataset(tmp_path / "a-images-idx3", label_column="kind")


def write_mnist(folder: Path, training: int, test: int) -> None:
    rng = np.random.default_rng(training)
    for stem, count in (("train", training), ("t10k", test)):
        images = rng.integers(0, 256, (count, 2, 2), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(idx.encode(images))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(idx.encode(labels))


def test_the_last_training_images_are_held_out(tmp_path: Path) -> None:
    write_mnist(tmp_path, 5_003, 2)
    whole = datasets.training_files(tmp_path)
    # Only MNIST is named so, whatever the files are called.
    assert (whole.name, whole.split) == ("train-images-idx3-ubyte", "training")
    training, validation = datasets.hold_out(whole)
    assert (training.split, validation.split) == ("training", "validation")
    everything = idx.read(tmp_path / "train-images-idx3-ubyte")
    np.testing.assert_array_equal(training.images[..., 0], everything[:3])
    np.testing.assert_array_equal(validation.images[..., 0], everything[3:])
    labels = idx.read(tmp_path / "train-labels-idx1-ubyte")
    np.testing.assert_array_equal(training.labels, labels[:3])
    np.testing.assert_array_equal(validation.labels, labels[3:])


def test_training_files_must_be_there_and_long_enough(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"train-images-idx3-ubyte.gz: no such file"):
        datasets.training_files(tmp_path)
    write_mnist(tmp_path, 5_000, 2)
    with pytest.raises(FileFormatError, match="must have more than the 5000 images that are held"):
        datasets.training_files(tmp_path)


def test_embedding_writes_test_and_validation_digits(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    write_mnist(source, 5_001, 7)
    written = datasets.embed_digits(source, target)
    assert [path.name for path in written] == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "validation-images-idx3-ubyte.gz",
        "validation-labels-idx1-ubyte.gz",
    ]
    for path in written[:2]:
        np.testing.assert_array_equal(idx.read(path), idx.read(source / path.stem))
    for path in written[2:]:
        stem = path.stem.replace("validation", "train")
        np.testing.assert_array_equal(idx.read(path), idx.read(source / stem)[1:])
    first = [path.read_bytes() for path in written]
    assert all(content[4:8] == bytes(4) for content in first)  # gzip's date
    assert first == [path.read_bytes() for path in datasets.embed_digits(source, target)]


def bytes64(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(8, "little") for number in numbers)


def test_hashes_are_those_of_the_shape_the_raw_values_and_the_labels() -> None:
    """Files of networks hold them: what is hashed must never change."""
    images = np.arange(12, dtype=np.uint8).reshape(2, 1, 3, 2)
    data = Dataset("few", "custom", images, np.array([258, 7]))
    seen = bytes64(2, 1, 3, 2) + bytes(range(12))
    assert datasets.images_sha256(images) == hashlib.sha256(seen).hexdigest()
    assert data.sha256 == hashlib.sha256(seen + bytes64(258, 7)).hexdigest()
    unlabelled = replace(data, labels=None)
    assert unlabelled.sha256 == hashlib.sha256(seen + b"no labels").hexdigest()
    wide = bytes64(2, 1, 3, 2) + b"<u2" + images.astype("<u2").tobytes()
    assert datasets.images_sha256(images.astype(np.uint16)) == hashlib.sha256(wide).hexdigest()


def test_what_is_said_of_a_dataset() -> None:
    data = dataset()
    assert (data.title, data.measure) == ("few (custom)", "accuracy")
    assert replace(data, labels=None).measure == "agreement"
    for count in (0, 5):
        message = rf"^images: must be from 1 to 4, the number in 'few' \(custom\), not {count}$"
        with pytest.raises(ValueError, match=message):
            data.take(count)
    assert len(data.take(1)) == 1 and len(data.take(4)) == 4


@pytest.mark.parametrize(
    ("sha256", "images", "message"),
    [
        ("a" * 63, 1, f"sha256 must be 64 hex digits in lower case, not '{'a' * 63}'"),
        ("a" * 65, 1, f"sha256 must be 64 hex digits in lower case, not '{'a' * 65}'"),
        ("A" * 64, 1, f"sha256 must be 64 hex digits in lower case, not '{'A' * 64}'"),
        ("0" * 64, 0, f"images must be from 1 to {2**53}, not 0"),
        ("0" * 64, 2**53 + 1, f"images must be from 1 to {2**53}, not {2**53 + 1}"),
    ],
)
def test_a_reference_is_a_hash_and_a_number(sha256: str, images: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        datasets.DatasetReference("few", sha256, images)
    assert datasets.DatasetReference("few", "0123456789abcdef" * 4, 2**53).images == 2**53


def test_a_file_whose_values_go_on_is_refused(tmp_path: Path) -> None:
    """NumPy would read the values that its header says and no more."""
    content = io.BytesIO()
    np.save(content, np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    for name, change in (("long", content.getvalue() + b"x"), ("short", content.getvalue()[:-1])):
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w") as archive:
            archive.writestr("images.npy", change)
        message = rf"{name}\.npz: array 'images' does not have the 6 bytes of \(1, 2, 3\)$"
        with pytest.raises(FileFormatError, match=message):
            datasets.load_dataset(tmp_path / f"{name}.npz")

"""The images of a test bench, and what every stream of the accelerator must carry for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.files.datasets import MNIST, Dataset, test_digits
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedNetwork, Integers
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.qformat import PIXELS, RawImages
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.streams.result_layout import Bytes, ResultLayout

IMAGES = 10
"""The number of images, unless the files would become too large."""

MAX_BYTES = 4_000_000
"""The size of all files together above which there are fewer images, but at least one."""

_SEED = 0
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True, eq=False)
class Vectors:
    """Images, and the values that the fixed-point model has for them.

    Parameters
    ----------
    source
        What the images are, in words: `the first 10 of ...`; and why, if they are fewer.
    images
        Raw values, `(images, height, width, channels)`.
    outputs
        The raw values of every layer after the input, by name, shaped like `images`.
    results
        `m_axis_tdata` of the beats of each image's result.
    """

    source: str
    images: RawImages
    outputs: dict[str, Integers]
    results: Bytes


def make_vectors(
    quantized: QuantizedNetwork, dataset: Dataset | None, layout: ResultLayout
) -> Vectors:
    """The first images of a data set, and what the network makes of them.

    Without a data set, networks that were trained on MNIST get its test digits, and others random
    values, because their own images are not known. `layout` is that of the results.

    Raises
    ------
    ValueError
        The images have another shape than the network takes.
    """
    fixed = quantized.fixed
    count = _count(fixed)
    trained_on = quantized.parent.trained_on
    if dataset is None and trained_on is not None and trained_on.sha256 == MNIST.sha256:
        dataset = test_digits()
    if dataset is None:
        shape = fixed.network.input.image_shape
        fmt = fixed.network.input.format
        images: RawImages = np.random.default_rng(_SEED).integers(
            fmt.min_raw, fmt.max_raw, (count, *shape), fmt.raw_type, endpoint=True
        )
        source = f"{_images(count)} of random {'pixels' if fmt == PIXELS else 'values'}"
    else:
        check_dataset(fixed.network, dataset, by_class=False)
        images = dataset.images[:count]
        source = f"the first {len(images)} of {_images(len(dataset))} of {dataset.name!a}"
        if dataset.split != "custom":
            source += f", {dataset.split!a}"
    if count < IMAGES:
        source += f" (no more than {count}: files would become too large)"
    outputs = FixedModel(fixed).run(images).outputs
    results = layout.results(fixed, outputs[fixed.layers[-1].name])
    return Vectors(source, images, outputs, results)


def hex_file(values: RawImages, bits: int, lanes: int) -> bytes:
    """A file for `$readmemh`: a line for each beat of a stream, and a comment before each image.

    A beat has its first value in the lowest bits.

    Parameters
    ----------
    values
        Raw values, `(images, height, width, channels)`.
    bits
        Of a value.
    lanes
        Values a beat.
    """
    return b"".join(
        f"// image {number}\n".encode() + _lines(image.reshape(-1, lanes), bits)
        for number, image in enumerate(values)
    )


def _lines(beats: NDArray[np.integer[Any]], bits: int) -> bytes:
    """A line of hex digits for each row of values."""
    digits = _digits(beats.shape[1], bits)
    binary = np.zeros((len(beats), 4 * digits), np.uint8)
    for bit in range(bits):
        binary[:, bit : bits * beats.shape[1] : bits] = (beats >> bit) & 1
    nibbles = binary.reshape(len(beats), digits, 4) @ np.array([1, 2, 4, 8], np.uint8)
    lines = np.full((len(beats), digits + 1), ord("\n"), np.uint8)
    lines[:, :-1] = _DIGITS[nibbles[:, ::-1]]
    return lines.tobytes()


def _count(fixed: FixedNetwork) -> int:
    """The number of images whose files stay below `MAX_BYTES`, from 1 to `IMAGES`."""
    source = fixed.network.input
    size = (_digits(1, source.format.bits) + 1) * source.image_shape.size
    size += sum(
        (_digits(1, layer.output_format.bits) + 1) * layer.output_shape.size
        for layer in fixed.layers
    )
    return max(1, min(IMAGES, MAX_BYTES // size))


def _digits(lanes: int, bits: int) -> int:
    return -(-lanes * bits // 4)


def _images(count: int) -> str:
    return f"{count:,} image{'s' if count != 1 else ''}"

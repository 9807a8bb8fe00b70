"""Whether labelled images are those of a network: checked wherever the two come together."""

from __future__ import annotations

from systolith.golden.files.datasets import Dataset
from systolith.golden.network.graph import Network


def check_dataset(network: Network, dataset: Dataset) -> None:
    """Refuse images of another shape than a network takes, and labels that are none of its classes.

    Raises
    ------
    ValueError
        Names the data set, what it has and what the network takes.
    """
    what, whose = f"data {dataset.name!r} ({dataset.split})", f"network {network.name!r}"
    shape = network.input.image_shape
    if dataset.images.shape[1:] != shape:
        given = " x ".join(map(str, dataset.images.shape[1:]))
        raise ValueError(f"{what} has images of {given}, {whose} takes {shape}")
    classes = network.shapes()[network.output.name].size
    largest = int(dataset.labels.max())
    if largest >= classes:
        raise ValueError(
            f"{what} has the label {largest}, {whose} has the classes 0 to {classes - 1}"
        )

"""Whether labelled images are those of a network: checked wherever the two come together."""

from __future__ import annotations

from systolith.golden.files.datasets import MNIST, Dataset
from systolith.golden.network.graph import Network
from systolith.golden.network.raw_images import check_raw_images
from systolith.golden.network.trained_network import TrainedNetwork


def check_dataset(network: Network, dataset: Dataset, by_class: bool | None = None) -> None:
    """Refuse images that a network does not take, and labels that are none of its classes.

    Parameters
    ----------
    network, dataset
        The two.
    by_class
        Whether labels mean classes; by default what the network's form says
        (`Network.has_classes`). Otherwise they are not used, and not checked.

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
    check_raw_images(network, dataset.images)
    if dataset.labels is None or not (network.has_classes if by_class is None else by_class):
        return
    classes = network.shapes()[network.output.name].size
    largest = int(dataset.labels.max())
    if largest >= classes:
        raise ValueError(
            f"{what} has the label {largest}, {whose} has the classes 0 to {classes - 1}"
        )


def check_origin(trained: TrainedNetwork, instead: str) -> None:
    """Refuse the digits that ship for a network that was trained on other images, or says not on
    which.

    Parameters
    ----------
    trained
        The network.
    instead
        The option that gives images of its own, such as `--data FILE`.

    Raises
    ------
    ValueError
        Names the network, what it was trained on, and the option.
    """
    origin = trained.trained_on
    if origin is None or origin.sha256 != MNIST.sha256:
        whose = "images that its file does not name" if origin is None else repr(origin.name)
        raise ValueError(
            f"network {trained.name!r} was trained on {whose}, not on the digits that ship: give "
            f"images of its own with {instead}"
        )

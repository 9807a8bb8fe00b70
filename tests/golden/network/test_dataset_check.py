"""Labelled images that do not fit a network are refused wherever the two come together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from systolith.golden.files.datasets import MNIST, Dataset, DatasetReference
from systolith.golden.network import shipped
from systolith.golden.network.dataset_check import check_dataset, check_origin
from systolith.golden.network.graph import Dense, Input, Network
from systolith.golden.network.trained_network import load_network
from systolith.golden.qformat import QFormat


def data(label: int, *shape: int) -> Dataset:
    return Dataset("mine", "custom", np.zeros((2, *shape), np.uint8), np.array([0, label]))


def test_labels_of_a_network_s_classes_pass() -> None:
    check_dataset(shipped.network("lenet5"), data(9, 28, 28, 1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            data(10, 28, 28, 1),
            r"data 'mine' \(custom\) has the label 10, network 'lenet5' has the classes 0 to 9",
        ),
        (
            data(0, 28, 27, 1),
            r"\(custom\) has images of 28 x 27 x 1, network 'lenet5' takes 28 x 28 x 1",
        ),
        (
            Dataset("mine", "custom", np.zeros((2, 28, 28, 1), np.int16), None),
            "network 'lenet5': images must be uint8 of 28 x 28 x 1, not int16 of 28 x 28 x 1",
        ),
    ],
)
def test_others_are_refused(given: Dataset, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_dataset(shipped.network("lenet5"), given)


@pytest.mark.parametrize(
    ("classifies", "by_class", "refused"),
    [
        *((True, None, True), (True, True, True), (True, False, False)),
        *((False, None, False), (False, True, True), (False, False, False)),
    ],
)
def test_labels_are_checked_where_the_result_is_a_class(
    classifies: bool, by_class: bool | None, refused: bool
) -> None:
    """Whatever the network looks like: one of three scores, or of a single one."""
    layers = (
        Input(name="input", height=2, width=2),
        Dense(name="F", inputs=("input",), units=3 if classifies else 1),
    )
    network = Network("small", layers)
    assert network.has_classes == classifies
    check_dataset(network, data(0, 2, 2, 1), by_class)
    if not refused:
        check_dataset(network, data(3, 2, 2, 1), by_class)
        return
    with pytest.raises(ValueError, match="has the label 3, network 'small' has the classes 0 to"):
        check_dataset(network, data(3, 2, 2, 1), by_class)


def test_raw_values_out_of_the_range_of_an_input_are_refused() -> None:
    layers = (
        Input(name="input", height=2, width=2, format=QFormat(4, 1)),
        Dense(name="F", inputs=("input",), units=2),
    )
    images = np.full((3, 2, 2, 1), -8, np.int8)
    check_dataset(Network("narrow", layers), Dataset("mine", "custom", images, None))
    images[2, 0, 1] = 8
    message = r"'narrow' takes s4.1: image 2 has the raw value 8 at .0, 1, 0., allowed are -8"
    with pytest.raises(ValueError, match=message):
        check_dataset(Network("narrow", layers), Dataset("mine", "custom", images, None))


@pytest.mark.parametrize(
    ("origin", "whose"),
    [
        (None, "images that its file does not name"),
        (DatasetReference("mine", "d" * 64, 60_000), "'mine'"),
        (DatasetReference(MNIST.name, "d" * 64, MNIST.images), f"'{MNIST.name}'"),
    ],
)
def test_the_digits_that_ship_are_for_networks_that_were_trained_on_them(
    origin: DatasetReference | None, whose: str
) -> None:
    """Which the hash says, whatever they are called."""
    trained = load_network("lenet5")
    message = (
        f"^network 'lenet5' was trained on {whose}, not on the digits that ship: give images of "
        "its own with --data FILE$"
    )
    with pytest.raises(ValueError, match=message):
        check_origin(replace(trained, trained_on=origin), "--data FILE")
    renamed = DatasetReference("digits", MNIST.sha256, MNIST.images)
    check_origin(replace(trained, trained_on=renamed), "--data FILE")

"""Labelled images that do not fit a network are refused wherever the two come together."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.files.datasets import Dataset
from systolith.golden.network import shipped
from systolith.golden.network.dataset_check import check_dataset


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
    ],
)
def test_others_are_refused(given: Dataset, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_dataset(shipped.network("lenet5"), given)

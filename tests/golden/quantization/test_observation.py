"""What is observed of more calibration images than one batch; the network's values are pixels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.golden.files.datasets import images_sha256
from systolith.golden.network.graph import Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization import observation
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.observation import (
    CalibrationError,
    Observations,
    Observed,
    observe,
)
from systolith.golden.quantization.settings import LayerSettings, Settings

COUNT = 450
"""Two whole batches and a part of one."""


def identity() -> TrainedNetwork:
    """The first layer passes two pixels on, and the second swaps them."""
    network = Network(
        "identity",
        (
            Input(name="input", height=1, width=2),
            Dense(name="A", inputs=("input",), units=2),
            Dense(name="B", inputs=("A",), units=2),
        ),
    )
    one = np.eye(2, dtype=np.float32)
    zero = np.zeros(2, np.float32)
    return TrainedNetwork(
        network,
        {
            "A": {"weights": one, "bias": zero},
            "B": {"weights": one[::-1], "bias": zero},
        },
    )


def observed(images: NDArray[np.uint8]) -> Observations:
    return observe(identity(), images.reshape(-1, 1, 2, 1), "mine")


@pytest.mark.parametrize("place", [0, 199, 200, 399, 400, COUNT - 1])
def test_the_range_is_that_of_all_batches(place: int) -> None:
    images = np.full((COUNT, 2), 100, np.uint8)
    images[place] = 3, 250
    found = observed(images)
    assert found.layers["A"].ends == (3.0, 250.0)
    assert found.layers["B"].ends == (3.0, 250.0)
    # An unsigned pixel of up to 250 needs all of 8 bits, one of up to 100 has one to spare.
    settings = Settings(LayerSettings(8, 9, "minmax"))
    fixed = quantize(identity(), images.reshape(-1, 1, 2, 1), settings).fixed
    assert fixed["A"].output_format.frac_bits == 0


@pytest.mark.parametrize("sampled", [100, 130, 500, 899, 900, 901])
def test_the_sample_is_every_nth_image_of_all(
    sampled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "_SAMPLED_VALUES", sampled)
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 2), dtype=np.uint8)
    every = {100: 9, 130: 7, 500: 2, 899: 2, 900: 1, 901: 1}[sampled]
    layers = observed(images).layers
    for name, values in (("A", images), ("B", images[:, ::-1])):
        assert layers[name].every == every
        assert layers[name].values.reshape(-1, 2).tolist() == values[::every].tolist()


def test_the_ends_of_a_function_of_values_are_those_of_all_values() -> None:
    """Of which only some are there. A function that falls and rises is looked at in between."""
    seen = Observed(np.array([1.0, 2.0]), (-3.0, 5.0), 4)
    doubled = seen.map(lambda values: 2 * values)
    assert (doubled.values.tolist(), doubled.ends, doubled.every) == ([2.0, 4.0], (-6.0, 10.0), 4)
    squared = seen.map(np.square, rises=False)
    assert (squared.values.tolist(), squared.every) == ([1.0, 4.0], 4)
    assert squared.ends[0] == pytest.approx(0.0, abs=1e-5) and squared.ends[1] == 25.0
    negated = seen.map(np.negative, rises=False)
    assert negated.ends == (-5.0, 3.0)


@pytest.mark.parametrize("weight", [3e38, -3e38])
@pytest.mark.parametrize("layer", ["A", "B"])
def test_sums_that_overflow_are_refused_with_the_layer(layer: str, weight: float) -> None:
    """To either side, and in the last batch alone."""
    arrays = {name: dict(given) for name, given in identity().arrays.items()}
    arrays[layer]["weights"] = np.full((2, 2), weight, np.float32)
    large = TrainedNetwork(identity().network, arrays)
    images = np.zeros((COUNT, 1, 2, 1), np.uint8)
    observe(large, images)
    images[-1] = 9
    with pytest.raises(CalibrationError, match=f"dense '{layer}': its float values are not finite"):
        observe(large, images)


def test_what_was_calibrated_on_is_known() -> None:
    """Every image counts, in whichever batch."""
    images = np.zeros((COUNT, 1, 2, 1), np.uint8)
    images[-1] = 7
    known = observe(identity(), images, "mine").calibrated_on
    assert (known.name, known.sha256, known.images) == ("mine", images_sha256(images), COUNT)

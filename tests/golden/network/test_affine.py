"""What fixed values stand for, by hand."""

from __future__ import annotations

import pytest

from systolith.golden.network import shipped
from systolith.golden.network.affine import Affine, affines
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
    RadialBasis,
)


def test_lenet5() -> None:
    found = affines(shipped.network("lenet5"))
    assert found["input"] == Affine(1.275 / 255, -0.1)
    for name in ("C1", "S2", "C3", "S4", "C5", "F6"):
        assert found[name] == Affine(1.7159)
    assert found["output"].gain == pytest.approx(1.7159**2)


def test_pooling_carries_the_input_s_scale_on_and_weights_end_it() -> None:
    network = Network(
        "n",
        (
            Input(name="input", height=8, width=8, scale=0.5, offset=-3.0),
            MaxPooling(name="a", inputs=("input",)),
            AveragePooling(name="b", inputs=("a",), window=(1, 2)),
            AveragePooling(name="c", inputs=("b",), activation=Activation("relu"), window=(2, 1)),
            Convolution(name="d", inputs=("c",), kernel=(1, 1), out_channels=2),
            AveragePooling(
                name="e", inputs=("d",), activation=Activation("sigmoid", 2.0), window=(1, 1)
            ),
            RadialBasis(name="f", inputs=("e",), units=3),
            Dense(name="g", inputs=("f",), units=2, activation=Activation("tanh", 3.0)),
        ),
    )
    assert affines(network) == {
        "input": Affine(0.5, -3.0),
        "a": Affine(0.5, -3.0),
        "b": Affine(0.5, -3.0),
        "c": Affine(0.5),
        "d": Affine(),
        "e": Affine(2.0),
        "f": Affine(4.0),
        "g": Affine(3.0),
    }

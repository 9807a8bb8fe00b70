"""The networks that ship: three readings of LeNet-5.

The layers and their names are those of LeCun, Bottou, Bengio and Haffner, "Gradient-Based
Learning Applied to Document Recognition", 1998, section II.B.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from systolith.golden.network.graph import (
    NO_ACTIVATION,
    Activation,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Subsampling,
)

# Table I of the paper: for each map of C3, the maps of S2 that feed it.
_C3_TABLE = tuple(
    tuple(int(digit) for digit in maps)
    for maps in (
        "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345".split()
    )
)

# The ten digits as bitmaps of 12 rows of 7, row-major, most significant bit first, 1 = ink. From a
# public re-implementation whose rendering was looked at; not checked against the paper's figure 3.
_CODE_ROWS, _CODE_COLUMNS = 12, 7
_CODES = (
    "7c00e36c78f1e36c70000",
    "1871e0c183060c18fc000",
    "7c01f638618e30c1fc000",
    "fe0c30c3c0c183c6f8000",
    "7c0003367cf1e3cefc183",
    "7c03fe0c0f0f03c6f8000",
    "3cc3060fdcf1e3e6f8000",
    "fe0c1861830c183060000",
    "7d8f1e37d8f1e3c6f8000",
    "7d9f1e3cefc1830cf0000",
)

_SQUASHING = Activation("tanh", amplitude=1.7159, slope=2 / 3)
_LOGISTIC = Activation("sigmoid")
_RELU = Activation("relu")

# White (raw 0) is -0.1 and black (raw 255) is 1.175, for a mean near 0 and a variance near 1.
_INPUT = Input(name="input", height=28, width=28, border=2, scale=1.275 / 255, offset=-0.1)


def output_codes() -> NDArray[np.float32]:
    """The paper's codes of the ten digits, -1 and +1, shape `(84, 10)`: centres of `lenet5`."""
    bits = [
        [int(bit) for bit in f"{int(code, 16):0{_CODE_ROWS * _CODE_COLUMNS}b}"] for code in _CODES
    ]
    return 2 * np.array(bits, np.float32).T - 1


def _paper(name: str, convolved: Activation, pooled: Activation, dense: Activation) -> Network:
    """LeNet-5 with the given squashing functions after C1, C3, C5; after S2, S4; and after F6."""
    layers: tuple[Layer, ...] = (
        _INPUT,
        Convolution(
            name="C1", inputs=("input",), kernel=(5, 5), out_channels=6, activation=convolved
        ),
        Subsampling(name="S2", inputs=("C1",), activation=pooled),
        Convolution(
            name="C3",
            inputs=("S2",),
            kernel=(5, 5),
            out_channels=16,
            connection_table=_C3_TABLE,
            activation=convolved,
        ),
        Subsampling(name="S4", inputs=("C3",), activation=pooled),
        Convolution(
            name="C5", inputs=("S4",), kernel=(5, 5), out_channels=120, activation=convolved
        ),
        Dense(name="F6", inputs=("C5",), units=84, activation=dense),
        RadialBasis(name="output", inputs=("F6",), units=10),
    )
    return Network(name, layers)


def _lenet5() -> Network:
    """The paper's network."""
    return _paper("lenet5", convolved=_SQUASHING, pooled=_SQUASHING, dense=_SQUASHING)


def _lenet5_sigmoid() -> Network:
    """The textbook reading: the logistic function, and none after a convolution."""
    return _paper("lenet5-sigmoid", convolved=NO_ACTIVATION, pooled=_LOGISTIC, dense=_LOGISTIC)


def _lenet5_relu() -> Network:
    """Today's form: ReLU, max pooling, a dense C3, linear outputs."""
    layers: tuple[Layer, ...] = (
        _INPUT,
        Convolution(name="C1", inputs=("input",), kernel=(5, 5), out_channels=6, activation=_RELU),
        MaxPooling(name="S2", inputs=("C1",)),
        Convolution(name="C3", inputs=("S2",), kernel=(5, 5), out_channels=16, activation=_RELU),
        MaxPooling(name="S4", inputs=("C3",)),
        Convolution(name="C5", inputs=("S4",), kernel=(5, 5), out_channels=120, activation=_RELU),
        Dense(name="F6", inputs=("C5",), units=84, activation=_RELU),
        Dense(name="output", inputs=("F6",), units=10),
    )
    return Network("lenet5-relu", layers)


_NETWORKS = {network.name: network for network in (_lenet5(), _lenet5_sigmoid(), _lenet5_relu())}


def names() -> tuple[str, ...]:
    """The names of the networks that ship."""
    return tuple(_NETWORKS)


def network(name: str) -> Network:
    """The graph of a network that ships.

    Raises
    ------
    ValueError
        If there is no network of that name.
    """
    if name not in _NETWORKS:
        raise ValueError(f"network {name!r} is unknown: allowed are {', '.join(_NETWORKS)}")
    return _NETWORKS[name]

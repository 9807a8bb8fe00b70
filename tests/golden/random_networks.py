"""Random small networks with random weights, of every layer type, and images for them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import assume
from numpy.typing import NDArray

from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Shape,
    Subsampling,
    WindowedLayer,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.network.windows import Windows
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.observation import CalibrationError
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings, keys_of

_ACTIVATIONS = (
    Activation(),
    Activation("relu"),
    Activation("tanh", 1.7159, 2 / 3),
    Activation("sigmoid", 0.7, 1.3),
    Activation("clip", parameters=(0.0, 1.0)),
    Activation("clip", parameters=(-0.75, 2.0)),
    Activation("leaky_relu", parameters=(0.1,)),
    Activation("gelu", 1.5, 0.8),
)


def random_trained(rng: np.random.Generator, most_layers: int = 5) -> TrainedNetwork:
    """A network of 1 to `most_layers` layers, with weights that suit the size of their sums."""
    network = random_network(rng, most_layers)
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    return TrainedNetwork(network, arrays)


@contextmanager
def input_of_some_size() -> Iterator[None]:
    """Reject networks in which a squashing function leaves next to nothing for radial bases."""
    try:
        yield
    except CalibrationError as refusal:
        assume("far too small" not in str(refusal))
        raise


def random_quantized(seed: int) -> tuple[QuantizedNetwork, NDArray[np.uint8]]:
    """A network of any widths, and the six images that it was calibrated on."""
    rng = np.random.default_rng(seed)
    trained = random_trained(rng)
    images = random_images(rng, trained.network, 6)
    default = LayerSettings(**_random_settings(rng))
    layers: dict[str, dict[str, Any]] = {}
    for layer in trained.network.layers[1:]:
        own = _random_settings(rng)
        # Half of the layers have some settings of their own.
        allowed = keys_of(layer, trained.network) if rng.random() < 0.5 else []
        layers[layer.name] = {key: own[key] for key in allowed if rng.random() < 0.5 and key in own}
    with input_of_some_size():
        return quantize(trained, images, Settings(default, layers)), images


def _random_settings(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "weight_bits": int(rng.integers(2, 17)),
        "activation_bits": int(rng.integers(2, 17)),
        "calibration": ("mse", "minmax", "percentile", "entropy")[rng.integers(4)],
        "granularity": ("channel", "tensor")[rng.integers(2)],
        "table_index_bits": int(rng.integers(2, 12)),
        "rounding": ("half_up", "floor", "half_even")[rng.integers(3)],
        "bias_correction": bool(rng.integers(2)),
    }


def random_network(rng: np.random.Generator, most_layers: int) -> Network:
    """A graph of odd shapes, in which zero padding is always representable."""
    border, zero = int(rng.integers(0, 3)), int(rng.integers(0, 256))
    scale = float(rng.uniform(0.003, 0.02))
    source = Input(
        name="input",
        height=_random_side(rng),
        width=_random_side(rng),
        channels=int(rng.choice([1, 1, 2, 4])),
        border=border,
        background=zero if rng.random() < 0.5 else int(rng.integers(0, 256)),
        scale=scale,
        offset=-scale * zero,
    )
    layers: list[Layer] = [source]
    shape = source.output_shape(source.image_shape)
    wanted = int(rng.integers(1, most_layers, endpoint=True))
    while len(layers) <= wanted:
        first = len(layers) == 1
        may_pad = not first or not border or source.background == zero
        layer = _random_layer(rng, f"L{len(layers)}", layers[-1].name, shape, may_pad)
        # Squares of squares outgrow every format.
        if isinstance(layer, RadialBasis) and any(isinstance(o, RadialBasis) for o in layers):
            continue
        if isinstance(layer, WindowedLayer) and min(layer.windows.count(*shape[:2])) < 1:
            continue
        layers.append(layer)
        shape = layer.output_shape(shape)
    return Network("random", tuple(layers))


def _random_side(rng: np.random.Generator) -> int:
    """Mostly enough for several windows; a map of one row or one column now and then."""
    return int(rng.integers(5, 10)) if rng.random() < 0.9 else 1


def random_arrays(rng: np.random.Generator, layer: Layer, source: Shape) -> dict[str, NDArray[Any]]:
    """Weights and bias of a layer, zero where there is no connection."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, shape in layer.array_shapes(source).items():
        fan_in = math.prod(shape[:-1]) if name == "weights" else 1
        spread = 1.0 if isinstance(layer, RadialBasis) else 1.5 / math.sqrt(fan_in)
        arrays[name] = rng.normal(0, spread, shape).astype(np.float32)
    if isinstance(layer, Convolution):
        for out, maps in enumerate(layer.sources(source)):
            absent = sorted(set(range(source.channels)) - set(maps))
            arrays["weights"][:, :, absent, out] = 0
    return arrays


def random_images(rng: np.random.Generator, network: Network, count: int) -> NDArray[np.uint8]:
    """Images of any pixels, the first of them all 0 and the second all 255."""
    images = rng.integers(0, 256, (count, *network.input.image_shape), dtype=np.uint8)
    images[:1] = 0
    images[1:2] = 255
    return images


def _random_layer(
    rng: np.random.Generator, name: str, feeder: str, source: Shape, may_pad: bool
) -> Layer:
    common: dict[str, Any] = {"name": name, "inputs": (feeder,)}
    squashed = {**common, "activation": _ACTIVATIONS[rng.integers(len(_ACTIVATIONS))]}
    kinds = ["dense", "radial_basis"]
    if source.height * source.width > 1:
        kinds += ["convolution"] * 8 + ["max", "average", "subsampling"] * 3
    kind = rng.choice(kinds)
    if kind == "dense":
        return Dense(**squashed, units=int(rng.integers(1, 6)))
    if kind == "radial_basis":
        return RadialBasis(**common, units=int(rng.integers(1, 6)))
    if kind == "convolution":
        kernel = _pair(rng, 1, (4, 4))
        dilation = _pair(rng, 1, (3, 3)) if rng.random() < 0.3 else (1, 1)
        reach = Windows(kernel, dilation=dilation).reach
        return Convolution(
            **squashed,
            kernel=kernel,
            dilation=dilation,
            **random_placement(rng, reach, may_pad),
            **random_links(rng, source.channels, int(rng.integers(1, 6))),
        )
    window = random_pool(rng, source, 1)
    # Padding that is left out has a value of its own, and the border another.
    may_pad = may_pad and (kind == "subsampling" or feeder != "input")
    placement = random_placement(rng, window, may_pad)
    if kind == "max":
        return MaxPooling(**common, window=window, **placement)
    if kind == "average":
        return AveragePooling(
            **squashed, window=window, count_padding=random_count(rng, placement), **placement
        )
    return Subsampling(**squashed, window=window, **placement)


def random_pool(rng: np.random.Generator, source: Shape, least: int) -> tuple[int, int]:
    """The window of a pooling: up to 4 x 4, or now and then the whole map."""
    if rng.random() < 0.15 and min(source[:2]) >= least:
        return source[:2]
    return _pair(rng, least, (4, 4))


def random_count(rng: np.random.Generator, placement: dict[str, Any]) -> bool:
    """Whether an average counts its padding; only if there is some."""
    padded = any((*placement["padding"], *(placement["padding_end"] or ())))
    return bool(padded and rng.random() < 0.3)


def random_links(rng: np.random.Generator, channels: int, outputs: int) -> dict[str, Any]:
    """What connects input maps to `outputs` maps or so: everything, groups or a table."""
    divisors = [each for each in range(2, channels + 1) if channels % each == 0]
    if divisors and rng.random() < 0.4:
        groups = int(rng.choice(divisors))
        return {"out_channels": groups * int(rng.integers(1, 3)), "groups": groups}
    if rng.random() < 0.6:
        return {"out_channels": outputs}
    table = tuple(
        tuple(np.flatnonzero(rng.random(channels) < 0.6).tolist()) or (int(rng.integers(channels)),)
        for _ in range(outputs)
    )
    return {"out_channels": outputs, "connection_table": table}


def random_placement(
    rng: np.random.Generator, reach: tuple[int, ...], may_pad: bool
) -> dict[str, Any]:
    """Stride and padding of windows: that of most networks, or any."""
    placement: dict[str, Any] = {"padding": (0, 0), "padding_end": None}
    if rng.random() < 0.4:
        placement["stride"] = _pair(rng, 1, (3, 3))
    if may_pad and rng.random() < 0.6:
        most = (reach[0] - 1, reach[1] - 1)
        placement["padding"] = _pair(rng, 0, most)
        if rng.random() < 0.5:
            placement["padding_end"] = _pair(rng, 0, most)
    return placement


def _pair(rng: np.random.Generator, low: int, high: tuple[int, int]) -> tuple[int, int]:
    first, second = (int(rng.integers(low, limit, endpoint=True)) for limit in high)
    return first, second

"""Random networks with random settings and foldings, within what hardware builds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from systolith.golden import Dataset, QuantizedNetwork, Settings, TrainedNetwork, quantize
from systolith.golden.fixed import execution
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.activations import ACTIVATIONS
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    Pooling,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.network.windows import Padding, Windows
from systolith.golden.quantization.settings import SettingsError
from systolith.hw.folding import Folding, Order
from systolith.hw.systolic.schedule import as_dense, layer_schedule
from systolith.hw.units.convolution import window_geometry
from tests.golden.random_networks import (
    random_arrays,
    random_count,
    random_images,
    random_links,
    random_placement,
    random_pool,
)

MOST_LAYERS = 6
MOST_MACS = 12_000
MOST_ELEMENTS = 20
MOST_CYCLES = 3_000
MOST_SCORES = 300

_ACTIVATIONS = (
    Activation(),
    Activation("relu"),
    Activation("clip", parameters=(0.0, 1.0)),
    Activation("clip", parameters=(-0.5, 1.5)),
    Activation("tanh", 1.7159, 2 / 3),
    Activation("sigmoid", 0.7, 1.3),
)
_RARE_ACTIVATIONS = (
    *(Activation(kind) for kind in ACTIVATIONS),
    Activation("leaky_relu", parameters=(0.1,)),
    Activation("elu", parameters=(0.7,)),
    Activation("celu", parameters=(1.3,)),
    Activation("selu", parameters=(1.6732632, 1.050701)),
    Activation("hard_sigmoid", parameters=(0.2, 0.5)),
    Activation("swish", 1.2, 0.9, parameters=(1.1,)),
    Activation("thresholded_relu", parameters=(0.75,)),
)


@dataclass(frozen=True, eq=False)
class RandomCase:
    """A quantized network, a folding of it, and images with the classes that it gives them."""

    quantized: QuantizedNetwork
    plan: dict[str, Folding]
    data: Dataset


def random_case(seed: int, images: int = 2) -> RandomCase:
    """The case of a seed: 1 to `MOST_LAYERS` layers of every type and odd shape.

    An array has at most `MOST_ELEMENTS` processing elements, and a layer takes at most about
    `MOST_CYCLES` cycles.
    """
    rng = np.random.default_rng(seed)
    network = _random_network(rng, f"random-{seed}")
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    trained = TrainedNetwork(network, arrays)
    seen = random_images(rng, network, 8)
    quantized = quantize(trained, seen, _random_settings(rng, network))
    # Of its own generator, so that the other choices of a seed do not depend on it.
    lanes = _random_divisor(np.random.default_rng((seed, 1)), network.input.channels)
    plan = _random_plan(rng, quantized.fixed, lanes)
    shown = rng.integers(0, 256, (images, *network.input.image_shape), dtype=np.uint8)
    classes = execution.classes(quantized.fixed, shown)
    return RandomCase(quantized, plan, Dataset(network.name, "custom", shown, classes))


def _random_network(rng: np.random.Generator, name: str) -> Network:
    """A graph with few scores, and whose zero is a raw pixel."""
    wanted = int(rng.integers(1, MOST_LAYERS, endpoint=True))
    while True:
        network = Network(name, tuple(_random_layers(rng, wanted)))
        if network.shapes()[network.output.name].size <= MOST_SCORES:
            return network


def _random_layers(rng: np.random.Generator, wanted: int) -> list[Layer]:
    zero = int(rng.integers(0, 256))
    scale = float(rng.uniform(0.003, 0.02))
    # Hardware makes borders for convolutions and poolings only.
    border = int(rng.integers(1, 3)) if rng.random() < 0.3 else 0
    source = Input(
        name="input",
        height=int(rng.integers(1, 13)),
        width=int(rng.integers(1, 13)),
        channels=int(rng.choice([1, 1, 2, 3, 4])),
        border=border,
        background=zero if rng.random() < 0.5 else int(rng.integers(0, 256)),
        scale=scale,
        offset=-scale * zero,
    )
    layers: list[Layer] = [source]
    shape = source.output_shape(source.image_shape)
    while len(layers) <= wanted:
        first = len(layers) == 1
        layer = _random_layer(
            rng,
            {"name": f"L{len(layers)}", "inputs": (layers[-1].name,)},
            shape,
            last=len(layers) == wanted,
            border=border if first else 0,
            may_pad=not first or not border or source.background == zero,
        )
        if layer is not None and layer.macs(shape) <= MOST_MACS:
            layers.append(layer)
            shape = layer.output_shape(shape)
    return layers


def _random_layer(
    rng: np.random.Generator,
    common: dict[str, Any],
    source: Shape,
    *,
    last: bool,
    border: int,
    may_pad: bool,
) -> Layer | None:
    """A layer over a map of this shape; None if the dice gave one that does not fit."""
    activations = _ACTIVATIONS if rng.random() < 0.7 else _RARE_ACTIVATIONS
    squashed = {**common, "activation": activations[rng.integers(len(activations))]}
    kinds = ["convolution"] * 4 + ["max", "average", "subsampling"]
    if not border:
        kinds += ["dense"] * (3 if last else 1)
        kinds += ["radial_basis"] * (2 if last else 0)
    kind = rng.choice(kinds)
    units = int(rng.integers(1, 9))
    if kind == "dense":
        return Dense(**squashed, units=units)
    if kind == "radial_basis":
        return RadialBasis(**common, units=units)
    if kind == "convolution":
        return _random_convolution(rng, squashed, source, border=border, may_pad=may_pad)
    # The border must be less than the window.
    window = random_pool(rng, source, border + 1)
    # Padding that is left out has a value of its own, and the border another.
    placement = random_placement(rng, window, may_pad=not border)
    if kind == "average":
        counts = random_count(rng, placement)
        pooling: Pooling = AveragePooling(
            **squashed, window=window, count_padding=counts, **placement
        )
    elif kind == "max":
        pooling = MaxPooling(**common, window=window, **placement)
    else:
        pooling = Subsampling(**squashed, window=window, **placement)
    return pooling if min(pooling.windows.count(*source[:2])) > 0 else None


def _random_convolution(
    rng: np.random.Generator, common: dict[str, Any], source: Shape, *, border: int, may_pad: bool
) -> Convolution | None:
    # Border and padding together must be less than a window's reach.
    largest = 6 if border or rng.random() < 0.85 else 2
    windows = Windows(
        kernel=(int(rng.integers(border + 1, largest)), int(rng.integers(border + 1, largest))),
        stride=_random_pair(rng, 4) if rng.random() < 0.4 else (1, 1),
        dilation=_random_pair(rng, 3) if rng.random() < 0.2 else (1, 1),
    )
    rows, columns = (reach - border for reach in windows.reach)
    if may_pad and rng.random() < 0.6:
        above, left = int(rng.integers(0, rows)), int(rng.integers(0, columns))
        padding = Padding(above, left, above, left)
        if rng.random() < 0.4:
            padding = Padding(
                above, left, int(rng.integers(0, rows)), int(rng.integers(0, columns))
            )
        windows = replace(windows, padding=padding)
    if min(windows.count(*source[:2])) < 1:
        return None
    return Convolution(
        **common,
        kernel=windows.kernel,
        padding=windows.padding[:2],
        stride=windows.stride,
        dilation=windows.dilation,
        padding_end=windows.padding[2:],
        **random_links(rng, source.channels, int(rng.integers(1, 7))),
    )


def _random_pair(rng: np.random.Generator, end: int) -> tuple[int, int]:
    """Two numbers from 1 to below `end`."""
    return int(rng.integers(1, end)), int(rng.integers(1, end))


def _random_settings(rng: np.random.Generator, network: Network) -> Settings:
    """Widths and methods of every layer, where they have a meaning."""
    chosen: dict[str, dict[str, Any]] = {}
    for layer in network.layers:
        keys = {
            "weight_bits": _random_width(rng),
            "activation_bits": _random_width(rng),
            "calibration": str(rng.choice(["mse", "minmax", "percentile", "entropy"])),
            "granularity": str(rng.choice(["channel", "tensor"])),
            "table_index_bits": int(rng.integers(2, 11)),
            "bias_correction": bool(rng.integers(2)),
        }
        chosen[layer.name] = {
            key: value for key, value in keys.items() if _has_meaning(network, layer, key, value)
        }
    return Settings(layers=chosen)


def _random_width(rng: np.random.Generator) -> int:
    return 16 if rng.random() < 0.1 else int(rng.integers(2, 10))


def _has_meaning(network: Network, layer: Layer, key: str, value: object) -> bool:
    try:
        Settings(layers={layer.name: {key: value}}).check(network)
    except SettingsError:
        return False
    return True


def _random_plan(rng: np.random.Generator, fixed: FixedNetwork, lanes: int) -> dict[str, Folding]:
    """A folding for every layer that its unit takes, and for an input of some lanes."""
    plan = {fixed.network.input.name: Folding(lanes=lanes)}
    for layer in fixed.layers:
        depth = int(rng.integers(1, 7))
        if isinstance(layer.layer, Pooling):
            folding = Folding(lanes=_random_divisor(rng, lanes), depth=depth)
        else:
            folding = _random_array(rng, as_dense(layer) or layer, depth)
        if isinstance(layer.layer, Convolution) and as_dense(layer) is None:
            folding = replace(folding, lines=_random_lines(rng, layer))
        plan[layer.name] = folding
        lanes = folding.lanes
    return plan


def _random_array(rng: np.random.Generator, layer: FixedLayer, depth: int) -> Folding:
    """Rows and columns of an array that is neither too large nor too slow, in any order."""
    most = layer_schedule(layer, Folding())
    windows = layer.output_shape.height * layer.output_shape.width
    order: Order = "inputs"
    if isinstance(layer.layer, Dense | RadialBasis) and rng.random() < 0.6:
        order = "outputs"
    while True:
        rows = int(rng.integers(1, min(most.elements, MOST_ELEMENTS), endpoint=True))
        columns = int(rng.integers(1, min(most.outputs, MOST_ELEMENTS // rows), endpoint=True))
        try:
            schedule = layer_schedule(layer, Folding(rows, columns))
        except ValueError:
            # With a connection table, chunks go map by map.
            continue
        if windows * len(schedule.steps) <= MOST_CYCLES:
            return Folding(rows, columns, _random_divisor(rng, schedule.max_lanes), depth, order)


def _random_lines(rng: np.random.Generator, layer: FixedLayer) -> int | None:
    """Rows that a convolution stores: too few for frames to overlap, enough, or more."""
    geometry = window_geometry(layer)
    enough = geometry.rows_to_overlap
    lines = int(rng.integers(geometry.windows.reach[0], enough + 3))
    return lines if lines < enough + 2 else None


def _random_divisor(rng: np.random.Generator, number: int) -> int:
    divisors = [d for d in range(1, number + 1) if math.gcd(d, number) == d]
    return int(rng.choice(divisors))

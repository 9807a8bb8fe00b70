# amaranth: UnusedElaboratable=no
"""What a plan costs and how fast it is, before anything is built, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from systolith.golden.files.json_files import Count, PositiveCount
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.folding import Folding, Plan
from systolith.hw.planning.prediction import predict
from systolith.hw.units.registry import unit_type

SCHEMA = "systolith.plan/1"
"""The schema of a report."""


class PredictedEntry(msgspec.Struct, frozen=True):
    """Clock cycles, source and sink always ready (`hw.planning.prediction.Prediction`)."""

    interval_cycles: PositiveCount
    latency_cycles: Count


class PlannedLayer(msgspec.Struct, frozen=True):
    """A layer's unit.

    Parameters
    ----------
    name, unit, folding
        The layer, the type of its unit, and its size.
    multipliers
        Physical multipliers.
    cycles
        From an image to the next, as fast as the unit alone could take them.
    latency_cycles
        From the first beat that it takes of the first image to the first one that it offers.
    """

    name: str
    unit: str
    folding: Folding
    multipliers: Count
    cycles: Count
    latency_cycles: Count


class Planned(msgspec.Struct, frozen=True):
    """What a plan costs and how fast it is.

    Parameters
    ----------
    schema
        The document's.
    network, quantized_sha256
        The network, and its quantized file in hex.
    multipliers
        Physical multipliers.
    macs
        Multiply-accumulates of an image: convolutions, dense and radial basis layers.
    mac_efficiency
        `macs` over what the multipliers could do from an image to the next.
    predicted
        The cycles of the whole.
    """

    schema: str
    network: str
    quantized_sha256: str
    multipliers: Count
    macs: Count
    mac_efficiency: float
    predicted: PredictedEntry


class PlanReport(Planned, frozen=True):
    """What a plan costs and how fast it is (`Planned`); `layers`: every layer after the input."""

    layers: tuple[PlannedLayer, ...]

    def to_json(self) -> bytes:
        """A JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def bottleneck(interval: int, layers: Sequence[PlannedLayer]) -> str:
    """Which layer holds the others back and by how much, in words."""
    slowest, *others = sorted(layers, key=lambda layer: -layer.cycles)
    if slowest.cycles < interval:
        return (
            f"no unit needs {interval:,} cycles an image, they wait for each other or for pixels; "
            f"the slowest is {slowest.name} with {slowest.cycles:,}"
        )
    text = f"{slowest.name} holds the others back: {slowest.cycles:,} cycles an image"
    if others:
        idle = 1 - others[0].cycles / interval
        text += f"; next is {others[0].name} with {others[0].cycles:,} ({idle:.1%} idle)"
    return text


def report_plan(quantized: QuantizedNetwork, plan: Plan) -> PlanReport:
    """What a plan costs and how fast it is, by the cycle model.

    Raises
    ------
    UnitError, AcceleratorError
        Something in the network or the plan is not built.
    """
    return report_accelerator(quantized, Accelerator(quantized.fixed, plan))


def report_accelerator(quantized: QuantizedNetwork, accelerator: Accelerator) -> PlanReport:
    """What an accelerator costs and how fast it is, by the cycle model."""
    prediction = predict(accelerator)
    macs = sum(
        layer.macs(source) for layer, source, _ in quantized.fixed.network.computing_layers()
    )
    possible = accelerator.multipliers * prediction.interval_cycles
    return PlanReport(
        schema=SCHEMA,
        network=quantized.name,
        quantized_sha256=quantized.sha256,
        multipliers=accelerator.multipliers,
        macs=macs,
        mac_efficiency=macs / possible if possible else 0.0,
        predicted=PredictedEntry(prediction.interval_cycles, prediction.latency_cycles),
        layers=tuple(
            PlannedLayer(
                name=layer.name,
                unit=unit_name(layer),
                folding=accelerator.plan[layer.name],
                multipliers=accelerator.units[layer.name].multipliers,
                cycles=prediction.layers[layer.name].cycles,
                latency_cycles=prediction.layers[layer.name].latency_cycles,
            )
            for layer in quantized.fixed.layers
        ),
    )


def unit_name(layer: FixedLayer) -> str:
    """What the type of a layer's unit is called in files."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", unit_type(layer).__name__).lower()

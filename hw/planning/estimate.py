# amaranth: UnusedElaboratable=no
"""The report of a plan: its cost and its cycles, as data, before anything is generated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from systolith.golden.files.json_files import Count, PositiveCount
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.reports.html_table import html_table
from systolith.hw.accelerator import Accelerator, unit_part
from systolith.hw.folding import Folding, Plan
from systolith.hw.planning.memories import memory_bits
from systolith.hw.planning.prediction import predict
from systolith.hw.streams.input_layout import InputLayout
from systolith.hw.streams.result_layout import ResultKind, ResultLayout
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
        The initiation interval of the unit alone.
    latency_cycles
        From the first input beat of the first image, taken, to its first output beat, offered.
    memory_bits
        Bits of the unit's memories.
    """

    name: str
    unit: str
    folding: Folding
    multipliers: Count
    cycles: Count
    latency_cycles: Count
    memory_bits: Count


class Planned(msgspec.Struct, frozen=True):
    """The cost and the cycles of a plan; a report and a manifest have all of it.

    Parameters
    ----------
    schema
        The name and the version of the document's schema.
    network, quantized_sha256
        The name of the network, and the SHA-256 of its quantized file in hex.
    multipliers
        Physical multipliers.
    macs
        Multiply-accumulates of an image: convolutions, dense and radial basis layers.
    mac_efficiency
        `macs` over the multiplications that all multipliers could do in an initiation interval.
    predicted
        The cycles of the whole accelerator.
    memory_bits
        Bits of all memories: those of the units and of the parts around them.
    layers
        Every layer after the input.
    """

    schema: str
    network: str
    quantized_sha256: str
    multipliers: Count
    macs: Count
    mac_efficiency: float
    predicted: PredictedEntry
    memory_bits: Count
    layers: tuple[PlannedLayer, ...]


class PlanReport(Planned, frozen=True):
    """The cost and the cycles of a plan: a document of its own.

    Parameters
    ----------
    result
        The beats of a result at `m_axis`.
    input
        The beats of the stream after the input, and the fields of `s_axis_tdata`.
    """

    result: ResultLayout
    input: InputLayout

    def to_json(self) -> bytes:
        """A JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def _repr_html_(self) -> str:
        caption = (
            f"{self.network}: {self.multipliers:,} multipliers, an image every "
            f"{self.predicted.interval_cycles:,} cycles, {self.predicted.latency_cycles:,} cycles "
            "from first pixel to result"
        )
        rows = [
            (
                *(layer.name, layer.unit, f"{layer.folding.rows:,}", f"{layer.folding.columns:,}"),
                *(f"{layer.multipliers:,}", f"{layer.memory_bits:,}", f"{layer.cycles:,}"),
            )
            for layer in self.layers
        ]
        headings = ("layer", "unit", "rows", "columns", "multipliers", "memory bits", "cycles")
        return html_table(headings, rows, 2, caption)


def bottleneck(interval: int, layers: Sequence[PlannedLayer], result_beats: int) -> str:
    """What limits the initiation interval, and by how much, in words."""
    slowest, *others = sorted(layers, key=lambda layer: -layer.cycles)
    if slowest.cycles < interval == result_beats:
        return (
            f"the {interval:,} scores, one a cycle, hold the layers back; the slowest is "
            f"{slowest.name} with {slowest.cycles:,}"
        )
    if slowest.cycles < interval:
        return (
            f"no unit needs {interval:,} cycles an image: units wait for each other or for pixels; "
            f"the slowest is {slowest.name} with {slowest.cycles:,}"
        )
    text = f"{slowest.name} holds the others back: {slowest.cycles:,} cycles an image"
    if others:
        idle = 1 - others[0].cycles / interval
        text += f"; next is {others[0].name} with {others[0].cycles:,} ({idle:.1%} idle)"
    return text


def report_plan(
    quantized: QuantizedNetwork, plan: Plan, result: ResultKind | None = None
) -> PlanReport:
    """Report the cost and the cycles of a plan, by the cycle model; `result` as for `make_plan`.

    Raises
    ------
    UnitError, AcceleratorError
        Hardware does not support the network or the plan.
    """
    accelerator = Accelerator(quantized.fixed, plan, result=result)
    return report_accelerator(quantized, accelerator, memory_bits(accelerator))


def report_accelerator(
    quantized: QuantizedNetwork, accelerator: Accelerator, bits: Mapping[str, int]
) -> PlanReport:
    """Report the cost and the cycles of an accelerator, by the cycle model.

    `bits` are the memory bits of each of its parts.
    """
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
        memory_bits=sum(bits.values()),
        layers=tuple(
            PlannedLayer(
                name=layer.name,
                unit=unit_name(layer),
                folding=accelerator.plan[layer.name],
                multipliers=accelerator.units[layer.name].multipliers,
                cycles=prediction.layers[layer.name].cycles,
                latency_cycles=prediction.layers[layer.name].latency_cycles,
                memory_bits=bits[unit_part(layer.name)],
            )
            for layer in quantized.fixed.layers
        ),
        result=accelerator.layout,
        input=accelerator.input_layout,
    )


def unit_name(layer: FixedLayer) -> str:
    """The name of the type of a layer's unit in files."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", unit_type(layer).__name__).lower()

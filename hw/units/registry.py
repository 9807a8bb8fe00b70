# amaranth: UnusedElaboratable=no
"""The registry of units: which class builds a layer of which type."""

from __future__ import annotations

from typing import Any, Protocol

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.cycles import Busy, StreamCycles
from systolith.hw.systolic.schedule import as_dense
from systolith.hw.units.convolution import Convolution
from systolith.hw.units.dense import Dense
from systolith.hw.units.pooling import AveragePooling, MaxPooling
from systolith.hw.units.radial_basis import RadialBasis
from systolith.hw.units.subsampling import Subsampling


class Unit(Protocol):
    """The hardware of one layer, as accelerator and planner see it.

    Members
    -------
    i : In(beat_stream(value_shape(layer.input_format), input_lanes))
        The layer's input, frame after frame.
    o : Out(beat_stream(value_shape(layer.output_format), folding.lanes))
        The layer's values.

    Attributes
    ----------
    multipliers
        Physical multipliers.
    """

    multipliers: int
    i: Any
    o: Any

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """Start the cycle model (`streams.cycles`); returns the streams inside the unit."""

    def busy(self, i: StreamCycles, inner: list[StreamCycles]) -> Busy:
        """The spans of cycles in which the unit is busy, after its cycle model ran.

        A unit with an array is busy when it issues a step, any other when it takes a beat.
        """

    def depth_needed(self, inner: list[StreamCycles], o: StreamCycles) -> int:
        """The smallest `folding.depth` with which these transfers would not have stalled."""

    def elaborate(self, platform: Any) -> Any:
        """The unit as an Amaranth module."""


UNITS: dict[type[graph.Layer], type[Any]] = {
    graph.Convolution: Convolution,
    graph.Subsampling: Subsampling,
    graph.AveragePooling: AveragePooling,
    graph.MaxPooling: MaxPooling,
    graph.Dense: Dense,
    graph.RadialBasis: RadialBasis,
}


def unit_type(layer: FixedLayer) -> type[Any]:
    """The class of a layer's unit.

    Raises
    ------
    UnitError
        A type of layer, or a border around its input, that hardware does not support.
    """
    kind = UNITS.get(type(layer.layer))
    if kind is None:
        built = ", ".join(each.type_name for each in UNITS)
        raise UnitError(layer, f"hardware is built for {built} only (docs/limits.md)")
    windowed = layer.layer
    if not isinstance(windowed, graph.WindowedLayer):
        return kind
    if as_dense(layer) is not None:
        return Dense
    for pad, size in zip(layer.padding, 2 * windowed.windows.reach, strict=True):
        if pad >= size:
            raise UnitError(
                layer,
                f"the border and the padding around its input, {pad}, must be smaller than its "
                f"window, {size}: make the border part of the images (docs/limits.md)",
            )
    return kind


def build_unit(layer: FixedLayer, folding: Folding, input_lanes: int) -> Unit:
    """Build the unit of a layer.

    A convolution whose kernel covers its whole input, with every connection, is built as `Dense`.

    Parameters
    ----------
    layer
        The layer in integers.
    folding
        The size of the unit.
    input_lanes
        Values in a beat of the input; divides its channels.

    Raises
    ------
    UnitError
        A type of layer, a folding, a number of lanes or arithmetic that hardware does not support.
    """
    kind = unit_type(layer)
    channels = layer.input_shape.channels
    if input_lanes < 1 or channels % input_lanes:
        raise UnitError(
            layer, f"input lanes must divide its {channels} input channels, not {input_lanes}"
        )
    if kind is not Convolution and folding.lines is not None:
        raise UnitError(
            layer, f"lines must be left out, as it stores no rows of its input, not {folding.lines}"
        )
    if any(layer.padding) and not isinstance(layer.layer, graph.WindowedLayer):
        raise UnitError(
            layer,
            f"hardware makes borders for convolutions and poolings only, not {layer.padding[:2]} "
            "here: let one of them follow the input, or make the border part of the images "
            "(docs/limits.md)",
        )
    unit: Unit = kind(layer, folding, input_lanes)
    return unit

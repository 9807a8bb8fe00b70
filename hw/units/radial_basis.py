"""The radial basis unit: sums of squared differences between the input and centres."""

from __future__ import annotations

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.units.dense import WholeInputUnit


class RadialBasis(WholeInputUnit):
    """A radial basis layer: each processing element squares a difference. See `WholeInputUnit`."""

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        if not isinstance(layer.layer, graph.RadialBasis):
            raise UnitError(layer, "is not a radial basis layer")
        super().__init__(layer, folding, input_lanes)

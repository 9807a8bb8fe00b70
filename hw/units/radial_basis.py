"""The radial basis unit: sums of squared differences between the input and the centres."""

from __future__ import annotations

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.units.dense import WholeInputUnit


class RadialBasis(WholeInputUnit):
    """The unit of a radial basis layer: its processing elements square differences.

    Parameters, members and errors as for `WholeInputUnit`.
    """

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        if not isinstance(layer.layer, graph.RadialBasis):
            raise UnitError(layer, "is not a radial basis layer")
        super().__init__(layer, folding, input_lanes)

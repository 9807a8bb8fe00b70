# amaranth: UnusedElaboratable=no
"""The registry selects the unit of each layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Padding
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.systolic import schedule
from systolith.hw.systolic.core import SystolicCore
from systolith.hw.units import convolution, dense, pooling, radial_basis, registry
from tests.hw.fixed_layers import array_layer

SOURCE = Shape(4, 4, 2)
FORMAT = QFormat(4, 0)


def weighted(layer: graph.Layer) -> FixedLayer:
    """A layer over 4 x 4 x 2 with random weights."""
    return array_layer(layer, SOURCE, FORMAT, FORMAT, rng=np.random.default_rng(1))


def conv(kernel: int, table: tuple[tuple[int, ...], ...] | None = None) -> FixedLayer:
    """A convolution with 2 output maps."""
    return weighted(
        graph.Convolution(
            name="C1",
            inputs=("x",),
            kernel=(kernel, kernel),
            out_channels=2,
            connection_table=table,
        )
    )


def pooled(layer: graph.Layer) -> FixedLayer:
    """A layer without weights."""
    return FixedLayer(layer, SOURCE, layer.output_shape(SOURCE), FORMAT, FORMAT)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (conv(3), convolution.Convolution),
        (conv(4), dense.Dense),
        (conv(4, ((0, 1), (1,))), convolution.Convolution),
        (weighted(graph.Dense(name="F6", inputs=("x",), units=3)), dense.Dense),
        (
            weighted(graph.RadialBasis(name="R", inputs=("x",), units=3)),
            radial_basis.RadialBasis,
        ),
        (pooled(graph.MaxPooling(name="S2", inputs=("x",))), pooling.MaxPooling),
    ],
)
def test_kinds(layer: FixedLayer, kind: type) -> None:
    unit = registry.build_unit(layer, Folding(), 1)
    assert type(unit) is kind
    assert "\\o__valid" in rtlil.convert(unit)


class Mystery(graph.Layer):
    """A type of layer without a unit."""

    type_name = "mystery"

    def output_shape(self, source: Shape) -> Shape:
        return source


def test_refusals() -> None:
    mystery = pooled(Mystery(name="M", inputs=("x",)))
    with pytest.raises(UnitError, match="mystery 'M': hardware is built for convolution, "):
        registry.build_unit(mystery, Folding(), 1)
    with pytest.raises(UnitError, match=r"'C1': input lanes must divide its 2 .* not 3"):
        registry.build_unit(conv(3), Folding(), 3)
    bordered = replace(
        weighted(graph.Dense(name="F6", inputs=("x",), units=3)), padding=Padding(1, 1, 1, 1)
    )
    with pytest.raises(UnitError, match=r"'F6': .*convolutions and poolings only, not \(1, 1\)"):
        registry.build_unit(bordered, Folding(), 1)
    wide = replace(conv(3), padding=Padding(3, 1, 3, 1))
    with pytest.raises(UnitError, match=r"'C1': the border and the padding .* 3, must be smaller"):
        registry.build_unit(wide, Folding(), 1)
    for layer in (weighted(graph.Dense(name="F6", inputs=("x",), units=3)), conv(4)):
        with pytest.raises(UnitError, match=r"lines must be left out, as it stores no rows .* 5$"):
            registry.build_unit(layer, Folding(lines=5), 1)
    with pytest.raises(UnitError, match=r"'C1': .* at least the 3 rows of a window, not 2"):
        registry.build_unit(conv(3), Folding(lines=2), 1)


def test_a_layer_type_that_the_array_does_not_know_is_refused() -> None:
    known = weighted(graph.Dense(name="F6", inputs=("x",), units=3))
    folding = Folding(columns=3)
    steps = schedule.layer_schedule(known, folding)
    strange = replace(known, layer=Mystery(name="M", inputs=("x",)))
    with pytest.raises(UnitError, match="mystery 'M': only convolution, dense and radial basis"):
        schedule.layer_schedule(strange, folding)
    with pytest.raises(graph.GraphError, match=r"mystery 'M': .* no operation on an array"):
        SystolicCore(strange, steps, 1)
    with pytest.raises(graph.GraphError, match=r"mystery 'M': .* no order of weights"):
        schedule.reduction_weights(strange)

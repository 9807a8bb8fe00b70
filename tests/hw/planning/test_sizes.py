# amaranth: UnusedElaboratable=no
"""Sizes that the planner chooses from, against all that hardware can have."""

from __future__ import annotations

import pytest

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Convolution, Dense, Input, MaxPooling, Network
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.planning.sizes import GivenSize, Options, unit_options
from systolith.hw.units.registry import build_unit
from tests.hw.small_networks import EVERY_KIND, quantized

FIXED = quantized(EVERY_KIND).fixed
WIDE = quantized(
    Network(
        "wide",
        (
            Input(name="input", height=3, width=4, channels=2, scale=0.01),
            Convolution(name="C", inputs=("input",), kernel=(2, 2), out_channels=12),
            MaxPooling(name="M", inputs=("C",), window=(2, 1)),
            Dense(name="F", inputs=("M",), units=10),
        ),
    )
).fixed


def sizes(options: Options) -> list[tuple[int, int, int]]:
    return list(zip(*(each.tolist() for each in options.size[:3]), strict=True))


def lanes_of_hardware(layer: FixedLayer, rows: int, columns: int, input_lanes: int) -> set[int]:
    """The lanes with which a unit of this size can be built."""
    found = set()
    for lanes in range(1, layer.output_shape.channels + 1):
        try:
            build_unit(layer, Folding(rows, columns, lanes), input_lanes)
        except UnitError:
            continue
        found.add(lanes)
    return found


LAYERS = [*(FIXED[name] for name in ("C1", "C3", "F6", "output")), WIDE["C"], WIDE["F"]]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_an_array_has_the_fewest_rows_for_its_chunks_and_all_lanes(layer: FixedLayer) -> None:
    # The elements of a window, and the outputs; the table of C3 makes several of both.
    counts = {"C1": (12, 4), "F6": (12, 5), "output": (5, 3), "C": (8, 12), "F": (36, 10)}
    found = sizes(unit_options(layer, 1))
    assert len(set(found)) == len(found)
    rows, columns, _ = (set(each) for each in zip(*found, strict=True))
    if layer.name in counts:
        elements, outputs = counts[layer.name]
        assert rows == {-(-elements // chunks) for chunks in range(1, elements + 1)}
        folds = {-(-outputs // each) for each in range(1, outputs + 1)}
        assert columns == folds | {n for n in range(1, outputs + 1) if outputs % n == 0}
    for size in {each[:2] for each in found}:
        assert {each[2] for each in found if each[:2] == size} == lanes_of_hardware(layer, *size, 1)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_multipliers_are_those_of_the_unit(layer: FixedLayer) -> None:
    options = unit_options(layer, 1)
    for size, multipliers in zip(sizes(options), options.multipliers.tolist(), strict=True):
        assert build_unit(layer, Folding(*size), 1).multipliers == multipliers


@pytest.mark.parametrize(("input_lanes", "lanes"), [(1, [1]), (4, [1, 2, 4]), (6, [1, 2, 3, 6])])
def test_pooling_has_the_divisors_of_the_lanes_of_its_input(
    input_lanes: int, lanes: list[int]
) -> None:
    assert sizes(unit_options(WIDE["M"], input_lanes)) == [(1, 1, each) for each in lanes]
    given = GivenSize(lanes=2)
    expected = [(1, 1, 2)] if 2 in lanes else []
    assert sizes(unit_options(WIDE["M"], input_lanes, given)) == expected


def test_sizes_that_are_given_are_all_there_is() -> None:
    """Of 8 elements and 12 outputs; 5 rows or 5 columns are no reasonable sizes."""
    layer = WIDE["C"]
    every = sizes(unit_options(layer, 1))
    assert {5} & {each[0] for each in every} == {5} & {each[1] for each in every} == set()
    found = sizes(unit_options(layer, 1, GivenSize(rows=5)))
    assert set(found) == {(5, columns, lanes) for _, columns, lanes in every}
    found = sizes(unit_options(layer, 1, GivenSize(columns=5)))
    assert set(found) == {(rows, 5, 1) for rows, _, _ in every}
    found = sizes(unit_options(layer, 1, GivenSize(4, 6, 3)))
    assert found == [(4, 6, 3)]
    assert sizes(unit_options(layer, 1, GivenSize(4, 6, 4))) == []

"""The counts are those of LeCun et al., 1998, section II.B, written down by hand."""

import numpy as np
import pytest

from systolith.golden import load_network
from systolith.golden.network import shipped
from systolith.golden.network.graph import Convolution, Dense, MaxPooling, Network, RadialBasis


def counts(network: Network) -> dict[str, tuple[tuple[int, ...], int, int, int]]:
    return {
        layer.name: (
            tuple(shape),
            layer.parameters(source),
            layer.connections(source),
            layer.macs(source),
        )
        for layer, source, shape in network.computing_layers()
    }


@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid"])
def test_the_paper_s_counts(name: str) -> None:
    network = shipped.network(name)
    assert network.shapes()["input"] == (32, 32, 1)
    assert counts(network) == {
        "C1": ((28, 28, 6), 156, 122_304, 117_600),
        "S2": ((14, 14, 6), 12, 5_880, 0),
        "C3": ((10, 10, 16), 1_516, 151_600, 150_000),
        "S4": ((5, 5, 16), 32, 2_000, 0),
        "C5": ((1, 1, 120), 48_120, 48_120, 48_000),
        "F6": ((1, 1, 84), 10_164, 10_164, 10_080),
        "output": ((1, 1, 10), 840, 840, 840),
    }
    assert sum(layer.macs(source) for layer, source, _ in network.computing_layers()) == 326_520
    scalings = {
        layer.name: layer.scalings(source) for layer, source, _ in network.computing_layers()
    }
    assert {name: count for name, count in scalings.items() if count} == {"S2": 1_176, "S4": 400}


def test_today_s_form_has_a_dense_c3_and_linear_outputs() -> None:
    network = shipped.network("lenet5-relu")
    assert sum(macs for _, _, _, macs in counts(network).values()) == 416_520
    assert counts(network)["C3"] == ((10, 10, 16), 2_416, 241_600, 240_000)
    assert counts(network)["output"] == ((1, 1, 10), 850, 850, 840)
    assert isinstance(network["S2"], MaxPooling) and isinstance(network["S4"], MaxPooling)
    assert isinstance(network.output, Dense)
    assert network.output.activation.kind == "none"


def test_the_connection_table_is_table_i() -> None:
    layer = shipped.network("lenet5")["C3"]
    assert isinstance(layer, Convolution) and layer.connection_table is not None
    # Table I of the paper, row by row: which maps of C3 each map of S2 feeds.
    rows = [
        [0, 4, 5, 6, 9, 10, 11, 12, 14, 15],
        [0, 1, 5, 6, 7, 10, 11, 12, 13, 15],
        [0, 1, 2, 6, 7, 8, 11, 13, 14, 15],
        [1, 2, 3, 6, 7, 8, 9, 12, 14, 15],
        [2, 3, 4, 7, 8, 9, 10, 12, 13, 15],
        [3, 4, 5, 8, 9, 10, 11, 13, 14, 15],
    ]
    for source, fed in enumerate(rows):
        table = layer.connection_table
        assert [out for out, maps in enumerate(table) if source in maps] == fed


def test_squashing_functions_are_properties_of_layers() -> None:
    paper = shipped.network("lenet5")
    for name in ("C1", "S2", "C3", "S4", "C5", "F6"):
        activation = paper[name].activation
        assert (activation.kind, activation.amplitude) == ("tanh", 1.7159)
        assert activation.slope == pytest.approx(2 / 3)
    textbook = shipped.network("lenet5-sigmoid")
    kinds = {layer.name: layer.activation.kind for layer in textbook.layers[1:]}
    assert kinds == {
        "C1": "none",
        "S2": "sigmoid",
        "C3": "none",
        "S4": "sigmoid",
        "C5": "none",
        "F6": "sigmoid",
        "output": "none",
    }
    assert isinstance(paper.output, RadialBasis) and isinstance(textbook.output, RadialBasis)


def test_white_and_black_are_the_paper_s_values() -> None:
    layer = shipped.network("lenet5").input
    assert layer.image_shape == (28, 28, 1)
    assert layer.background == 0
    assert 0 * layer.scale + layer.offset == pytest.approx(-0.1)
    assert 255 * layer.scale + layer.offset == pytest.approx(1.175)


def test_the_output_codes_draw_the_digits() -> None:
    codes = shipped.output_codes()
    assert codes.shape == (84, 10)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    one = ["".join(".#"[int(v > 0)] for v in row) for row in codes[:, 1].reshape(12, 7)]
    assert one == [
        "...##..",
        "..###..",
        ".####..",
        "...##..",
        "...##..",
        "...##..",
        "...##..",
        "...##..",
        "...##..",
        ".######",
        ".......",
        ".......",
    ]
    distances = {
        (a, b): int((codes[:, a] != codes[:, b]).sum()) for a in range(10) for b in range(a)
    }
    assert min(distances.values()) == distances[8, 6] == 12


def test_names() -> None:
    assert shipped.names() == ("lenet5", "lenet5-sigmoid", "lenet5-relu")
    for name in shipped.names():
        assert shipped.network(name).name == name
    with pytest.raises(
        ValueError,
        match=r"network 'alexnet' is unknown: allowed are lenet5, lenet5-sigmoid, lenet5-relu",
    ):
        shipped.network("alexnet")


@pytest.mark.parametrize("name", shipped.names())
def test_the_graph_is_that_of_the_weights(name: str) -> None:
    assert shipped.network(name) == load_network(name).network

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    GraphError,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.qformat import QFormat

INPUT = Input(name="input", height=8, width=6, channels=2)
SIZES = st.integers(1, 6)


CONV = Convolution(name="C1", inputs=("input",), kernel=(3, 2), out_channels=4)


def conv(**changes: Any) -> Convolution:
    return replace(CONV, **changes)


def count_links_by_walking(layer: Convolution, source: Shape) -> tuple[int, int]:
    """Multiply-accumulates and connections, by visiting every output value of every window."""
    macs = connections = 0
    padded_height = source.height + 2 * layer.padding[0]
    padded_width = source.width + 2 * layer.padding[1]
    for _ in range(padded_height - layer.kernel[0] + 1):
        for _ in range(padded_width - layer.kernel[1] + 1):
            for out in range(layer.out_channels):
                table = layer.connection_table
                maps = range(source.channels) if table is None else table[out]
                for _ in maps:
                    macs += layer.kernel[0] * layer.kernel[1]
                    connections += layer.kernel[0] * layer.kernel[1]
                connections += 1
    return macs, connections


@given(st.data())
def test_a_convolution_counts_what_walking_its_windows_counts(data: st.DataObject) -> None:
    source = Shape(data.draw(st.integers(3, 7)), data.draw(st.integers(3, 7)), data.draw(SIZES))
    outputs = data.draw(SIZES)
    maps = st.sets(st.integers(0, source.channels - 1), min_size=1).map(lambda s: tuple(sorted(s)))
    table = data.draw(st.none() | st.lists(maps, min_size=outputs, max_size=outputs).map(tuple))
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(data.draw(st.integers(0, size - 1)) for size in kernel)
    layer = conv(kernel=kernel, out_channels=outputs, padding=padding, connection_table=table)

    macs, connections = count_links_by_walking(layer, source)

    assert layer.macs(source) == macs
    assert layer.connections(source) == connections
    links = source.channels * outputs if table is None else sum(map(len, table))
    assert layer.parameters(source) == links * kernel[0] * kernel[1] + outputs


def test_a_convolution_shrinks_by_its_kernel_and_grows_by_its_padding() -> None:
    assert conv().output_shape(Shape(8, 6, 2)) == (6, 5, 4)
    assert conv(padding=(2, 1)).output_shape(Shape(8, 6, 2)) == (10, 7, 4)
    assert conv().array_shapes(Shape(8, 6, 2)) == {"weights": (3, 2, 2, 4), "bias": (4,)}


@pytest.mark.parametrize("pooling", [Subsampling, AveragePooling, MaxPooling])
def test_pooling_drops_the_rows_and_columns_left_over(pooling: type[Layer]) -> None:
    layer = pooling(name="S2", inputs=("input",), window=(2, 3))  # type: ignore[call-arg]
    assert layer.output_shape(Shape(9, 8, 5)) == (4, 2, 5)
    assert layer.macs(Shape(9, 8, 5)) == 0


def test_subsampling_has_a_coefficient_and_a_bias_a_map() -> None:
    layer = Subsampling(name="S2", inputs=("input",))
    source = Shape(8, 6, 3)
    assert layer.parameters(source) == 6
    assert layer.connections(source) == 3 * 4 * 3 * (4 + 1)
    assert layer.scalings(source) == 4 * 3 * 3
    assert layer.array_shapes(source) == {"weights": (3,), "bias": (3,)}


def test_dense_and_radial_basis_take_every_value() -> None:
    source = Shape(2, 3, 4)
    dense = Dense(name="F6", inputs=("input",), units=5)
    assert (dense.parameters(source), dense.connections(source), dense.macs(source)) == (
        125,
        125,
        120,
    )
    radial = RadialBasis(name="output", inputs=("input",), units=5)
    assert (radial.parameters(source), radial.connections(source), radial.macs(source)) == (
        120,
        120,
        120,
    )
    assert radial.array_shapes(source) == {"weights": (24, 5)}
    assert (dense.winner, radial.winner) == ("largest", "smallest")


def test_the_input_adds_its_border() -> None:
    layer = Input(name="input", height=28, width=20, channels=3, border=2)
    assert layer.image_shape == (28, 20, 3)
    assert layer.output_shape(layer.image_shape) == (32, 24, 3)


def test_a_network_knows_its_shapes_and_layers() -> None:
    network = Network("two", (INPUT, conv(), Dense(name="F2", inputs=("C1",), units=3)))
    assert network.shapes() == {"input": (8, 6, 2), "C1": (6, 5, 4), "F2": (1, 1, 3)}
    assert network.input is INPUT
    assert network.output is network["F2"]
    assert [(layer.name, source, shape) for layer, source, shape in network.computing_layers()] == [
        ("C1", (8, 6, 2), (6, 5, 4)),
        ("F2", (6, 5, 4), (1, 1, 3)),
    ]
    with pytest.raises(GraphError, match=r"network 'two' has no layer 'C3': it has input, C1, F2"):
        network["C3"]


def network_of(*layers: Layer) -> Network:
    return Network("net", layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conv(name="1C"), "layer '1C': a name is an ASCII identifier"),
        (lambda: conv(name="Ä"), "layer 'Ä': a name is an ASCII identifier"),
        (lambda: conv(inputs=()), "convolution 'C1': takes one input, not 0"),
        (lambda: conv(kernel=(0, 2)), "convolution 'C1': kernel must be at least 1, not 0"),
        (
            lambda: conv(strides=2),
            r"strides is not supported: it has name, .*kernel, out_channels, .*docs/limits\.md",
        ),
        (
            lambda: MaxPooling(name="S", inputs=("a",), pool=3),  # type: ignore[call-arg]
            "max_pooling 'S': pool is not supported: it has name, inputs, activation, window",
        ),
        (lambda: conv(stride=2), r"stride must be a pair of whole numbers, .*, not 2"),
        (lambda: conv(stride=(1, 0)), "stride must be at least 1, not 0"),
        (lambda: conv(dilation=(0, 1)), "dilation must be at least 1, not 0"),
        (lambda: conv(padding_end=(0, 2)), "horizontal padding must be from 0 to 1, not 2"),
        (lambda: conv(groups=3), "groups, 3, must divide 4 output maps"),
        (
            lambda: conv(groups=2, connection_table=((0,),) * 4),
            "takes groups or a connection table, not both",
        ),
        (
            lambda: network_of(INPUT, conv(groups=4)),
            "groups, 4, must divide 2 input maps",
        ),
        (
            lambda: AveragePooling(name="S", inputs=("a",), count_padding=True),
            "counts padding, and has none",
        ),
        (
            lambda: MaxPooling(name="S", inputs=("a",), padding=(2, 0)),
            "vertical padding must be from 0 to 1, not 2",
        ),
        (lambda: conv(kernel=5), r"kernel must be a pair of whole numbers, .*, not 5"),
        (lambda: conv(padding="same"), r"padding must be a pair of whole numbers, .*, not 'same'"),
        (lambda: conv(kernel=(5,)), r"kernel must be a pair of whole numbers, .*, not \(5,\)"),
        (
            lambda: MaxPooling(name="S", inputs=("a",), window=2),  # type: ignore[arg-type]
            "max_pooling 'S': window must be a pair of whole numbers, .*, not 2",
        ),
        (
            lambda: Input(name="input", height=8, width=6, border=(2, 2)),  # type: ignore[arg-type]
            r"input 'input': border must be a whole number, not \(2, 2\)",
        ),
        (lambda: conv(out_channels=0), "out_channels must be at least 1, not 0"),
        (lambda: conv(padding=(3, 0)), "vertical padding must be from 0 to 2, not 3"),
        (lambda: conv(padding=(0, -1)), "horizontal padding must be from 0 to 1, not -1"),
        (lambda: conv(connection_table=((0,),)), "connection table must have 4 entries, not 1"),
        (
            lambda: conv(connection_table=((0,), (1, 0), (0,), (0,))),
            r"connections of output map 1 must be whole numbers from 0, in .* not \(1, 0\)",
        ),
        (
            lambda: conv(connection_table=((0,), (), (0,), (0,))),
            r"connections of output map 1 must be whole numbers from 0, in .* not \(\)",
        ),
        (
            lambda: network_of(INPUT, conv(connection_table=((0,), (0,), (0,), (1, 2)))),
            "connections of output map 3 name input map 2, but there are 2",
        ),
        (
            lambda: network_of(INPUT, conv(kernel=(9, 2))),
            "convolution 'C1': its window, 9 x 2, does not fit an input of 8 x 6 x 2",
        ),
        (
            lambda: network_of(INPUT, MaxPooling(name="S", inputs=("input",), window=(2, 7))),
            "max_pooling 'S': its window, 2 x 7 / 2 x 7, does not fit an input of 8 x 6 x 2",
        ),
        (
            lambda: MaxPooling(name="S", inputs=("a",), activation=Activation("relu")),
            "max_pooling 'S': takes no activation",
        ),
        (
            lambda: RadialBasis(name="R", inputs=("a",), units=2, activation=Activation("relu")),
            "radial_basis 'R': takes no activation",
        ),
        (lambda: Dense(name="F", inputs=("a",), units=0), "units must be at least 1, not 0"),
        (
            lambda: Input(name="input", height=0, width=1),
            "height, width and channels must be at least 1, not 0",
        ),
        (lambda: Input(name="i", height=1, width=1, border=-1), "border must be at least 0, not"),
        (
            lambda: Input(name="i", height=1, width=1, background=256),
            "background must be a raw value from 0 to 255, not 256",
        ),
        (
            lambda: Input(name="i", height=1, width=1, scale=0.0),
            "scale must be a positive number, not 0.0",
        ),
        (
            lambda: Input(name="i", height=1, width=1, offset=float("nan")),
            "offset must be a finite number, not nan",
        ),
        (lambda: Input(name="i", height=1, width=1, inputs=("a",)), "takes no inputs"),
        (
            lambda: Input(name="i", height=1, width=1, activation=Activation("relu")),
            "input 'i': takes no activation",
        ),
        (
            lambda: Activation("mystery"),
            "activation 'mystery': allowed are none, relu, tanh, ",
        ),
        (lambda: Activation("tanh", amplitude=0.0), "amplitude must be a positive number, not 0.0"),
        (
            lambda: Activation("tanh", slope=float("inf")),
            "slope must be a positive number, not inf",
        ),
        (
            lambda: Activation("relu", amplitude=2.0),
            "activation 'relu': takes neither amplitude nor slope",
        ),
        (
            lambda: Activation("relu", slope=2.0),
            "activation 'relu': takes neither amplitude nor slope",
        ),
        (lambda: Activation("tanh", amplitude=float("nan")), "amplitude must be a positive"),
        (lambda: Activation("tanh", slope=-1.0), "slope must be a positive number, not -1.0"),
        (lambda: conv(padding_end=(3, 1)), "vertical padding must be from 0 to 2, not 3"),
        (lambda: conv(padding=(2, 1), padding_end=(2, -1)), "horizontal padding .*, not -1"),
        (lambda: conv(kernel=(5, 2.0)), r"kernel must be a pair of whole .*, not \(5, 2.0\)"),
        (lambda: conv(padding=(True, 0)), "padding must be a pair of whole .*, not .True, 0."),
        (
            lambda: Input(name="i", height=1, width=1, background=0.5),  # type: ignore[arg-type]
            "background must be a whole number, not 0.5",
        ),
        (lambda: conv(groups=0), "groups must be at least 1, not 0"),
        (lambda: conv(out_channels=2.5), "out_channels must be at least 1, not 2.5"),
        *(
            (
                lambda maps=maps: conv(connection_table=((0,), (0,), maps, (0,))),
                f"connections of output map 2 must be whole numbers .* not {re.escape(str(maps))}",
            )
            for maps in ((0, 0), (-1, 0), (0, 2, 1))
        ),
        (
            lambda: network_of(INPUT, conv(kernel=(2, 7))),
            "its window, 2 x 7, does not fit an input of 8 x 6 x 2",
        ),
        (
            lambda: AveragePooling(name="S", inputs=("a",), padding_end=(0, 0), count_padding=True),
            "counts padding, and has none",
        ),
        *(
            (
                lambda scale=scale: Input(name="i", height=1, width=1, scale=scale),
                f"scale must be a positive number, not {scale}",
            )
            for scale in (-1.0, float("inf"), float("nan"))
        ),
        *(
            (
                lambda offset=offset: Input(name="i", height=1, width=1, offset=offset),
                f"offset must be a finite number, not {offset}",
            )
            for offset in (float("inf"), -float("inf"))
        ),
        *(
            (
                lambda name=name: Network(name, (INPUT, conv())),
                f"network '{re.escape(name)}': a name has letters, digits, hyphens and underscores",
            )
            for name in ("a.b", "a/b", "Ä", "")
        ),
        (
            lambda: network_of(INPUT, conv(), Dense(name="F", inputs=("C1",), units=1), conv()),
            "network 'net': two layers are named 'C1'",
        ),
        (
            lambda: network_of(INPUT, conv(), Dense(name="F", inputs=("C1", "input"), units=1)),
            "dense 'F': takes one input, not 2",
        ),
        (
            lambda: network_of(INPUT, Dense(name="F", inputs=("C9",), units=1)),
            "dense 'F': must be fed by 'input', the layer before it, not by 'C9'",
        ),
        (
            lambda: Network("a b", (INPUT, conv())),
            "network 'a b': a name has letters, digits, hyphens and underscores",
        ),
        (lambda: network_of(INPUT), "network 'net': needs an input and at least one layer"),
        (lambda: network_of(conv(), conv()), "network 'net': the first layer must be an input"),
        (
            lambda: network_of(INPUT, conv(name="input")),
            "network 'net': two layers are named 'input'",
        ),
        (
            lambda: network_of(INPUT, Input(name="second", height=1, width=1)),
            "network 'net': 'second' is a second input",
        ),
        (
            lambda: network_of(INPUT, conv(), Dense(name="F", inputs=("input",), units=1)),
            "dense 'F': must be fed by 'C1', the layer before it, not by 'input': networks",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(GraphError, match=message):
        make()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": (8, 5)}, r"format must be a QFormat, such as QFormat\(8, 5\), not \(8, 5\)"),
        ({"format": "s8.5"}, r"format must be a QFormat, such as QFormat\(8, 5\), not 's8.5'"),
        (
            {"format": QFormat(17, 0)},
            "at most 16 bits and from -32 to 32 fraction bits, not",
        ),
        ({"format": QFormat(8, 33)}, r"fraction bits, not be s8\.33"),
        ({"format": QFormat(8, -33)}, r"fraction bits, not be s8\.-33"),
        ({"format": QFormat(4, 2), "background": 8}, "from -8 to 7, not 8"),
        ({"format": QFormat(4, 2), "background": -9}, "from -8 to 7, not -9"),
        ({"background": -1}, "background must be a raw value from 0 to 255, not -1"),
    ],
)
def test_formats_of_an_input_that_hardware_does_not_build(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(GraphError, match=f"input 'i': .*{message}"):
        Input(name="i", height=1, width=1, **changes)


def test_the_last_values_that_are_allowed() -> None:
    Input(name="i", height=1, width=1, format=QFormat(16, 32), background=-(2**15))
    Input(name="i", height=1, width=1, format=QFormat(1, -32, signed=False), background=1)
    assert conv(padding=(2, 1), padding_end=(0, 1)).pads == (2, 1, 0, 1)
    assert conv(dilation=(1, 3), padding=(2, 3)).pads == (2, 3, 2, 3)
    full = network_of(INPUT, conv(kernel=(8, 6), connection_table=((0,), (1,), (0, 1), (0,))))
    assert full.shapes()["C1"] == (1, 1, 4)
    assert Network("a-B_9", (INPUT, conv())).name == "a-B_9"
    counted = AveragePooling(name="S", inputs=("a",), padding_end=(0, 1), count_padding=True)
    assert counted.pads == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("last", "classifies"),
    [
        (Dense(name="F", inputs=("input",), units=2), True),
        (Dense(name="F", inputs=("input",), units=1), False),
        (conv(kernel=(8, 6)), True),
        (conv(kernel=(7, 6)), False),
        (conv(kernel=(8, 5)), False),
        (conv(kernel=(8, 6), out_channels=1), False),
        (RadialBasis(name="R", inputs=("input",), units=3), True),
    ],
)
def test_a_classifier_ends_in_several_scores(last: Layer, classifies: bool) -> None:
    assert network_of(INPUT, last).has_classes is classifies


@pytest.mark.parametrize(
    ("layer", "form"),
    [
        (conv(), "3 x 2"),
        (conv(stride=(2, 2)), "3 x 2 / 2"),
        (conv(stride=(3, 2)), "3 x 2 / 3 x 2"),
        (conv(stride=(1, 2), dilation=(2, 1)), "3 x 2 / 1 x 2, dilation 2 x 1"),
        (conv(dilation=(3, 3)), "3 x 2, dilation 3"),
        (conv(padding=(0, 1)), "3 x 2, pad 0 1 0 1"),
        (conv(padding=(2, 0), padding_end=(1, 0), groups=2), "3 x 2, pad 2 0 1 0, 2 groups"),
        (conv(groups=4), "3 x 2, 4 groups"),
        (conv(connection_table=((0,),) * 4, stride=(2, 1)), "3 x 2 / 2 x 1, by table"),
        (MaxPooling(name="S", inputs=("a",), window=(2, 3)), "2 x 3 / 2 x 3"),
        (MaxPooling(name="S", inputs=("a",), window=(3, 3), stride=(2, 2)), "3 x 3 / 2"),
        (Subsampling(name="S", inputs=("a",), window=(3, 3), stride=(1, 1)), "3 x 3"),
        (
            AveragePooling(name="S", inputs=("a",), padding=(1, 0), count_padding=True),
            "2 x 2 / 2, pad 1 0 1 0, padding counted",
        ),
        (Dense(name="F", inputs=("a",), units=1), ""),
    ],
)
def test_the_form_of_windows_in_words(layer: Layer, form: str) -> None:
    assert layer.form == form


def test_groups_are_fed_by_their_part_of_the_input() -> None:
    layer = conv(groups=2, out_channels=6, stride=(2, 1), padding=(1, 0), padding_end=(0, 0))
    source = Shape(8, 6, 4)
    assert layer.sources(source) == ((0, 1),) * 3 + ((2, 3),) * 3
    assert layer.links(source) == 12
    # Windows of 3 rows from -1, 1, 3 and 5; five columns.
    assert layer.output_shape(source) == (4, 5, 6)
    assert layer.parameters(source) == 12 * 6 + 6
    assert layer.macs(source) == 12 * 6 * 20
    depthwise = conv(groups=4)
    assert depthwise.sources(source) == ((0,), (1,), (2,), (3,))


def test_values_of_a_mean_are_those_on_the_map() -> None:
    """Of windows of 2 x 3 on 3 x 4 values, with a row above and a column to the right."""
    layer = AveragePooling(
        name="S", inputs=("a",), window=(2, 3), stride=(2, 1), padding=(1, 0), padding_end=(0, 1)
    )
    assert layer.values_counted(Shape(3, 4, 5)).tolist() == [[3, 3, 2], [6, 6, 4]]
    counted = replace(layer, count_padding=True)
    assert counted.values_counted(Shape(3, 4, 5)).tolist() == [[6] * 3] * 2
    assert layer.connections(Shape(3, 4, 5)) == 6 * (2 * 3 * 5)


def test_files_can_be_called_after_a_network() -> None:
    layers = (Input(name="input", height=1, width=1), Dense(name="F", inputs=("input",), units=2))
    assert Network("n" * 200, layers).name == "n" * 200
    with pytest.raises(GraphError, match="has at most 200 characters, not 201"):
        Network("n" * 201, layers)

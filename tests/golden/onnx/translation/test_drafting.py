"""How steps become layers: which node does whose work, and what the input takes over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from systolith import golden
from systolith.golden.qformat import QFormat
from tests.golden.onnx.small_models import RAW, constant, model, normal, spelled, taken

CONSTANTS = {
    "k": normal(2, 1, 3, 3),
    "k3": normal(2, 3, 3, 3),
    "v": normal(3, 2, 2, 2),
    "each": constant([[[0.5]], [[-2.0]]]),
    "per_channel": constant([[[0.5]], [[2.0]], [[3.0]]]),
    "same": constant([[[2.0]], [[2.0]], [[2.0]]]),
    "two": constant(2.0),
    "half": constant(0.5),
    "minus_half": constant(-0.5),
    "five": constant(5.0),
    "minus_four": constant(-4.0),
    "most": constant(255.0),
    "more": constant(256.0),
    "below": constant(-1.0),
    "ones": constant([1.0, 1.5]),
    "around": constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    "wide": constant([0, 0, 2, 2, 0, 0, 2, 2], np.int64),
}


def content(lines: str, dims: tuple[int | str, ...] = ("N", 1, 6, 7), opset: int = 15) -> bytes:
    nodes = spelled(lines)
    read = {name for each in nodes for name in each.input}
    constants = {name: each for name, each in CONSTANTS.items() if name in read}
    return model(nodes, constants, dims, opset=opset)


def refused(folder: Path, model_bytes: bytes, preprocessing: golden.Preprocessing) -> str:
    (folder / "small.onnx").write_bytes(model_bytes)
    with pytest.raises(golden.RefusedError) as caught:
        golden.import_onnx(folder / "small.onnx", preprocessing)
    return str(caught.value).removeprefix(f"{folder / 'small.onnx'}: ")


@pytest.mark.parametrize(
    ("lines", "layers"),
    [
        (
            "Conv x k a; Mul a each b; Relu b c; MaxPool c y kernel_shape=2,2",
            [("a", "a Conv, b Mul, c Relu", "c", False), ("y", "y MaxPool", "y", False)],
        ),
        (
            "Conv x k a; MaxPool a b kernel_shape=2,2; MaxPool b c kernel_shape=2,2; Relu c y",
            [
                ("a", "a Conv, y Relu", "a", True),
                ("b", "b MaxPool", None, False),
                ("c", "c MaxPool", "y", False),
            ],
        ),
        (
            "Conv x k a; Tanh a b; Add b half c; Conv c v y pads=1,1,1,1",
            [
                ("a", "a Conv, b Tanh", "b", False),
                ("c", "c Add", "c", False),
                ("y", "y Conv", "y", False),
            ],
        ),
        (
            "Conv x k a; Tanh a b; Mul b minus_half c; Conv c v y",
            [("a", "a Conv, b Tanh", "b", False), ("y", "c Mul, y Conv", "y", False)],
        ),
        (
            "Conv x k a; Tanh a b; Mul b two c; Add c half d; Conv d v y",
            [("a", "a Conv, b Tanh, c Mul", "c", False), ("y", "d Add, y Conv", "y", False)],
        ),
        (
            "Conv x k a; AveragePool a b kernel_shape=2,2; Mul b each c; Sigmoid c y",
            [("a", "a Conv", "a", False), ("b", "b AveragePool, c Mul, y Sigmoid", "y", False)],
        ),
        (
            "BatchNormalization x one1 one1 one1 one1 a; Sub a half b; Conv b k y",
            [("y", "y Conv", "y", False)],
        ),
        ("Relu x y", [("y", "y Relu", "y", False)]),
        (
            "Neg x a; Mul a two b; Conv b k y pads=1,1,1,1",
            [("a", "a Neg, b Mul", "b", False), ("y", "y Conv", "y", False)],
        ),
        ("Neg x a; Conv a k y", [("y", "a Neg, y Conv", "y", False)]),
        (
            "Conv x k a; Identity a b; Relu b c; Relu c y",
            [("a", "a Conv, c Relu, y Relu", "c", False)],
        ),
    ],
)
def test_each_layer_has_its_nodes_and_the_tensor_that_it_equals(
    lines: str, layers: list[tuple[str, str, str | None, bool]], tmp_path: Path
) -> None:
    constants = {"one1": constant([1.0])}
    nodes = spelled(lines)
    read = {name for each in nodes for name in each.input}
    known = {name: each for name, each in (CONSTANTS | constants).items() if name in read}
    path = tmp_path / "small.onnx"
    path.write_bytes(model(nodes, known, ("N", 1, 6, 7), opset=15))
    imported = golden.import_onnx(path, golden.Preprocessing((1 / 64,), (2.0,)))
    found = [
        (
            each.layer,
            ", ".join(map(" ".join, each.nodes)),
            None if each.equals is None else each.equals.tensor,
            each.before_activation,
        )
        for each in imported.origins
    ]
    assert found == layers
    assert all(each.is_rounding for each in golden.compare_with_runtime(imported))


def test_a_layer_of_the_preprocessing_alone_has_no_node(tmp_path: Path) -> None:
    each = golden.Preprocessing((1 / 64,), (0.5, 1.0, 1.5), (1.0, 2.0, 4.0))
    three = content("Conv x k3 y pads=1,1,1,1", ("N", 3, 6, 7))
    first, second = taken(tmp_path, three, each).origins
    assert (first.layer, first.chief, first.nodes) == ("normalize", "", ())
    assert first.equals is not None and first.equals.tensor == "x"
    assert (second.layer, second.chief, second.nodes) == ("y", "y", (("y", "Conv"),))


def test_another_preprocessing_gives_what_an_import_with_it_gives(tmp_path: Path) -> None:
    path = tmp_path / "some name.onnx"
    path.write_bytes(content("Conv x k a; Relu a y"))
    one, other = golden.Preprocessing((1 / 64,)), golden.Preprocessing((1 / 255,), (0.25,), (0.5,))
    first, second = golden.import_onnx(path, one), golden.import_onnx(path, other)
    assert first.trained.sha256 != second.trained.sha256
    assert first.with_preprocessing(other).sha256 == second.trained.sha256
    assert first.trained.name == "some-name"


BORDER = "Pad x around {} p; Conv p k y"
SIGNED = golden.Preprocessing(format=QFormat(8, 5))


@pytest.mark.parametrize(
    ("value", "preprocessing", "background"),
    [
        ("most", RAW, 255),
        ("two", RAW, 2),
        ("half", golden.Preprocessing((1 / 64,)), 32),
        ("half", golden.Preprocessing((1 / 64,), (0.5,), (2.0,)), 96),
        ("half", SIGNED, 16),
        ("minus_four", SIGNED, -128),
        ("minus_half", golden.Preprocessing((2.0,), (0.5,), (2.0,), QFormat(8, 5)), -8),
    ],
)
def test_a_border_has_the_raw_value_that_stands_for_it(
    value: str, preprocessing: golden.Preprocessing, background: int, tmp_path: Path
) -> None:
    imported = taken(tmp_path, content(BORDER.format(value)), preprocessing)
    first = imported.trained.network.input
    assert (first.height, first.width, first.border, first.background) == (6, 7, 1, background)


@pytest.mark.parametrize(
    ("lines", "preprocessing", "reason"),
    [
        (BORDER.format("half"), RAW, "0.5, which is no pixel from 0 to 255"),
        (BORDER.format("more"), RAW, "256, which is no pixel from 0 to 255"),
        (BORDER.format("below"), RAW, "-1, which is no pixel from 0 to 255"),
        (BORDER.format("five"), SIGNED, "5, which is no raw value from -128 to 127"),
        (
            "Mul x two a; Pad a around below p; Conv p k y",
            RAW,
            "-1, which is no pixel from 0 to 255",
        ),
        (
            BORDER.format("half"),
            golden.Preprocessing((1 / 64.01,)),
            "0.5, which is no pixel from 0 to 255",
        ),
    ],
)
def test_a_border_of_no_raw_value_is_refused(
    lines: str, preprocessing: golden.Preprocessing, reason: str, tmp_path: Path
) -> None:
    count = lines.count(";") + 1
    assert refused(tmp_path, content(lines), preprocessing) == (
        f"1 of {count} nodes cannot be imported: p (Pad): pads with {reason}"
    )


def test_a_border_of_channels_that_stand_for_different_numbers_is_refused(tmp_path: Path) -> None:
    reason = "1 of 2 nodes cannot be imported: p (Pad): pads with a value, and channels stand for"
    three = content("Pad x around half p; Conv p k3 y", ("N", 3, 6, 7))
    each = golden.Preprocessing(mean=(0.0, 1.0, 2.0))
    assert refused(tmp_path, three, each) == f"{reason} different numbers"
    lines = "Mul x per_channel a; Pad a around half p; Conv p k3 y"
    reason = reason.replace("of 2", "of 3")
    assert refused(tmp_path, content(lines, ("N", 3, 6, 7)), RAW) == f"{reason} different numbers"
    same = content("Mul x same a; Pad a around two p; Conv p k3 y", ("N", 3, 6, 7))
    first = taken(tmp_path, same).trained.network.input
    assert (first.scale, first.border, first.background) == (2.0, 1, 1)


def test_what_follows_a_border_is_no_part_of_the_input(tmp_path: Path) -> None:
    """The input's scale is that of its raw values, not that of the border."""
    imported = taken(tmp_path, content("Pad x wide two p; Mul p half a; Conv a k y pads=0,0,0,0"))
    first = imported.trained.network.input
    assert (first.scale, first.border, first.background) == (1.0, 2, 2)
    assert [each.layer for each in imported.origins] == ["y"]
    imported = taken(tmp_path, content("Pad x wide two p; Mul p half a; Relu a b; Conv b k y"))
    assert [each.layer for each in imported.origins] == ["b", "y"]


@pytest.mark.parametrize("opset", [6, 7, 8])
def test_values_that_are_normalized_one_by_one_are_refused(opset: int, tmp_path: Path) -> None:
    lines = "Conv x k a; BatchNormalization a ones ones ones ones y spatial=0"
    assert refused(tmp_path, content(lines, opset=opset), RAW) == (
        "1 of 2 nodes cannot be imported: y (BatchNormalization, spatial): 0 normalizes every "
        "value by itself, which is not built"
    )


@pytest.mark.parametrize(("opset", "is_taken"), [(12, True), (13, False)])
def test_a_softmax_of_an_open_batch(opset: int, is_taken: bool, tmp_path: Path) -> None:
    """Up to opset 12 axis 1 is it and all that follow."""
    made = content("Conv x k a; GlobalMaxPool a p; Softmax p y axis=1", opset=opset)
    assert taken(tmp_path, made).trained.network.output.name == "p"
    pairs = "Conv x k a; GlobalMaxPool a p; Reshape p rows q; Softmax q y axis=1"
    nodes = spelled(pairs)
    rows = {"k": CONSTANTS["k"], "rows": constant([-1, 1, 2], np.int64)}
    path = tmp_path / "small.onnx"
    path.write_bytes(model(nodes, rows, ("N", 1, 6, 7), opset=opset))
    if is_taken:
        assert golden.import_onnx(path, RAW).trained.network.output.name == "p"
    else:
        with pytest.raises(golden.RefusedError, match="1 is not over all scores of an image"):
            golden.import_onnx(path, RAW)
    made = content("Flatten x f; Softmax f y axis=0", opset=opset)
    assert "axis): 0 is not over all scores of an image" in refused(tmp_path, made, RAW)

"""Spellings that are taken: which layers they become, and that ONNX Runtime has their values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from systolith import golden
from systolith.golden.network import float_model
from tests.golden.onnx.small_models import constant, model, normal, spelled

SPREAD = golden.Preprocessing((1 / 64,), (2.0,))

CONSTANTS = {
    "k": normal(3, 1, 3, 3),
    "k2": normal(2, 1, 2, 2),
    "ks": normal(2, 3, 2, 2, seed=1),
    "one_pixel": normal(2, 3, 1, 1),
    "d": normal(30, 6),
    "d6": normal(6, 4, seed=1),
    "d8": normal(8, 4, seed=1),
    "d36": normal(36, 4),
    "b4": normal(4, seed=2),
    "square": normal(30, 30, seed=3),
    "rows30": normal(1, 30, seed=4),
    "two": constant(2.0),
    "one": constant(1.0),
    "half": constant(0.5),
    "six": constant(6.0),
    "zero": constant(0.0),
    "minus": constant(-1.0),
    "minus_two": constant(-2.0),
    "slopes": constant([[[0.25]], [[0.25]], [[0.25]]]),
    "each": constant([[[0.5]], [[-2.0]], [[3.0]]]),
    "positive": constant([[[0.5]], [[2.0]], [[3.0]]]),
    "offsets": constant([[[0.25]], [[-1.0]], [[2.0]]]),
    "by_pixel": normal(5, 6, seed=5),
    "by_value": normal(3, 3, 4, seed=6),
    "around": constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    "below": constant([0, 0, 0, 0, 0, 0, 1, 0], np.int64),
    "crop": constant([0, 0, -1, 0, 0, 0, 0, -2], np.int64),
    "zeros_at_end": constant([0, 1, 0, 1], np.int64),
    "copies": constant([0, 3, 3, 1, 0, 2, 4, 5], np.int64),
    "some": constant([4, 1, 1, 0, 5, 2], np.int64),
    "middle": constant([2, 1, 30], np.int64),
    "spatial": constant([2, 3], np.int64),
    "from_below": constant([-2, -1], np.int64),
    "first_axis": constant([1], np.int64),
    "to_row": constant([0, -1], np.int64),
}

M, S = "Conv x k m; ", "Flatten x f; Gemm f d s; "
C = "convolution"

TAKEN = [
    # Poolings and their padding.
    (
        M + "Relu m r; Pad r around p; MaxPool p y kernel_shape=3,3 strides=2,2 ceil_mode=1",
        f"{C} relu, max_pooling none",
    ),
    (M + "Pad m around p; AveragePool p y kernel_shape=2,3", f"{C} none, average_pooling none"),
    (
        M + "Pad m below p; AveragePool p y kernel_shape=2,2 strides=2,2",
        f"{C} none, average_pooling none",
    ),
    (
        M + "Pad m below p; AveragePool p y kernel_shape=3,3 pads=0,1,1,0 count_include_pad=1",
        f"{C} none, average_pooling none",
    ),
    (M + "AveragePool m y kernel_shape=2,3 pads=1,2,0,1", f"{C} none, average_pooling none"),
    (
        M + "AveragePool m y kernel_shape=2,3 auto_pad=SAME_LOWER strides=2,2",
        f"{C} none, average_pooling none",
    ),
    (
        M + "MaxPool m y kernel_shape=3,2 auto_pad=SAME_UPPER strides=2,3",
        f"{C} none, max_pooling none",
    ),
    (M + "MaxPool m t kernel_shape=1,1 strides=1,1; Conv t ks y", f"{C} none, {C} none"),
    (M + "AveragePool m t kernel_shape=1,1 strides=1,1; Conv t ks y", f"{C} none, {C} none"),
    (M + "GlobalMaxPool m y", f"{C} none, max_pooling none"),
    (M + "GlobalAveragePool m y", f"{C} none, average_pooling none"),
    (M + "ReduceMax m from_below y keepdims=0", f"{C} none, max_pooling none"),
    (M + "ReduceMean m spatial y", f"{C} none, average_pooling none"),
    ("ReduceMean x from_below y", "average_pooling none"),
    ("ReduceMean x spatial a keepdims=0; Add a half y", "subsampling none"),
    # Windows.
    ("Conv x k2 y auto_pad=SAME_UPPER strides=2,1", f"{C} none"),
    ("Conv x k2 y auto_pad=SAME_LOWER strides=2,3", f"{C} none"),
    ("Conv x k y auto_pad=VALID strides=1,2 kernel_shape=3,3", f"{C} none"),
    ("Conv x k y pads=0,1,2,0 strides=2,1 dilations=1,2", f"{C} none"),
    ("Pad x around p; Conv p k y auto_pad=SAME_UPPER strides=2,2", f"{C} none"),
    ("Pad x below p; Conv p k y pads=2,0,1,1", f"{C} none"),
    # Dense layers.
    ("Flatten x f; Gather f copies g axis=1; Gemm g d8 y", "dense none"),
    (S + "Relu s r; Pad r zeros_at_end p; MatMul p d8 y", "dense relu, dense none"),
    ("Pad x crop t; Flatten t f; Gather f some g axis=1; MatMul g d6 y", "dense none"),
    ("Reshape x middle t; MatMul t d u; Relu u r; Flatten r y", "dense relu"),
    ("Reshape x to_row f; Transpose f t; Gemm t d y transA=1", "dense none"),
    ("Flatten x f; Gemm f square rows30 y transB=1 alpha=0.5 beta=3.0", "dense none"),
    (M + "Flatten m f; Gemm f d36 b4 y alpha=2.0", f"{C} none, dense none"),
    # Activations.
    (M + "PRelu m half y", f"{C} leaky_relu"),
    (M + "PRelu m slopes y", f"{C} leaky_relu"),
    (M + "Clip m zero y", f"{C} relu"),
    (M + "Clip m zero six y", f"{C} clip"),
    (M + "Clip m minus half y", f"{C} clip"),
    (M + "Clip m y", f"{C} none"),
    (M + "Max zero m y", f"{C} relu"),
    (M + "Max m zero y", f"{C} relu"),
    (M + "Tanh m a; Clip a y", f"{C} tanh"),
    ("Pad x below p; Relu p r; Conv r k y", f"subsampling relu, {C} none"),
    ("Pad x below p; Flatten p f; MatMul f d36 y", "dense none"),
    (M + "GlobalMaxPool m g; Conv g one_pixel y", f"{C} none, max_pooling none, {C} none"),
    (M + "GlobalAveragePool m g; Conv g one_pixel y", f"{C} none, average_pooling none, {C} none"),
    (M + "Relu m a; Relu a y", f"{C} relu"),
    (M + "Sigmoid m a; Relu a y", f"{C} sigmoid"),
    (M + "Relu m a; Clip a zero six y", f"{C} relu, subsampling clip"),
    (M + "Relu m a; Tanh a y", f"{C} relu, subsampling tanh"),
    (M + "Tanh m a; Relu a y", f"{C} tanh, subsampling relu"),
    (M + "MaxPool m a kernel_shape=2,2; Gelu a y", f"{C} none, max_pooling none, subsampling gelu"),
    (M + "MaxPool m a kernel_shape=2,2; Relu a y", f"{C} relu, max_pooling none"),
    (M + "AveragePool m a kernel_shape=2,2; Relu a y", f"{C} none, average_pooling relu"),
    (M + "Relu m r; MaxPool r a kernel_shape=2,2; Relu a y", f"{C} relu, max_pooling none"),
    ("Relu x a; Conv a k y", f"subsampling relu, {C} none"),
    ("MaxPool x a kernel_shape=2,2; Relu a y", "max_pooling none, subsampling relu"),
    (M + "Mul m two t; Sigmoid m g; Mul g t y", f"{C} swish"),
    (M + "Mul m half t; Mul t half u; Sigmoid m g; Mul g two h; Mul u h y", f"{C} swish"),
    (M + "Mul m two a; Abs a e; Add e one g; Mul g two h; Div a h y", f"{C} softsign"),
    (M + "Mul m half a; Abs m e; Add e one g; Mul g six h; Div a h y", f"{C} softsign"),
    # Constants.
    (M + "Tanh m a; Mul a two b; Mul b half c; Mul c six y", f"{C} tanh"),
    (M + "Tanh m a; Mul a minus_two y", f"{C} tanh, subsampling none"),
    (M + "Tanh m a; Add a half b; Mul b two c; Conv c ks y", f"{C} tanh, {C} none"),
    (M + "Tanh m a; Mul a each b; Add b offsets c; Conv c ks y", f"{C} tanh, {C} none"),
    (M + "Tanh m a; Mul a each b; Conv b ks y pads=1,1,0,0", f"{C} tanh, {C} none"),
    (
        M + "Tanh m a; Mul a each b; Add b offsets c; Conv c ks y pads=1,0,0,0",
        f"{C} tanh, subsampling none, {C} none",
    ),
    (M + "Relu m a; Mul a positive y", f"{C} relu, subsampling none"),
    (
        M + "Relu m a; Mul a by_value b; Add b by_value c; Flatten c f; Gemm f d36 b4 y",
        f"{C} relu, dense none",
    ),
    (M + "Mul m each b; Add b offsets c; Mul c each d0; Add d0 offsets y", f"{C} none"),
    (M + "Sub offsets m y", f"{C} none"),
    (M + "Neg m y", f"{C} none"),
    (
        M + "MaxPool m a kernel_shape=2,2; Mul a each b; Add b offsets y",
        f"{C} none, max_pooling none, subsampling none",
    ),
    (
        M + "AveragePool m a kernel_shape=2,3; Mul a each b; Add b offsets y",
        f"{C} none, subsampling none",
    ),
    (
        M + "AveragePool m a kernel_shape=2,3 pads=1,1,0,1; Mul a each b; Add b offsets y",
        f"{C} none, average_pooling none, subsampling none",
    ),
    ("Neg x a; Conv a k y pads=1,1,1,1", f"subsampling none, {C} none"),
    ("Div x two a; Sub a half b; Conv b k y pads=1,1,1,1", f"{C} none"),
    ("Mul x by_pixel a; Add a by_pixel b; Flatten b f; MatMul f d y", "dense none"),
    # Ends of classifiers.
    (S + "ArgMax s c axis=-1 keepdims=0; Cast c y to=1", "dense none"),
    (S + "ArgMax s c axis=1; Squeeze c first_axis t; Cast t y to=1", "dense none"),
    (
        M + "GlobalMaxPool m g; Transpose g t perm=0,2,3,1; ArgMax t c axis=3; Cast c y to=1",
        f"{C} none, max_pooling none",
    ),
    (
        M + "GlobalAveragePool m g; ArgMax g c axis=1 keepdims=0; Cast c y to=1",
        f"{C} none, average_pooling none",
    ),
]


def network_of(folder: Path, lines: str) -> tuple[golden.ImportedNetwork, bytes]:
    nodes = spelled(lines)
    read = {name for each in nodes for name in each.input}
    constants = {name: each for name, each in CONSTANTS.items() if name in read}
    opset = 20 if "Gelu" in lines else 18 if "Reduce" in lines else 15
    content = model(nodes, constants, (2, 1, 5, 6), opset=opset)
    path = folder / "small.onnx"
    path.write_bytes(content)
    return golden.import_onnx(path, SPREAD), content


@pytest.mark.parametrize(("lines", "expected"), TAKEN)
def test_layers_have_the_values_of_onnx_runtime(lines: str, expected: str, tmp_path: Path) -> None:
    imported, content = network_of(tmp_path, lines)
    layers = imported.trained.network.layers[1:]
    assert ", ".join(f"{each.type_name} {each.activation.kind}" for each in layers) == expected
    images = np.random.default_rng(1).integers(0, 256, (2, 5, 6, 1), np.uint8)
    values = (images / 64 - 2).astype(np.float32).transpose(0, 3, 1, 2)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": values})
    ours = float_model.run(imported.trained, images)[layers[-1].name]
    if "ArgMax" in lines:
        assert ours.reshape(2, -1).argmax(axis=1).tolist() == theirs.ravel().tolist()
        return
    if theirs.ndim == 4:
        theirs = theirs.transpose(0, 2, 3, 1)
    assert ours.ravel() == pytest.approx(theirs.ravel(), rel=1e-4, abs=1e-4)
    differences = golden.compare_with_runtime(imported)
    assert all(each.is_rounding for each in differences)


@pytest.mark.parametrize("axes", [[2, 3], [-2, -1]])
def test_a_pooling_of_the_whole_map_says_which_axes_are_rows_and_columns(
    axes: list[int], tmp_path: Path
) -> None:
    """By its sizes alone, the input would be 6 x 5 pixels of 3 colours."""
    made = model(
        spelled("ReduceMax x axes y"), {"axes": constant(axes, np.int64)}, (1, 6, 5, 3), opset=18
    )
    (tmp_path / "small.onnx").write_bytes(made)
    imported = golden.import_onnx(tmp_path / "small.onnx", SPREAD)
    assert imported.trained.network.input.image_shape == (5, 3, 6)
    assert all(each.is_rounding for each in golden.compare_with_runtime(imported))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("Conv x l y pads=2,1 strides=2,", [(1, 5, 3)]),
        ("Conv x l y dilations=3,", [(1, 3, 3)]),
        ("Conv x l y auto_pad=SAME_LOWER strides=2,", [(1, 5, 3)]),
        ("Conv x l m; Relu m r; Conv r l3 y kernel_shape=2,", [(1, 7, 3), (1, 6, 2)]),
        ("Conv x l m; MaxPool m y kernel_shape=2, strides=3, ceil_mode=1", [(1, 7, 3), (1, 3, 3)]),
        ("Conv x l m; AveragePool m y kernel_shape=3, pads=2,1", [(1, 7, 3), (1, 8, 3)]),
        (
            "Conv x l m; Pad m ends p; AveragePool p y kernel_shape=3, strides=2,",
            [(1, 7, 3), (1, 4, 3)],
        ),
        ("Conv x l m; GlobalAveragePool m g; Flatten g y", [(1, 7, 3), (1, 1, 3)]),
        ("Conv x l m; Flatten m f; MatMul f d y", [(1, 7, 3), (1, 1, 4)]),
        ("Conv x l m; Mul m by_channel y", [(1, 7, 3)]),
    ],
)
def test_signals_of_one_row(
    lines: str, expected: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    constants = {
        "l": normal(3, 2, 3),
        "l3": normal(2, 3, 2),
        "d": normal(21, 4),
        "by_channel": constant([[0.5], [-2.0], [3.0]]),
        "ends": constant([0, 0, 2, 0, 0, 1], np.int64),
    }
    nodes = spelled(lines)
    read = {name for each in nodes for name in each.input}
    used = {name: each for name, each in constants.items() if name in read}
    (tmp_path / "small.onnx").write_bytes(model(nodes, used, (2, 2, 9), opset=15))
    imported = golden.import_onnx(tmp_path / "small.onnx", SPREAD)
    network = imported.trained.network
    assert network.input.image_shape == (1, 9, 2)
    assert [tuple(network.shapes()[each.name]) for each in network.layers[1:]] == expected
    differences = golden.compare_with_runtime(imported)
    assert [each.layer for each in differences] == [each.name for each in network.layers[1:]]
    assert all(each.is_rounding for each in differences), differences

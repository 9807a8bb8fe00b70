"""What becomes of single spellings: which layers, which input, and what is left out or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from systolith import golden
from systolith.golden.errors import FileFormatError
from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.golden.network.graph import Convolution, Input, Shape, WindowedLayer
from systolith.golden.network.windows import Padding, Windows
from systolith.golden.onnx.model.onnx_reading import MAX_NODES
from systolith.golden.onnx.runtime_comparison import TOLERANCE
from systolith.golden.onnx.translation.call import (
    MAX_STORED_WEIGHTS,
    MAX_VALUES,
    MAX_WEIGHTS,
)
from systolith.golden.onnx.translation.constant_folding import FOLDED
from systolith.golden.onnx.translation.operator_table import OPERATORS
from tests.golden.onnx.small_models import RAW, constant, layers, model, node, normal, taken

W = {"w": normal(3, 1, 3, 3)}
CONV = node("Conv", "x w", "y")


def test_values_that_are_not_finite_are_no_agreement(tmp_path: Path) -> None:
    (tmp_path / "large.onnx").write_bytes(
        model([CONV], {"w": constant(np.full((3, 1, 3, 3), 3e38))})
    )
    imported = golden.import_onnx(tmp_path / "large.onnx", RAW)
    message = r"large.onnx: layer 'y' \(Conv\): its values are not finite"
    with pytest.raises(ValueError, match=message):
        golden.compare_with_runtime(imported)


def refusals(folder: Path, content: bytes) -> list[str]:
    path = folder / "small.onnx"
    path.write_bytes(content)
    with pytest.raises(golden.RefusedError) as caught:
        golden.import_onnx(path, RAW)
    return [str(each) for each in caught.value.refusals]


def lenet(dense_c5: bool) -> bytes:
    """`lenet5-relu` as PyTorch would export it."""
    arrays = golden.load_network("lenet5-relu").arrays
    constants: dict[str, Any] = {"pads": constant([0, 0, 2, 2, 0, 0, 2, 2], np.int64)}
    constants["edge"] = constant(-0.1)
    for name in ("C1", "C3", "C5"):
        # Ours are (rows, columns, in, out).
        constants[f"{name}.weight"] = arrays[name]["weights"].transpose(3, 2, 0, 1)
        constants[f"{name}.bias"] = arrays[name]["bias"]
    for name in ("F6", "output"):
        constants[f"{name}.weight"] = arrays[name]["weights"].T
        constants[f"{name}.bias"] = arrays[name]["bias"]
    nodes = [
        node("Pad", "x pads edge", "padded"),
        node("Conv", "padded C1.weight C1.bias", "c1", name="C1", kernel_shape=[5, 5]),
        node("Relu", "c1", "c1r"),
        node("MaxPool", "c1r", "s2", name="S2", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "s2 C3.weight C3.bias", "c3", name="C3", kernel_shape=[5, 5]),
        # The other order of a ReLU and a max pooling.
        node("MaxPool", "c3", "s4", name="S4", kernel_shape=[2, 2], strides=[2, 2]),
        node("Relu", "s4", "s4r"),
    ]
    if dense_c5:
        constants["C5.weight"] = constants["C5.weight"].reshape(120, 400)
        nodes += [
            node("Flatten", "s4r", "flat"),
            node("Gemm", "flat C5.weight C5.bias", "c5", name="C5", transB=1),
            node("Relu", "c5", "f"),
        ]
    else:
        nodes += [
            node("Conv", "s4r C5.weight C5.bias", "c5", name="C5"),
            node("Relu", "c5", "c5r"),
            node("Flatten", "c5r", "f"),
        ]
    nodes += [
        node("Gemm", "f F6.weight F6.bias", "f6", name="F6", transB=1),
        node("Relu", "f6", "f6r"),
        node("Gemm", "f6r output.weight output.bias", "y", name="output", transB=1),
    ]
    return model(nodes, constants, ("N", 1, 28, 28))


def import_lenet(folder: Path, dense_c5: bool) -> golden.ImportedNetwork:
    path = folder / "lenet5-relu.onnx"
    path.write_bytes(lenet(dense_c5))
    ours = golden.Preprocessing((1.275 / 255,), (0.1,))
    return golden.import_onnx(path, ours)


def test_our_own_network_comes_back_bit_by_bit(tmp_path: Path) -> None:
    imported = import_lenet(tmp_path, dense_c5=False)
    shipped = replace(golden.load_network("lenet5-relu"), trained_on=None)  # no ONNX file says it
    assert imported.trained.sha256 == shipped.sha256
    assert all(each.is_rounding for each in golden.compare_with_runtime(imported))


def test_a_dense_layer_over_a_map_gives_our_own_integers(tmp_path: Path) -> None:
    imported = import_lenet(tmp_path, dense_c5=True)
    images = golden.validation_digits().images[:100]
    theirs = golden.quantize(imported.trained, images).fixed
    ours = golden.quantize(golden.load_network("lenet5-relu"), images).fixed
    assert (execution.scores(theirs, images) == execution.scores(ours, images)).all()
    for name in ("C1", "C3", "C5", "F6", "output"):
        weights, own = theirs[name].weights, ours[name].weights
        assert weights is not None and own is not None
        assert (weights.ravel() == own.ravel()).all()


def test_constants_go_into_the_weights_before_them(tmp_path: Path) -> None:
    constants = {
        **W,
        "k": constant([[[2.0]], [[-3.0]], [[0.5]]]),
        **{name: abs(normal(3, seed=i)) + 0.1 for i, name in enumerate("smbv")},
    }
    nodes = [
        node("Conv", "x w", "a"),
        node("Mul", "k a", "b"),
        node("BatchNormalization", "b s b0 m v", "c", epsilon=0.01),
        node("Relu", "c", "y"),
    ]
    constants["b0"] = constants.pop("b")
    imported = taken(tmp_path, model(nodes, constants))
    assert layers(imported) == [("convolution", "relu")]
    assert imported.origins[0].nodes == (
        ("a", "Conv"),
        ("b", "Mul"),
        ("c", "BatchNormalization"),
        ("y", "Relu"),
    )


def test_constants_go_forward_where_nothing_is_padded(tmp_path: Path) -> None:
    constants = {**W, "k": constant(2.0), "c": constant(0.5), "v": normal(2, 3, 3, 3, seed=1)}
    nodes = [
        node("Conv", "x w", "a"),
        node("Tanh", "a", "b"),
        node("Mul", "b k", "c0"),
        node("Sub", "c c0", "d"),
        node("Conv", "d v", "y"),
    ]
    imported = taken(tmp_path, model(nodes, constants))
    assert layers(imported) == [("convolution", "tanh"), ("convolution", "none")]
    nodes[-1] = node("Conv", "d v", "y", pads=[1, 1, 1, 1])
    imported = taken(tmp_path, model(nodes, constants))
    assert layers(imported) == [
        ("convolution", "tanh"),
        ("subsampling", "none"),
        ("convolution", "none"),
    ]


@pytest.mark.parametrize("activation", ["Relu", "Tanh", "Sigmoid"])
def test_an_activation_goes_before_a_max_pooling(activation: str, tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("MaxPool", "a", "b", kernel_shape=[2, 2], strides=[2, 2]),
        node(activation, "b", "y"),
    ]
    imported = taken(tmp_path, model(nodes, W))
    assert layers(imported) == [("convolution", activation.lower()), ("max_pooling", "none")]


def test_one_number_for_all_pixels_is_the_input_s(tmp_path: Path) -> None:
    nodes = [node("Div", "x k", "a"), node("Sub", "a m", "b"), node("Conv", "b w", "y")]
    constants = {**W, "k": constant(255.0), "m": constant(0.5)}
    first = taken(tmp_path, model(nodes, constants)).trained.network.input
    assert first.scale == pytest.approx(1 / 255)
    assert first.offset == -0.5


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_a_mean_of_each_channel(pads: list[int], tmp_path: Path) -> None:
    content = model(
        [node("Conv", "x w", "y", pads=pads)], {"w": normal(2, 3, 3, 3)}, ("N", 3, 6, 6)
    )
    each = golden.Preprocessing((1 / 255,), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    expected = [("convolution", "none")]
    if any(pads):
        expected.insert(0, ("subsampling", "none"))
    assert layers(taken(tmp_path, content, each)) == expected
    with pytest.raises(ValueError, match="mean must be 1 number or 3, one a channel, not 2"):
        taken(tmp_path, content, golden.Preprocessing(mean=(0.5, 0.4)))


def test_one_sided_padding_and_dilation_are_the_layers_own(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "y", pads=[0, 1, 2, 1], dilations=[1, 2])]
    layer = taken(tmp_path, model(nodes, W)).trained.network["y"]
    assert isinstance(layer, Convolution)
    assert layer.windows == Windows((3, 3), dilation=(1, 2), padding=Padding(0, 1, 2, 1))
    assert layer.form == "3 x 3, dilation 1 x 2, pad 0 1 2 1"


def test_groups_connect_some_maps(tmp_path: Path) -> None:
    content = model([node("Conv", "x w", "y", group=2)], {"w": normal(4, 2, 1, 1)}, (1, 4, 3, 3))
    layer = taken(tmp_path, content).trained.network["y"]
    assert isinstance(layer, Convolution)
    assert layer.sources(Shape(3, 3, 4)) == ((0, 1), (0, 1), (2, 3), (2, 3))


def test_windows_are_those_of_onnx_runtime(tmp_path: Path) -> None:
    """Sizes, kernels, strides, padding and dilations of all sorts; rows and columns differ.

    To a node, the zeros of a Pad before it are values of the map.
    """
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        operator = str(rng.choice(["Conv", "MaxPool", "AveragePool"]))
        kernel = rng.integers(1, 4, 2)
        how: dict[str, Any] = {
            "kernel_shape": kernel.tolist(),
            "strides": rng.integers(1, 5, 2).tolist(),
            "pads": rng.integers(0, np.tile(kernel, 2)).tolist(),
        }
        if operator == "Conv":
            how["dilations"] = rng.integers(1, 3, 2).tolist()
        else:
            how["ceil_mode"] = int(rng.integers(2))
        size = rng.integers(1, 7, 2).tolist()
        begin, end = rng.integers(0, 2, (2, 2)).tolist()
        constants = {"p": constant([0, 0, *begin, 0, 0, *end], np.int64)}
        padding = [node("Relu", "x", "r"), node("Pad", "r p", "z")]
        nodes, x = (padding, "z") if rng.integers(3) == 0 else ([], "x")
        if operator == "Conv":
            constants["w"] = normal(2, 1, *kernel)
        inputs = f"{x} w" if operator == "Conv" else x
        nodes = [*nodes, node(operator, inputs, "y", **how)]
        try:
            taken(tmp_path, model(nodes, constants, (1, 1, *size)))
            found += 1
        except ValueError:
            # The window does not fit the map, or it is a single value and no layer.
            continue
    assert found > 110


def test_strides_of_a_single_place_do_not_matter(tmp_path: Path) -> None:
    conv = [node("Conv", "x w", "y", strides=[4, 4])]
    pool = [node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[3, 3])]
    for nodes, constants, stride in ((conv, W, (1, 1)), (pool, {}, (2, 2))):
        layer = taken(tmp_path, model(nodes, constants, (1, 1, 3, 3))).trained.network["y"]
        assert isinstance(layer, WindowedLayer) and layer.windows.stride == stride
    # Here the rows of windows are two.
    layer = taken(tmp_path, model(conv, W, (1, 1, 7, 3))).trained.network["y"]
    assert isinstance(layer, WindowedLayer) and layer.windows.stride == (4, 1)


@pytest.mark.parametrize(("operator", "kernel"), [("Conv", [3, 3]), ("MaxPool", [2, 2])])
def test_a_single_window_keeps_a_stride_by_which_others_do_not_fit(
    operator: str, kernel: list[int], tmp_path: Path
) -> None:
    """Side by side, a map of 8 x 8 has several windows."""
    inputs, constants = ("x w", W) if operator == "Conv" else ("x", {})
    pool = node(operator, inputs, "y", kernel_shape=kernel, strides=[7, 8])
    layer = taken(tmp_path, model([pool], constants)).trained.network.output
    assert isinstance(layer, WindowedLayer) and layer.windows.stride == (7, 8)
    assert layer.output_shape(Shape(8, 8, 1))[:2] == (1, 1)


@pytest.mark.parametrize("perm", [(0, 1, 2, 3), (0, 1, 3, 2)])
def test_a_transposed_image_is_said_so(perm: tuple[int, ...], tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", "a", perm=perm), node("Conv", "a w", "y")]
    imported = taken(tmp_path, model(nodes, W, (1, 1, 5, 5)))
    found = [each for each in imported.notes if "transposed" in each]
    assert len(found) == (perm != (0, 1, 2, 3))


def test_an_input_that_no_node_reads_is_noted(tmp_path: Path) -> None:
    read = onnx.load_from_string(model([CONV], W))
    read.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 9]))
    imported = taken(tmp_path, read.SerializeToString())
    assert "input 'mask': is read by none of the nodes, and left out" in imported.notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            model([CONV], {"w": np.zeros((0, 1, 3, 3), np.float32)}),
            r"y \(Conv, input 2\): must have at least one weight, and its sizes are 0 x 1 x 3 x 3",
        ),
        (model([CONV], W, (1, 0, 5, 5)), "input 'x': sizes must be at least 1, not 1 x 0 x 5 x 5"),
        (
            model([node("Gemm", "x w", "y")], {"w": np.zeros((1, 70_000), np.float32)}, (1, 1)),
            "dense 'y': units is 70,000, at most 65,536 is supported",
        ),
    ],
)
def test_sizes_that_cannot_be_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "sizes.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        golden.import_onnx(tmp_path / "sizes.onnx", RAW)


@pytest.mark.parametrize("factors", ["a s", "s a"])
def test_a_product_with_its_own_sigmoid_is_swish(factors: str, tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Sigmoid", "a", "s"), node("Mul", factors, "y")]
    first = taken(tmp_path, model(nodes, W, (1, 1, 5, 5))).trained.network.layers[1]
    assert first.activation.kind == "swish"
    other = [*nodes[:2], node("Relu", "s", "t"), node("Mul", "a t", "y")]
    assert "a map and a function of it" in refusals(tmp_path, model(other, W, (1, 1, 5, 5)))[0]


_GATES = {
    "gelu of PyTorch": ("gelu", "Div a r2 e; Erf e g; Add g one h; Mul a h m; Mul m half y"),
    "gelu of transformers": ("gelu", "Mul a half m; Div a r2 e; Erf e g; Add one g h; Mul h m y"),
    "gelu by a tanh of PyTorch": (
        "gelu_tanh",
        (
            "Mul a a b; Mul a b c; Mul c k d; Add a d e; Mul e root f; Tanh f g; Add g one h; "
            "Mul a h m; Mul m half y"
        ),
    ),
    "gelu by a tanh of transformers": (
        "gelu_tanh",
        (
            "Mul a half m; Pow a three c; Mul c k d; Add a d e; Mul root e f; Tanh f g; "
            "Add one g h; Mul m h y"
        ),
    ),
    "gelu by a tanh, with a square": (
        "gelu_tanh",
        (
            "Pow a two b; Mul b a c; Mul c k d; Add a d e; Mul e root f; Tanh f g; Add g one h; "
            "Mul a h m; Mul m half y"
        ),
    ),
    "gelu by a tanh, factored": (
        "gelu_tanh",
        (
            "Mul a root b; Mul a k c; Mul c a d; Add d one e; Mul b e f; Tanh f g; Add g one h; "
            "Mul h half m; Mul a m y"
        ),
    ),
    "softsign of PyTorch": ("softsign", "Abs a e; Add e one g; Div a g y"),
    "hard swish of Keras": (
        "hard_swish",
        "Add a three e; Clip e zero six g; Div g six h; Mul a h y",
    ),
    "hard swish of PyTorch": ("hard_swish", "HardSigmoid a g alpha; Mul a g y"),
    "mish": ("mish", "Softplus a e; Tanh e g; Mul a g y"),
    "swish with a slope": ("swish", "Mul a three e; Sigmoid e g; Mul g a y"),
}
_NUMBERS = {"r2": 2**0.5, "one": 1, "half": 0.5, "two": 2, "three": 3, "zero": 0, "six": 6}
_NUMBERS |= {"k": 0.044715, "root": (2 / np.pi) ** 0.5}


@pytest.mark.parametrize("spelling", _GATES)
def test_activations_that_exporters_write_as_products(spelling: str, tmp_path: Path) -> None:
    kind, lines = _GATES[spelling]
    nodes = [node("Conv", "x w", "a")]
    for operator, *names in (line.split() for line in lines.split("; ")):
        attributes = {"alpha": 1 / 6} if names[-1] == "alpha" else {}
        *inputs, output = names[: len(names) - len(attributes)]
        nodes.append(node(operator, " ".join(inputs), output, **attributes))
    constants = {name: constant(value, np.float32) for name, value in _NUMBERS.items()}
    imported = taken(tmp_path, model(nodes, {**W, **constants}, (1, 1, 5, 5)))
    (layer,) = imported.trained.network.layers[1:]
    assert layer.activation.kind == kind
    assert layer.activation.amplitude == pytest.approx(1)
    # Another constant makes another function.
    wrong = constants | {"r2": constants["one"], "one": constants["half"], "six": constants["r2"]}
    if set(_NUMBERS) & set(lines.split()) - {"three"}:
        found = refusals(tmp_path, model(nodes, {**W, **wrong}, (1, 1, 5, 5)))
        assert any("joins a map and a function of it" in each for each in found)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("Mul a a y", "y (Mul): makes a polynomial of a map, which is taken inside a GELU"),
        ("Mul a a b; Mul b b y", "b (Mul): makes a polynomial of a map"),
        ("Pow a three b; Mul b a y", "y (Mul): makes a power of a map above its cube"),
        ("Add a a y", "y (Add): joins a map and a function of it"),
        ("Pow a half y", "y (Pow, input 2): must be 2 or 3"),
        ("Add a c b; Mul a b y", "y (Mul): joins a map and a function of it"),
        ("Abs a b; Div b a y", "y (Div): joins a map and a function of it"),
        ("Conv a w b; Add a b y", "y (Add): joins two feature maps: branches"),
    ],
)
def test_other_functions_of_a_map_are_named(lines: str, reason: str, tmp_path: Path) -> None:
    nodes = [node("Conv", "x one_by_one", "a")]
    for operator, *names in (line.split() for line in lines.split("; ")):
        more = {"pads": [1, 1, 1, 1]} if operator == "Conv" else {}
        nodes.append(node(operator, " ".join(names[:-1]), names[-1], **more))
    constants = {name: constant(_NUMBERS[name]) for name in ("three", "half")}
    constants |= {"one_by_one": normal(3, 1, 1, 1), "c": normal(3, 1, 1), "w": normal(3, 3, 3, 3)}
    assert refusals(tmp_path, model(nodes, constants, (1, 1, 5, 5)))[0].startswith(reason)


@pytest.mark.parametrize("factor", [0.0, -1.0])
def test_a_gate_times_no_positive_number_is_no_activation(factor: float, tmp_path: Path) -> None:
    nodes = [
        *(node("Conv", "x w", "a"), node("Sigmoid", "a", "s")),
        *(node("Mul", "s f", "g"), node("Mul", "a g", "y")),
    ]
    content = model(nodes, {**W, "f": constant(factor, np.float32)}, (1, 1, 5, 5))
    assert any("gives no activation that is built" in each for each in refusals(tmp_path, content))


@pytest.mark.parametrize("include", [0, 1])
def test_an_average_is_scaled_by_its_weights_if_it_counts_its_padding(
    include: int, tmp_path: Path
) -> None:
    how = {"pads": [1, 1, 1, 1], "count_include_pad": include}
    nodes = [
        node("Conv", "x w", "c"),
        node("AveragePool", "c", "a", kernel_shape=[2, 2], strides=[2, 2], **how),
        node("Mul", "a m", "y"),
    ]
    factors = {"m": np.array([2, 3, 5], np.float32).reshape(1, 3, 1, 1)}
    content = model(nodes, {**W, **factors}, (1, 1, 8, 8))
    kinds = [kind for kind, _ in layers(taken(tmp_path, content))]
    assert ("average_pooling" in kinds) == (not include)


def test_a_border_may_be_around_channels_that_come_last(tmp_path: Path) -> None:
    pads = {"p": constant([0, 1, 1, 0, 0, 1, 1, 0], np.int64), "v": constant(0.25)}
    nodes = [
        node("Pad", "x p v", "a"),
        node("Transpose", "a", "b", perm=[0, 3, 1, 2]),
        node("Conv", "b w", "y"),
    ]
    weights = {"w": normal(3, 2, 3, 3)}
    half = golden.Preprocessing((1 / 256,))
    imported = taken(tmp_path, model(nodes, {**weights, **pads}, ("N", 6, 8, 2)), half)
    first = imported.trained.network.input
    assert (first.height, first.width, first.channels) == (6, 8, 2)
    assert (first.border, first.background) == ((1, 64))


@pytest.mark.parametrize("before", ["Relu", "Identity"])
def test_zeros_around_a_max_pooling_must_not_win(before: str, tmp_path: Path) -> None:
    pads = {"p": constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)}
    nodes = [
        node("Conv", "x w", "a"),
        node(before, "a", "b"),
        node("Pad", "b p", "c"),
        node("MaxPool", "c", "y", kernel_shape=[2, 2]),
    ]
    content = model(nodes, {**W, **pads}, (1, 1, 5, 5))
    if before == "Relu":
        taken(tmp_path, content)
    else:
        [found] = refusals(tmp_path, content)
        assert found.startswith("y (MaxPool, input 1): has zeros (1, 1, 1, 1) around it, which may")


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 0, 1]])
def test_what_an_average_counts(pads: list[int], include: int, ceil: int, tmp_path: Path) -> None:
    how = {"pads": pads, "count_include_pad": include, "ceil_mode": ceil}
    nodes = [node("AveragePool", "x", "y", kernel_shape=[2, 3], strides=[2, 2], **how)]
    content = model(nodes, {}, (1, 1, 6, 8))
    if ceil and include and any(pads):
        assert refusals(tmp_path, content) == [
            "y (AveragePool, count_include_pad): an average that counts a part of its padding"
        ]
    else:
        taken(tmp_path, content)


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    ("size", "pads", "windows"),
    [
        # With steps of 3, a window at 6 would begin beyond a map of 6 or below, and one at 3 fits.
        *((6, 0, 2), (5, 0, 2), (4, 0, 2), (3, 0, 1), (7, 0, 3)),
        *((5, 1, 2), (6, 1, 3), (2, 1, 1)),
    ],
)
def test_rounding_up_adds_no_window_that_would_begin_beyond_the_map(
    size: int, pads: int, windows: int, operator: str, tmp_path: Path
) -> None:
    how = {"strides": [3, 3], "pads": [pads, pads, 0, 0], "ceil_mode": 1}
    nodes = [node(operator, "x", "y", kernel_shape=[2, 2], **how)]
    imported = taken(tmp_path, model(nodes, {}, (1, 1, size, size)))
    network = imported.trained.network
    assert network.shapes()[network.output.name] == (windows, windows, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_have_the_precision_of_the_model(dtype: Any, tmp_path: Path) -> None:
    """A third is another number in each."""
    content = model(
        [node("Gemm", "x d b", "y")],
        {"d": constant([[1 / 3], [0.1]], dtype), "b": constant([0.7], dtype)},
        ("N", 2),
        dtype=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)),
    )
    arrays = taken(tmp_path, content).trained.arrays["y"]
    for name, expected in (("weights", [[1 / 3], [0.1]]), ("bias", [0.7])):
        assert arrays[name].dtype == dtype
        assert arrays[name].tolist() == constant(expected, dtype).tolist()


@pytest.mark.parametrize("of_constants", [False, True])
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize(
    ("shape", "axis", "whole"),
    [
        ((3,), 1, (3, 1, 1)),
        ((3, 4), 1, (3, 4, 1)),
        ((4,), 2, (4, 1)),
        ((4, 5), None, (4, 5)),
        ((5,), None, (5,)),
        ((), None, ()),
    ],
)
def test_sums_of_opset_6_say_which_axis_they_mean(
    shape: tuple[int, ...],
    axis: int | None,
    whole: tuple[int, ...],
    operator: str,
    of_constants: bool,
    tmp_path: Path,
) -> None:
    """ONNX Runtime begins with opset 7: there the same constants need axes of their own."""

    def network(opset: int) -> str:
        own: dict[str, Any] = {"broadcast": 1} | ({} if axis is None else {"axis": axis})
        how = own if opset == 6 else {}
        if of_constants:
            nodes = [node(operator, "m c", "w", **how), node("Conv", "x w", "y")]
        else:
            nodes = [node("Conv", "x k", "a"), node(operator, "a c", "b", **how)]
            nodes += [node("Flatten", "b", "f"), node("Gemm", "f d z", "y")]
        constants = {
            "m": normal(2, 3, 4, 5),
            "c": normal(*shape, seed=1).reshape(shape if opset == 6 else whole),
            **({} if of_constants else {"k": normal(3, 3, 1, 1), "d": normal(60, 2)}),
            "z": normal(2),
        }
        read = {name for each in nodes for name in each.input}
        used = {name: each for name, each in constants.items() if name in read}
        path = _file(tmp_path, model(nodes, used, (1, 3, 4, 5), opset=opset))
        return golden.import_onnx(path, RAW).trained.sha256

    assert network(6) == network(7)


@pytest.mark.parametrize("pixel", [64, 33])
def test_padding_inside_a_border_must_have_its_value(pixel: int, tmp_path: Path) -> None:
    # Of pixels with this mean, 33 is the nearest to zero.
    declared = golden.Preprocessing((1 / 255,), (0.1307,))
    pads = constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    nodes = [node("Pad", "x p v", "a"), node("Conv", "a w", "y", pads=[1, 1, 1, 1])]
    content = model(nodes, {**W, "p": pads, "v": constant(pixel / 255 - 0.1307)})
    if pixel == 33:
        imported = golden.import_onnx(_file(tmp_path, content), declared)
        golden.quantize(imported.trained, np.zeros((1, 8, 8, 1), np.uint8))
        return
    with pytest.raises(golden.RefusedError) as error:
        golden.import_onnx(_file(tmp_path, content), declared)
    assert str(error.value.refusals[0]) == (
        "y (Conv, pads): pads with the raw value 33 around a border of 64: not built; put the "
        "whole padding into the Pad before it, or leave that out"
    )


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "small.onnx"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_a_border_of_the_input(value: float, tmp_path: Path) -> None:
    pads = {"p": constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "v": constant(value)}
    nodes = [node("Pad", "x p v", "a"), node("Conv", "a w", "y")]
    half = golden.Preprocessing((1 / 256,))
    imported = taken(tmp_path, model(nodes, {**W, **pads}), half)
    first = imported.trained.network.input
    assert (first.border, first.background) == ((1, 64) if value else (0, 0))
    if value:
        other = golden.Preprocessing((1 / 255,))
        with pytest.raises(golden.RefusedError, match=r"pads with 0.25, which is no pixel"):
            taken(tmp_path, model(nodes, {**W, **pads}), other)
        with pytest.raises(ValueError, match=r"a \(Pad\): pads with 0.25, which is no pixel"):
            imported.with_preprocessing(other)


def test_a_weight_for_every_value_of_a_map_in_either_order(tmp_path: Path) -> None:
    weights = {"w": normal(2, 2, 1, 1), "d": normal(24, 5, seed=1)}
    first = [node("Conv", "x w", "a"), node("Transpose", "a", "b", perm=[0, 2, 3, 1])]
    last = [node("Flatten", "b", "c"), node("MatMul", "c d", "y")]
    turned = taken(tmp_path, model([*first, *last], weights, (2, 2, 3, 4)))
    plain = [first[0], node("Flatten", "a", "c"), last[1]]
    straight = taken(tmp_path, model(plain, weights, (2, 2, 3, 4)))
    ours = turned.trained.arrays["y"]["weights"]
    assert (ours == weights["d"]).all()
    expected = weights["d"].reshape(2, 3, 4, 5).transpose(1, 2, 0, 3).reshape(24, 5)
    assert (straight.trained.arrays["y"]["weights"] == expected).all()


def test_a_map_with_channels_last_times_constants_is_a_convolution(tmp_path: Path) -> None:
    content = model([node("MatMul", "x d", "y")], {"d": normal(4, 5)}, ("N", 3, 3, 4))
    imported = taken(tmp_path, content)
    assert layers(imported) == [("convolution", "none")]
    assert imported.trained.network.input.image_shape == (3, 3, 4)


def test_softmax_is_left_out_and_said_so(tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f d", "g"), node("Softmax", "g", "y")]
    imported = taken(tmp_path, model(nodes, {"d": normal(64, 4)}))
    assert layers(imported) == [("dense", "none")]
    (note,) = imported.notes
    assert note.startswith("y (Softmax): left out; the largest score stays the largest")
    nodes = [*nodes[:2], node("Softmax", "g", "s"), node("Gemm", "s e", "y")]
    assert refusals(tmp_path, model(nodes, {"d": normal(64, 4), "e": normal(4, 4)})) == [
        "y (Gemm): follows a Softmax, which is taken at the end only"
    ]


def test_the_axis_of_a_softmax_that_names_none_depends_on_the_opset(tmp_path: Path) -> None:
    """Up to opset 12 it is all from the first after the batch, and later the last one alone."""
    nodes = [node("GlobalAveragePool", "x", "a"), node("Softmax", "a", "y")]
    taken(tmp_path, model(nodes, {}, ("N", 3, 4, 4), opset=12))
    assert refusals(tmp_path, model(nodes, {}, ("N", 3, 4, 4))) == [
        "y (Softmax, axis): -1 is not over all scores of an image; leave the operator out"
    ]


def test_the_logarithm_of_a_softmax_is_left_out_with_it(tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f d", "g"), node("Softmax", "g", "s")]
    weights = {"d": normal(64, 4)}
    imported = taken(tmp_path, model([*nodes, node("Log", "s", "y")], weights))
    assert [note.split(":")[0] for note in imported.notes] == ["s (Softmax)", "y (Log)"]
    assert refusals(tmp_path, model([*nodes[:2], node("Log", "g", "y")], weights)) == [
        "y (Log): is taken right after a Softmax at the end only"
    ]


def test_a_large_batch_of_the_file(tmp_path: Path) -> None:
    """Two images stand for all; a reshape that has its number has theirs."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c rows", "f"),
        node("Gemm", "f d", "g"),
        node("Softmax", "g", "y"),
    ]
    constants = {**W, "rows": constant([6000, 108], np.int64), "d": normal(108, 4)}
    imported = taken(tmp_path, model(nodes, constants, (6000, 1, 8, 8)))
    assert layers(imported) == [("convolution", "none"), ("dense", "none")]
    constants["rows"] = constant([3000, 216], np.int64)
    constants["d"] = normal(216, 4)
    assert refusals(tmp_path, model(nodes, constants, (6000, 1, 8, 8)))
    nodes = [node("Slice", "x from to", "s"), node("Conv", "s w", "y")]
    ends = {"from": constant([1], np.int64), "to": constant([2], np.int64)}
    (slicing,) = refusals(tmp_path, model(nodes, {**W, **ends}, (6000, 1, 8, 8)))
    assert slicing.startswith("s (Slice): may tell the 6,000 images of a batch apart; export")
    nodes = [node("Gemm", "x d", "s"), node("ReduceMean", "s", "y", axes=[0])]
    (mean,) = refusals(tmp_path, model(nodes, {"d": normal(5, 4)}, (6000, 5)))
    assert mean == (
        "y (ReduceMean, axes): [0] are not just the rows and columns of a map of 1 x 1 x 4"
    )
    path = tmp_path / "small.onnx"
    path.write_bytes(model([CONV], W, (1 << 21, 1, 8, 8)))
    imported = golden.import_onnx(path, RAW)
    with pytest.raises(RuntimeError, match="a batch of 2,097,152 images takes too much memory"):
        golden.compare_with_runtime(imported)


def test_an_output_that_is_not_read_is_no_obstacle(tmp_path: Path) -> None:
    dropout = helper.make_node("Dropout", ["c"], ["y", "mask"])
    content = model([node("Conv", "x w", "c"), dropout], W, outputs=("y", "y"))
    assert layers(taken(tmp_path, content)) == [("convolution", "none")]
    content = model([node("Conv", "x w", "c"), dropout], W, outputs=("mask",))
    assert refusals(tmp_path, content) == [
        "y (Dropout, output 'mask'): only the first output is made"
    ]
    reading = node("Cast", "mask", "m", to=TensorProto.FLOAT)
    content = model([node("Conv", "x w", "c"), dropout, reading], W, outputs=("m",))
    assert "y (Dropout, output 'mask'): only the first output is made" in refusals(
        tmp_path, content
    )


def test_unread_outputs_of_a_normalization_say_that_it_is_training(tmp_path: Path) -> None:
    arrays = {name: normal(3) ** 2 for name in "smbv"}
    names = ["y", "m2", "v2", "sm", "sv"]
    training = helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], names, "bn")
    found = refusals(tmp_path, model([node("Conv", "x w", "c"), training], {**W, **arrays}))
    assert found == [
        f"bn (BatchNormalization, output '{name}'): only the first output is made"
        for name in names[1:]
    ]


def test_one_of_several_outputs(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("Relu", "a", "y"),
        node("LeakyRelu", "y", "z"),
    ]
    content = model(nodes, W, outputs=("y", "z"))
    assert layers(taken(tmp_path, content, output="y")) == [("convolution", "relu")]
    with pytest.raises(FileFormatError, match="has 2 outputs, choose one with --output: y, z"):
        taken(tmp_path, content)
    with pytest.raises(FileFormatError, match="has no output 'q': it has y, z"):
        taken(tmp_path, content, output="q")


def test_all_that_is_in_the_way_is_said_at_once(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", flavour=1, name="first"),
        node("Shrink", "a", "b", bias=0.1),
        node("MaxPool", "b", "c", kernel_shape=[2, 2], dilations=[2, 2]),
        node("Add", "c c", "d"),
        node("Resize", "d", "e"),
        node("Quant", "e", "y", domain="onnx.brevitas"),
    ]
    content = model(nodes, W)
    found = refusals(tmp_path, content)
    assert [each.partition(":")[0] for each in found] == [
        "first (Conv, flavour)",
        "b (Shrink)",
        "c (MaxPool, dilations)",
        "d (Add)",
        "e (Resize)",
        "y (Quant)",
    ]
    with pytest.raises(golden.RefusedError, match="6 of 6 nodes cannot be imported"):
        golden.import_onnx(tmp_path / "small.onnx", RAW)


def test_names_become_identifiers(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", name="/features/features.0/Conv"),
        node("Conv", "a v", "b", name="12"),
        node("Conv", "b v", "c", name="12!"),
        node("Conv", "c v", "y", name="Zähler 1"),
    ]
    constants = {**W, "v": normal(3, 3, 1, 1)}
    imported = taken(tmp_path, model(nodes, constants))
    assert [(each.layer, each.chief) for each in imported.origins] == [
        ("features_0", "/features/features.0/Conv"),
        ("convolution_12", "12"),
        ("convolution_12_2", "12!"),
        ("Z_hler_1", "Zähler 1"),
    ]


def test_raw_pixels_of_eight_bits(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "a", to=TensorProto.FLOAT), node("Conv", "a w", "y")]
    content = model(nodes, W, (1, 1, 8, 8), dtype=TensorProto.UINT8)
    taken(tmp_path, content)
    with pytest.raises(ValueError, match="takes raw 8-bit pixels"):
        taken(tmp_path, content, golden.Preprocessing((0.5,)))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
def test_arithmetic_of_eight_bits_wraps_around(operator: str, tmp_path: Path) -> None:
    nodes = [node(operator, "x c", "a"), node("Cast", "a", "b", to=1), node("Conv", "b w", "y")]
    constants = {**W, "c": constant(3, np.uint8)}
    (found,) = refusals(tmp_path, model(nodes, constants, dtype=TensorProto.UINT8))
    assert found.startswith(f"a ({operator}): computes with integers, which wrap around")


def test_branches_that_read_the_image_are_refused_by_name(tmp_path: Path) -> None:
    result = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    branch = helper.make_graph([node("Relu", "x", "r")], "branch", [], result)
    choice = node("If", "c", "y", then_branch=branch, else_branch=branch)
    assert refusals(tmp_path, model([choice], {"c": constant(True, bool)})) == [
        "y (If): control flow and functions are not read; export the network without them"
    ]


def test_remainders_of_sizes_are_computed(tmp_path: Path) -> None:
    """As PyTorch's older exporter writes Unflatten."""
    nodes = [
        node("Mod", "seven four", "three"),
        node("Reshape", "x three", "a"),
        node("Conv", "a w", "y"),
    ]
    numbers = {"seven": constant([-1, 5, 8, 8], np.int64), "four": constant([2, 4, 9, 9], np.int64)}
    taken(tmp_path, model(nodes, {**W, **numbers}))
    numbers["four"][0] = 0
    (found,) = refusals(tmp_path, model(nodes, {**W, **numbers}))
    assert found == "three (Mod): is computed of integers only, and not of a division by zero"


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.INT64])
def test_other_types_of_input_are_refused(dtype: int, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"input 'x': its type is .* not float32, float64"):
        taken(tmp_path, model([CONV], W, dtype=dtype))


def test_zero_padding_under_an_offset_is_the_nearest_pixel(tmp_path: Path) -> None:
    """0.1307 * 255 is 33.3."""
    content = model([node("Conv", "x w", "y", pads=[1, 1, 1, 1])], W)
    imported = taken(tmp_path, content, golden.Preprocessing((1 / 255,), (0.1307,), (0.3081,)))
    images = np.arange(640, dtype=np.int64).reshape(10, 8, 8, 1).astype(np.uint8)
    (layer,) = golden.quantize(imported.trained, images).fixed.layers
    assert layer.padding_value == 33


def test_functions_are_written_out(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Relu", "a", "r"), node("Relu", "r", "b")], opsets[:1]
    )
    made = onnx.load_from_string(
        model([node("Conv", "x w", "c"), node("Twice", "c", "y", domain="own")], W)
    )
    made.functions.append(function)
    made.opset_import.append(opsets[1])
    assert layers(taken(tmp_path, made.SerializeToString())) == [("convolution", "relu")]


def test_an_altered_weight_is_seen_by_the_comparison(tmp_path: Path) -> None:
    imported = taken(tmp_path, model([CONV], W))
    (tensor,) = imported.graph.proto.graph.initializer
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += 0.01
    imported.graph.constants["w"] = values  # type: ignore[index]
    (difference,) = golden.compare_with_runtime(imported)
    assert not difference.is_rounding


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_layer_that_differs_on_one_of_several_images_differs(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    """The second weight is 2 in place of 1, and one of the images has a second pixel of 5."""
    path = tmp_path / "small.onnx"
    path.write_bytes(model([node("MatMul", "x d", "y")], {"d": np.ones((2, 1), "f")}, ("N", 2)))
    imported = golden.import_onnx(path, RAW)
    ((name, arrays),) = imported.trained.arrays.items()
    assert arrays["weights"].shape == (2, 1)
    other = {name: {**arrays, "weights": np.array([[1], [2]], np.float32)}}
    wrong = replace(imported, trained=golden.TrainedNetwork(imported.trained.network, other))
    images = np.array([[9, 0], [0, 5]], np.uint8)[list(order)].reshape(2, 1, 1, 2)
    (difference,) = golden.compare_with_runtime(wrong, images)
    assert (difference.largest_value, difference.difference) == (9, 5)
    assert not difference.is_rounding


def test_small_values_of_a_squashing_function_are_compared_as_rounded(tmp_path: Path) -> None:
    """ONNX Runtime computes them with the absolute error of those near 1."""
    path = tmp_path / "small.onnx"
    dense = [node("Gemm", "x w b", "s"), node("Sigmoid", "s", "y")]
    weights = {"w": normal(64, 1), "b": normal(1) - 20}
    path.write_bytes(model(dense, weights, ("N", 64)))
    imported = golden.import_onnx(path, golden.Preprocessing((1 / 255 / 99,)))
    (difference,) = golden.compare_with_runtime(imported)
    assert difference.largest_value < 1e-3
    assert difference.is_rounding
    assert difference.difference > TOLERANCE * difference.largest_value


def test_the_input_is_read_as_images_are(tmp_path: Path) -> None:
    dense = [node("Flatten", "x", "f"), node("Gemm", "f d", "y")]
    for dims, expected in (
        (("N", 3, 8, 8), (8, 8, 3)),
        (("N", 8, 8, 3), (8, 8, 3)),
        (("N", 3, 16, 4), (16, 4, 3)),
        (("N", 4, 16, 3), (16, 3, 4)),
        (("N", 8, 6, 4), (8, 6, 4)),
        (("N", 8, 24), (8, 24, 1)),
        (("N", 192), (1, 1, 192)),
    ):
        imported = taken(tmp_path, model(dense, {"d": normal(192, 4)}, dims))
        first = imported.trained.network.input
        assert isinstance(first, Input)
        assert first.image_shape == expected


def test_weights_count_for_every_layer_that_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [node("Flatten", "x", "a"), node("Gemm", "a w", "b"), node("Relu", "b", "c")]
    nodes += [node("Flatten", "c", "d"), node("Gemm", "d w", "e"), node("MatMul", "e w", "y")]
    content = model(nodes, {"w": normal(4, 4)}, ("N", 1, 2, 2))
    monkeypatch.setattr("systolith.golden.onnx.translation.call.MAX_WEIGHTS", 48)
    taken(tmp_path, content)
    monkeypatch.setattr("systolith.golden.onnx.translation.call.MAX_WEIGHTS", 47)
    with pytest.raises(golden.RefusedError) as caught:
        taken(tmp_path, content)
    (refusal,) = caught.value.refusals
    assert str(refusal) == (
        "y (MatMul): needs 16 weights after 32 of other layers, more than the 47 allowed in all"
    )


@pytest.mark.parametrize("most", [32, 31])
def test_a_model_may_have_the_weights_that_it_stores(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("systolith.golden.onnx.translation.call.MAX_WEIGHTS", 20)
    monkeypatch.setattr("systolith.golden.onnx.translation.call.MAX_STORED_WEIGHTS", most)
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "b"), node("MatMul", "b v", "y")]
    constants = {"w": normal(4, 4), "v": normal(4, 4)}
    once = model(nodes, constants, ("N", 4))
    if most == 32:
        taken(tmp_path, once)
    else:
        assert "more than the 31 allowed in all" in refusals(tmp_path, once)[0]
    # Two uses of one constant are stored once.
    again = model([*nodes[:2], node("MatMul", "b w", "y")], {"w": constants["w"]}, ("N", 4))
    assert "more than the 20 allowed in all" in refusals(tmp_path, again)[0]


def test_the_document_has_every_operator() -> None:
    text = (Path(__file__).parents[3] / "docs" / "import.md").read_text()
    assert [name for name in (*OPERATORS, *FOLDED) if f"`{name}`" not in text] == []
    assert f"{MAX_NODES:,} nodes" in text
    assert f"feature maps of {MAX_VALUES:,} values" in text
    assert f"{MAX_WEIGHTS:,} weights" in text
    assert f"up to {MAX_STORED_WEIGHTS:,}" in text


def test_a_row_of_values_is_the_image_that_it_is_declared_to_be(tmp_path: Path) -> None:
    """ONNX Runtime takes the pixels row by row, channels ascending."""
    path = tmp_path / "flat.onnx"
    weights = normal(24, 3)
    path.write_bytes(model([node("Gemm", "x w", "y")], {"w": weights}, (1, 24)))
    imported = golden.import_onnx(path, golden.Preprocessing(), image=(4, 3, 2))
    assert imported.trained.network.input.image_shape == (4, 3, 2)
    assert all(each.relative < 1e-5 for each in golden.compare_with_runtime(imported))
    images = np.random.default_rng(3).integers(0, 256, (5, 4, 3, 2), dtype=np.uint8)
    expected = images.reshape(5, 24).astype(np.float64) @ weights
    found = float_model.scores(imported.trained, images)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    plain = golden.import_onnx(path, golden.Preprocessing())
    assert plain.trained.network.input.image_shape == (1, 1, 24)


def test_other_images_than_the_row_has_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(model([node("Gemm", "x w", "y")], {"w": normal(24, 3)}, (1, 24)))
    with pytest.raises(ValueError, match="its input, 24, is no row of 25 values"):
        golden.import_onnx(path, golden.Preprocessing(), image=(5, 5, 1))
    path.write_bytes(model([CONV], W))
    with pytest.raises(ValueError, match="its input, 1 x 8 x 8, is no row of 64 values"):
        golden.import_onnx(path, golden.Preprocessing(), image=(8, 8, 1))
    nodes = [node("Reshape", "x s", "a"), node("Conv", "a w", "y")]
    shape = np.array([1, 1, 8, 8], np.int64)
    path.write_bytes(model(nodes, {**W, "s": shape}, (1, 64)))
    assert golden.import_onnx(path, golden.Preprocessing(), image=(8, 8, 1))
    with pytest.raises(ValueError, match="take an image of 8 x 8 x 1, not of 4 x 16 x 1"):
        golden.import_onnx(path, golden.Preprocessing(), image=(4, 16, 1))

"""Every node that no layer can compute is refused, and the line says what is wrong with it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from systolith import golden
from tests.golden.onnx.small_models import RAW, constant, model, normal, spelled

CONSTANTS = {
    "k": normal(3, 1, 3, 3),
    "k34": normal(3, 1, 3, 4),
    "k33": normal(2, 3, 2, 2),
    "by_value": normal(3, 3, 4),
    "cubed": constant(3.0),
    "per_map": normal(4, 1, 1, 1),
    "two_maps": normal(2, 2, 1, 1),
    "no_map": normal(4, 3),
    "k1": normal(3, 3, 3),
    "d": normal(30, 6),
    "d5": normal(5, 6),
    "d36": normal(36, 6),
    "d2": normal(2, 6),
    "d3": normal(3, 6),
    "six": normal(6),
    "six_by_two": normal(2, 6),
    "three": normal(3, 1, 1),
    "row3": normal(3),
    "by_image": normal(2, 1, 1, 1),
    "five_axes": normal(1, 1, 1, 1, 1),
    "zeros5": constant(np.zeros((1, 1, 1, 1, 1))),
    "one_zero": constant([[[2]], [[0]], [[3]]]),
    "slopes": constant([[[0.5]], [[0.25]], [[0.5]]]),
    "no_slope": np.zeros(0, np.float32),
    "infinite": constant([[[1.0]], [[2.0]], [[math.inf]]]),
    "spread": constant([1, 2, 3]),
    "one_negative": constant([1, -1, 1]),
    "half": constant(0.5),
    "minus": constant(-1.0),
    "minus_half": constant(-0.5),
    "three_in_five_axes": constant([[[[[3.0]]]]]),
    "yes": constant(True, bool),
    "around": constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    "wide": constant([0, 0, 1, 2, 0, 0, 1, 2], np.int64),
    "uneven": constant([0, 0, 2, 2, 0, 0, 1, 1], np.int64),
    "uneven_last": constant([0, 2, 2, 0, 0, 1, 1, 0], np.int64),
    "channels_too": constant([0, 1, 1, 1, 0, 1, 1, 1], np.int64),
    "zeros8": constant(np.zeros(8), np.int64),
    "rows": constant([2, 30], np.int64),
    "images_last": constant([30, 2], np.int64),
    "all": constant([60], np.int64),
    "enormous": constant([0, 0, 2043, 1019, 0, 0, 0, 0], np.int64),
    "minus_sizes": constant([3, -1, 3, 1], np.int64),
    "cube": constant([2, 3, 10], np.int64),
    "doubled": constant([0, 0, 1, 2, 3, 4], np.int64),
    "one": constant([1], np.int64),
    "two": constant([2], np.int64),
    "three_at": constant([3], np.int64),
    "spatial": constant([2, 3], np.int64),
    "channels": constant([1], np.int64),
    "none": np.zeros(0, np.int64),
}

NO_ACTIVATION = (
    "joins a map and a function of it, which gives no activation that is built; train with another"
)
ONE_WIDTH = "0.5 is taken around the input only, of one width on all four sides; pad with zeros"
M, S, P = "Conv x k m; ", "Flatten x f; Gemm f d s; ", "Conv x k m; Pad m around p; "

REFUSED = [
    # Activations.
    (M + "Gelu m y approximate=fast", "y (Gelu, approximate): must be none or tanh"),
    (
        M + "PRelu m slopes y",
        "y (PRelu, input 2): has several slopes: not built; train with one slope for all",
    ),
    (M + "PRelu m no_slope y", "y (PRelu, input 2): is missing"),
    (
        M + "Clip m half y",
        "y (Clip, min): limits from 0.5 to inf are not on both sides of zero: not built",
    ),
    (
        M + "Clip m minus y",
        "y (Clip, max): limits from -1 to inf are not on both sides of zero: not built",
    ),
    (
        M + "Clip m - half y",
        "y (Clip, min): limits from -inf to 0.5 are not on both sides of zero: not built",
    ),
    (
        M + "Clip m minus minus_half y",
        "y (Clip, max): limits from -1 to -0.5 are not on both sides of zero: not built",
    ),
    (
        M + "Max m m y",
        "y (Max): joins feature maps: branches are not built; of one map and 0 it is a ReLU",
    ),
    (M + "Max m minus y", "y (Max): with other constants than 0 is not built; train with Relu"),
    (M + "Max one_zero m y", "y (Max): with other constants than 0 is not built; train with Relu"),
    (M + "Max m zeros5 y", "y (Max): makes copies of a map"),
    (P + "Sigmoid p y", "y (Sigmoid, input 1): was padded before: zeros do not stay zero"),
    (M + "Pow m three_in_five_axes y", "y (Pow, input 2): has more axes than the map"),
    (
        M + "Pow m half y",
        "y (Pow, input 2): must be 2 or 3: activations have no other powers inside",
    ),
    (M + "Elu m y alpha=1", "y (Elu, alpha): must be a finite number"),
    *(
        (M + lines, f"y (Mul): {NO_ACTIVATION}")
        for lines in (
            "Add m half a; Sigmoid m g; Mul a g y",
            "Mul m minus a; Sigmoid m g; Mul a g y",
            "Mul m three a; Sigmoid m g; Mul a g y",
            "Add m half a; Sigmoid a g; Mul m g y",
            "Sigmoid m g; Add g half h; Mul m h y",
            "Sigmoid m g; Neg g h; Mul m h y",
            "Tanh m g; Mul m g y",
            "Tanh m a; Softplus a g; Mul m g y",
        )
    ),
    (
        "Conv x k34 m; Transpose m t perm=0,1,3,2; Sigmoid t g; Mul m g y",
        "y (Mul): " + NO_ACTIVATION,
    ),
    (M + "Abs m a; Add a half g; Div m g y", f"y (Div): {NO_ACTIVATION}"),
    (
        M + "Mul m m a; Mul a m b; Mul b m y",
        "y (Mul): makes a power of a map above its cube, which no activation has inside",
    ),
    (
        M + "Mul m by_value a; Conv a k33 y",
        "a (Mul): its constants differ from pixel to pixel, not only from channel to channel",
    ),
    (
        M + "Pow m cubed y",
        (
            "y (Pow): makes a polynomial of a map, which is taken inside a GELU by a tanh only; "
            "train with another activation"
        ),
    ),
    (
        M + "Mul m three a; Sigmoid a g; Mul a g b; Mul m b y",
        "y (Mul): " + NO_ACTIVATION,
    ),
    ("Neg - w; Conv x w y", "w (Neg, input 1): is missing"),
    ("Shape - s; Expand k s w; Conv x w y", "s (Shape, input 1): is missing"),
    # Sums and products.
    (
        M + "Div three m y",
        "y (Div, input 2): is computed from the image: nothing divides by a feature map",
    ),
    (M + "Div m one_zero y", "y (Div, input 2): has a zero to divide by"),
    (M + "Add m infinite y", "y (Add, input 2): has values that are not finite"),
    (M + "Add infinite m y", "y (Add, input 1): has values that are not finite"),
    (M + "Add m three three y", "y (Add): must have 2 inputs, not 3"),
    (M + "Add m - y", "y (Add, input 2): is missing"),
    (M + "Add - m y", "y (Add, input 1): is missing"),
    (M + "Add m five_axes y", "y (Add, input 2): enlarges the tensor, 2 x 3 x 3 x 4"),
    (M + "Mul m by_image y", "y (Mul, input 2): differs from image to image"),
    (
        P + "Mul p three y",
        "y (Mul, input 1): is no whole map: it was padded, cut off or repeated before",
    ),
    (
        S + "Gather s doubled t axis=1; Add t six y",
        "y (Add, input 1): is no whole map: it was padded, cut off or repeated before",
    ),
    (
        M + "Add m m y",
        "y (Add): " + NO_ACTIVATION,
    ),
    (
        M + "BatchNormalization m spread spread spread spread y training_mode=1",
        "y (BatchNormalization, training_mode): is on; export the network for inference",
    ),
    (
        M + "BatchNormalization m six spread spread spread y",
        "y (BatchNormalization, input 2): must have 3 values, one a channel",
    ),
    (
        M + "BatchNormalization m spread spread spread d y",
        "y (BatchNormalization, input 5): must have 3 values, one a channel",
    ),
    (
        M + "BatchNormalization m spread spread spread one_negative y",
        "y (BatchNormalization, input 5): variances must be above 0",
    ),
    (
        "Reshape x all v; BatchNormalization v six six six six y",
        "y (BatchNormalization, input 1): has no axis of channels",
    ),
    # Poolings.
    (M + "AveragePool m y", "y (AveragePool, kernel_shape): is missing"),
    (
        M + "AveragePool m y kernel_shape=2,2 dilations=1,2",
        "y (AveragePool, dilations): (1, 2) are not built in pooling",
    ),
    (
        M + "MaxPool m y kernel_shape=2,3 pads=0,0,2,0",
        "y (MaxPool, pads): 2 must be less than the kernel, 2",
    ),
    (
        M + "Conv m y kernel_shape=3,3",
        "y (Conv, input 2): must be weights with 3 or 4 axes",
    ),
    (
        M + "MaxPool m y kernel_shape=2,2 pads=-1,0,0,0",
        "y (MaxPool, pads): [-1, 0, 0, 0] must be 4 numbers of at least 0",
    ),
    (
        M + "MaxPool m y kernel_shape=2,2 pads=1,1",
        "y (MaxPool, pads): [1, 1] must be 4 numbers of at least 0",
    ),
    (
        M + "MaxPool m y kernel_shape=2,2 strides=1,0",
        "y (MaxPool, strides): [1, 0] must be 2 numbers of at least 1",
    ),
    (
        M + "MaxPool m y kernel_shape=2,2,2",
        "y (MaxPool, kernel_shape): [2, 2, 2] must be 2 numbers of at least 1",
    ),
    (
        M + "MaxPool m y kernel_shape=4,4",
        "y (MaxPool, kernel_shape): [4, 4] does not fit a map of 3 x 4 x 3",
    ),
    (M + "MaxPool m y kernel_shape=2,2 auto_pad=SAME", "y (MaxPool, auto_pad): 'SAME' is unknown"),
    (
        P + "AveragePool p y kernel_shape=3,3 pads=1,1,1,1",
        "y (AveragePool, count_include_pad): an average that counts a part of its padding",
    ),
    (
        P + "AveragePool p y kernel_shape=3,3 strides=2,2 ceil_mode=1",
        "y (AveragePool, count_include_pad): an average that counts a part of its padding",
    ),
    (M + "ReduceMean m y", "y (ReduceMean, axes): must be those of rows and columns, not all"),
    (
        M + "ReduceMean m none y noop_with_empty_axes=1",
        "y (ReduceMean, axes): must be those of rows and columns, not all",
    ),
    (
        M + "ReduceMax m channels y",
        "y (ReduceMax, axes): [1] are not just the rows and columns of a map of 3 x 4 x 3",
    ),
    (M + "ReduceMax m half y", "y (ReduceMax, axes): must be integers"),
    # Weights.
    (
        "Conv x two_maps y group=1",
        "y (Conv, group): 1 does not divide 1 maps into 2 each",
    ),
    (M + "Conv m k y group=2", "y (Conv, group): 2 does not divide 3 maps into 1 each"),
    (M + "Conv m per_map y group=3", "y (Conv, group): 3 does not divide 3 maps into 1 each"),
    ("Conv x k six y", "y (Conv, input 3): must have 3 values"),
    ("Conv x no_map y", "y (Conv, input 2): must be weights with 3 or 4 axes"),
    (
        "Conv x k y kernel_shape=3,2",
        "y (Conv, kernel_shape): [3, 2] is not that of the weights, [3, 3]",
    ),
    ("Conv x k y pads=3,0,0,0", "y (Conv, pads): 3 must be less than the kernel, 3"),
    ("Conv x k y flavour=3", "y (Conv, flavour): is not known of this operator"),
    ("Conv x k y group=0", "y (Conv, group): 0 does not divide 1 maps into 1 each"),
    ("Conv x k y group=1.0", "y (Conv, group): must be an integer"),
    ("Conv x k y strides=1.0,2.0", "y (Conv, strides): must be a list of integers"),
    ("Conv x k y auto_pad=1", "y (Conv, auto_pad): must be a word"),
    ("Conv k x y", "y (Conv, input 2): is computed from the image, must be constant"),
    (S + "Conv s k y", "y (Conv, input 1): must have 4 axes, or 3, not 2"),
    (
        M + "Transpose m t perm=0,1,3,2; MaxPool t y kernel_shape=2,2",
        (
            "y (MaxPool, input 1): is no 4 x 3 map of 3 channels: values were moved, cut off or "
            "repeated since the last layer, a map of 3 x 4 x 3"
        ),
    ),
    (
        M + "Transpose m t perm=0,2,1,3; MaxPool t y kernel_shape=2,2",
        (
            "y (MaxPool, input 1): is no 3 x 4 map of 3 channels: values were moved, cut off or "
            "repeated since the last layer, a map of 3 x 4 x 3"
        ),
    ),
    (
        "Slice x one two one t; MaxPool t y kernel_shape=2,2",
        "y (MaxPool, input 1): its first axis is not that of the images",
    ),
    (
        "Slice x one three_at two t; MaxPool t y kernel_shape=2,2",
        "y (MaxPool, input 1): is not the whole image: some of it was cut off or repeated",
    ),
    (S + "Gemm s half y", "y (Gemm, input 2): must be weights with 2 axes"),
    (
        "Flatten x f; Gemm f d six_by_two y",
        "y (Gemm, input 3): differs from image to image",
    ),
    ("Flatten x f; Gemm f d5 y", "y (Gemm, input 1): must be 2 x 5 values, not 2 x 30"),
    (
        "Flatten x f; Gemm f d2 y transA=1",
        "y (Gemm, input 1): must be 2 x 2 values, not 30 x 2",
    ),
    (
        "Flatten x f; MatMul d36 f y",
        "y (MatMul, input 1): weights on the left are not built; transpose both inputs",
    ),
    (S + "MatMul s half y", "y (MatMul, input 2): must be weights with 2 axes"),
    (
        "Reshape x images_last t; Transpose t u; Gemm u d y",
        "y (Gemm, input 1): mixes the values of several images",
    ),
    (
        "Reshape x cube c; MatMul c d5 y",
        "y (MatMul, input 1): must have 2 axes, or 4 with channels last, not 3",
    ),
    (
        P + "Transpose p t perm=0,2,3,1; MatMul t d3 y",
        "y (MatMul, input 1): must have 3 channels and no padding",
    ),
    # Movers.
    (M + "Unsqueeze m y", "y (Unsqueeze, axes): are missing"),
    (M + "Slice m one y", "y (Slice, starts): or ends are missing"),
    (M + "Reshape m y", "y (Reshape, shape): is missing"),
    (M + "Expand m y", "y (Expand, input 2): is missing"),
    (M + "Gather m half y", "y (Gather, input 2): must be integers"),
    (M + "Pad m y", "y (Pad, pads): are missing"),
    (M + "Pad m around y mode=edge", "y (Pad, mode): 'edge' is not built; pad with zeros"),
    (M + "Pad m around y mode=reflect", "y (Pad, mode): 'reflect' is not built; pad with zeros"),
    (
        "Pad x around half y mode=wrap",
        "y (Pad, mode): 'wrap' is not built; pad with zeros",
    ),
    (
        M + "Pad m around half y",
        "y (Pad, value): " + ONE_WIDTH,
    ),
    *(
        (
            f"Pad x {pads} half y",
            "y (Pad, value): " + ONE_WIDTH,
        )
        for pads in ("wide", "uneven", "uneven_last", "channels_too")
    ),
    (
        M + "Cast m y to=6",
        "y (Cast, to): int32 would round the image's values; compute in float32",
    ),
    (
        M + "Cast m y to=10",
        "y (Cast, to): float16 would round the image's values; compute in float32",
    ),
    (M + "Cast m y to=0", "y (Cast, to): is none of NumPy's types"),
    (
        M + "Dropout m half yes y",
        "y (Dropout, training_mode): is on; export the network for inference",
    ),
    (
        "Pad x enormous y",
        "y (Pad): makes 4,198,400 values, more than the 4,194,304 that are allowed",
    ),
    (
        "ConstantOfShape minus_sizes w; Conv x w y",
        "w (ConstantOfShape): makes -9 values, more than the 67,108,864 that are allowed",
    ),
    (
        "Mod rows half w; Conv x w y",
        "w (Mod): is computed of integers only, and not of a division by zero",
    ),
    # Ends of classifiers.
    (S + "Softmax s y axis=2", "y (Softmax, axis): 2 is none of 2"),
    (S + "Softmax s y axis=-3", "y (Softmax, axis): -3 is none of 2"),
    (
        S + "LogSoftmax s t; Log t y",
        "y (Log): is taken right after a Softmax at the end only",
    ),
    (
        S + "ArgMax s y axis=1 select_last_index=1",
        "y (ArgMax, select_last_index): the last of equals: hardware gives the first",
    ),
    (S + "ArgMax s y axis=2", "y (ArgMax, axis): 2 is none of 2"),
    (
        S + "Softmax s t; ArgMax t c axis=1; Softmax c y",
        "y (Softmax): follows a ArgMax, which is taken at the end only",
    ),
    # Others.
    (
        M + "Concat m m y axis=1",
        "y (Concat): joins or splits feature maps: branches are not built; a chain of layers",
    ),
    (M + "Resize m y", "y (Resize): nothing makes a map larger"),
    (M + "Acos m y", "y (Acos): is no activation that is built; train with another"),
    (M + "Hardmax m y", "y (Hardmax): no layer computes it"),
    (
        M + "QLinearAdd m y",
        (
            "y (QLinearAdd): scales that a file gives are not read; import the float network and "
            "quantize it"
        ),
    ),
    ("Abs k a; Conv x a y", "a (Abs): depends on no image, and is not computed of constants"),
    ("Constant w value_string=text; Conv x w y", "w (Constant): holds no tensor of numbers"),
    (
        "Mod half half w; Conv x w y",
        "w (Mod): is computed of integers only, and not of a division by zero",
    ),
]


@pytest.mark.parametrize(("lines", "reason"), REFUSED)
def test_a_node_is_refused_in_full(lines: str, reason: str, tmp_path: Path) -> None:
    opset = 18 if "Reduce" in lines or "around half y mode=wrap" in lines else 15
    nodes = spelled(lines)
    read = {name for each in nodes for name in each.input}
    constants = {name: each for name, each in CONSTANTS.items() if name in read}
    path = tmp_path / "small.onnx"
    path.write_bytes(model(nodes, constants, (2, 1, 5, 6), opset=opset))
    with pytest.raises(golden.RefusedError) as caught:
        golden.import_onnx(path, RAW)
    assert [str(each) for each in caught.value.refusals] == [reason]
    count = f"{path}: 1 of {len(nodes)} nodes cannot be imported: {reason}"
    assert str(caught.value) == count

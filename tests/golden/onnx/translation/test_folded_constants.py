"""What nodes compute of constants: the layers are those that ONNX Runtime makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.golden.onnx.small_models import constant, layers, model, normal, spelled, taken

CONSTANTS = {
    "k": normal(3, 1, 3, 3),
    "k2": normal(3, 1, 3, 3, seed=1),
    "k3": normal(3, 1, 3, 3, seed=2),
    "large": normal(4, 1, 4, 5, seed=3),
    "row": normal(3, seed=4),
    "row3": normal(3, 1, 2, 3, seed=5),
    "half": constant(0.5),
    "i": constant([[-7, 8, -9], [7, -8, 9], [5, -5, 1]], np.int64),
    "j": constant([[2, 3, 4], [-2, -3, -4], [3, 3, -3]], np.int64),
    "u": constant([[7, 8, 9], [255, 254, 3], [1, 0, 250]], np.uint8),
    "v": constant([[2, 3, 4], [16, 200, 4], [2, 5, 7]], np.uint8),
    "nine": constant([3, 1, 3, 1], np.int64),
    "three": constant([3, 1, 1, 1], np.int64),
    "shape": constant([3, 1, 3, 3], np.int64),
    "ends": constant([-1, 2], np.int64),
    "none": np.zeros(0, np.int64),
    "order": constant([2, -1, 0, 1], np.int64),
    "0": constant([0], np.int64),
    "1": constant([1], np.int64),
    "2": constant([2], np.int64),
    "3": constant([3], np.int64),
    "-1": constant([-1], np.int64),
    "-2": constant([-2], np.int64),
    "-3": constant([-3], np.int64),
    "-9": constant([-9], np.int64),
    "from": constant([-1, 0], np.int64),
    "to": constant([-9, 2**62], np.int64),
    "steps": constant([-2, 1], np.int64),
    "last": constant([3, -2], np.int64),
    "ones": constant([1, -1], np.int64),
    "crop": constant([-1, 0, -1, 2, 0, 0, 0, -1], np.int64),
    "crop_two": constant([-1, 1, 2, -1], np.int64),
}

WEIGHTS = [
    "Neg k w",
    "Mul k k q; Sqrt q w",
    "Reciprocal k w",
    "Sub k k2 w",
    "Sub k row w",
    "Div k k2 w",
    "Max k k2 k3 w",
    "Min k k2 k3 w",
    "Equal k k c; Where c k2 k3 w",
    "Mul k half q; Equal q k c; Where c k2 k3 w",
    "Concat k k2 w axis=-1",
    "Concat row3 row3 w axis=2",
    "MatMul k k2 w",
    "MatMul row row q; Mul k q w",
    "MatMul k row q; Unsqueeze q -1 w",
    "Div i j q; Cast q f to=1; Reshape f nine w",
    "Mod i j q; Cast q f to=1; Reshape f nine w",
    "Mod i j q fmod=1; Cast q f to=1; Reshape f nine w",
    "Max i j q; Cast q f to=1; Reshape f nine w",
    "ConstantOfShape shape q; Add q k w",
    "ReduceProd k q axes=3, keepdims=0; Reshape q nine w",
    "ReduceProd k q axes=-1,1; Add k q w",
    "ReduceProd k q; Add k q w",
    "Slice large from to - steps w",
    "Slice large from to last steps w",
    "ReduceProd k w noop_with_empty_axes=1",
    "ReduceProd k none w noop_with_empty_axes=1",
    "ReduceProd k none q keepdims=0; Add k q w",
    "Slice large -1 -9 2 -2 w",
    "Slice large -1 -3 3 -1 w",
    "Slice k -1 -3 2 -1 w",
    "Slice large 3 0 3 -1 w",
    "Slice large 0 -1 w",
    "Gather large order w axis=2",
    "Gather large order w",
    "Squeeze k 1 q; Unsqueeze q 1 w",
    "Squeeze k q; Unsqueeze q 1 w",
    "Flatten k q axis=-2; Reshape q shape w",
    "Flatten k q axis=0; Reshape q shape w",
    "Flatten large q axis=1; Slice q 0 3 1 p; Unsqueeze p ones w",
    "Pad large crop w",
    "Pad large crop_two - ends w",
    "Expand row shape w",
    "Shape k q; Expand half q w",
    "Shape k q start=-2; Expand k q w",
    "Shape k q start=2 end=3; Expand k q w",
    "Shape k q end=1; Size q n; Cast n f to=1; Div k f w",
    "Div u v q; Cast q f to=1; Reshape f nine w",
    "Mod u v q; Cast q f to=1; Reshape f nine w",
    "Size k q; Cast q f to=1; Div k f w",
    "Constant q value_float=0.25; Mul k q w",
    "Constant q value_floats=0.25,0.5,1.0; Mul k q w",
    "Constant q value_ints=3,1,9; Reshape k q r; Reshape r shape w",
    "Constant q value_int=2; Gather large q p axis=3; Unsqueeze p 3 w",
    "Cast j q to=1; Cast k2 r to=6; Cast r s to=1; Mul q s w",
]


@pytest.mark.parametrize("lines", WEIGHTS)
def test_constants_are_computed(lines: str, tmp_path: Path) -> None:
    opset = 18 if lines.startswith(("Pad", "ReduceProd k w", "ReduceProd k none")) else 15
    nodes = spelled(f"{lines}; Conv x w y")
    read = {name for each in nodes for name in each.input}
    constants = {name: each for name, each in CONSTANTS.items() if name in read}
    imported = taken(tmp_path, model(nodes, constants, (1, 1, 5, 6), opset=opset))
    assert layers(imported) == [("convolution", "none")]


def test_a_constant_of_a_shape_has_its_value(tmp_path: Path) -> None:
    value = numpy_helper.from_array(constant([0.75]))
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["w"], "w", value=value),
        *spelled("Conv x w y"),
    ]
    shape = {"shape": CONSTANTS["shape"]}
    imported = taken(tmp_path, model(nodes, shape, (1, 1, 5, 6)))
    assert (imported.trained.arrays["y"]["weights"] == 0.75).all()

"""What the comparison with ONNX Runtime sees: every layer, on every image, in every position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from systolith import golden
from systolith.golden.onnx.runtime_comparison import LayerDifference, RuntimeRefusedError
from systolith.golden.qformat import QFormat
from tests.golden.onnx.small_models import RAW, constant, model, node, normal, spelled, taken

Changes = Mapping[str, Mapping[str, Any]]


def imported(
    folder: Path, content: bytes, preprocessing: golden.Preprocessing = RAW
) -> golden.ImportedNetwork:
    path = folder / "small.onnx"
    path.write_bytes(content)
    return golden.import_onnx(path, preprocessing)


def altered(network: golden.ImportedNetwork, changes: Changes) -> golden.ImportedNetwork:
    """The import with other weights or biases than the model has."""
    arrays = {
        name: {**own, **{key: constant(each) for key, each in changes.get(name, {}).items()}}
        for name, own in network.trained.arrays.items()
    }
    return replace(network, trained=golden.TrainedNetwork(network.trained.network, arrays))


def test_a_difference_is_relative_to_the_largest_value() -> None:
    assert LayerDifference("a", 4.0, 1.0, False).relative == 0.25
    assert LayerDifference("a", 0.0, 0.5, False).relative == 0.5


@pytest.mark.parametrize(("error", "is_rounding"), [(0.5e-4, True), (2e-4, False)])
def test_the_tolerance_is_a_ten_thousandth_of_the_largest_value(
    error: float, is_rounding: bool, tmp_path: Path
) -> None:
    """The largest value is -800, and that of another unit is what differs."""
    content = model(
        [node("Gemm", "x w b", "y")],
        {"w": constant([[-8, 1]]), "b": constant([0, 0])},
        ("N", 1),
    )
    wrong = altered(imported(tmp_path, content), {"y": {"bias": [0, 800 * error]}})
    images = np.array([100, 50], np.uint8).reshape(2, 1, 1, 1)
    (found,) = golden.compare_with_runtime(wrong, images)
    assert (found.layer, found.largest_value, found.is_rounding) == ("y", 800, is_rounding)
    assert found.difference == pytest.approx(800 * error, rel=1e-3)


def test_rounding_of_sums_is_passed_on_by_an_activation_and_no_more(tmp_path: Path) -> None:
    """A sum may be wrong by 0.1 up or down, its rectified value by 0.1 more; no value of a tanh."""
    content = model(
        spelled("Gemm x w b s; Relu s y"),
        {"w": constant([[10, 0]]), "b": constant([0, 0])},
        ("N", 1),
    )
    images = np.full((1, 1, 1, 1), 100, np.uint8)
    for bias, is_rounding in ((0.25, True), (0.35, False)):
        wrong = altered(imported(tmp_path, content), {"s": {"bias": [0, bias]}})
        (found,) = golden.compare_with_runtime(wrong, images)
        assert found.is_rounding == is_rounding
    content = model(
        spelled("Gemm x w b s; Tanh s y"),
        {"w": constant([[0.03, 0.03]]), "b": constant([0, 0])},
        ("N", 1),
    )
    for change, is_rounding in ((2e-4, True), (0.1, False)):
        wrong = altered(imported(tmp_path, content), {"s": {"bias": [change, 0]}})
        (found,) = golden.compare_with_runtime(wrong, images)
        assert found.is_rounding == is_rounding


@pytest.mark.parametrize(
    ("batch", "image", "is_seen"), [("N", 0, True), ("N", 7, True), ("N", 8, False), (10, 9, True)]
)
def test_the_first_eight_images_are_compared_or_a_batch(
    batch: int | str, image: int, is_seen: bool, tmp_path: Path
) -> None:
    content = model([node("MatMul", "x w", "y")], {"w": np.ones((2, 1), "f")}, (batch, 2))
    wrong = altered(imported(tmp_path, content), {"y": {"weights": [[1], [2]]}})
    images = np.zeros((10, 1, 1, 2), np.uint8)
    images[:, 0, 0, 0] = 9
    images[image, 0, 0, 1] = 5
    (found,) = golden.compare_with_runtime(wrong, images)
    assert found.is_rounding != is_seen


def test_random_images_have_values_of_both_signs(tmp_path: Path) -> None:
    """Of positive ones alone, this network makes zeros."""
    content = model(spelled("MatMul x w s; Relu s y"), {"w": -np.eye(8, dtype="f")}, ("N", 8))
    signed = imported(tmp_path, content, golden.Preprocessing(format=QFormat(8, 5)))
    (right,) = golden.compare_with_runtime(signed)
    assert right.is_rounding and right.largest_value > 0


def test_a_wrong_layer_in_the_middle_is_named(tmp_path: Path) -> None:
    content = model(
        spelled("Conv x k a; MaxPool a b kernel_shape=2,2 strides=2,2; Tanh b c; Conv c v y"),
        {"k": normal(2, 1, 3, 3), "v": normal(3, 2, 2, 2)},
        ("N", 1, 8, 8),
    )
    right = imported(tmp_path, content, golden.Preprocessing((1 / 255,), (0.5,)))
    assert [each.layer for each in golden.compare_with_runtime(right)] == ["a", "b", "y"]
    wrong = altered(right, {"a": {"bias": [0.25, 0]}})
    assert [each.is_rounding for each in golden.compare_with_runtime(wrong)] == [False] * 3
    wrong = altered(right, {"y": {"bias": [0.25, 0, 0]}})
    found = golden.compare_with_runtime(wrong)
    assert [each.is_rounding for each in found] == [True, True, False]


@pytest.mark.parametrize(("theirs", "ours"), [(3e38, 1.0), (1.0, 3e38)])
def test_values_of_either_that_are_not_finite_are_refused(
    theirs: float, ours: float, tmp_path: Path
) -> None:
    content = model(spelled("MatMul x w s; Relu s y"), {"w": constant([[theirs]])}, ("N", 1))
    other = altered(imported(tmp_path, content), {"s": {"weights": [[ours]]}})
    reason = r"small\.onnx: layer 's' \(MatMul Relu\): its values are not finite"
    with pytest.raises(ValueError, match=reason):
        golden.compare_with_runtime(other)


def test_what_onnx_runtime_refuses_is_said_in_one_short_line(tmp_path: Path) -> None:
    """It has no such padding of windows with a dilation."""
    attributes: dict[str, Any] = {"auto_pad": "SAME_UPPER", "dilations": [2, 2]}
    content = model([node("Conv", "x w", "y", **attributes)], {"w": normal(1, 1, 3, 3)})
    with pytest.raises(RuntimeRefusedError) as caught:
        golden.compare_with_runtime(imported(tmp_path, content))
    assert 50 < len(str(caught.value)) <= 200
    assert str(caught.value).isprintable()


def test_other_inputs_and_outputs_of_the_file_do_not_matter(tmp_path: Path) -> None:
    made = onnx.load_from_string(
        model(spelled("Conv x k a; Relu a y"), {"k": normal(2, 1, 3, 3)}, outputs=("y", "y"))
    )
    made.graph.input.insert(0, helper.make_tensor_value_info("first", TensorProto.INT64, [9]))
    taken(tmp_path, made.SerializeToString())

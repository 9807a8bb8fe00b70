"""The order of a model's output: the network has it, or the model is refused or it is said."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from systolith import golden
from systolith.golden.network import float_model
from tests.golden.onnx.small_models import RAW, constant, model, normal, spelled, taken

WEIGHTS = {
    "k": normal(4, 1, 3, 3),
    "g": normal(4, 2, 1, 1),
    "d": normal(64, 6),
    "b": normal(6),
    "f": constant([1, -1], np.int64),
    "turned": constant([5, 4, 3, 2, 1, 0], np.int64),
    "some": constant([3, 1, 3], np.int64),
    "one": constant([1], np.int64),
    "three": constant([3], np.int64),
    "two_below": constant([-1], np.int64),
    "all_below": constant([-9], np.int64),
    "a1": constant([1], np.int64),
    "a2": constant([2], np.int64),
    "down": constant([-2], np.int64),
    "around": constant([0, 1, 0, 1], np.int64),
    "copies": constant([1, 6], np.int64),
}


def chain(lines: str) -> bytes:
    """Nodes such as `Gather s some y axis=1`, after a dense layer `s` and a convolution `m`."""
    nodes = spelled(f"Flatten x x1; Gemm x1 d b s; Conv x k m; {lines}")
    return model(nodes, WEIGHTS, (1, 1, 8, 8))


def both(folder: Path, lines: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The network's scores and ONNX Runtime's output, of one image, in their own orders."""
    content = chain(lines)
    imported = taken(folder, content)
    images = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 1), np.uint8)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": images.transpose(0, 3, 1, 2).astype(np.float32)})
    return float_model.scores(imported.trained, images).ravel(), np.asarray(theirs)


SELECTIONS = (
    "Gather s turned y axis=1",
    "Gather s some y axis=1",
    "Slice s one three a1 y",
    "Slice s two_below all_below a1 down y",
    "Relu s r; Gather r turned y axis=1",
    "Gather s turned r axis=1; Tanh r y",
    "Gather s turned r axis=1; Add r b y",
    "Gather s some r axis=1; Reshape r f t; Unsqueeze t a2 y",
    "Transpose s y perm=1,0",
    "Slice m one three a1 q; GlobalAveragePool q y",
    "GlobalMaxPool m p; Slice p one three a1 y",
    "Transpose m t perm=0,2,3,1; Flatten t y",
)


@pytest.mark.parametrize("lines", SELECTIONS)
def test_scores_are_the_models_output(lines: str, tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, lines)
    assert ours == pytest.approx(theirs.ravel(), rel=1e-4, abs=1e-3)


ENDINGS = (
    "Gather s turned t axis=1; Softmax t y axis=1",
    "Slice s one three a1 t; LogSoftmax t y axis=1",
    "Softmax s t axis=1; Gather t turned y axis=1",
    "Gather s turned t axis=1; ArgMax t c axis=1; Cast c y to=1",
    "Slice s two_below all_below a1 down t; ArgMax t c axis=1 keepdims=0; Cast c y to=1",
    "Transpose m t perm=0,2,3,1; Flatten t u; ArgMax u c axis=1; Cast c y to=1",
)


@pytest.mark.parametrize("lines", ENDINGS)
def test_classes_are_the_models(lines: str, tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, lines)
    assert ours.argmax() == (theirs[0] if theirs.size == 1 else theirs.argmax())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "Pad s around y",
            r"y \(Pad\): moves, cuts off or repeats values of the last map, 1 x 1 x 6",
        ),
        ("Pad s around t; Relu t y", r"t \(Pad\): moves, cuts"),
        ("Transpose m t perm=0,1,3,2; Flatten t y", r"t \(Transpose\): moves, cuts"),
        ("Slice m one three a2 y", r"y \(Slice\): moves, cuts off or repeats .*, 6 x 6 x 4"),
        ("Conv m g q group=2; Slice q one three a1 y", r"y \(Slice\): moves, cuts"),
        ("Flatten x t; Gather t turned u axis=1; Relu u y", r"u \(Gather\): moves, cuts"),
        ("Gather s turned y axis=0", r"y \(Gather\): "),
        (
            "Flatten m t; Softmax t y axis=1",
            r"y \(Softmax\): counts the classes of a map of 6 x 6 x 4",
        ),
        ("Flatten m t; ArgMax t y axis=1", r"y \(ArgMax, axis\): 1 does not count the scores"),
        ("ArgMax s t axis=1; Expand t copies y", r"y \(Expand\): repeats or cuts off the class"),
        ("ArgMax s t axis=1; ArgMax t y axis=1", r"y \(ArgMax\): follows a ArgMax"),
        ("Softmax s t axis=1; Cast t y to=7", r"y \(Cast, to\): int64 would round"),
    ],
)
def test_other_orders_are_refused_by_name(lines: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "small.onnx").write_bytes(chain(lines))
    with pytest.raises(golden.RefusedError, match=message):
        golden.import_onnx(tmp_path / "small.onnx", RAW)


@pytest.mark.parametrize("lines", ["Relu m y", "Flatten m y", "Slice m one three a1 y"])
def test_a_map_with_its_channels_first_is_noted_and_no_classifier(
    lines: str, tmp_path: Path
) -> None:
    imported = taken(tmp_path, chain(lines))
    (note,) = imported.notes
    assert note.startswith("output 'y': the network's scores are by row, column and channel, the")
    assert not imported.trained.network.has_classes
    ours, theirs = both(tmp_path, lines)
    by_channel = ours.reshape(36, -1).T.ravel()
    assert by_channel == pytest.approx(theirs.ravel(), rel=1e-4, abs=1e-3)


def test_another_order_or_size_of_the_output_is_seen_by_the_comparison(tmp_path: Path) -> None:
    imported = taken(tmp_path, chain("Flatten m y"))
    turned = replace(imported, walk=replace(imported.walk, channels_first=False))
    (difference,) = golden.compare_with_runtime(turned)
    assert not difference.is_rounding
    imported = taken(tmp_path, chain("Relu m r; Slice r one three a1 y"))
    larger = replace(imported, walk=replace(imported.walk, output_name="r"))
    (difference,) = golden.compare_with_runtime(larger)
    assert difference.difference == math.inf and not difference.is_rounding

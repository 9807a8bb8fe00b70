"""What a node leaves out is what ONNX's own schema of its operator set says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from systolith import golden
from systolith.golden.network import float_model
from systolith.golden.onnx.model.onnx_reading import OPSETS
from systolith.golden.onnx.translation.operator_table import OPERATORS
from tests.golden.onnx.small_models import constant, model, normal, spelled

SPREAD = golden.Preprocessing((1 / 64,), (2.0,))

CONSTANTS: dict[str, np.ndarray[Any, Any]] = {
    "k": normal(3, 1, 3, 3),
    "k4": normal(4, 1, 3, 3),
    "d": normal(30, 6),
    "square": normal(30, 30, seed=1),
    "units": normal(30, seed=2),
    "three": normal(3),
    "spread": constant([1e-5, 2e-5, 4e-5]),
    "first": constant([2, 0, 1], np.int64),
    "rest": constant([-1, 30], np.int64),
    "spatial": constant([2, 3], np.int64),
    "around": constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    "from": constant([0, 0], np.int64),
    "to": constant([3, 1], np.int64),
    "seven": constant([-7, 7], np.int64),
    "five": constant([4, 4], np.int64),
    "last": constant([3], np.int64),
}

_MAP = "Conv x k m; "
_SCORES = "Flatten x f; Gemm f d s; "
_POOL = "{} x y kernel_shape=3,2 strides=2,2 pads=1,1,1,0"
_WITH_ALPHA = _MAP + "{} m y"
_SUM = _MAP + "{} m three y axis=1"
_REDUCTION = (_MAP + "{} m y axes=2,3", _MAP + "{} m spatial y")

SHOWN: dict[str, str | tuple[str, str]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow"), _SUM),
    **dict.fromkeys(("MaxPool", "AveragePool"), _POOL),
    **dict.fromkeys(("Celu", "Elu", "Gelu", "HardSigmoid", "LeakyRelu", "Selu"), _WITH_ALPHA),
    **dict.fromkeys(("Swish", "ThresholdedRelu", "Dropout"), _WITH_ALPHA),
    **dict.fromkeys(("ReduceMax", "ReduceMean"), _REDUCTION),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _MAP + "GlobalAveragePool m a; {} a y"),
    "ArgMax": _SCORES + "{} s y axis=1",
    "BatchNormalization": _MAP + "{} m three three three spread y",
    "Cast": _MAP + "{} m y to=1",
    "Clip": _MAP + "{} m y min=0.0",
    "Conv": "{} x k y pads=1,0,2,1 strides=2,1 dilations=1,2 kernel_shape=3,3",
    "Flatten": "{} x f; Gemm f d y",
    "Gather": "{} k4 first w; Conv x w y",
    "Gemm": "Flatten x f; {} f square units y",
    "Pad": ("{} x p pads=0,0,1,1,0,0,1,1; Conv p k y", "{} x around p; Conv p k y"),
    "Reshape": "{} x rest f; Gemm f d y",
    "Transpose": "{} k w perm=3,2,1,0; Conv x w y",
    "Slice": ("{} k w starts=0,0 ends=3,1 axes=0,1; Conv x w y", "{} k from to w; Conv x w y"),
    # Of constants only.
    "Mod": "{} seven five i; Gather k4 i w axis=0; Conv x w y",
    "ReduceProd": ("{} k w axes=3,; Conv x w y", "{} k last w; Conv x w y"),
    "Shape": "{} k s; Expand k s w; Conv x w y",
}
"""Nodes that show the attributes of an operator, and those where axes became an input."""

UNSAID = {"strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0]}
"""The defaults of windows, which ONNX's documents have in words only."""


def schema(operator: str, opset: int) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(operator, opset)
    except onnx.defs.SchemaError:
        return None


def defaults(operator: str) -> Iterator[tuple[str, int, Any]]:
    """The attributes of an operator that have a default, the operator sets, and the default.

    Of each default the first and the last operator set.
    """
    found: dict[tuple[str, Any], list[int]] = {}
    for opset in OPSETS:
        known = schema(operator, opset)
        if known is None:
            continue
        for name, attribute in known.attributes.items():
            if attribute.default_value.name:
                value = helper.get_attribute_value(attribute.default_value)
            elif name in UNSAID and "strides" in known.attributes:
                value = UNSAID[name]
            else:
                continue
            key = (name, tuple(value) if isinstance(value, list) else value)
            found.setdefault(key, []).append(opset)
    for (name, value), opsets in found.items():
        for opset in sorted({opsets[0], opsets[-1]}):
            yield name, opset, value


def written(operator: str, opset: int, changes: dict[str, Any]) -> bytes:
    """The model that shows an operator, with these attributes or, where they are None, without."""
    known = schema(operator, opset)
    assert known is not None
    first = SHOWN[operator]
    lines = first if isinstance(first, str) else first[len(known.inputs) > 1]
    nodes = spelled(lines.format(operator))
    shown = nodes[[line[:2] for line in lines.split("; ")].index("{}")]
    own = [each for each in shown.attribute if each.name in {*known.attributes} - {*changes}]
    del shown.attribute[:]
    shown.attribute.extend(own)
    added = {name: each for name, each in changes.items() if each is not None}
    shown.attribute.extend(starmap(helper.make_attribute, added.items()))
    return model(nodes, CONSTANTS, (2, 1, 5, 6), opset=opset)


def outcome(folder: Path, content: bytes) -> tuple[str, list[Any], list[float]]:
    """The refusals, or the places of the output's values and the scores of an image."""
    path = folder / "small.onnx"
    path.write_bytes(content)
    try:
        imported = golden.import_onnx(path, SPREAD)
    except golden.RefusedError as error:
        return "; ".join(map(str, error.refusals)), [], []
    shape = imported.trained.network.input.image_shape
    images = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
    scores = float_model.scores(imported.trained, images).ravel()
    return "", imported.walk.last.order.tolist(), scores.tolist()


@pytest.mark.parametrize("operator", SHOWN)
def test_a_default_is_what_the_schema_says(operator: str, tmp_path: Path) -> None:
    for name, opset, value in defaults(operator):
        said = outcome(tmp_path, written(operator, opset, {name: value}))
        unsaid = outcome(tmp_path, written(operator, opset, {name: None}))
        assert unsaid[:2] == said[:2], (name, opset)
        assert unsaid[2] == pytest.approx(said[2], rel=1e-6), (name, opset)


def test_every_operator_with_defaults_is_shown() -> None:
    assert [name for name in OPERATORS if name not in SHOWN and [*defaults(name)]] == []


def test_every_attribute_that_onnx_has_is_known() -> None:
    for operator, taken in OPERATORS.items():
        for opset in OPSETS:
            known = schema(operator, opset)
            assert known is None or set(known.attributes) <= set(taken.attributes), operator

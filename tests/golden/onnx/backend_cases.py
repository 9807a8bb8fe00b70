"""ONNX's own tests of single operators, through the importer: passed, or refused and why.

`python -m tests.golden.onnx.backend_cases` writes the table of docs/import-operators.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from systolith import golden
from systolith.golden.network import float_model
from systolith.golden.onnx.translation.moving_operators import MOVERS
from systolith.golden.onnx.translation.operator_table import OPERATORS
from systolith.golden.onnx.translation.steps import Layout

DOCUMENT = Path(__file__).parents[3] / "docs" / "import-operators.md"

_ENDINGS = ("ArgMax", "LogSoftmax", "Softmax")

Values = NDArray[Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a test: `passed`, `refused` or `wrong`, and why."""

    operator: str
    name: str
    result: str
    reason: str = ""


def cases() -> Iterator[tuple[str, str, onnx.ModelProto, list[Any], Any]]:
    """Operator, name, model, inputs and first output of tests of operators that are taken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases()
    for case in sorted(found, key=lambda each: str(each.name)):
        model, data = case.model, case.data_sets
        nodes = model.graph.node if model is not None and data else []
        if len(nodes) == 1 and nodes[0].op_type in OPERATORS and not nodes[0].domain:
            assert model is not None and data
            inputs, outputs = data[0]
            yield nodes[0].op_type, case.name, model, list(inputs), outputs[0]


def outcome(
    operator: str, name: str, model: onnx.ModelProto, inputs: list[Any], expected: Any, file: Path
) -> Outcome:
    """Import a test's model, all its inputs but the first made constant, and compare."""
    x = inputs[0]
    if not isinstance(x, np.ndarray) or not isinstance(expected, np.ndarray):
        return Outcome(operator, name, "refused", "no tensor goes in or comes out")
    changed = _with_constants(model, inputs)
    if operator in _ENDINGS:
        # Nothing would be left of an operator that is left out.
        _insert_relu(changed, changed.graph.input[0].name, before=True)
        made = ReferenceEvaluator(changed).run(None, {changed.graph.input[0].name: x})
        assert isinstance(made, list)
        expected = np.asarray(made[0])
    elif operator in MOVERS:
        # A network cannot put out values in any order; a layer after them can take them so.
        expected = _insert_dense(changed, x, np.asarray(expected))
        x = x.reshape(1, -1)
    else:
        _insert_relu(changed, changed.graph.output[0].name, before=False)
        expected = np.maximum(expected, 0) if expected.dtype.kind == "f" else expected
    file.write_bytes(changed.SerializeToString())
    try:
        imported = golden.import_onnx(file, golden.Preprocessing(), changed.graph.output[0].name)
    except golden.RefusedError as error:
        return Outcome(operator, name, "refused", _reason(str(error.refusals[0])))
    except ValueError as error:
        return Outcome(operator, name, "refused", str(error).removeprefix(f"{file}: "))
    scores = _executed(imported, x)
    flat = expected.reshape(len(scores), -1)
    right: bool
    if operator in _ENDINGS:
        best = flat[:, 0] if operator == "ArgMax" else flat.argmax(axis=1)
        right = bool((scores.reshape(flat.shape[0], -1).argmax(axis=1) == best).all())
    else:
        if imported.walk.channels_first:
            scores = np.moveaxis(scores, -1, 1)
        values = scores.reshape(len(scores), -1)
        right = values.shape == flat.shape and np.allclose(values, flat, 1e-3, 1e-6)
    return Outcome(operator, name, "passed" if right else "wrong")


def _with_constants(model: onnx.ModelProto, inputs: list[Any]) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    # What an optional input that is left out stands for has no value.
    for info, value in list(zip(changed.graph.input, inputs, strict=True))[1:]:
        changed.graph.initializer.append(numpy_helper.from_array(np.asarray(value), info.name))
    del changed.graph.output[1:]
    return changed


def _insert_relu(model: onnx.ModelProto, tensor: str, before: bool) -> None:
    """Put a ReLU after the input or before the output, so that there is a layer."""
    node = model.graph.node[0]
    if before:
        model.graph.node.insert(0, helper.make_node("Relu", [tensor], ["rectified"], "relu"))
        model.graph.node[1].input[0] = "rectified"
        return
    node.output[0] = "after"
    model.graph.node.append(helper.make_node("Relu", ["after"], [tensor], "relu"))


def _insert_dense(model: onnx.ModelProto, x: Values, moved: Values) -> Values:
    """Make the operator move the values of one image, and put a dense layer after it.

    Returns what that layer makes of the operator's output.
    """
    graph = model.graph
    (given, (output,)) = graph.input[0], graph.output
    weights = np.random.default_rng(0).normal(size=(moved.size, 3)).astype(np.float32)
    constants = {"own": np.array(x.shape), "row": np.array([1, -1]), "weights": weights}
    graph.initializer.extend(numpy_helper.from_array(each, k) for k, each in constants.items())
    graph.node[0].output[0] = "moved"
    graph.node[0].input[0] = "image"
    graph.node.insert(0, helper.make_node("Reshape", [given.name, "own"], ["image"], "image"))
    graph.node.append(helper.make_node("Reshape", ["moved", "row"], ["values"], "values"))
    graph.node.append(helper.make_node("MatMul", ["values", "weights"], [output.name], "dense"))
    kind = given.type.tensor_type.elem_type
    given.CopyFrom(helper.make_tensor_value_info(given.name, kind, [1, x.size]))
    return np.asarray(moved.reshape(1, -1) @ weights) if moved.dtype.kind == "f" else moved


def _executed(imported: golden.ImportedNetwork, x: Values) -> Values:
    """The last layer's values for an input of any numbers."""
    layout = next(each for each in imported.walk.last.chain() if isinstance(each, Layout))
    network = imported.trained.network
    first = network.input
    images = x.reshape(-1, layout.shape.size)[:, layout.places.ravel()]
    values: Values = images.reshape(-1, *layout.shape) * first.scale + first.offset
    edge = first.background * first.scale + first.offset
    around = (first.border, first.border)
    values = np.pad(values, ((0, 0), around, around, (0, 0)), constant_values=edge)
    for layer in network.layers[1:]:
        values = float_model.apply(imported.trained, layer.name, values)
    return values


def _reason(text: str) -> str:
    """A refusal without the name of its node."""
    return text[text.index(" (") + 1 :]


def outcomes(folder: Path) -> list[Outcome]:
    """What became of all tests."""
    return [outcome(*case, folder / "case.onnx") for case in cases()]


def document(found: list[Outcome]) -> str:
    """The table, as Markdown."""
    from systolith.golden.reports.markdown import cell, table

    operators = sorted({each.operator for each in found})
    counts = [
        (
            operator,
            *(
                str(sum(each.operator == operator and each.result == result for each in found))
                for result in ("passed", "refused")
            ),
        )
        for operator in operators
    ]
    rows = [(each.operator, each.name, each.result, cell(each.reason)) for each in found]
    return (
        "# ONNX's own tests of operators\n\n"
        f"The tests of single operators of onnx {onnx.__version__} (`onnx.backend.test`) whose "
        "operator [is taken](import.md),\nthrough `golden.import_onnx`. A test's first input is "
        "the image, its other inputs are constants; a ReLU after the\noperator (before one that "
        "ends a classifier) makes a layer of it; an operator that only moves values moves\n"
        "those of one image, before a dense layer. The network's output is compared with the "
        "model's. Each passes, within the\ntolerances of that test suite, or is refused. "
        "`python -m tests.golden.onnx.backend_cases` writes this page.\n\n"
        + table(("operator", "passed", "refused"), counts, left=1)
        + "\n"
        + table(("operator", "test", "result", "reason"), rows, left=4)
    )


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        DOCUMENT.write_text(document(outcomes(Path(made))))

"""Chains in all spellings: what is imported gives the scores of ONNX Runtime, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from systolith import golden
from systolith.golden.network import float_model
from tests.golden.onnx.spelled_chains import (
    OPSETS,
    SpelledChain,
    save,
    spelled_chain,
    spellings,
)

TOLERANCE = 2e-5
SCALE = golden.Preprocessing((1 / 255,), (0.2,), (0.5,))


def runtime_scores(
    chain: SpelledChain, path: Path, images: NDArray[np.integer[Any]]
) -> NDArray[Any]:
    """What ONNX Runtime makes of images, `(batch, ...)`, without any help of the importer."""
    proto = onnx.load(path)
    # ONNX Runtime wants an output once.
    del proto.graph.output[:-1]
    # ONNX Runtime wants nodes in order, as ONNX does.
    known = {each.name for each in [*proto.graph.input, *proto.graph.initializer]}
    waiting = list(proto.graph.node)
    del proto.graph.node[:]
    while waiting:
        ready = next(node for node in waiting if known.issuperset(node.input))
        waiting.remove(ready)
        known.update(ready.output)
        proto.graph.node.append(ready)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = ((images / 255 - 0.2) / 0.5).astype(np.float32)
    batch = chain.batch or 1
    parts = [
        session.run(
            [proto.graph.output[0].name],
            {"x": chain.fed(np.resize(values[at : at + batch], (batch, *values.shape[1:])))},
        )[0]
        for at in range(0, len(images), batch)
    ]
    return np.concatenate(parts)[: len(images)]


def assert_equal(seed: int, folder: Path, opset: int | None = None) -> None:
    chain = spelled_chain(seed, opset)
    path = save(chain, folder, external=seed % 5 == 0)
    imported = golden.import_onnx(path, SCALE, chain.output)
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (6, *imported.trained.network.input.image_shape), dtype=np.uint8)
    theirs = runtime_scores(chain, path, images.reshape(6, *chain.image))
    values = float_model.run(imported.trained, images)[imported.trained.network.output.name]
    ours = values.reshape(6, -1)
    if chain.ending == "ArgMax":
        assert (ours.argmax(axis=1) == theirs.reshape(6)).all()
    else:
        if theirs.ndim == 4:
            theirs = theirs.transpose(0, 2, 3, 1)
        if chain.ending != "none":
            ours = ours - ours.max(axis=1, keepdims=True)
            ours = ours - np.log(np.exp(ours).sum(axis=1, keepdims=True))
        if chain.ending == "Softmax":
            ours = np.exp(ours)
        theirs = theirs.reshape(6, -1)
        assert np.abs(ours - theirs).max() <= TOLERANCE * max(1, np.abs(theirs).max())
    differences = golden.compare_with_runtime(imported)
    assert len(differences) >= 1
    assert max(each.relative for each in differences) <= TOLERANCE
    taken = {name for origin in imported.origins for name, _ in origin.nodes}
    assert len({origin.layer for origin in imported.origins}) == len(imported.origins)
    assert taken


SEEDS = range(25, 49)
"""The chains of `make test`."""

FUSED = 99
"""A chain with a tensor that ONNX Runtime's own optimizer would no longer make."""

WANTED = (
    "Constant",
    "Transpose without perm",
    "Transpose perm",
    "Shape, Gather",
    "Gather, Unsqueeze",
    "Unsqueeze, Concat",
    "Concat, Reshape",
    "Flatten",
    "Reshape",
    "Transpose, Reshape",
    "Squeeze",
    "Identity",
    "Dropout",
    "Dropout of 2 outputs",
    "Pad, Conv",
    "MatMul, Add",
    "Gemm alpha",
    "Gemm beta",
    "Gemm transA",
    "Gemm transB",
    "Gemm of 2 inputs",
    "Gemm of 3 inputs",
    "BatchNormalization",
    "Mul",
    "Add",
    "Div",
    "Sub",
    "MaxPool, Relu",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "ReduceMean",
    "Tanh",
    "Sigmoid",
    "Softmax",
    "LogSoftmax",
    "Softmax, Log",
    "ArgMax",
    "Conv without kernel_shape",
    "Conv kernel_shape",
    "Conv auto_pad SAME_UPPER",
    "Conv auto_pad SAME_LOWER",
    "Conv auto_pad VALID",
    "Conv pads",
    "Conv dilations",
    "Conv group",
    "Conv of 2 inputs",
    "Conv of 3 inputs",
    "NCHW input",
    "NHWC input",
    "NHW input",
    "flat input",
    "batch of None",
    "batch of 1",
    "batch of 3",
    "batch of 20",
    "2 outputs, 2 names",
    "2 outputs, 1 names",
    "initializers among the inputs",
    "nodes out of order",
    "nodes without names",
)
"""The spellings that these chains must have between them."""


def test_every_spelling_occurs() -> None:
    found = set().union(*(spellings(spelled_chain(seed)) for seed in SEEDS))
    assert not set(WANTED) - found


@pytest.mark.parametrize("seed", [*SEEDS, FUSED])
def test_random_chains(seed: int, tmp_path: Path) -> None:
    assert_equal(seed, tmp_path)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_set(opset: int, tmp_path: Path) -> None:
    assert_equal(1000 + opset, tmp_path, opset)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS.stop, SEEDS.stop + 200))
def test_two_hundred_random_chains(seed: int, tmp_path: Path) -> None:
    assert_equal(seed, tmp_path)

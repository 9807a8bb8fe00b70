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
from tests.golden.onnx.spelled_chains import OPSETS, SpelledChain, save, spelled_chain

TOLERANCE = 2e-5
SCALE = golden.Preprocessing((1 / 255,), (0.2,), (0.5,))


def runtime_scores(
    chain: SpelledChain, path: Path, images: NDArray[np.integer[Any]]
) -> NDArray[Any]:
    """What ONNX Runtime makes of images, `(batch, ...)`, without any help of the importer."""
    proto = onnx.load(path)
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
        session.run(None, {"x": chain.fed(values[at : at + batch])})[0]
        for at in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


def assert_equal(seed: int, folder: Path, opset: int | None = None) -> None:
    chain = spelled_chain(seed, opset)
    path = save(chain, folder, external=seed % 5 == 0)
    imported = golden.import_onnx(path, SCALE)
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


@pytest.mark.parametrize("seed", range(40))
def test_random_chains(seed: int, tmp_path: Path) -> None:
    assert_equal(seed, tmp_path)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_set(opset: int, tmp_path: Path) -> None:
    assert_equal(1000 + opset, tmp_path, opset)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40, 240))
def test_two_hundred_random_chains(seed: int, tmp_path: Path) -> None:
    assert_equal(seed, tmp_path)

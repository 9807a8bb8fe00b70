"""A quantized network in all engines that compute it: the same integers in every layer."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import typer
from numpy.typing import NDArray

from systolith import golden
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedNetwork
from systolith.golden.onnx.export import IMAGES, SCORES, output_name
from systolith.scripts.main import Status

_IMAGES = 9


def compare_integers(arguments: Sequence[str]) -> int:
    """Compare the engines on the network in a file; the status says whether they agree.

    `CHECK_FAILED` if they do not, with a line about the first layer that differs; `BAD_INPUT` if
    the file is refused.
    """
    (path,) = arguments
    try:
        quantized = golden.QuantizedNetwork.load(path)
    except ValueError as error:
        typer.echo(f"systolith: {str(error)!a}", err=True)
        return Status.BAD_INPUT
    images = _images(quantized.fixed)
    integers = FixedModel(quantized.fixed, "int64").run(images).outputs
    found = {"BLAS": FixedModel(quantized.fixed).run(images).outputs}
    scores = {"BLAS": FixedModel(quantized.fixed).scores(images)}
    if importlib.util.find_spec("onnxruntime") is not None:
        found["ONNX Runtime"], scores["ONNX Runtime"] = _onnx_runtime(quantized, images)
    last = quantized.fixed.layers[-1].name
    expected = integers[last].reshape(len(images), -1)
    for engine, outputs in found.items():
        for layer, values in outputs.items():
            if not np.array_equal(values, integers[layer]):
                return _differ(f"layer {layer!r} in {engine}")
        if not np.array_equal(scores[engine], expected):
            return _differ(f"scores in {engine}")
    return Status.DONE


def _images(fixed: FixedNetwork) -> NDArray[np.uint8]:
    """Random ones, and the darkest and the brightest."""
    shape = (_IMAGES, *fixed.network.input.image_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    images[0], images[1] = 0, 255
    return images


def _onnx_runtime(
    quantized: golden.QuantizedNetwork, images: NDArray[np.uint8]
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(golden.export_onnx(quantized), options)
    names = [layer.name for layer in quantized.fixed.layers]
    scores, *maps = session.run(
        [SCORES, *map(output_name, names)], {IMAGES: images.transpose(0, 3, 1, 2)}
    )
    by_layer = zip(names, maps, strict=True)
    return {name: values.transpose(0, 2, 3, 1) for name, values in by_layer}, scores


def _differ(what: str) -> int:
    typer.echo(f"systolith: {what}: other integers than in 64 bits", err=True)
    return Status.CHECK_FAILED

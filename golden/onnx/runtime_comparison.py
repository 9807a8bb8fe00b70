"""Compares an imported network with ONNX Runtime, which executes the original model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.network import float_model
from systolith.golden.network.graph import Activation
from systolith.golden.onnx.import_model import ImportedNetwork, Origin
from systolith.golden.onnx.model.plain_text import shown
from systolith.golden.onnx.translation.steps import Layout
from systolith.golden.qformat import RawImages

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-4
"""The largest allowed difference relative to a layer's largest value, before its activation and
after it: float32 rounding."""

_IMAGES = 2
_GIVEN_IMAGES = 8
_SEED = 0

_MOST_VALUES = 2**28
"""The most values of all layers over the images of a batch that the file fixes."""


@dataclass(frozen=True)
class LayerDifference:
    """A layer compared with the tensor that it equals.

    Parameters
    ----------
    layer
        Its name.
    largest_value
        The largest magnitude in the tensor.
    difference
        The largest difference from it.
    is_rounding
        Whether rounding explains every difference: that of the values, and that of the sums, as
        the activation passes it on.
    """

    layer: str
    largest_value: float
    difference: float
    is_rounding: bool

    @property
    def relative(self) -> float:
        """The difference as a part of the largest value."""
        return self.difference / self.largest_value if self.largest_value else self.difference


class RuntimeRefusedError(RuntimeError):
    """ONNX Runtime does not execute the model."""


def compare_with_runtime(
    imported: ImportedNetwork, images: RawImages | None = None
) -> tuple[LayerDifference, ...]:
    """The differences of all layers that equal a tensor.

    Parameters
    ----------
    imported
        The network and its model.
    images
        Images as the network takes them, the first of which are compared; by default random ones.

    Raises
    ------
    ModuleNotFoundError
        The package `onnxruntime` is not installed.
    RuntimeRefusedError
        ONNX Runtime refuses the model.
    ValueError
        A layer has values that are not finite.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        return _compared(imported, images)
    except (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NotImplemented,
        state.RuntimeException,
    ) as error:
        raise RuntimeRefusedError(" ".join(str(error).split())[:200]) from None


def _compared(imported: ImportedNetwork, images: RawImages | None) -> tuple[LayerDifference, ...]:
    import onnxruntime

    compared = [origin for origin in imported.origins if origin.equals is not None]
    names = sorted({origin.equals.tensor for origin in compared if origin.equals is not None})
    names = [name for name in names if name != imported.walk.input_name]
    end = _end(imported)
    if end not in names:
        names.append(end)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Fused nodes do not make the tensors between them, which are compared.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        _model(imported, names), options, providers=["CPUExecutionProvider"]
    )
    source = list(imported.walk.last.chain())[-1]
    followed = source.order.shape[0]
    batch = imported.walk.input_type.dims[0] or followed
    values_an_image = sum(each.shape.size for each in imported.walk.last.chain())
    if batch * values_an_image > _MOST_VALUES:
        raise RuntimeRefusedError(f"a batch of {batch:,} images takes too much memory")
    if images is None:
        shape = (-(-_IMAGES // followed) * followed, *imported.trained.network.input.image_shape)
        fmt = imported.preprocessing.format
        rng = np.random.default_rng(_SEED)
        images = rng.integers(fmt.min_raw, fmt.max_raw, shape, fmt.raw_type, endpoint=True)
    largest: dict[str, LayerDifference] = {}
    for start in range(0, min(len(images), max(_GIVEN_IMAGES, followed)), followed):
        part = images[start : start + followed]
        part = np.resize(part, (followed, *part.shape[1:]))
        values = _fed(imported, part)
        values = np.resize(values, (batch, *values.shape[1:]))
        feed = {imported.walk.input_name: values}
        found = {**feed, **dict(zip(names, session.run(names, feed), strict=True))}
        scores = found[end].ravel()[: found[end].size // batch * followed]
        for each in _differences(imported, compared, part, found, scores):
            largest[each.layer] = _joined(largest.get(each.layer, each), each)
    return tuple(largest.values())


def _joined(one: LayerDifference, other: LayerDifference) -> LayerDifference:
    """The difference of a layer over the images of two."""
    return LayerDifference(
        one.layer,
        max(one.largest_value, other.largest_value),
        max(one.difference, other.difference),
        one.is_rounding and other.is_rounding,
    )


def _fed(imported: ImportedNetwork, images: RawImages) -> NDArray[Any]:
    """The model's input for raw images."""
    steps = list(imported.walk.last.chain())
    layout = next(each for each in steps if isinstance(each, Layout))
    dtype = np.dtype(imported.walk.input_type.dtype)
    values = imported.preprocessing.apply(images).astype(dtype)
    flat = np.empty((len(images), layout.shape.size), dtype)
    flat[:, layout.places.ravel()] = values.reshape(len(images), -1)
    return flat.reshape(steps[-1].order.shape)


def _differences(
    imported: ImportedNetwork,
    compared: list[Origin],
    images: RawImages,
    found: Mapping[str, NDArray[Any]],
    scores: NDArray[Any],
) -> list[LayerDifference]:
    """The difference of each layer on some images; of the last one, of the scores, too."""
    by_name = {origin.layer: origin for origin in compared}
    last = imported.origins[-1]
    result = []
    for name, before, after in float_model.intermediates(imported.trained, images):
        origin = by_name.get(name)
        if origin is not None and origin.equals is not None:
            order, theirs = origin.equals.order, found[origin.equals.tensor]
            known = order >= 0
            # The first images of a batch are those that were followed.
            expected = theirs.ravel()[: order.size].reshape(order.shape)[known]
            places = order[known]
            if places.max() < before.size:
                sums = before.ravel()[places]
                ours = sums if origin.before_activation else after.ravel()[places]
                result.append(_difference(imported, origin, ours, expected, sums))
        if name == last.layer:
            if imported.walk.channels_first:
                before, after = (np.moveaxis(each, -1, 1) for each in (before, after))
            result.append(_difference(imported, last, after.ravel(), scores, before.ravel()))
    return result


def _difference(
    imported: ImportedNetwork,
    origin: Origin,
    ours: NDArray[Any],
    theirs: NDArray[Any],
    sums: NDArray[Any],
) -> LayerDifference:
    """The difference of a layer's values from a tensor's, in the same order.

    `sums` are the values before the activation; they may be `ours`.
    """
    theirs = theirs.astype(np.float64)
    if not (np.isfinite(theirs).all() and np.isfinite(ours).all()):
        operators = " ".join(operator for _, operator in origin.nodes)
        raise ValueError(
            f"{imported.graph.source}: layer {origin.layer!r} ({shown(operators)}): its values "
            "are not finite"
        )
    largest = float(np.abs(theirs).max())
    if ours.shape != theirs.shape:
        return LayerDifference(origin.layer, largest, math.inf, False)
    difference = np.abs(ours - theirs)
    explained = np.full(difference.shape, TOLERANCE * largest)
    if ours is not sums:
        explained += _passed_on(imported.trained.network[origin.layer].activation, sums)
    return LayerDifference(
        origin.layer, largest, float(difference.max()), bool((difference <= explained).all())
    )


def _passed_on(activation: Activation, sums: NDArray[Any]) -> NDArray[np.float64]:
    """What rounding may change in each value after an activation.

    It is that of the sums and, where a function is no clamp, that of the function itself, whose
    small values ONNX Runtime computes no better than those near its amplitude.
    """
    sums = sums.astype(np.float64)
    rounding = TOLERANCE * np.abs(sums).max()
    with np.errstate(over="ignore"):
        change: NDArray[np.float64] = activation(sums + rounding) - activation(sums - rounding)
    own = np.finfo(np.float32).eps * activation.amplitude if activation.is_table else 0.0
    return np.abs(change) + own


def _end(imported: ImportedNetwork) -> str:
    """The tensor of the model's scores: what an ArgMax reads, or the output."""
    for node in imported.walk.last.endings():
        if node.operator == "ArgMax":
            return node.inputs[0]
    return imported.walk.output_name


def _without_endings(imported: ImportedNetwork) -> list[onnx.NodeProto]:
    """The model's nodes; those that the network leaves out pass on what they read."""
    from onnx import helper

    left_out = {node for node in imported.walk.last.endings() if node.operator != "ArgMax"}
    return [
        helper.make_node("Identity", node.inputs[:1], node.outputs)
        if node in left_out
        else node.proto
        for node in imported.walk.nodes
    ]


def _model(imported: ImportedNetwork, outputs: list[str]) -> bytes:
    """The part of the model that the network came from, all its weights inside."""
    import onnx
    from onnx import helper, numpy_helper

    walk, proto = imported.walk, imported.graph.proto
    read = {name for node in walk.nodes for name in node.inputs}
    graph: onnx.GraphProto = helper.make_graph(
        _without_endings(imported),
        "imported",
        [each for each in proto.graph.input if each.name == walk.input_name],
        [onnx.ValueInfoProto(name=name) for name in outputs],
    )
    model = helper.make_model(
        graph, opset_imports=proto.opset_import, ir_version=min(proto.ir_version, 13)
    )
    # Only now, because a model copies its graph.
    for name, values in imported.graph.constants.items():
        if name in read:
            model.graph.initializer.append(numpy_helper.from_array(values, name))
    content: bytes = model.SerializeToString()
    return content

"""Translates graph nodes into a chain of steps and collects all unsupported nodes."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from systolith.golden.errors import FileFormatError
from systolith.golden.network.graph import Shape
from systolith.golden.onnx.model.onnx_graph import Node, OnnxGraph, TensorType, Values
from systolith.golden.onnx.model.plain_text import shown
from systolith.golden.onnx.refusals import Refusal, RefusedError
from systolith.golden.onnx.translation.call import (
    MAX_VALUES,
    AbandonedError,
    Call,
    Signal,
)
from systolith.golden.onnx.translation.constant_folding import (
    FOLDED,
    computed,
    multiplications,
)
from systolith.golden.onnx.translation.layouts import (
    has_layout,
    output_layout,
    placed,
    usual_layout,
)
from systolith.golden.onnx.translation.moving_operators import MOVERS, moved
from systolith.golden.onnx.translation.operator_table import (
    AFTER_THE_END,
    CONTROL_FLOW,
    COUNTS_IMAGES,
    IDLE_OUTPUTS,
    OPERATORS,
    SAME_SHAPE,
    why_not,
)
from systolith.golden.onnx.translation.output_order import Output, as_output
from systolith.golden.onnx.translation.steps import Ending, Products, Scaling, Source, Step

MAX_WORK = 2**25
"""The most values that all nodes together make."""

MAX_PRODUCTS = 2**29
"""The most multiplications for products of constant matrices, over all nodes."""

MOST_IMAGES = 256
"""Of a larger batch, two images are followed: they stand for all."""

MAX_REFUSALS = 1_000
"""The walk stops after this many refusals."""

_INPUT_TYPES = ("float32", "float64", "uint8")


class _Unknown:
    """The output of a refused node."""


_Value = Signal | Values | _Unknown | None


@dataclass(frozen=True, eq=False)
class Walk:
    """A graph whose nodes are all supported.

    Parameters
    ----------
    nodes
        The nodes that the output needs, each after those that feed it.
    input_name, input_type
        The input, and its type and sizes; the batch is the first.
    output_name
        The tensor that is the output.
    last
        The last step of the chain; one of those before it is a layout. Its map holds the values
        of the output, before the operators that end a classifier.
    channels_first
        Whether the output has all pixels of a channel before those of the next; otherwise it is
        in the order of the stream.
    notes
        Remarks about nodes that were translated.
    """

    nodes: tuple[Node, ...]
    input_name: str
    input_type: TensorType
    output_name: str
    last: Step
    channels_first: bool
    notes: tuple[str, ...]


def walk(graph: OnnxGraph, output: str, image: Shape | None = None) -> Walk:
    """Follow the nodes that an output needs.

    `image` is what the input is declared to be, if it is a row of values.

    Raises
    ------
    RefusedError
        Nodes cannot be imported; its `refusals` has all of them.
    FileFormatError
        The graph has no single input of a fixed size, or a cycle.
    ValueError
        The input is no row of as many values as the image has.
    """
    nodes = graph.nodes_for(output)
    name, kind = _input(graph, nodes)
    if image is not None and (len(kind.dims) != 2 or kind.dims[1] != image.size):
        sizes = " x ".join(str(size) for size in kind.dims[1:])
        raise ValueError(
            f"{graph.source}: its input, {sizes}, is no row of {image.size} values, which an image "
            f"of {image} has"
        )
    walker = _Walker(graph, name, kind, image)
    walker.notes += [
        f"input {shown(each)!r}: is read by none of the nodes, and left out"
        for each in graph.inputs
        if each != name
    ]
    read = {output, *(each for node in nodes for each in node.inputs)}
    for node in nodes:
        walker.follow(node, read)
        if walker.work > MAX_WORK:
            raise FileFormatError(f"{graph.source}: its nodes make more than {MAX_WORK:,} values")
        if len(walker.refusals) >= MAX_REFUSALS:
            break
    if walker.refusals:
        raise RefusedError(graph.source, walker.refusals, len(nodes))
    end = walker.values.get(output)
    if not isinstance(end, Signal):
        raise FileFormatError(f"{graph.source}: output {shown(output)!r} depends on no input")
    if not has_layout(end.step):
        end = _laid_out(walker, end)
    found = _output(walker, nodes, end)
    if found.channels_first:
        walker.notes.append(
            f"output {shown(output)!r}: the network's scores are by row, column and channel, the "
            f"model's by channel, row and column"
        )
    return Walk(
        tuple(nodes), name, kind, output, found.step, found.channels_first, tuple(walker.notes)
    )


def _rejected(
    walker: _Walker, nodes: Sequence[Node], node: Node, reason: str, remedy: str = ""
) -> RefusedError:
    """The refusal of a model whose nodes are all supported, for a node at its end."""
    refusal = Refusal(node.name, node.operator, "", reason, remedy)
    return RefusedError(walker.graph.source, [refusal], len(nodes))


def _laid_out(walker: _Walker, end: Signal) -> Signal:
    """An output of nodes none of which says what the axes of the image are."""
    layouts = usual_layout(end.step), output_layout(end)
    usual, *others = (
        Signal(placed(end.order, each, walker.images), each) for each in layouts if each is not None
    )
    fits = (each for each in (usual, *others) if as_output(each, walker.images) is not None)
    return next(fits, usual)


def _output(walker: _Walker, nodes: Sequence[Node], end: Signal) -> Output:
    """The chain whose last map the output holds; refused if no layer can put it out so."""
    endings = end.step.endings()
    if any(node.operator == "ArgMax" for node in endings):
        first = end.step.shape.size * np.arange(walker.images)
        if not np.array_equal(end.order.ravel(), first):
            raise _rejected(walker, nodes, nodes[-1], "repeats or cuts off the class before it")
        return Output(end.step, channels_first=False)
    found = as_output(end, walker.images)
    if found is None:
        raise _rejected(
            walker,
            nodes,
            _moving(walker, nodes),
            f"moves, cuts off or repeats values of the last map, {end.step.shape}, and no layer "
            f"after it puts them in their places",
            "leave it out, or end with a dense layer",
        )
    if found.channels_first and endings:
        raise _rejected(
            walker,
            nodes,
            endings[-1],
            f"counts the classes of a map of {found.step.shape} channel by channel, hardware by "
            f"row, column and channel",
            "leave it out, or end with a dense layer or a pooling of the whole map",
        )
    return found


def _moving(walker: _Walker, nodes: Sequence[Node]) -> Node:
    """The first node after which no layer holds the values as they are."""
    moving, order = nodes[-1], None
    for node in reversed(nodes):
        value = walker.values[node.outputs[0]]
        if isinstance(value, Signal):
            # Nodes that move nothing share the order of what they read.
            if value.order is not order and as_output(value, walker.images) is not None:
                break
            moving, order = node, value.order
    return moving


def _input(graph: OnnxGraph, nodes: Sequence[Node]) -> tuple[str, TensorType]:
    """The one input that the nodes read; its type and size are checked."""
    read = {name for node in nodes for name in node.inputs}
    used = [name for name in graph.inputs if name in read]
    # What a branch or the body of a loop reads is no input of its node.
    flow = [node for node in nodes if not node.domain and node.operator in CONTROL_FLOW]
    if not used and flow:
        refusals = [
            Refusal(each.name, each.operator, "", *why_not(each.operator, "")) for each in flow
        ]
        raise RefusedError(graph.source, refusals, len(nodes))
    if len(used) != 1:
        raise FileFormatError(
            f"{graph.source}: needs one input, the image, not {len(used)}: "
            f"{', '.join(map(shown, used[:20])) or 'none is read'}"
        )
    name = used[0]
    kind = graph.inputs[name]
    where = f"{graph.source}: input {shown(name)!r}"
    if kind.dtype not in _INPUT_TYPES:
        raise FileFormatError(f"{where}: its type is {kind.dtype}, not {', '.join(_INPUT_TYPES)}")
    sizes = " x ".join("?" if size is None else str(size) for size in kind.dims)
    if 0 in kind.dims[1:]:
        raise FileFormatError(f"{where}: sizes must be at least 1, not {sizes}")
    if len(kind.dims) < 2 or None in kind.dims[1:]:
        remedy = "; onnx.tools.update_model_dims fixes them" if len(kind.dims) > 1 else ""
        raise FileFormatError(
            f"{where}: must have a batch and then fixed sizes, not {sizes or 'none'}{remedy}"
        )
    if int(np.prod([float(size) for size in kind.dims[1:] if size])) > MAX_VALUES:
        raise FileFormatError(f"{where}: {sizes} are more than the {MAX_VALUES:,} values allowed")
    return name, kind


class _Walker:
    """The state of the walk: what is known about each tensor."""

    def __init__(self, graph: OnnxGraph, name: str, kind: TensorType, image: Shape | None) -> None:
        dims = tuple(size or 1 for size in kind.dims)
        batch = dims[0]
        if batch > MOST_IMAGES:
            dims = (2, *dims[1:])
        order = np.arange(int(np.prod(dims))).reshape(dims)
        shape = Shape(1, 1, order[0].size)
        source = Source(source=None, shape=shape, node=None, tensor=name, order=order, image=image)
        self.graph = graph
        self.images, self.batch = dims[0], batch
        self.refusals: list[Refusal] = []
        self.notes: list[str] = []
        self.values: dict[str, _Value] = {**graph.constants, name: Signal(order, source), "": None}
        self.work = 0
        self.products = 0
        self.weights = 0
        self.stored_weights = sum(each.nbytes for each in graph.constants.values()) // 4

    def follow(self, node: Node, read: Set[str]) -> None:
        """Translate a node, or refuse it; `read` are the tensors that are used."""
        inputs = [self.values[name] for name in node.inputs]
        known = [each for each in inputs if not isinstance(each, _Unknown)]
        opset, images, batch = self.graph.opset, self.images, self.batch
        used = node
        if node.operator in IDLE_OUTPUTS:
            more = tuple(name if name in read else "" for name in node.outputs[1:])
            used = replace(node, outputs=node.outputs[:1] + more)
        weights = self.weights, self.stored_weights
        call = Call(used, known, opset, images, batch, *weights, self.refusals, self.notes)
        made: _Value = _Unknown()
        try:
            if not self._is_taken(call):
                made = self._beyond(call)
            elif len(known) == len(inputs):
                made = self._made(call)
        except AbandonedError:
            pass
        # NumPy's errors for shapes and axes that do not fit.
        except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError) as error:
            call.refuse("", f"does not fit its inputs ({str(error)[:100]})")
        for name in node.outputs:
            self.values[name] = _Unknown()
        if node.outputs:
            self.values[node.outputs[0]] = made
        self.values[""] = None

    def _is_taken(self, call: Call) -> bool:
        """Whether a node's operator is supported; if not, or if an attribute is not, refuse it."""
        node = call.node
        signals = [each for each in call.inputs if isinstance(each, Signal)]
        if signals and self.batch != self.images and node.operator in COUNTS_IMAGES:
            call.refuse(
                "",
                f"may tell the {self.batch:,} images of a batch apart",
                "export with an open batch, or one of 1",
            )
            return False
        own = not node.domain and len(node.outputs) > 0
        if own and not signals and (node.operator in FOLDED or node.operator in MOVERS):
            return True
        if own and node.operator in ("Shape", "Size"):
            return True
        if not own or node.operator not in OPERATORS:
            call.refuse("", *why_not(node.operator, node.domain))
            return False
        for name in node.attributes:
            if name not in OPERATORS[node.operator].attributes:
                call.refuse(shown(name), "is not known of this operator")
        ended = [each for each in signals if isinstance(each.step, Ending)]
        classified = any(
            node.operator == "ArgMax" for each in ended for node in each.step.endings()
        )
        if ended and node.operator not in (MOVERS if classified else AFTER_THE_END):
            before = ended[0].step.node
            call.refuse(
                "", f"follows a {before.operator if before else ''}, which is taken at the end only"
            )
        return True

    def _made(self, call: Call) -> Signal | Values:
        node = call.node
        signals = [each for each in call.inputs if isinstance(each, Signal)]
        result: Signal | Values
        if node.operator in ("Shape", "Size"):
            result = _sizes(call)
        elif signals:
            result = OPERATORS[node.operator].take(call)
        elif node.operator not in MOVERS and node.operator not in FOLDED:
            call.abandon("", "depends on no image, and is not computed of constants")
        elif node.operator in MOVERS:
            result = moved(call)
        else:
            self.products += multiplications(call)
            if self.products > MAX_PRODUCTS:
                call.abandon("", f"its constants need more than {MAX_PRODUCTS:,} multiplications")
            result = computed(call)
        if isinstance(result, Signal) and all(each.step is not result.step for each in signals):
            step = result.step
            self.weights += step.weights.size if isinstance(step, Products) else 0
        if not isinstance(result, Signal):
            self.work += result.size
        elif isinstance(result.step, Scaling):
            self.work += 2 * result.order.size
        elif all(each.order is not result.order for each in signals):
            self.work += result.order.size
        return result

    def _beyond(self, call: Call) -> _Value:
        """If a refused operator preserves the shape, continue, to report later problems too."""
        first = call.inputs[0] if call.inputs else None
        return first if call.node.operator in SAME_SHAPE and first is not None else _Unknown()


def _sizes(call: Call) -> Values:
    """The result of `Shape` or `Size`."""
    value = call.inputs[0]
    if value is None:
        call.abandon("input 1", "is missing")
    shape = (value.order if isinstance(value, Signal) else value).shape
    if call.node.operator == "Size":
        return np.array(int(np.prod(shape)), np.int64)
    start, end = call.integer("start", 0), call.integer("end", len(shape))
    return np.array(shape, np.int64)[start:end]

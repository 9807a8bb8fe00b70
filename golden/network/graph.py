"""The network as data: one frozen dataclass a layer type, and the graph that joins them.

Shapes are `(height, width, channels)`. Every layer counts its own trainable parameters,
connections and multiply-accumulates, in the sense of LeCun, Bottou, Bengio and Haffner,
"Gradient-Based Learning Applied to Document Recognition", 1998, section II.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from systolith.golden.network.activation_formulas import Reals
from systolith.golden.network.activations import (
    ActivationFunction,
    FixedForm,
    activation_function,
)
from systolith.golden.network.windows import NO_PADDING, Padding, Windows
from systolith.golden.qformat import PIXELS, QFormat

Entry = TypeVar("Entry")


class GraphError(ValueError):
    """An invalid layer or graph: names the layer, what was given and what is allowed."""


class Shape(NamedTuple):
    """The shape of a feature map."""

    height: int
    width: int
    channels: int

    @property
    def size(self) -> int:
        """Values in the feature map."""
        return self.height * self.width * self.channels

    def __str__(self) -> str:
        return f"{self.height} x {self.width} x {self.channels}"


LEFT_OUT_BY_DEFAULT: Mapping[str, bool] = MappingProxyType({"left_out": True})
"""The metadata of a field that files leave out where it has its default.

A graph that does not use it is the same text, with the same hash, as before the field existed.
"""


def _optional(default: Any) -> Any:
    return field(default=default, metadata=LEFT_OUT_BY_DEFAULT)


@dataclass(frozen=True)
class Activation:
    """A layer's activation `amplitude * f(slope * a)`; `f` is the function named `kind`.

    Only functions that fixed-point arithmetic takes from a table have an amplitude and a slope.
    Some functions have parameters: see `activations.FAMILIES`.
    """

    kind: str = "none"
    amplitude: float = 1.0
    slope: float = 1.0
    parameters: tuple[float, ...] = _optional(())

    def __post_init__(self) -> None:
        try:
            activation_function(self.kind, self.parameters)
        except ValueError as error:
            raise GraphError(str(error)) from None
        for name in ("amplitude", "slope"):
            if not 0 < getattr(self, name) < float("inf"):
                raise GraphError(
                    f"activation {self.kind!r}: {name} must be a positive number, "
                    f"not {getattr(self, name)}"
                )
        if not self.is_table and (self.amplitude, self.slope) != (1.0, 1.0):
            raise GraphError(f"activation {self.kind!r}: takes neither amplitude nor slope")

    def __call__(self, a: Reals) -> Reals:
        """The activation of each value, in the type of the values."""
        if not self.is_table:
            return self.function.function(a)
        amplitude, slope = a.dtype.type(self.amplitude), a.dtype.type(self.slope)
        scaled: Reals = amplitude * self.function.function(slope * a)
        return scaled

    @property
    def function(self) -> ActivationFunction:
        """The function `f`."""
        return activation_function(self.kind, self.parameters)

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return self.function.fixed_form is FixedForm.IDENTITY

    @property
    def is_table(self) -> bool:
        """Whether fixed-point arithmetic needs a table for it."""
        return self.function.fixed_form is FixedForm.TABLE

    def entry(self, table: Mapping[FixedForm, Entry], what: str) -> Entry:
        """The entry for this activation in a table that has one for each fixed form it knows.

        Every place that computes activations in fixed point looks the form up here, so that none
        goes on with a form that it does not know.

        Raises
        ------
        GraphError
            There is none; `what` says what is missing.
        """
        form = self.function.fixed_form
        if form not in table:
            raise GraphError(
                f"activation {self.kind!r}: its fixed form, {form.name}, has no {what}: "
                f"allowed are {', '.join(each.name for each in table)}"
            )
        return table[form]


NO_ACTIVATION = Activation()

MAY_BE_NEGATIVE: Mapping[str, bool] = MappingProxyType({"negative": True})
"""Marks a field of a layer whose whole numbers may be negative, for `graph_json`."""


@dataclass(frozen=True, kw_only=True)
class Layer(ABC):
    """What every layer has: a name, the names of the layers that feed it, an activation."""

    type_name: ClassVar[str]
    winner: ClassVar[Literal["largest", "smallest"]] = "largest"

    name: str
    inputs: tuple[str, ...]
    activation: Activation = NO_ACTIVATION

    @property
    def pads(self) -> Padding:
        """Rows and columns that the layer adds around its input."""
        return NO_PADDING

    @property
    def form(self) -> str:
        """What the layer's windows look like, as `3 x 3 / 2, pad 0 1 1 0, 8 groups`."""
        return ""

    def __new__(cls, **given: Any) -> Self:
        # Otherwise a stride would be a TypeError, which does not say what a layer has.
        known = [field.name for field in fields(cls)]
        for key in given:
            if key not in known:
                raise GraphError(
                    f"{cls.type_name} {given.get('name')!r}: {key} is not supported: it has "
                    f"{', '.join(known)} (docs/limits.md)"
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isascii()):
            raise GraphError(f"layer {self.name!r}: a name is an ASCII identifier")
        if len(self.inputs) != 1:
            self.fail(f"takes one input, not {len(self.inputs)}")

    def fail(self, message: str) -> NoReturn:
        """Raise a `GraphError` that names this layer."""
        raise GraphError(f"{self.type_name} {self.name!r}: {message}")

    def entry(self, table: Mapping[type[Layer], Entry], what: str) -> Entry:
        """The entry for this layer's type in a table that has one for each type it knows.

        Every place that depends on the type of a layer looks it up here, so that none goes on
        with a type that it does not know.

        Raises
        ------
        GraphError
            There is none; `what` says what is missing.
        """
        if type(self) not in table:
            known = ", ".join(each.type_name for each in table)
            self.fail(f"this layer type has no {what}: allowed are {known}")
        return table[type(self)]

    def require_pair(self, what: str, values: object) -> None:
        """Refuse what is not a size or a distance each way."""
        if not isinstance(values, tuple) or [type(value) for value in values] != [int, int]:
            self.fail(
                f"{what} must be a pair of whole numbers, (vertical, horizontal), not {values!r}"
            )

    def require_positive_pair(self, what: str, values: object) -> None:
        """Refuse what is not a size each way."""
        self.require_pair(what, values)
        self.require_positive(what, *values)  # type: ignore[misc]

    def require_positive(self, what: str, *values: int) -> None:
        """Refuse a size that is not a whole number of at least 1."""
        for value in values:
            if not isinstance(value, int) or value < 1:
                self.fail(f"{what} must be at least 1, not {value}")

    @abstractmethod
    def output_shape(self, source: Shape) -> Shape:
        """The shape of the output, given that of the input."""

    def array_shapes(self, source: Shape) -> dict[str, tuple[int, ...]]:
        """The names and shapes of the arrays that training fills."""
        return {}

    def parameters(self, source: Shape) -> int:
        """Trainable parameters."""
        return 0

    def connections(self, source: Shape) -> int:
        """Connections, as the paper counts them."""
        return 0

    def macs(self, source: Shape) -> int:
        """Multiply-accumulates an image (convolution, dense and radial basis layers)."""
        return 0

    def scalings(self, source: Shape) -> int:
        """Multiplications of a finished sum an image (trainable sub-sampling)."""
        return 0


MAX_INPUT_BITS = 16
"""The widest format of an input."""

MAX_INPUT_FRAC_BITS = 32
"""The largest magnitude of an input's fraction bits: its values are normal float32."""


@dataclass(frozen=True, kw_only=True)
class Input(Layer):
    """Raw values of `format`, by default pixels, each standing for `value * scale + offset`.

    A raw value has the value `raw * 2**-frac_bits`; a pixel's is the pixel itself. `border` raw
    values `background` surround the `height` x `width` image that is given.
    """

    type_name: ClassVar[str] = "input"

    inputs: tuple[str, ...] = ()
    height: int
    width: int
    channels: int = 1
    border: int = 0
    background: int = field(default=0, metadata=MAY_BE_NEGATIVE)
    scale: float = 1.0
    offset: float = 0.0
    format: QFormat = field(default=PIXELS, metadata=LEFT_OUT_BY_DEFAULT)

    def __post_init__(self) -> None:
        if self.inputs:
            self.fail("takes no inputs")
        self.require_positive("height, width and channels", self.height, self.width, self.channels)
        for what in ("border", "background"):
            if type(getattr(self, what)) is not int:
                self.fail(f"{what} must be a whole number, not {getattr(self, what)!r}")
        if self.border < 0:
            self.fail(f"border must be at least 0, not {self.border}")
        fmt = self.format
        if type(fmt) is not QFormat:
            self.fail(f"format must be a QFormat, such as QFormat(8, 5), not {fmt!r}")
        if fmt.bits > MAX_INPUT_BITS or abs(fmt.frac_bits) > MAX_INPUT_FRAC_BITS:
            self.fail(
                f"format must have at most {MAX_INPUT_BITS} bits and from -{MAX_INPUT_FRAC_BITS} "
                f"to {MAX_INPUT_FRAC_BITS} fraction bits, not be {fmt}"
            )
        if not fmt.min_raw <= self.background <= fmt.max_raw:
            self.fail(
                f"background must be a raw value from {fmt.min_raw} to {fmt.max_raw}, "
                f"not {self.background}"
            )
        if not 0 < self.scale < float("inf"):
            self.fail(f"scale must be a positive number, not {self.scale}")
        if not abs(self.offset) < float("inf"):
            self.fail(f"offset must be a finite number, not {self.offset}")
        if self.activation != NO_ACTIVATION:
            self.fail("takes no activation")

    @property
    def image_shape(self) -> Shape:
        """The shape of the image as given, without its border."""
        return Shape(self.height, self.width, self.channels)

    def output_shape(self, source: Shape) -> Shape:
        return Shape(self.height + 2 * self.border, self.width + 2 * self.border, self.channels)


@dataclass(frozen=True, kw_only=True)
class WindowedLayer(Layer):
    """What layers with windows have in common: `windows`, and the size of their output."""

    @property
    @abstractmethod
    def windows(self) -> Windows:
        """The windows on the layer's input."""

    @property
    def pads(self) -> Padding:
        return self.windows.padding

    @property
    def form(self) -> str:
        return str(self.windows)

    def check_padding(self, padding: object, padding_end: object) -> None:
        """Refuse padding that is no pair, or with which a window could be padding alone."""
        for what, given in (("padding", padding), ("padding_end", padding_end)):
            if given is not None:
                self.require_pair(what, given)
        (rows, columns), pads = self.windows.reach, self.windows.padding
        for axis, reach, sides in (
            ("vertical", rows, (pads.above, pads.below)),
            ("horizontal", columns, (pads.left, pads.right)),
        ):
            for pad in sides:
                if not 0 <= pad < reach:
                    self.fail(f"{axis} padding must be from 0 to {reach - 1}, not {pad}")

    def positions(self, source: Shape) -> tuple[int, int]:
        """Rows and columns of windows on an input; refused if none fits."""
        rows, columns = self.windows.count(source.height, source.width)
        if rows < 1 or columns < 1:
            self.fail(f"its window, {self.windows}, does not fit an input of {source}")
        return rows, columns


def _pads(padding: tuple[int, int], padding_end: tuple[int, int] | None) -> Padding:
    return Padding(*padding, *(padding if padding_end is None else padding_end))


@dataclass(frozen=True, kw_only=True)
class Convolution(WindowedLayer):
    """`y[r, c, o] = f(sum x[r * s + i * d, c * s + j * d, m] * weights[i, j, m, o] + bias[o])`.

    `s` is `stride` and `d` is `dilation`, each `(vertical, horizontal)`. `padding` is too: rows
    above and columns to the left, with the value zero; `padding_end` are those below and to the
    right, as many unless given.

    With `groups`, output maps and input maps are divided into that number of equal parts, and each
    part of the output is fed by its part of the input; as many groups as input maps make a
    depthwise convolution. `connection_table[o]` lists the input maps that feed output map `o`
    (paper, table I). Without either, every map feeds every map. Weights have an entry for every
    pair of maps; those of missing connections are zero.
    """

    type_name: ClassVar[str] = "convolution"

    kernel: tuple[int, int]
    out_channels: int
    padding: tuple[int, int] = (0, 0)
    connection_table: tuple[tuple[int, ...], ...] | None = None
    stride: tuple[int, int] = _optional((1, 1))
    dilation: tuple[int, int] = _optional((1, 1))
    padding_end: tuple[int, int] | None = _optional(None)
    groups: int = _optional(1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive_pair("kernel", self.kernel)
        self.require_positive_pair("stride", self.stride)
        self.require_positive_pair("dilation", self.dilation)
        self.require_positive("out_channels", self.out_channels)
        self.require_positive("groups", self.groups)
        self.check_padding(self.padding, self.padding_end)
        table = self.connection_table
        if self.out_channels % self.groups:
            self.fail(f"groups, {self.groups}, must divide {self.out_channels} output maps")
        if table is not None:
            if self.groups != 1:
                self.fail("takes groups or a connection table, not both")
            if len(table) != self.out_channels:
                self.fail(
                    f"connection table must have {self.out_channels} entries, not {len(table)}"
                )
            for out, maps in enumerate(table):
                if not maps or list(maps) != sorted(set(maps)) or maps[0] < 0:
                    self.fail(
                        f"connections of output map {out} must be whole numbers from 0, in "
                        f"ascending order, not {maps}"
                    )

    @property
    def windows(self) -> Windows:
        return Windows(
            self.kernel, self.stride, self.dilation, _pads(self.padding, self.padding_end)
        )

    @property
    def form(self) -> str:
        how = "" if self.groups == 1 else f", {self.groups} groups"
        return super().form + (", by table" if self.connection_table is not None else how)

    def sources(self, source: Shape) -> tuple[tuple[int, ...], ...]:
        """For each output map, the input maps that feed it."""
        if self.connection_table is not None:
            return self.connection_table
        inputs, outputs = source.channels // self.groups, self.out_channels // self.groups
        return tuple(
            tuple(range(out // outputs * inputs, (out // outputs + 1) * inputs))
            for out in range(self.out_channels)
        )

    def links(self, source: Shape) -> int:
        """Pairs of an input map and an output map that are connected."""
        return sum(len(maps) for maps in self.sources(source))

    def output_shape(self, source: Shape) -> Shape:
        if source.channels % self.groups:
            self.fail(f"groups, {self.groups}, must divide {source.channels} input maps")
        for out, maps in enumerate(self.connection_table or ()):
            if maps[-1] >= source.channels:
                self.fail(
                    f"connections of output map {out} name input map {maps[-1]}, "
                    f"but there are {source.channels}"
                )
        return Shape(*self.positions(source), self.out_channels)

    def array_shapes(self, source: Shape) -> dict[str, tuple[int, ...]]:
        return {
            "weights": (*self.kernel, source.channels, self.out_channels),
            "bias": (self.out_channels,),
        }

    def parameters(self, source: Shape) -> int:
        return self.links(source) * self.kernel[0] * self.kernel[1] + self.out_channels

    def connections(self, source: Shape) -> int:
        out = self.output_shape(source)
        return self.parameters(source) * out.height * out.width

    def macs(self, source: Shape) -> int:
        out = self.output_shape(source)
        kernel_size = self.kernel[0] * self.kernel[1]
        return self.links(source) * kernel_size * out.height * out.width


@dataclass(frozen=True, kw_only=True)
class Pooling(WindowedLayer):
    """Windows of `(height, width)`, `stride` apart: by default side by side, without overlap.

    `padding` and `padding_end` are as those of `Convolution`. Rows and columns after the last whole
    window are dropped.
    """

    window: tuple[int, int] = (2, 2)
    stride: tuple[int, int] | None = _optional(None)
    padding: tuple[int, int] = _optional((0, 0))
    padding_end: tuple[int, int] | None = _optional(None)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive_pair("window", self.window)
        if self.stride is not None:
            self.require_positive_pair("stride", self.stride)
        self.check_padding(self.padding, self.padding_end)

    @property
    def windows(self) -> Windows:
        stride = self.window if self.stride is None else self.stride
        return Windows(self.window, stride, padding=_pads(self.padding, self.padding_end))

    def output_shape(self, source: Shape) -> Shape:
        return Shape(*self.positions(source), source.channels)

    def connections(self, source: Shape) -> int:
        return self.window[0] * self.window[1] * self.output_shape(source).size


@dataclass(frozen=True, kw_only=True)
class Subsampling(Pooling):
    """`y = f(sum of the window * coefficient[channel] + bias[channel])` (paper, section II.B)."""

    type_name: ClassVar[str] = "subsampling"

    def array_shapes(self, source: Shape) -> dict[str, tuple[int, ...]]:
        return {"weights": (source.channels,), "bias": (source.channels,)}

    def parameters(self, source: Shape) -> int:
        return 2 * source.channels

    def connections(self, source: Shape) -> int:
        return super().connections(source) + self.output_shape(source).size

    def scalings(self, source: Shape) -> int:
        return self.output_shape(source).size


@dataclass(frozen=True, kw_only=True)
class AveragePooling(Pooling):
    """The mean of each window's values on the map; with `count_padding`, of padding zeros too."""

    type_name: ClassVar[str] = "average_pooling"

    count_padding: bool = _optional(False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count_padding and not any(self.pads):
            self.fail("counts padding, and has none")

    @property
    def form(self) -> str:
        return super().form + (", padding counted" if self.count_padding else "")

    def values_counted(self, source: Shape) -> NDArray[np.int64]:
        """The number of values of which each window has the mean, `(rows, columns)`."""
        windows, (rows, columns) = self.windows, self.positions(source)
        if self.count_padding:
            return np.full((rows, columns), math.prod(self.window))
        inside = np.pad(
            np.ones((source.height, source.width), np.int64),
            ((self.pads.above, self.pads.below), (self.pads.left, self.pads.right)),
        )
        counted = np.zeros((rows, columns), np.int64)
        for row, column in product(*map(range, self.window)):
            counted += inside[windows.places(row, column, (rows, columns))]
        return counted


@dataclass(frozen=True, kw_only=True)
class MaxPooling(Pooling):
    """The largest value of each window."""

    type_name: ClassVar[str] = "max_pooling"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation != NO_ACTIVATION:
            self.fail("takes no activation")


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """`y[o] = f(sum x[i] * weights[i, o] + bias[o])` over the input's values in stream order."""

    type_name: ClassVar[str] = "dense"

    units: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("units", self.units)

    def output_shape(self, source: Shape) -> Shape:
        return Shape(1, 1, self.units)

    def array_shapes(self, source: Shape) -> dict[str, tuple[int, ...]]:
        return {"weights": (source.size, self.units), "bias": (self.units,)}

    def parameters(self, source: Shape) -> int:
        return (source.size + 1) * self.units

    def connections(self, source: Shape) -> int:
        return self.parameters(source)

    def macs(self, source: Shape) -> int:
        return source.size * self.units


@dataclass(frozen=True, kw_only=True)
class RadialBasis(Layer):
    """`y[o] = sum (x[i] - weights[i, o])**2`; the smallest wins (paper, equation 7)."""

    type_name: ClassVar[str] = "radial_basis"
    winner: ClassVar[Literal["largest", "smallest"]] = "smallest"

    units: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("units", self.units)
        if self.activation != NO_ACTIVATION:
            self.fail("takes no activation")

    def output_shape(self, source: Shape) -> Shape:
        return Shape(1, 1, self.units)

    def array_shapes(self, source: Shape) -> dict[str, tuple[int, ...]]:
        return {"weights": (source.size, self.units)}

    def parameters(self, source: Shape) -> int:
        return source.size * self.units

    def connections(self, source: Shape) -> int:
        return self.parameters(source)

    def macs(self, source: Shape) -> int:
        return source.size * self.units


MAX_NAME = 200
"""The longest name of a network: files are called after it."""

LAYER_TYPES: dict[str, type[Layer]] = {
    cls.type_name: cls
    for cls in (
        Input,
        Convolution,
        Subsampling,
        AveragePooling,
        MaxPooling,
        Dense,
        RadialBasis,
    )
}


@dataclass(frozen=True)
class Network:
    """A graph: topologically sorted layers, the first of them the only `Input`.

    Each layer names its inputs. Today a network is a chain: each layer feeds the next.
    """

    name: str
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if len(self.name) > MAX_NAME:
            raise GraphError(
                f"network {self.name[:20]}...: a name has at most {MAX_NAME} characters, "
                f"not {len(self.name)}"
            )
        if not self.name or not all(c.isascii() and (c.isalnum() or c in "-_") for c in self.name):
            raise GraphError(
                f"network {self.name!r}: a name has letters, digits, hyphens and underscores"
            )
        if len(self.layers) < 2:
            raise GraphError(f"network {self.name!r}: needs an input and at least one layer")
        if not isinstance(self.layers[0], Input):
            raise GraphError(f"network {self.name!r}: the first layer must be an input")
        names = [layer.name for layer in self.layers]
        for position, layer in enumerate(self.layers):
            if names.index(layer.name) != position:
                raise GraphError(f"network {self.name!r}: two layers are named {layer.name!r}")
            if LAYER_TYPES.get(layer.type_name) is not type(layer):
                layer.fail(
                    f"this layer type is not one of {', '.join(LAYER_TYPES)} (docs/limits.md)"
                )
            if position and isinstance(layer, Input):
                raise GraphError(f"network {self.name!r}: {layer.name!r} is a second input")
            if position and layer.inputs != (names[position - 1],):
                layer.fail(
                    f"must be fed by {names[position - 1]!r}, the layer before it, "
                    f"not by {', '.join(map(repr, layer.inputs))}: networks are chains "
                    "(docs/limits.md)"
                )
        self.shapes()

    @property
    def input(self) -> Input:
        """The input layer."""
        first = self.layers[0]
        assert isinstance(first, Input)
        return first

    @property
    def output(self) -> Layer:
        """The layer whose values are the scores."""
        return self.layers[-1]

    @property
    def has_classes(self) -> bool:
        """Whether it ends in several scores without rows and columns, as classifiers do."""
        height, width, channels = self.shapes()[self.output.name]
        return (height, width) == (1, 1) and channels > 1

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers)
        raise GraphError(f"network {self.name!r} has no layer {name!r}: it has {known}")

    def shapes(self) -> dict[str, Shape]:
        """The output shape of every layer, by name."""
        shapes: dict[str, Shape] = {}
        for layer in self.layers:
            source = shapes[layer.inputs[0]] if layer.inputs else self.input.image_shape
            shapes[layer.name] = layer.output_shape(source)
        return shapes

    def computing_layers(self) -> Iterator[tuple[Layer, Shape, Shape]]:
        """Every layer after the input, with the shapes of its input and its output."""
        shapes = self.shapes()
        for layer in self.layers[1:]:
            yield layer, shapes[layer.inputs[0]], shapes[layer.name]

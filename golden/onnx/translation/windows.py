"""Kernels, strides, padding and dilation of convolutions and poolings, as in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from systolith.golden.network.graph import Shape
from systolith.golden.onnx.model.plain_text import shown
from systolith.golden.onnx.translation.call import Call
from systolith.golden.onnx.translation.layouts import FeatureMap, Pads

_Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """The positions of a kernel on a map; every pair is `(vertical, horizontal)`."""

    source: Shape
    kernel: _Pair
    strides: _Pair
    dilations: _Pair
    pads: Pads
    ceil: bool

    @classmethod
    def of(cls, call: Call, source: FeatureMap, kernel: Sequence[int]) -> Windows:
        """The windows of a node, with the zeros that a Pad before it put around the map."""
        flat = source.flat
        given = call.integers("kernel_shape")
        size = _pair(call, "kernel_shape", kernel, 1, flat=False)
        if given is not None and _pair(call, "kernel_shape", given, 1, flat=flat) != size:
            call.abandon("kernel_shape", f"{given} is not that of the weights, {list(kernel)}")
        strides = _pair(call, "strides", call.integers("strides"), 1, flat)
        dilations = _pair(call, "dilations", call.integers("dilations"), 1, flat)
        reach = [(k - 1) * d + 1 for k, d in zip(size, dilations, strict=True)]
        shape, around = source.shape, source.pads
        whole = (
            shape.height + around.top + around.bottom,
            shape.width + around.left + around.right,
        )
        own = _pads(call, whole, reach, strides, flat)
        pads = Pads(*(a + b for a, b in zip(around, own, strict=True)))
        ceil = bool(call.integer("ceil_mode", 0))
        made = cls(shape, size, strides, dilations, pads, ceil)
        if min(made.places) < 1:
            call.abandon("kernel_shape", f"{list(size)} does not fit a map of {shape}")
        return made

    @property
    def _spare(self) -> _Pair:
        """Rows and columns beyond the first window."""
        (k0, k1), (d0, d1), pads = self.kernel, self.dilations, self.pads
        return (
            self.source.height + pads.top + pads.bottom - ((k0 - 1) * d0 + 1),
            self.source.width + pads.left + pads.right - ((k1 - 1) * d1 + 1),
        )

    @property
    def places(self) -> _Pair:
        """The places where the kernel is put."""
        rows, columns = (
            (-(-spare // stride) if self.ceil else spare // stride) + 1
            for spare, stride in zip(self._spare, self.strides, strict=True)
        )
        return rows, columns

    def output_shape(self, channels: int) -> Shape:
        """The shape of the output map."""
        return Shape(*self.places, channels)

    @property
    def strides_matter(self) -> bool:
        """Whether a stride of 1 would give another map."""
        return any(
            stride != 1 and spare > 0
            for stride, spare in zip(self.strides, self._spare, strict=True)
        )

    @property
    def strides_text(self) -> str:
        """The strides as text."""
        return f"{self.strides[0]} x {self.strides[1]}"


def _pads(call: Call, size: _Pair, reach: Sequence[int], strides: _Pair, flat: bool) -> Pads:
    """The padding in the attributes of a node."""
    auto = call.text("auto_pad", "NOTSET")
    if auto == "VALID":
        return Pads()
    if auto == "NOTSET":
        given = call.integers("pads") or [0] * (2 if flat else 4)
        if len(given) != (2 if flat else 4) or min(given) < 0:
            call.abandon("pads", f"{given[:8]} must be {2 if flat else 4} numbers of at least 0")
        top, left, bottom, right = [0, given[0], 0, given[1]] if flat else given
        return Pads(top, bottom, left, right)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        call.abandon("auto_pad", f"{shown(auto)!r} is unknown")
    pads: list[int] = []
    for length, window, stride in zip(size, reach, strides, strict=True):
        total = max(0, (-(-length // stride) - 1) * stride + window - length)
        less, more = total // 2, total - total // 2
        pads += (less, more) if auto == "SAME_UPPER" else (more, less)
    return Pads(*pads)


def _pair(call: Call, name: str, given: Sequence[int] | None, default: int, flat: bool) -> _Pair:
    if given is None:
        return default, default
    if len(given) != (1 if flat else 2) or min(given) < 1:
        call.abandon(name, f"{list(given)[:8]} must be {1 if flat else 2} numbers of at least 1")
    return (default, given[0]) if flat else (given[0], given[1])

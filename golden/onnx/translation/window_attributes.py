"""The windows of convolutions and poolings, read from the attributes of ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Padding, Windows
from systolith.golden.onnx.model.plain_text import shown
from systolith.golden.onnx.translation.call import Call
from systolith.golden.onnx.translation.layouts import FeatureMap, Pads

_Pair = tuple[int, int]


@dataclass(frozen=True)
class WindowAttributes:
    """The windows of a node on a map, and what of their padding the node counts.

    Parameters
    ----------
    windows
        The windows, with all padding: `around`, that of the node, and what `ceil_mode` adds.
    count
        Rows and columns of windows.
    around
        The zeros that a Pad put around the map.
    own
        The padding in the node's attributes.
    """

    windows: Windows
    count: _Pair
    around: Pads
    own: Pads

    @classmethod
    def of(cls, call: Call, source: FeatureMap, kernel: Sequence[int]) -> WindowAttributes:
        """The windows of a node, with the zeros that a Pad before it put around the map."""
        flat = source.flat
        given = call.integers("kernel_shape")
        size = _pair(call, "kernel_shape", kernel, 1, flat=False)
        if given is not None and _pair(call, "kernel_shape", given, 1, flat=flat) != size:
            call.abandon("kernel_shape", f"{given} is not that of the weights, {list(kernel)}")
        stride = _pair(call, "strides", call.integers("strides"), 1, flat)
        dilation = _pair(call, "dilations", call.integers("dilations"), 1, flat)
        reach = Windows(size, stride, dilation).reach
        shape, around = source.shape, source.pads
        whole = (
            shape.height + around.top + around.bottom,
            shape.width + around.left + around.right,
        )
        own = _pads(call, whole, reach, stride, flat)
        below, right = own.bottom, own.right
        if call.integer("ceil_mode", 0):
            # To the node, the zeros of a Pad are values of the map.
            below = _widened(whole[0], own.top, own.bottom, reach[0], stride[0])
            right = _widened(whole[1], own.left, own.right, reach[1], stride[1])
        padding = Padding(
            around.top + own.top,
            around.left + own.left,
            around.bottom + below,
            around.right + right,
        )
        windows = Windows(size, stride, dilation, padding)
        count = windows.count(shape.height, shape.width)
        if min(count) < 1:
            call.abandon("kernel_shape", f"{list(size)} does not fit a map of {shape}")
        return cls(windows, count, around, own)

    def require_small_padding(self, call: Call) -> None:
        """Refuse padding with which a window could be padding alone."""
        pads, reach = self.windows.padding, self.windows.reach
        for pad, size in zip(pads, reach * 2, strict=True):
            if pad >= size:
                call.abandon("pads", f"{pad} must be less than the kernel, {size}")

    def with_moot_strides(self, shape: Shape, moot: _Pair) -> Windows:
        """The windows on a map; along an axis with a single one its stride is `moot`.

        It stays as it is if `moot` would make room for another window.
        """
        others = replace(self.windows, stride=moot).count(shape.height, shape.width)
        down, across = (
            other if number == among == 1 else stride
            for number, among, stride, other in zip(
                self.count, others, self.windows.stride, moot, strict=True
            )
        )
        return replace(self.windows, stride=(down, across))

    @property
    def ceil_adds(self) -> bool:
        """Whether `ceil_mode` added padding to that of the node."""
        pads, around, own = self.windows.padding, self.around, self.own
        return (pads.below, pads.right) != (around.bottom + own.bottom, around.right + own.right)

    def output_shape(self, channels: int) -> Shape:
        """The shape of the output map."""
        return Shape(*self.count, channels)


def _widened(size: int, before: int, after: int, reach: int, stride: int) -> int:
    """The padding after an axis with which a last window that does not fit is kept.

    It is dropped if all of it were padding.
    """
    steps = -(-(size + before + after - reach) // stride)
    if steps * stride >= size + before:
        steps -= 1
    return max(after, steps * stride + reach - size - before)


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

"""The streams of feature maps: row by row, pixel by pixel, channels ascending, `lanes` a beat.

Transfer rules, for every stream between units (those of `amaranth.lib.stream`, and more):

1. `valid` never waits for `ready`: with `ready` held low it still rises.
2. An offered payload stays unchanged and valid until it is taken.
3. No combinational path leads from a unit's `o.ready` to its `i.ready`, nor from its `i.valid`
   or `i.payload` to its `o.valid`.
4. `last` marks the frame's final beat. The next frame may follow without a gap.
5. No reset is needed between frames, and a reset in mid-frame returns a unit to its start.
"""

from __future__ import annotations

from amaranth.hdl import Shape, Value, ValueLike
from amaranth.lib import data, stream, wiring


class Beat(data.StructLayout):
    """The payload of one transfer: `lanes` values side by side in `data`, and `last`.

    Every stream between units carries beats. `data` is one flat field, lane 0 in its lowest bits,
    because array fields on the ports of a module lose their names in Verilog.

    Parameters
    ----------
    shape
        The shape of one value.
    lanes
        Values a beat; divides the channels of the feature map.
    """

    def __init__(self, shape: Shape, lanes: int) -> None:
        if lanes < 1:
            raise ValueError(f"beat: lanes must be at least 1, not {lanes}")
        self.value_shape = shape
        self.lanes = lanes
        super().__init__({"data": lanes * shape.width, "last": 1})

    def lane(self, beat: data.View[Beat], index: int) -> Value:
        """The value in lane `index` of `beat`, signed if `value_shape` is."""
        width = self.value_shape.width
        value = beat.data[index * width : (index + 1) * width]
        return value.as_signed() if self.value_shape.signed else value.as_unsigned()


def beat_stream(shape: Shape, lanes: int) -> stream.Signature:
    """The signature of a stream of `Beat`s."""
    return stream.Signature(Beat(shape, lanes))


__all__ = ["Beat", "ValueLike", "beat_stream", "wiring"]

"""What a beat at `s_axis` looks like: a field of whole bytes for each of its values.

Hardware, manifest, test benches and data sheet all take it from here; nothing else knows a position
or a width.
"""

from __future__ import annotations

import msgspec

from systolith.golden.files.json_files import PositiveCount

_BYTE = 8


class StreamEntry(msgspec.Struct, frozen=True):
    """The beats of the stream after a layer: `lanes` values of `bits` side by side."""

    lanes: PositiveCount
    bits: PositiveCount
    signed: bool


class InputLayout(StreamEntry, frozen=True):
    """The beats of the stream after the input, and how `s_axis_tdata` carries them.

    At the port, each value is in the lowest bits of a field of whole bytes, the first value in the
    lowest field; the bits above a value are ignored. So the bytes of an image's array of 8 or 16
    bit integers are the bytes of its beats. Inside, the values are side by side.
    """

    @property
    def field_bits(self) -> int:
        """The width of a value's field in `s_axis_tdata`."""
        return -(-self.bits // _BYTE) * _BYTE

    @property
    def tdata_bits(self) -> int:
        """The width of `s_axis_tdata`."""
        return self.lanes * self.field_bits

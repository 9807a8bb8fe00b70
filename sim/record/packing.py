"""Packs values into the bits of a stream's beats, and unpacks them.

Sources, sinks and monitors of every bench use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BeatFormat:
    """The format of a beat: its values by lane, lane 0 in the lowest bits.

    Parameters
    ----------
    lanes
        Values a beat.
    bits
        Bits a value.
    signed
        Whether they are two's complement.
    has_last
        Whether the stream marks the final beat of a frame.
    gap
        Bits above each value that are ignored. 0: the values are side by side.
    """

    lanes: int
    bits: int
    signed: bool
    has_last: bool = True
    gap: int = 0

    @property
    def field_bits(self) -> int:
        """Bits from one value to the next."""
        return self.bits + self.gap

    @property
    def bytes(self) -> int:
        """The number of bytes of a beat."""
        return -(-self.lanes * self.field_bits // 8)

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value."""
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

    def pack_frames(self, frames: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """The beats of frames, little-endian: `(frames, ...)` to `(frames, beats, bytes)`.

        Values must fit, and frames consist of whole beats.
        """
        values = frames.reshape(len(frames), -1, self.lanes, 1).astype(np.int64)
        bits = (values >> np.arange(self.bits) & 1).astype(np.uint8)
        fields = np.pad(bits, [*[(0, 0)] * 3, (0, self.gap)])
        joined = fields.reshape(len(frames), -1, self.lanes * self.field_bits)
        return np.packbits(joined, axis=-1, bitorder="little")

    def pack(self, values: Sequence[int]) -> int:
        """The beat of `lanes` values.

        Raises
        ------
        ValueError
            If there are more or fewer values, or one does not fit.
        """
        if len(values) != self.lanes:
            raise ValueError(f"a beat has {self.lanes} values, not {len(values)}")
        mask = (1 << self.bits) - 1
        beat = 0
        for lane, value in enumerate(values):
            if self._value(value & mask) != value:
                kind = "signed" if self.signed else "unsigned"
                raise ValueError(f"{value} does not fit {self.bits} {kind} bits")
            beat |= (value & mask) << (lane * self.field_bits)
        return beat

    def unpack(self, beat: int) -> list[int]:
        """The values of a beat."""
        mask = (1 << self.bits) - 1
        lows = range(0, self.lanes * self.field_bits, self.field_bits)
        return [self._value((beat >> low) & mask) for low in lows]

    def _value(self, raw: int) -> int:
        if self.signed and raw >> (self.bits - 1):
            return raw - (1 << self.bits)
        return raw

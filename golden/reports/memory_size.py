"""The size of weights as tables show it: in KiB, and how much smaller than in floats.

JSON and CSV have bits instead.
"""

from __future__ import annotations

_FLOAT_BITS = 32


def kibibytes(bits: int) -> float:
    """Bits in KiB (1,024 bytes)."""
    return bits / 8 / 1024


def smaller_than_float(bits: int, weights: int) -> float:
    """How many times fewer bits these are than those of the same number of float weights."""
    return _FLOAT_BITS * weights / bits

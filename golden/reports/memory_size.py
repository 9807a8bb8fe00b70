"""The size of a network's weights in words: KiB, and how much smaller than in floats."""

from __future__ import annotations

FLOAT_BITS = 32
"""Bits of a weight in the float network."""


def kibibytes(bits: int) -> float:
    """Bits in KiB (1,024 bytes)."""
    return bits / 8 / 1024


def smaller_than_float(bits: int, weights: int) -> float:
    """How many times fewer bits these are than those of the same number of float weights."""
    return FLOAT_BITS * weights / bits

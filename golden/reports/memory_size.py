"""The size of weights and maps as tables and pages show it: in KiB, and compared with floats.

JSON and CSV have bits instead.
"""

from __future__ import annotations

from collections.abc import Sequence

FLOAT_BITS = 32
"""The bits of a weight of a float network."""

_MOST_DECIMALS = 4
"""A bit more changes the fourth decimal of a size in KiB."""


def kibibytes(bits: int) -> float:
    """Bits in KiB (1,024 bytes)."""
    return bits / 8 / 1024


def figure(bits: int) -> str:
    """A size in KiB with three significant digits, or all those of whole KiB."""
    size = kibibytes(bits)
    return f"{size:,.0f}" if abs(size) >= 100 else f"{size:.3g}"


def in_kibibytes(bits: int) -> str:
    """A size in words, such as `29.6 KiB`."""
    return f"{figure(bits)} KiB"


def told_apart(sizes: Sequence[int | None]) -> list[str]:
    """Sizes in KiB with equally many decimals, one or as many as it takes to tell them apart.

    An unknown size (None) is an empty text.
    """
    known = {bits for bits in sizes if bits is not None}
    decimals = next(
        count
        for count in range(1, _MOST_DECIMALS + 1)
        if count == _MOST_DECIMALS
        or len({f"{kibibytes(bits):.{count}f}" for bits in known}) == len(known)
    )
    return ["" if bits is None else f"{kibibytes(bits):,.{decimals}f}" for bits in sizes]


def smaller_than_float(bits: int, weights: int) -> str:
    """How many times fewer bits these are than those of the same number of float weights.

    Such as `8.00x`; empty if there are no bits.
    """
    return f"{FLOAT_BITS * weights / bits:.2f}x" if bits else ""

"""Sizes in KiB, as tables and pages show them."""

from __future__ import annotations

import pytest

from systolith.golden.reports.memory_size import in_kibibytes, smaller_than_float, told_apart


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        *((0, "0 KiB"), (6, "0.000732 KiB"), (242_368, "29.6 KiB"), (-150, "-0.0183 KiB")),
        *((820_000, "100 KiB"), (10**9, "122,070 KiB")),
        *((-820_000, "-100 KiB"), (-(10**9), "-122,070 KiB")),
    ],
)
def test_three_digits_or_whole_kibibytes(bits: int, text: str) -> None:
    assert in_kibibytes(bits) == text


def test_sizes_that_differ_look_different() -> None:
    assert told_apart([242_368, None, 181_776, 242_368]) == ["29.6", "", "22.2", "29.6"]
    assert told_apart([242_368, 242_362]) == ["29.586", "29.585"]
    assert told_apart([8192 * 1234, 8192 * 1234 + 1]) == ["1,234.0000", "1,234.0001"]
    assert told_apart([None]) == [""]


def test_floats_have_32_bits() -> None:
    assert smaller_than_float(181_776, 60_592) == "10.67x"
    assert smaller_than_float(0, 0) == ""

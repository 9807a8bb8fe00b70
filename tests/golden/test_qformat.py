"""Formats: which there are, their types in NumPy, and raw values outside of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from systolith.golden.qformat import QFormat, first_outside, raw_integers


@pytest.mark.parametrize(
    ("bits", "signed", "ends", "raw_type"),
    [
        (1, False, (0, 1), "u1"),
        (1, True, (-1, 0), "i1"),
        (8, False, (0, 255), "u1"),
        (8, True, (-128, 127), "i1"),
        (9, False, (0, 511), "u2"),
        (9, True, (-256, 255), "i2"),
        (16, False, (0, 65535), "u2"),
        (17, True, (-65536, 65535), "i4"),
        (32, True, (-(2**31), 2**31 - 1), "i4"),
        (33, False, (0, 2**33 - 1), "u8"),
        (62, True, (-(2**61), 2**61 - 1), "i8"),
        (62, False, (0, 2**62 - 1), "u8"),
    ],
)
def test_the_range_and_the_type_of_raw_values(
    bits: int, signed: bool, ends: tuple[int, int], raw_type: str
) -> None:
    fmt = QFormat(bits, 3, signed)
    assert (fmt.min_raw, fmt.max_raw, fmt.step) == (*ends, 0.125)
    assert fmt.raw_type == np.dtype(raw_type)
    assert fmt.contains(list(ends)) and fmt.contains(np.array([], np.int64))
    assert not fmt.contains([ends[0] - 1]) and not fmt.contains([ends[1] + 1])
    far = [-1e30, 1e30, ends[0] * 0.125, ends[1] * 0.125]
    assert fmt.quantize(far).tolist() == [*ends, *ends]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "bits must be from 1 to 62, not 0"),
        ((63, 0), "bits must be from 1 to 62, not 63"),
        ((8.0, 0), "bits must be from 1 to 62, not 8.0"),
        ((True, 0), "bits must be from 1 to 62, not True"),
        ((8, 513), "frac_bits must be from -512 to 512, not 513"),
        ((8, -513), "frac_bits must be from -512 to 512, not -513"),
        ((8, 1.0), "frac_bits must be from -512 to 512, not 1.0"),
        ((8, 0, 1), "signed must be true or false, not 1"),
    ],
)
def test_what_is_no_format(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^format: {message}$"):
        QFormat(*arguments)


@pytest.mark.parametrize(
    ("fmt", "text"),
    [
        (QFormat(8, 5), "s8.5"),
        (QFormat(12, -4, signed=False), "u12.-4"),
        (QFormat(1, 512), "s1.512"),
        (QFormat(62, -512, signed=False), "u62.-512"),
    ],
)
def test_a_format_is_parsed_as_it_is_written(fmt: QFormat, text: str) -> None:
    assert str(fmt) == text
    assert QFormat.parse(text) == fmt
    for other in (f" {text}", f"{text} ", text.replace(".", ","), text.upper(), text[1:]):
        with pytest.raises(ValueError, match="must be s or u, the bits, a point and the fraction"):
            QFormat.parse(other)


def test_halves_go_to_even_numbers_and_nan_is_refused() -> None:
    halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
    assert QFormat(8, 0).quantize(halves).tolist() == [-2, -2, 0, 0, 2, 2]
    assert QFormat(8, 1).dequantize([-3, 5]).tolist() == [-1.5, 2.5]
    with pytest.raises(ValueError, match="quantize: NaN has no fixed-point value"):
        QFormat(8, 0).quantize([1.0, np.nan])


def test_the_first_raw_value_outside_of_a_format_and_its_place() -> None:
    fmt, images = QFormat(4, 1), np.zeros((3, 2, 2, 2), np.int8)
    images[0, 0, 0, :] = -8, 7
    assert first_outside(images, fmt) is None
    assert first_outside(images[:0], fmt) is None
    images[2, 0, 1, 0] = -9
    low = "image 2 has the raw value -9 at [0, 1, 0], allowed are -8 to 7"
    assert first_outside(images, fmt) == low
    images[2, 1, 0, 0] = 8
    assert first_outside(images, fmt) == low
    images[1, 1, 1, 1] = 8
    high = "image 1 has the raw value 8 at [1, 1, 1], allowed are -8 to 7"
    assert first_outside(images, fmt) == high
    assert first_outside(np.full((1, 1, 1, 1), 255, np.uint8), QFormat(8, 0, signed=False)) is None
    seven = QFormat(7, 0, signed=False)
    assert first_outside(np.full((1, 1, 1, 1), 127, np.uint8), seven) is None
    found = first_outside(np.full((1, 1, 1, 1), 128, np.uint8), seven)
    assert found == "image 0 has the raw value 128 at [0, 0, 0], allowed are 0 to 127"


def test_raw_values_are_integers_of_64_bits() -> None:
    largest = np.array([2**63 - 1], np.uint64)
    assert raw_integers(largest).tolist() == [2**63 - 1]
    assert raw_integers(largest).dtype == raw_integers(np.zeros(2, np.int8)).dtype == np.int64
    assert raw_integers(np.array([], np.uint64)).size == 0
    with pytest.raises(OverflowError, match="raw value 9223372036854775808 leaves 64 bits"):
        raw_integers(largest + np.uint64(1))
    for other in ([1.0], [True]):
        with pytest.raises(ValueError, match="raw values must be 64-bit integers, not"):
            raw_integers(other)

"""Long lines are broken at spaces, and wide constants keep their value."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest

from systolith.hw.verilog.wrapping import start_value, wrapped


def value(text: str) -> tuple[int, int]:
    """The width and the value of a constant, or of a concatenation or a repetition of constants."""
    if repeated := re.fullmatch(r"\{ (\d+)\{1'h0\} \}", text):
        return int(repeated[1]), 0
    width = total = 0
    for bits, digits in re.findall(r"(\d+)'h([0-9a-f]+)", text):
        assert int(digits, 16) < 1 << int(bits)
        total = total << int(bits) | int(digits, 16)
        width += int(bits)
    return width, total


@pytest.mark.parametrize("width", [253, 256, 300, 384, 385, 1000])
def test_wide_constants_are_concatenations_of_the_same_value(width: int) -> None:
    """All but the highest part have 128 bits."""
    number = random.Random(width).getrandbits(width) | 1 << (width - 1)
    constant = f"{width}'h{number:0{-(-width // 4)}x}"
    text = start_value(constant)
    assert value(text) == (width, number)
    parts = [int(bits) for bits in re.findall(r"(\d+)'h", text)]
    assert parts[1:] == [128] * ((width - 1) // 128) and 0 < parts[0] <= 128
    assert text == "{ " + ", ".join(text[2:-2].split(", ")) + " }"


def test_a_wide_zero_is_a_repetition_and_narrow_constants_stay() -> None:
    assert start_value(f"700'h{0:0175x}") == "{ 700{1'h0} }"
    for narrow in ("252'h" + "f" * 63, "8'h00", "1'h1"):
        assert start_value(narrow) == narrow


def test_a_line_of_a_hundred_characters_stays() -> None:
    line = "  assign sum = " + " + ".join(["name"] * 12)
    line += "x" * (100 - len(line))
    assert list(wrapped(line)) == [line]
    assert list(wrapped(f"{line}y")) == ["  assign sum =", f"      {line[15:]}y"]


@pytest.mark.parametrize("operator", ["=", "<="])
def test_an_assignment_is_broken_behind_its_sign_if_both_sides_fit(operator: str) -> None:
    left, right = "a" * 60, "b" * 60
    assert list(wrapped(f"    {left} {operator} {right};")) == [
        f"    {left} {operator}",
        f"        {right};",
    ]


def test_words_are_kept_in_their_order_and_lines_are_full() -> None:
    draw = random.Random(7)
    for _ in range(50):
        words = ["w" * draw.randrange(1, 30) for _ in range(draw.randrange(20, 60))]
        line = "    " + " ".join(words)
        lines = list(wrapped(line))
        assert " ".join(" ".join(lines).split()) == " ".join(words)
        assert all(len(each) <= 100 for each in lines)
        assert all(each.startswith("        ") for each in lines[1:])
        for before, after in pairwise(lines):
            assert len(before) + 1 + len(after.split()[0]) > 100


def test_no_line_begins_with_an_operator_of_a_choice_or_a_closing_bracket() -> None:
    words = [word for n in range(30) for word in (f"condition_{n}", "?", f"{{ value_{n}", "}")]
    for each in list(wrapped("    " + " ".join(words)))[1:]:
        assert not each.lstrip().startswith(("?", ")", "}", ";", "= ", "<= "))

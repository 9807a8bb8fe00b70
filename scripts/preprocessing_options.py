"""The options that say what a network takes, of raw values, shared by import and corpus."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from systolith.golden import Preprocessing
    from systolith.golden.qformat import QFormat


class Numbers(tuple[float, ...]):
    """One number, or one a channel."""

    __slots__ = ()


def numbers(option: str) -> Callable[[str | Numbers], Numbers]:
    """A parser of one number or several with commas between; a number may be a fraction."""

    def parse(given: str | Numbers) -> Numbers:
        if not isinstance(given, str):
            return given
        try:
            return Numbers(float(Fraction(each.strip())) for each in given.split(","))
        except (ValueError, ZeroDivisionError, OverflowError):
            raise typer.BadParameter(
                f"must be a number such as 0.5 or 1/255, or one a channel with commas between, "
                f"not {given!r}",
                param_hint=option,
            ) from None

    return parse


ScaleOption = Annotated[
    Numbers | None,
    typer.Option(
        "--scale",
        parser=numbers("--scale"),
        metavar="S",
        help="Pixels, or features, are multiplied by S, such as 1/255.",
        show_default=False,
    ),
]

MeanOption = Annotated[
    Numbers | None,
    typer.Option(
        "--mean",
        parser=numbers("--mean"),
        metavar="M[,M...]",
        help="Then M is subtracted: one number, or one a channel.",
        show_default="0",
    ),
]

StdOption = Annotated[
    Numbers | None,
    typer.Option(
        "--std",
        parser=numbers("--std"),
        metavar="D[,D...]",
        help="Then they are divided by D: one number, or one a channel.",
        show_default="1",
    ),
]

RawOption = Annotated[
    bool,
    typer.Option(
        "--raw", help="The network takes pixels from 0 to 255 as they are.", show_default=False
    ),
]


def _format(given: str | QFormat) -> QFormat:
    """A parser of the format of an input."""
    from systolith.golden.network.graph import MAX_INPUT_BITS, MAX_INPUT_FRAC_BITS
    from systolith.golden.qformat import NOTATION, QFormat

    if isinstance(given, QFormat):
        return given
    found = None
    try:
        found = QFormat.parse(given)
    except ValueError as error:
        if NOTATION.fullmatch(given) is None:
            raise typer.BadParameter(
                str(error).removeprefix("format: "), param_hint="--input-format"
            ) from None
    if found is None or found.bits > MAX_INPUT_BITS or abs(found.frac_bits) > MAX_INPUT_FRAC_BITS:
        raise typer.BadParameter(
            f"must have 1 to {MAX_INPUT_BITS} bits and from -{MAX_INPUT_FRAC_BITS} to "
            f"{MAX_INPUT_FRAC_BITS} fraction bits, not {given!r}",
            param_hint="--input-format",
        )
    return found


InputFormatOption = Annotated[
    Any,
    typer.Option(
        "--input-format",
        parser=_format,
        metavar="FORMAT",
        help="For features that are no pixels: s or u (signed or not), the bits (1 to 16), and "
        "those after the binary point, such as s8.5 or u12.4.",
        show_default="pixels, u8.0",
    ),
]


def declared_preprocessing(
    scale: Numbers | None,
    mean: Numbers | None,
    std: Numbers | None,
    raw: bool,
    input_format: QFormat | None = None,
) -> Preprocessing:
    """What the options declare; nothing is guessed.

    Raises
    ------
    typer.BadParameter
        They declare nothing, or two things.
    """
    from systolith.golden import Preprocessing

    others = [
        option
        for option, value in (("--scale", scale), ("--mean", mean), ("--std", std))
        if value is not None
    ]
    if raw:
        if others:
            raise typer.BadParameter(f"has no meaning with {others[0]}", param_hint="--raw")
        if input_format is not None:
            raise typer.BadParameter("has no meaning with --input-format", param_hint="--raw")
        return Preprocessing()
    if input_format is not None:
        return Preprocessing(
            tuple(scale or (1.0,)), tuple(mean or (0.0,)), tuple(std or (1.0,)), input_format
        )
    if scale is None:
        raise typer.BadParameter(
            "must be given, as no ONNX file says what its input is: --scale S (such as 1/255), "
            "and --mean M and --std D after it, or --raw for pixels from 0 to 255 as they are, or "
            "--input-format for features",
            param_hint="--scale",
        )
    return Preprocessing(tuple(scale), tuple(mean or (0.0,)), tuple(std or (1.0,)))

"""The options that say what a network takes, of raw pixels, shared by import and corpus."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from systolith.golden import Preprocessing


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
        help="Pixels are multiplied by S, such as 1/255.",
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


def declared_preprocessing(
    scale: Numbers | None, mean: Numbers | None, std: Numbers | None, raw: bool
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
        return Preprocessing()
    if scale is None:
        raise typer.BadParameter(
            "must be given, as no ONNX file says what its input is: --scale S (such as 1/255), "
            "and --mean M and --std D after it, or --raw for pixels from 0 to 255 as they are",
            param_hint="--scale",
        )
    return Preprocessing(tuple(scale), tuple(mean or (0.0,)), tuple(std or (1.0,)))

"""Options that several commands share, and parsers whose errors say what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.console import print_error
from systolith.scripts.outputs import require_file, require_folder

if TYPE_CHECKING:
    from systolith.golden import Dataset
    from systolith.golden.network.graph import Network

_MOST = 2**53  # counts are exact as floats, and files have none above


def whole_number(
    option: str, low: int, high: int = _MOST, or_else: str = ""
) -> Callable[[str | int], int]:
    """A parser of whole numbers from `low` to `high`, both included, and never above 2**53.

    `or_else` is a word that the option also allows, for the error message; the caller checks for it
    before.
    """
    allowed = f"of at least {low}" if high == _MOST else f"from {low} to {high}"
    if or_else:
        allowed += f", or {or_else}"

    def parse(given: str | int) -> int:
        try:
            value = int(given)
        except ValueError:
            value = low - 1
        if value > _MOST:
            raise typer.BadParameter(f"must be at most {_MOST}", param_hint=option)
        if not low <= value <= high:
            raise typer.BadParameter(
                f"must be a whole number {allowed}, not {given!r}", param_hint=option
            )
        return value

    return parse


def positive_number(option: str, most: int) -> Callable[[str | float], float]:
    """A parser of numbers above 0, and of `most` at most."""

    def parse(given: str | float) -> float:
        try:
            value = float(given)
        except ValueError:
            value = 0.0
        if not 0 < value <= most:
            raise typer.BadParameter(
                f"must be a number above 0 and at most {most:,}, not {given!r}", param_hint=option
            )
        return value

    return parse


def fraction(option: str) -> Callable[[str | float], float]:
    """A parser of fractions from 0 to 1, both included."""

    def parse(given: str | float) -> float:
        try:
            value = float(given)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise typer.BadParameter(
                f"must be a fraction from 0 to 1, not {given!r}", param_hint=option
            )
        return value

    return parse


def one_of(option: str, *allowed: str) -> Callable[[str], str]:
    """A parser of one of the allowed words."""

    def parse(given: str) -> str:
        if given not in allowed:
            raise typer.BadParameter(
                f"must be one of {', '.join(allowed)}, not {given!r}", param_hint=option
            )
        return given

    return parse


def file_to_write(option: str, *suffixes: str) -> Callable[[str | Path], Path]:
    """A parser of a file to write, with one of the suffixes; checks that it can be written."""

    def parse(given: str | Path) -> Path:
        path = Path(given)
        if path.suffix not in suffixes:
            raise typer.BadParameter(
                f"must end with {' or '.join(suffixes)}, not {str(given)!r}", param_hint=option
            )
        return _writable(path, require_file, option)

    return parse


TARGETS = (
    *("ecp5-25k", "ecp5-45k", "ecp5-85k", "ice40-up5k"),
    *("gowin-gw1n9", "gowin-gw2a18"),
    *("xc7z020", "xc7a35t", "xc7a100t"),
)
"""The names of `hw.silicon.targets.DEVICES`, which `--help` need not load."""

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="lenet5, lenet5-sigmoid, lenet5-relu, or a file of trained weights.",
        show_default=False,
    ),
]

DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Images: .npz, IDX (with the file of labels next to it), a folder of pictures, or "
        "a .csv file of features; with labels or without.",
        show_default="the 10,000 test digits, for networks trained on MNIST",
    ),
]

LabelColumnOption = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="The column of labels in a .csv file.",
        show_default="the last one, if it is called label",
    ),
]

ImagesOption = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--images", 1),
        metavar="N",
        help="The first N images.",
        show_default="all",
    ),
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of a table.", show_default=False)
]


def load_data(path: Path, network: Network, label_column: str | None = None) -> Dataset:
    """The images of a file as a network takes them; how many values saturated is printed.

    A network without classes gets no labels; that they are not used is printed, too.

    Raises
    ------
    FileFormatError
        As `golden.load_dataset`.
    """
    from systolith import golden

    dataset = golden.load_dataset(path, network.input, label_column)
    if dataset.saturated:
        fmt = network.input.format
        print_error(
            f"warning: {dataset.saturated:,} of {dataset.images.size:,} values of {dataset.name} "
            f"are out of the range of {fmt}, {fmt.min_raw * fmt.step:g} to "
            f"{fmt.max_raw * fmt.step:g}, and saturate"
        )
    if dataset.labels is None or network.has_classes:
        return dataset
    print_error(
        f"warning: the labels of {dataset.name} are not used: network {network.name!r} is no "
        "classifier, its outputs have no classes"
    )
    return replace(dataset, labels=None)


def folder_to_write(given: str | Path) -> Path:
    """A parser of a folder to write, which need not exist yet; checks that it can be written."""
    return _writable(Path(given), require_folder)


def _writable(path: Path, require: Callable[[Path], None], option: str | None = None) -> Path:
    try:
        require(path)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    return path

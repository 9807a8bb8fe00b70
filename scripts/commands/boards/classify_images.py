"""`systolith classify`: images through a board, or through a simulated one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.console import print_error, print_json, print_line, print_table, to_json
from systolith.scripts.options import DataOption, JsonOption, whole_number
from systolith.scripts.progress import Progress, progress

if TYPE_CHECKING:
    from systolith.golden import Dataset
    from systolith.hw.boards.board_client import Port
    from systolith.hw.verilog.artifacts import Artifacts
    from systolith.sim.boards.board_run import BoardRun

SCHEMA = "systolith.classification/1"

_DEFAULT_IMAGES = 20


def classify(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="The folder that generate wrote, from which the board was made.",
            show_default=False,
        ),
    ],
    serial: Annotated[
        str | None,
        typer.Option(
            metavar="PORT",
            help="The serial port of the board, such as /dev/ttyUSB0.",
            show_default=False,
        ),
    ] = None,
    simulated: Annotated[
        bool,
        typer.Option("--simulated", help="Simulate the board, at the pins of its serial line."),
    ] = False,
    baud: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--baud", 1),
            metavar="N",
            help="Bits a second on the line.",
            show_default="as DIR/board.json says, or 1000000",
        ),
    ] = None,
    data: DataOption = None,
    images: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--images", 1),
            metavar="N",
            help="The first N images.",
            show_default=f"{_DEFAULT_IMAGES}, or all if there are fewer",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the class and score of images by a board.

    The board must have the accelerator of DIR, made by [bold]systolith board[/bold]; another
    one is refused. Each result is compared with the fixed-point model. What the line
    loses or damages is sent again. Ends with 1 if a result differs.

    [bold]Examples[/bold]

    systolith classify lenet5-rtl --serial /dev/ttyUSB0
    systolith classify lenet5-rtl --serial /dev/ttyUSB0 --images 1000 --json
    systolith classify lenet5-rtl --simulated
    """
    if (serial is None) != simulated:
        raise typer.BadParameter(
            "give the port of a board, or --simulated", param_hint="--serial PORT"
        )
    if simulated and baud is not None:
        raise typer.BadParameter("a simulated board has no speed", param_hint="--baud")
    from systolith.golden import load_dataset
    from systolith.hw.verilog import artifacts
    from systolith.sim.boards.board_run import run_on_board
    from systolith.sim.simulate import choose_images

    dataset = None if data is None else load_dataset(data)
    if images is None:
        images = _DEFAULT_IMAGES if dataset is None else min(_DEFAULT_IMAGES, len(dataset))
    built = artifacts.load(folder)
    _, used = choose_images(built, dataset, images)
    with (
        progress("classify") as shown,
        _port(built, folder, serial, baud, shown) as (port, seconds),
    ):
        run = run_on_board(built, used.images, port, seconds, shown)
    if json:
        print_json(to_json(_document(built, used, run, port.name)))
    else:
        _print_table(built, used, run, port.name)
    if run.mismatches:
        first, *more = run.mismatches
        found, (index, score) = run.results[first], run.expected[first]
        others = f" (and {len(more)} more)" if more else ""
        print_error(
            f"image {first}: class {found.index} with the score {found.score:,}, the fixed-point "
            f"model has {index} with {score:,}{others}"
        )
        raise typer.Exit(1)


@contextmanager
def _port(
    built: Artifacts, folder: Path, serial: str | None, baud: int | None, shown: Progress
) -> Iterator[tuple[Port, float]]:
    """The line to the board, and how long an answer may take."""
    from systolith.sim.boards.board_run import answer_seconds

    if serial is None:
        from systolith.sim.boards.simulated_board import build_board, simulated_board

        shown.announce("compiling")
        program = build_board(built)
        shown.announce("simulating")
        with simulated_board(program) as board:
            yield board, answer_seconds(built, program.bits_per_second)
        return
    _require_pyserial()
    from systolith.hw.boards.bitstream import DEFAULT_BAUD, FILE_NAME, load_record
    from systolith.hw.boards.serial_port import open_port

    record = load_record(folder) if (folder / FILE_NAME).exists() else None
    if record is not None and record.verilog_sha256 != built.verilog_sha256:
        raise ValueError(
            f"{folder / FILE_NAME}: is of another {built.manifest.files.verilog} than that in the "
            "folder: make the bitstream again (systolith board), or take the folder it was made of"
        )
    if baud is None:
        baud = DEFAULT_BAUD if record is None else record.baud
    with open_port(serial, baud) as port:
        yield port, answer_seconds(built, baud)


def _require_pyserial() -> None:
    from systolith.hw.errors import MissingToolError
    from systolith.hw.installation import install_extra

    if importlib.util.find_spec("serial") is None:
        raise MissingToolError("pyserial", "which opens serial ports", install_extra("board"))


def _print_table(built: Artifacts, used: Dataset, run: BoardRun, port: str) -> None:
    labels = [(str(each),) if each is not None else () for each in _labels(used)]
    rows = [
        (str(place), *label, str(found.index), f"{found.score:,}", str(index), f"{score:,}")
        for place, (label, found, (index, score)) in enumerate(
            zip(labels, run.results, run.expected, strict=True)
        )
    ]
    known = () if used.labels is None else ("label",)
    headings = ("image", *known, "class", "score", "model's class", "model's score")
    print_table(f"{built.quantized.name} on {port}", headings, rows)
    if used.labels is not None:
        print_line("accuracy", f"{run.correct(used.labels):,} of {len(used):,} right")
    if run.resent:
        print_line("sent again", f"{run.resent:,}")
    if not built.as_generated:
        print_line("Verilog", "not the one that generate wrote")
    if not run.mismatches:
        print_line("bit-exact", "yes, class and score of every image")


def _document(built: Artifacts, used: Dataset, run: BoardRun, port: str) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "network": built.quantized.name,
        "quantized_sha256": built.quantized.sha256,
        "verilog_sha256": built.verilog_sha256,
        "as_generated": built.as_generated,
        "port": port,
        "dataset": {"name": used.name, "split": used.split, "sha256": used.sha256},
        "bit_exact": not run.mismatches,
        "correct": None if used.labels is None else run.correct(used.labels),
        "resent": run.resent,
        "images": [
            {
                "label": label,
                "class": found.index,
                "score": found.score,
                "expected_class": index,
                "expected_score": score,
            }
            for label, found, (index, score) in zip(
                _labels(used), run.results, run.expected, strict=True
            )
        ],
    }


def _labels(used: Dataset) -> list[int | None]:
    """The label of each image; None if they are not known."""
    return [None] * len(used) if used.labels is None else used.labels.tolist()

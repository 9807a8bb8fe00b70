"""`systolith board`: a bitstream for an FPGA board with a serial line."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path
from typing import Annotated

import typer

from systolith.scripts.console import print_json, print_line, print_table, print_text
from systolith.scripts.options import JsonOption, one_of, whole_number
from systolith.scripts.outputs import require_file, writing
from systolith.scripts.progress import progress

_BOARDS = ("ulx3s-25f", "ulx3s-85f", "icepi-zero")  # hw.boards.BOARDS, which --help need not load
_BAUD = 1_000_000


def board(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder that generate wrote.", show_default=False),
    ],
    name: Annotated[
        str,
        typer.Option(
            "--board",
            parser=one_of("--board", *_BOARDS),
            metavar="|".join(_BOARDS),
            help="The board.",
            show_default=False,
        ),
    ],
    baud: Annotated[
        int,
        typer.Option(
            parser=whole_number("--baud", 1),
            metavar="N",
            help="Bits a second on the serial line, at most 7500000.",
        ),
    ] = _BAUD,
    json: JsonOption = False,
) -> None:
    """Make the bitstream of a board that classifies images over its serial line.

    Writes DIR/board.bit and DIR/board.json. The Verilog of DIR is built in
    as it is. The tools are open: Yosys, nextpnr and Project Trellis, from the
    extra board. It takes minutes. Ends with 1 if the design does not fit the
    board, and says what there is too little of and which budget fits.

    [bold]Examples[/bold]

    systolith board lenet5-rtl --board ulx3s-85f
    systolith board lenet5-small --board ulx3s-25f --baud 3000000
    """
    from systolith.hw.boards.bitstream import (
        BITSTREAM_NAME,
        FILE_NAME,
        clocks_per_bit,
        make_bitstream,
    )
    from systolith.hw.boards.board_catalog import BOARDS
    from systolith.hw.errors import MissingToolError
    from systolith.hw.installation import install_extra
    from systolith.hw.verilog import artifacts

    clocks_per_bit(baud)
    built = artifacts.load(folder)
    if importlib.util.find_spec("amaranth_boards") is None:
        raise MissingToolError("amaranth-boards", "which has the pins", install_extra("board"))
    for file in (BITSTREAM_NAME, FILE_NAME):
        require_file(folder / file)
    with progress("board") as shown, writing(folder):
        record = make_bitstream(built, folder, name, baud, shown.announce)
    if json:
        print_json(record.to_json())
        return
    print_table(
        f"{built.quantized.name} on {name} ({record.device})",
        ("cells", "used", "of", ""),
        [
            (cell, f"{each.used:,}", f"{each.available:,}", f"{each.used / each.available:.0%}")
            for cell, each in record.resources.items()
        ],
    )
    print_line("clock", f"{record.clock_mhz:g} MHz, routed for {record.routed_mhz:g}")
    print_line("serial line", f"{baud:,} baud, 8 data bits, no parity, 1 stop bit")
    if not built.as_generated:
        print_line("Verilog", "not the one that generate wrote")
    bitstream = str(folder / BITSTREAM_NAME)
    print_text(shlex.join(["openFPGALoader", "-b", BOARDS[name].loader, bitstream]))
    print_text(shlex.join(["systolith", "classify", str(folder), "--serial", "/dev/ttyUSB0"]))

"""`systolith export`: a quantized network for another engine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from systolith.scripts.console import print_text
from systolith.scripts.options import file_to_write
from systolith.scripts.outputs import writing


def export(
    quantized: Annotated[
        Path,
        typer.Argument(metavar="Q", help="A quantized network (.npz).", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=file_to_write("--out", ".onnx"),
            metavar="FILE.onnx",
            help="The model to write.",
            show_default=False,
        ),
    ],
) -> None:
    """Write a quantized network as an ONNX model of integer operators.

    ONNX Runtime, or another engine, computes the same integers with it: the
    model takes raw pixels and returns the class, the scores and the raw values
    of every layer, under the layer's name.

    Needs the extra onnx; without it, the command that installs it is printed.

    [bold]Examples[/bold]

    systolith export lenet5.npz --out lenet5.onnx
    """
    from systolith import golden
    from systolith.golden.files.whole_files import write_whole
    from systolith.hw.errors import MissingToolError
    from systolith.hw.installation import install_extra

    network = golden.QuantizedNetwork.load(quantized)
    if importlib.util.find_spec("onnx") is None:
        raise MissingToolError("onnx", "which writes ONNX files", install_extra("onnx"))
    content = golden.export_onnx(network)
    with writing(out):
        write_whole(out, content)
    print_text(f"{out}: {network.name}, {len(network.fixed.layers)} layers, {len(content):,} bytes")

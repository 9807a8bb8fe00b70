"""`systolith quantize`: the fixed-point twin of a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.options import NetworkArgument, file_to_write, whole_number
from systolith.scripts.outputs import writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from systolith.golden.quantization.settings import Settings

CALIBRATION_IMAGES = 1000
"""More of them choose the same formats, and take longer."""


def quantize(
    network: NetworkArgument,
    out: Annotated[
        Path,
        typer.Option(
            parser=file_to_write("--out", ".npz"),
            metavar="Q.npz",
            help="The quantized network: one file, with its float parent inside.",
            show_default=False,
        ),
    ],
    weight_bits: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--weight-bits", 2, 16),
            metavar="N",
            help="Bits of weights, 2 to 16.",
            show_default="8",
        ),
    ] = None,
    activation_bits: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--activation-bits", 2, 16),
            metavar="N",
            help="Bits of feature maps, 2 to 16.",
            show_default="8",
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="mse|minmax|percentile|entropy",
            help="What formats are chosen for: mse, the least squared error; minmax, the whole "
            "range; percentile, nearly all of it; entropy, the least divergence.",
            show_default="mse",
        ),
    ] = None,
    bias_correction: Annotated[
        bool,
        typer.Option(
            "--bias-correction",
            help="Let biases make up for the mean errors of sums: at 4 bits and less.",
            show_default=False,
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Settings for all layers and by layer. The options above come before them.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Choose formats on held-out digits and round the weights: from floats to integers.

    A settings file has the keys weight_bits, activation_bits, calibration,
    percentile, granularity, table_index_bits, rounding and bias_correction at
    its top, and again under layers.NAME for single layers:

    weight_bits = 8
    layers.C3.weight_bits = 4

    [bold]Examples[/bold]

    systolith quantize lenet5 --out lenet5.npz
    systolith quantize lenet5 --out q4.npz --weight-bits 4 --activation-bits 4
    systolith quantize lenet5 --out q3.npz --weight-bits 3 --bias-correction
    systolith quantize lenet5-relu --out mixed.npz --config mixed.toml
    """
    from systolith import golden

    options = {
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "calibration": calibration,
        "bias_correction": bias_correction or None,
    }
    settings = read_settings(config, {k: v for k, v in options.items() if v is not None})
    trained = golden.load_network(network)
    quantized = golden.quantize(trained, calibration_images(), settings)
    with writing(out):
        quantized.save(out)
    typer.echo(f"{out}: {quantized.name}, weights of {quantized.weight_bits_total:,} bits")


def calibration_images() -> NDArray[np.uint8]:
    """The digits on which formats are chosen: held out of training, and none of the test set."""
    from systolith.golden import validation_digits

    return validation_digits().images[:CALIBRATION_IMAGES]


def read_settings(config: Path | None, options: dict[str, Any]) -> Settings:
    """The settings of a TOML file, and of options of the command line, which come before them."""
    from systolith.golden.files.toml_files import read_toml
    from systolith.golden.quantization.settings import Settings

    from_file = read_toml(config) if config is not None else {}
    try:
        Settings.from_mapping(from_file)
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from None
    return Settings.from_mapping({**from_file, **options})

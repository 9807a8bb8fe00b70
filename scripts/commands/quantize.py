"""`systolith quantize`: the fixed-point twin of a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.calibration_split import named_calibration
from systolith.scripts.console import print_text
from systolith.scripts.options import (
    LabelColumnOption,
    NetworkArgument,
    file_to_write,
    whole_number,
)
from systolith.scripts.outputs import writing

if TYPE_CHECKING:
    from systolith.golden.quantization.settings import Settings


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
            help="Correct biases by the mean errors of their sums; helps at 4 bits and less.",
            show_default=False,
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Settings for all layers and for single ones. The options above override them.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images that choose the formats: .npz, IDX, a folder of pictures or a .csv file, "
            "with or without labels. Needed unless the network was trained on MNIST.",
            show_default="validation digits",
        ),
    ] = None,
    label_column: LabelColumnOption = None,
    images: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--images", 1),
            metavar="N",
            help="Choose the formats on N images, which a fixed seed takes from all over the file; "
            "of the digits, on the first.",
            show_default="1,000, or all if there are fewer",
        ),
    ] = None,
) -> None:
    """Turn floats into integers: choose formats on images, and round the weights.

    The images are digits that were held out of MNIST's training files.
    A network whose file does not say that it was trained on MNIST needs images
    of its own (--data), which are prepared as those that it was trained on.

    A settings file has the keys weight_bits, activation_bits, calibration,
    percentile, granularity, table_index_bits, rounding and bias_correction at
    its top, and the same keys under layers.NAME for single layers:

    weight_bits = 8
    layers.C3.weight_bits = 4

    [bold]Examples[/bold]

    systolith quantize lenet5 --out lenet5.npz
    systolith quantize lenet5 --out q4.npz --weight-bits 4 --activation-bits 4
    systolith quantize lenet5 --out q3.npz --weight-bits 3 --bias-correction
    systolith quantize lenet5-relu --out mixed.npz --config mixed.toml
    systolith quantize mine.npz --out q.npz --data images.npz
    """
    from systolith import golden
    from systolith.golden.network.affine import affines
    from systolith.golden.quantization.padding import padded_with
    from systolith.golden.quantization.quantized_network import weight_counts
    from systolith.golden.reports.memory_size import FLOAT_BITS, in_kibibytes, smaller_than_float

    options = {
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "calibration": calibration,
        "bias_correction": bias_correction or None,
    }
    settings = read_settings(config, {k: v for k, v in options.items() if v is not None})
    trained = golden.load_network(network)
    chosen, name = named_calibration(trained, data, images, label_column)
    quantized = golden.quantize(trained, chosen, settings, name)
    with writing(out):
        quantized.save(out)
    weights = sum(weight_counts(trained.network).values())
    bits = quantized.weight_bits_total
    ratio = smaller_than_float(bits, weights)
    than = f", {ratio} smaller than {FLOAT_BITS}-bit floats" if ratio else ""
    print_text(f"{out}: {quantized.name}, weights of {in_kibibytes(bits)}{than}")
    print_text(f"formats chosen on {len(chosen):,} images of {name}")
    standing = affines(trained.network)
    for layer in quantized.fixed.layers:
        if real := padded_with(layer, standing[layer.layer.inputs[0]]):
            print_text(f"{layer.name} pads with {real:.4g} instead of 0, the nearest raw value")


def read_settings(config: Path | None, options: dict[str, Any]) -> Settings:
    """The settings of a TOML file, overridden by options of the command line."""
    from systolith.golden.files.toml_files import read_toml
    from systolith.golden.quantization.settings import Settings

    from_file = read_toml(config) if config is not None else {}
    try:
        Settings.from_mapping(from_file)
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from None
    return Settings.from_mapping({**from_file, **options})

"""`systolith import`: an ONNX model as an equivalent trained network, or its unsupported nodes."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.calibration_split import choose
from systolith.scripts.console import print_error, print_line, print_table
from systolith.scripts.options import LabelColumnOption, file_to_write, load_data
from systolith.scripts.outputs import writing
from systolith.scripts.preprocessing_options import (
    InputFormatOption,
    MeanOption,
    RawOption,
    ScaleOption,
    StdOption,
    declared_preprocessing,
)

if TYPE_CHECKING:
    from systolith.golden import Dataset, ImportedNetwork
    from systolith.golden.onnx.runtime_comparison import LayerDifference
    from systolith.golden.qformat import RawImages


_CHECKED_IMAGES = 1000
"""The largest number of images on which preprocessings are compared."""

_SHAPE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?")


def _image_shape(given: str | tuple[int, int, int]) -> tuple[int, int, int]:
    """A parser of height, width and channels; one channel if it has no third number."""
    if isinstance(given, tuple):
        return given
    found = _SHAPE.fullmatch(given)
    if found is None:
        raise typer.BadParameter(
            f"must be height and width, and channels if there are several, such as 28x28 or "
            f"32x32x3, not {given!r}",
            param_hint="--image",
        )
    height, width, channels = found.groups(default="1")
    return int(height), int(width), int(channels)


def import_network(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL.onnx", help="An ONNX model.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=file_to_write("--out", ".npz"),
            metavar="NET.npz",
            help="The network to write, as quantize takes it.",
            show_default=False,
        ),
    ],
    scale: ScaleOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    raw: RawOption = False,
    input_format: InputFormatOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The output to take, where there are several.", show_default=False
        ),
    ] = None,
    image: Annotated[
        Any,
        typer.Option(
            parser=_image_shape,
            metavar="HxW[xC]",
            help="The image that a model's row of values is: its pixels row by row, such as 28x28.",
            show_default="one pixel",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images, on which layers are compared, with labels to see whether the "
            "preprocessing is right: .npz, IDX, a folder of pictures or a .csv file.",
            show_default=False,
        ),
    ] = None,
    label_column: LabelColumnOption = None,
) -> None:
    """Import an ONNX model: a chain of convolutions, poolings and dense layers.

    Every layer is compared with ONNX Runtime, where it is installed. What
    cannot be imported is refused, with a line for every unsupported node.

    No ONNX file says what its input is, so it must be declared: the network
    takes (pixel * scale - mean) / std, or pixels as they are. With --data the
    accuracy on 1,000 of its images, which a fixed seed chooses, is printed, and
    a warning if one of the usual declarations is clearly better; without
    labels, only the ranges of input and outputs. Features that are no pixels get a
    format: s8.5 is signed and has 8 bits, 5 of them after the binary point.

    Needs the extra onnx; without it, the command that installs it is printed.

    [bold]Examples[/bold]

    systolith import lenet.onnx --out lenet.npz --scale 1/255
    systolith import lenet.onnx --out lenet.npz --scale 1/255 --mean 0.1307 --std 0.3081
    systolith import lenet.onnx --out lenet.npz --scale 1/255 --data test.npz
    systolith import mlp.onnx --out mlp.npz --scale 1/255 --image 28x28
    systolith import sensor.onnx --out sensor.npz --input-format s8.5 --image 1x16
    systolith import rgb.onnx --out rgb.npz --scale 1/255 --mean 0.5,0.4,0.4 --std 0.2,0.2,0.2
    """
    from systolith import golden
    from systolith.golden.network.dataset_check import check_dataset

    preprocessing = declared_preprocessing(scale, mean, std, raw, input_format)
    require_onnx()
    try:
        imported = golden.import_onnx(model, preprocessing, output, image)
    except golden.RefusedError as error:
        if len(error.refusals) > 1:
            for refusal in error.refusals:
                print(refusal, file=sys.stderr)
        raise
    dataset = None if data is None else load_data(data, imported.trained.network, label_column)
    if dataset is not None:
        check_dataset(imported.trained.network, dataset)
    differences, reason = compared(imported, None if dataset is None else dataset.images)
    _print(imported, {each.layer: each for each in differences})
    wrong = [each for each in differences if not each.is_rounding]
    if differences:
        worst = max(differences, key=lambda each: each.relative)
        print_line(
            "ONNX Runtime",
            f"{len(differences)} of {len(imported.origins)} layers compared, largest difference "
            f"{worst.relative:.1e} of the largest value, in {worst.layer}",
        )
    else:
        print_line("ONNX Runtime", reason)
    if wrong:
        names = ", ".join(each.layer for each in wrong)
        print(f"systolith: {model}: not written, as ONNX Runtime differs: {names}", file=sys.stderr)
        raise typer.Exit(1)
    if dataset is not None:
        judge = _check_preprocessing if dataset.labels is not None else _print_ranges
        judge(imported, choose(dataset, min(len(dataset), _CHECKED_IMAGES)))
    with writing(out):
        imported.trained.save(out)
    print_line("written", str(out))


def require_onnx() -> None:
    """Refuse to go on without the package onnx.

    Raises
    ------
    MissingToolError
        It is not installed.
    """
    from systolith.hw.errors import MissingToolError
    from systolith.hw.installation import install_extra

    if importlib.util.find_spec("onnx") is None:
        raise MissingToolError("onnx", "which reads ONNX files", install_extra("onnx"))


def compared(
    imported: ImportedNetwork, images: RawImages | None = None
) -> tuple[tuple[LayerDifference, ...], str]:
    """Differences from ONNX Runtime; none, and the reason, if there is no comparison.

    They are measured on the first of the images, or on random ones.
    """
    from systolith.golden.onnx.runtime_comparison import RuntimeRefusedError, compare_with_runtime
    from systolith.hw.installation import install_package

    if importlib.util.find_spec("onnxruntime") is None:
        return (), f"not installed, so nothing was compared: {install_package('onnxruntime')}"
    try:
        return compare_with_runtime(imported, images), ""
    except RuntimeRefusedError as error:
        return (), f"refuses the model, so nothing was compared: {error}"


def _check_preprocessing(imported: ImportedNetwork, dataset: Dataset) -> None:
    """Print the accuracy, and warn if another preprocessing is clearly better."""
    from systolith.scripts.preprocessing_check import check_preprocessing

    found = check_preprocessing(imported, dataset)
    print_line(
        "accuracy", f"{found.correct:,} of {found.images:,} images of {dataset.title} are right"
    )
    if found.better is not None:
        print_error(
            f"warning: with {found.better} {found.better_correct:,} of {found.images:,} would be "
            "right: look up how the images of its training were prepared"
        )


def _print_ranges(imported: ImportedNetwork, dataset: Dataset) -> None:
    """Print what is known of the preprocessing without labels: the ranges that it gives."""
    from systolith.golden.network import float_model

    images = dataset.images
    values = imported.preprocessing.apply(images)
    outputs = float_model.scores(imported.trained, images)
    print_line(
        "ranges",
        f"the model's input {values.min():.4g} to {values.max():.4g}, its outputs "
        f"{outputs.min():.4g} to {outputs.max():.4g}, on {len(images):,} images of {dataset.title}",
    )
    why = "the images have no labels"
    if not imported.trained.network.has_classes:
        why = "the network is no classifier"
    print_line("preprocessing", f"cannot be judged: {why}")


def _print(imported: ImportedNetwork, differences: dict[str, LayerDifference]) -> None:
    from rich.markup import escape

    from systolith.golden.onnx.model.plain_text import shown
    from systolith.golden.qformat import PIXELS

    network = imported.trained.network
    shapes = network.shapes()
    rows = []
    for origin in imported.origins:
        difference = differences.get(origin.layer)
        rows.append(
            (
                origin.layer,
                network[origin.layer].type_name,
                str(shapes[origin.layer]),
                escape(shown(origin.chief)),
                escape(shown(" ".join(operator for _, operator in origin.nodes))),
                "" if difference is None else f"{difference.relative:.1e}",
            )
        )
    print_table(
        network.name, ("layer", "type", "output", "node", "operators", "difference"), rows, left=5
    )
    first = network.input
    pixels = first.format == PIXELS
    values, value = ("pixels", "pixel") if pixels else (f"values of {first.format}", "value")
    print_line(
        "input",
        f"{first.image_shape} {values}, each standing for {first.scale:g} * {value} + "
        f"{first.offset:g}"
        + (f", {first.border} of {first.background} around" if first.border else ""),
    )
    for note in imported.notes:
        print_line("note", note)

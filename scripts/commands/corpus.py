"""`systolith corpus`: every ONNX model of a folder, and the last step that each passes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.commands.import_network import compared, require_onnx
from systolith.scripts.console import print_json, print_markdown, to_json
from systolith.scripts.options import JsonOption, file_to_write, whole_number
from systolith.scripts.outputs import writing
from systolith.scripts.preprocessing_options import (
    InputFormatOption,
    MeanOption,
    RawOption,
    ScaleOption,
    StdOption,
    declared_preprocessing,
)
from systolith.scripts.progress import progress

if TYPE_CHECKING:
    from systolith.golden import ImportedNetwork, Preprocessing, QuantizedNetwork
    from systolith.golden.qformat import QFormat, RawImages
    from systolith.hw import Plan

SCHEMA = "systolith.corpus/1"

_IMAGES = 16
_SEED = 0
_MOST_SIMULATED = 1000


@dataclass
class ModelEntry:
    """The last step that a model passed; later steps have no value.

    `reasons` has a line for each node that was refused, or the one reason why a step failed.
    """

    file: str
    result: str = "refused"
    layers: int | None = None
    compared_layers: int | None = None
    largest_difference: float | None = None
    multipliers: int | None = None
    interval_cycles: int | None = None
    simulated_images: int | None = None
    seconds: float = 0.0
    reasons: list[str] = field(default_factory=list)


def corpus(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Every .onnx file in it and below.", show_default=False
        ),
    ],
    scale: ScaleOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    raw: RawOption = False,
    input_format: InputFormatOption = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images to quantize on: .npz, IDX (the labels' file next to it), "
            "or a folder of pictures, if they fit "
            "the network.",
            show_default="random images",
        ),
    ] = None,
    rtl: Annotated[
        int,
        typer.Option(
            "--rtl",
            parser=whole_number("--rtl", 0, _MOST_SIMULATED),
            metavar="N",
            help="Generate hardware, too, and simulate N images; takes a minute for some models.",
        ),
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=file_to_write("--out", ".md", ".json"),
            metavar="FILE",
            help="A file for the table.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Try every ONNX model of a folder: import, compare, quantize, plan, and simulate.

    The table says of each model how far it came and, if it was refused, why.
    Layers are compared with ONNX Runtime, where it is installed. With --rtl
    the hardware of each is simulated, and every layer compared with the
    fixed-point model. Ends with 1 if a layer differs from ONNX Runtime by more
    than rounding, or if hardware is not bit-exact or takes other cycles than
    predicted.

    [bold]Examples[/bold]

    systolith corpus models --scale 1/255
    systolith corpus models --scale 1/255 --data images.npz --out corpus.md
    systolith corpus models --scale 1/255 --rtl 3
    """
    from systolith import golden
    from systolith.golden.files.whole_files import write_whole

    preprocessing = declared_preprocessing(scale, mean, std, raw, input_format)
    require_onnx()
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    files = sorted(folder.rglob("*.onnx"))
    if not files:
        raise ValueError(f"{folder}: has no .onnx files")
    images = None if data is None else _raw(golden.load_dataset(data).images, preprocessing.format)
    entries = []
    with progress("models") as report:
        for done, file in enumerate(files):
            report(done, len(files))
            entries.append(tried(file, str(file.relative_to(folder)), preprocessing, images, rtl))
    document = {
        "schema": SCHEMA,
        "models": len(entries),
        "imported": sum(entry.result != "refused" for entry in entries),
        "entries": [asdict(entry) for entry in entries],
    }
    if out is not None:
        text = to_json(document) if out.suffix == ".json" else to_markdown(entries)
        with writing(out):
            write_whole(out, text.encode())
    if json:
        print_json(to_json(document))
    else:
        print_markdown(to_markdown(entries))
    if any(entry.result == "wrong" for entry in entries):
        raise typer.Exit(1)


def _raw(images: RawImages, fmt: QFormat) -> RawImages:
    """Images of a file, if they are raw values of the declared format."""
    from systolith.golden.qformat import first_outside

    found = first_outside(images, fmt)
    if found is not None:
        raise ValueError(f"--data: the networks take {fmt}: {found}")
    return images.astype(fmt.raw_type, copy=False)


def tried(
    path: Path, name: str, preprocessing: Preprocessing, images: RawImages | None, rtl: int
) -> ModelEntry:
    """Take a model through all steps until one fails; the last one simulates `rtl` images."""
    from systolith import golden

    begun = time.perf_counter()
    entry = ModelEntry(name)
    try:
        _take(entry, golden.import_onnx(path, preprocessing), images, rtl)
    except golden.RefusedError as error:
        entry.reasons += map(str, error.refusals)
    except ValueError as error:
        entry.reasons.append(str(error).removeprefix(f"{path}: "))
    entry.seconds = round(time.perf_counter() - begun, 2)
    return entry


def _take(entry: ModelEntry, imported: ImportedNetwork, images: RawImages | None, rtl: int) -> None:
    """Go from step to step; after an error the entry has the last step that passed."""
    import numpy as np

    from systolith import golden, hw

    entry.result, entry.layers = "imported", len(imported.origins)
    differences, reason = compared(imported)
    if differences:
        entry.compared_layers = len(differences)
        entry.largest_difference = max(each.relative for each in differences)
    else:
        entry.reasons.append(f"ONNX Runtime {reason}")
    if not all(each.is_rounding for each in differences):
        entry.result = "wrong"
        return
    shape = imported.trained.network.input.image_shape
    if images is None or images.shape[1:] != shape:
        rng = np.random.default_rng(_SEED)
        fmt = imported.preprocessing.format
        images = rng.integers(
            fmt.min_raw, fmt.max_raw, (_IMAGES, *shape), fmt.raw_type, endpoint=True
        )
    quantized = golden.quantize(imported.trained, images)
    entry.result = "quantized"
    goal = hw.PRESETS[hw.DEFAULT_PRESET]
    plan = hw.make_plan(quantized.fixed, goal)
    planned = hw.report_plan(quantized, plan)
    entry.result = "planned"
    entry.multipliers = planned.multipliers
    entry.interval_cycles = planned.predicted.interval_cycles
    if rtl:
        _simulate(entry, quantized, plan, np.resize(images, (rtl, *shape)))


def _simulate(
    entry: ModelEntry, quantized: QuantizedNetwork, plan: Plan, images: RawImages
) -> None:
    """Generate the hardware, and compare every layer on these images."""
    from systolith import golden, hw, sim
    from systolith.hw.child_processes import temporary_folder

    with temporary_folder("systolith-corpus-") as folder:
        hw.generate(quantized, folder / "rtl", plan)
        dataset = golden.Dataset("images", "custom", images, None)
        report = sim.simulate(folder / "rtl", None, dataset)
    entry.simulated_images = len(images)
    entry.result = "wrong" if report.failures else "simulated"
    entry.reasons += report.failures


def to_markdown(entries: Sequence[ModelEntry]) -> str:
    """The table, and below it the reasons for models that failed."""
    from systolith.golden.reports.markdown import cell, table

    reached = sum(entry.result != "refused" for entry in entries)
    rows = [
        (
            cell(entry.file),
            entry.result,
            _figure(entry.layers),
            "" if entry.largest_difference is None else f"{entry.largest_difference:.1e}",
            _figure(entry.multipliers),
            _figure(entry.interval_cycles),
            _figure(entry.simulated_images),
            f"{entry.seconds:.2f}",
        )
        for entry in entries
    ]
    headings = (
        *("model", "result", "layers", "difference", "multipliers", "cycles", "simulated"),
        "seconds",
    )
    text = f"{reached} of {len(entries)} models imported\n\n{table(headings, rows, left=2)}"
    for entry in entries:
        if entry.reasons:
            lines = "".join(f"- {cell(reason)}\n" for reason in entry.reasons)
            text += f"\n{cell(entry.file)}:\n\n{lines}"
    return text


def _figure(value: Any) -> str:
    return "" if value is None else f"{value:,}"

"""`systolith predict`: the classes and scores of pictures and of files of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.console import print_error, print_json, print_line, print_table, to_json
from systolith.scripts.options import JsonOption, LabelColumnOption, load_data
from systolith.scripts.progress import progress

if TYPE_CHECKING:
    from systolith.golden import Network, QuantizedNetwork
    from systolith.golden.qformat import RawImages
    from systolith.hw.verilog.artifacts import Artifacts
    from systolith.sim.classification import Classification

SCHEMA = "systolith.prediction/1"

_MOST_COLUMNS = 10
"""Up to this number of classes, the table has the scores of all."""


def predict(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="Q_OR_DIR",
            help="A quantized network (.npz), or the folder that generate wrote: then the hardware "
            "is simulated, too, and compared.",
            show_default=False,
        ),
    ],
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE...",
            help="PNG, JPEG, BMP, GIF, PPM, PGM or WebP; or a .csv or .npz file, each of whose "
            "images is classified as it is.",
            show_default=False,
        ),
    ],
    label_column: LabelColumnOption = None,
    invert: Annotated[
        bool,
        typer.Option("--invert", help="Subtract pixels from 255: for dark digits on white."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Print the class and the scores of pictures.

    A network without classes, and hardware that puts out all scores, give scores
    alone.

    Of a network, by its fixed-point model. Of a folder of hardware, its Verilog
    is simulated and every value of every layer compared with the model; ends
    with 1 if one differs.

    A picture is scaled as a whole to the network's input, its aspect ratio
    kept, and the rest is filled with the network's background. Its pixels go in
    as they are, 0 to 255: the digits of MNIST are bright on black, so that a
    dark digit on white needs --invert. A network of features takes them from
    a .csv or .npz file.

    [bold]Examples[/bold]

    systolith predict lenet5.npz seven.png
    systolith predict lenet5.npz --invert scan.jpg photo.jpg
    systolith predict lenet5-rtl seven.png --json
    systolith predict sensor.npz features.csv
    """
    import numpy as np

    from systolith.golden import QuantizedNetwork
    from systolith.golden.fixed.execution import FixedModel, winners

    built = _hardware(source) if source.is_dir() else None
    network = QuantizedNetwork.load(source) if built is None else built.quantized
    fixed = network.fixed
    read = [each for path in pictures for each in _read(path, fixed.network, invert, label_column)]
    images = np.stack([each.image for each in read])
    scores = FixedModel(fixed).scores(images)
    by_class = fixed.network.has_classes if built is None else built.manifest.result.kind == "class"
    classes = winners(fixed, scores).tolist() if by_class else [None] * len(scores)
    result = None if built is None else _classified(built, images)
    failures = () if result is None else result.failures
    document = {
        "schema": SCHEMA,
        "network": network.name,
        "quantized_sha256": network.sha256,
        "result": "class" if by_class else "scores",
        "winner": fixed.network.output.winner,
        "score_frac_bits": fixed.layers[-1].output_format.frac_bits,
        "hardware": None
        if built is None
        else {"as_generated": built.as_generated, "bit_exact": not failures},
        "pictures": [
            {
                **each.about,
                "class": classes[place],
                "hardware_class": result.classes[place] if result and by_class else None,
                "scores": scores[place].tolist(),
            }
            for place, each in enumerate(read)
        ],
    }
    if json:
        print_json(to_json(document))
    else:
        _print_table(network, document)
        for each in read:
            if each.steps:
                print_line(Path(each.about["file"]).name, ", ".join(each.steps))
        if built is not None and not built.as_generated:
            print_line("Verilog", "not the one that generate wrote")
        if built is not None and not failures:
            print_line("bit-exact", "yes, in every layer")
    if failures:
        print_error(failures[0] + (f" (and {len(failures) - 1} more)" if failures[1:] else ""))
        raise typer.Exit(1)


@dataclass(frozen=True, eq=False)
class _Read:
    """An image, what the JSON says of it, and what was done to a picture, in words."""

    image: RawImages
    about: dict[str, Any]
    steps: tuple[str, ...] = ()


def _read(path: Path, network: Network, invert: bool, label_column: str | None) -> list[_Read]:
    """A picture as an image of a network, or the images of a file."""
    from systolith.golden.network.dataset_check import check_dataset
    from systolith.scripts.pictures import read_picture

    if path.suffix in (".csv", ".npz"):
        if invert:
            raise ValueError(f"--invert: is for pictures, not for {path}")
        dataset = load_data(path, network, label_column)
        check_dataset(network, dataset, by_class=False)
        return [
            _Read(image, {"file": str(path), "image": number})
            for number, image in enumerate(dataset.images)
        ]
    read = read_picture(path, network.input, invert)
    about = {
        "file": str(path),
        "width": read.size[0],
        "height": read.size[1],
        "mode": read.mode,
        "scaled_width": read.scaled[0],
        "scaled_height": read.scaled[1],
        "inverted": invert,
    }
    return [_Read(read.image, about, read.steps)]


def _hardware(folder: Path) -> Artifacts:
    """The hardware in a folder; whether it can be simulated is found out before any work."""
    from systolith.hw.verilog import artifacts
    from systolith.sim.simulators import installed

    built = artifacts.load(folder)
    installed.find_verilator()
    return built


def _classified(built: Artifacts, images: RawImages) -> Classification:
    from systolith.sim.classification import classify

    with progress("predict") as shown:
        shown.announce("simulating")
        return classify(built, images)


def _print_table(network: QuantizedNetwork, document: dict[str, Any]) -> None:
    """Print the class of every picture, and its scores; of more than 10, the winner's or the first.

    A network without classes has no winner.
    """
    by_class, by_hardware = document["result"] == "class", document["hardware"] is not None
    count = len(document["pictures"][0]["scores"])
    shown = range(min(count, _MOST_COLUMNS)) if count <= _MOST_COLUMNS or not by_class else ()
    rows = []
    for each in document["pictures"]:
        scores = [each["scores"][number] for number in shown] or [each["scores"][each["class"]]]
        classes = [each["class"], *([each["hardware_class"]] if by_hardware else [])]
        named = map(str, classes if by_class else ())
        name = each["file"] + (f" [{each['image']}]" if "image" in each else "")
        rows.append((name, *named, *(f"{score:,}" for score in scores)))
    headings = ("class", *(["RTL class"] if by_hardware else [])) if by_class else ()
    scored = [f"score {number}" for number in shown] or ["score"]
    print_table(network.name, ("picture", *headings, *scored), rows)
    meaning = f"raw values, 1 is 2**{-document['score_frac_bits']}"
    if by_class:
        meaning += f"; the {document['winner']} wins"
    elif count > _MOST_COLUMNS:
        meaning += f"; the first {_MOST_COLUMNS} of {count:,}: --json prints all"
    print_line("scores", meaning)

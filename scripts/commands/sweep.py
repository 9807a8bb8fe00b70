"""`systolith sweep`: networks with many settings, and their Pareto fronts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.calibration_split import (
    check_apart,
    choose,
    split,
    test_images,
    validation_images,
)
from systolith.scripts.console import (
    print_error,
    print_json,
    print_line,
    print_markdown,
    print_text,
)
from systolith.scripts.options import (
    TARGETS,
    JsonOption,
    LabelColumnOption,
    folder_to_write,
    one_of,
    whole_number,
)
from systolith.scripts.outputs import require_apart
from systolith.scripts.plan_options import PRESETS
from systolith.scripts.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from systolith.golden import Dataset, TrainedNetwork
    from systolith.hw import Goal
    from systolith.scripts.sweeping.variations import Variation
    from systolith.scripts.sweeping.workers import Workers


_FEW_IMAGES = 16
"""Whether a goal can be reached does not depend on formats, so that few images are enough."""


def listed(
    option: str, parse: Callable[[str], Any] = str
) -> Callable[[str | tuple[Any, ...]], tuple[Any, ...]]:
    """A parser of words between commas: `parse` converts each, and none may be there twice."""

    def parse_list(given: str | tuple[Any, ...]) -> tuple[Any, ...]:
        if isinstance(given, tuple):
            return given
        values = tuple(parse(word.strip()) for word in given.split(","))
        for position, value in enumerate(values):
            if value in values[:position]:
                raise typer.BadParameter(f"{value} is there twice", param_hint=option)
        return values

    return parse_list


def sweep(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...",
            help="lenet5, lenet5-sigmoid, lenet5-relu, or files of trained weights.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=folder_to_write,
            metavar="DIR",
            help="The folder of all results.",
            show_default=False,
        ),
    ],
    weight_bits: Annotated[
        Any,
        typer.Option(
            parser=listed("--weight-bits", whole_number("--weight-bits", 2, 16)),
            metavar="N,N...",
            help="Bits of weights, 2 to 16.",
        ),
    ] = "8,6,4,3",
    activation_bits: Annotated[
        Any,
        typer.Option(
            parser=listed("--activation-bits", whole_number("--activation-bits", 2, 16)),
            metavar="N,N...",
            help="Bits of feature maps, 2 to 16, combined with every width of weights.",
        ),
    ] = "8,6,4",
    calibration: Annotated[
        Any,
        typer.Option(
            parser=listed("--calibration"),
            metavar="WORD,WORD...",
            help="How formats are chosen (see quantize), combined with every pair of widths.",
        ),
    ] = "mse",
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V,V...",
            help="Values of another setting, combined with all of these: a key of a settings file "
            "(see quantize), such as bias_correction or layers.C3.weight_bits; may be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        Any,
        typer.Option(
            parser=listed("--preset", one_of("--preset", *PRESETS)),
            metavar="WORD,WORD...",
            help="Budgets (see plan).",
            show_default="small,medium,large, as far as they can be reached",
        ),
    ] = None,
    max_multipliers: Annotated[
        Any,
        typer.Option(
            parser=listed("--max-multipliers", whole_number("--max-multipliers", 1)),
            metavar="N,N...",
            help="Budgets of at most N multipliers.",
            show_default=False,
        ),
    ] = None,
    synth: Annotated[
        str | None,
        typer.Option(
            "--synth",
            parser=one_of("--synth", *TARGETS),
            metavar="TARGET",
            help="Synthesize the points of both fronts for a device, under every budget: a front "
            "of accuracy against LUTs, for a minute or more a design (see synth).",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images by which everything is chosen: .npz, IDX, a folder of pictures or a .csv "
            "file, with labels or without.",
            show_default="the 5,000 validation digits, for networks trained on MNIST",
        ),
    ] = None,
    label_column: LabelColumnOption = None,
    images: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--images", 1),
            metavar="N",
            help="Rank points on N images other than those on which formats are chosen: of the "
            "digits the first, of others those that a fixed seed chooses.",
            show_default="all",
        ),
    ] = None,
    test_data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images on which nothing is chosen; files as for --data.",
            show_default="the 10,000 test digits, for networks trained on MNIST",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--jobs", 1, 256),
            metavar="N",
            help="Processes on this machine.",
            show_default="one for each processor",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Compute on a Dask cluster instead of this machine: its scheduler's address, such "
            "as tcp://10.0.0.1:8786.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Quantize networks with many settings, rank them, and find out which are worth building.

    Formats are chosen on the first 1,000 of the validation digits, and points
    are ranked on the others. This ranking chooses two Pareto fronts, accuracy
    against weight bits, and accuracy against multipliers and cycles; only their
    points are then scored on the test digits. Networks whose files do not say
    that they were trained on MNIST need --data and --test-data, which must
    share no image; 1,000 images of --data, at most half, which a fixed seed
    takes from all over the file, choose the formats.

    Results are cached in DIR as soon as they are there: an interrupted sweep
    continues, and a sweep with more widths computes only the new ones. DIR
    gets sweep.html, sweep.json, sweep.md, sweep.csv and pareto.svg, and its
    folder front the quantized networks of the fronts, for compare.

    --dask needs the extra dask; without it, the command that installs it is
    printed.

    [bold]Examples[/bold]

    systolith sweep lenet5-relu --out sweep
    systolith sweep lenet5 lenet5-relu --out sweep --weight-bits 8,5,4 --calibration mse,minmax
    systolith sweep lenet5 --out sweep --vary bias_correction=true,false
    systolith sweep lenet5 --out sweep --weight-bits 4 --vary layers.C3.weight_bits=3,4,5
    systolith sweep lenet5 --out sweep --max-multipliers 28,60,122 --jobs 4
    systolith sweep lenet5-relu --out sweep --preset small --synth ecp5-25k
    systolith sweep lenet5 --out sweep --dask tcp://10.0.0.1:8786
    """
    from systolith import golden
    from systolith.scripts.comparing.report_sources import FRONT_FOLDER
    from systolith.scripts.pages.pareto_picture import draw_pareto
    from systolith.scripts.pages.sweep_page import sweep_page
    from systolith.scripts.sweeping.runner import Sweep, quantized_front, sweep
    from systolith.scripts.sweeping.sweep_folder import SweepFolder
    from systolith.scripts.sweeping.variations import combinations, counted

    read = [each for each in (data, test_data) if each is not None]
    require_apart("out", [out / "sweep.csv"], read)
    if dask is not None and jobs is not None:
        raise typer.BadParameter("only one can be given, not both --dask and --jobs")
    loaded = {}
    for name in networks:
        if name in loaded:
            raise ValueError(f"network {name!r} is there twice")
        loaded[name] = golden.load_network(name)
    variations = _variations(weight_bits, activation_bits, calibration, vary)
    settings = combinations(variations, {name: each.network for name, each in loaded.items()})
    trained = loaded.values()
    data_set = validation_images(data, "--data FILE", *trained, label_column=label_column)
    calibration_data, others = split(data_set)
    test = test_images(
        test_data,
        "--test-data FILE",
        *trained,
        label_column=None if test_data is None else label_column,
    )
    check_apart(data_set, test, "--data", "which must choose nothing")
    request = Sweep(
        networks=loaded,
        settings=settings,
        budgets=_budgets(preset, max_multipliers, loaded, calibration_data),
        calibration_images=calibration_data.images,
        calibration_name=calibration_data.title,
        validation=others if images is None else choose(others, images),
        test=test,
        target=synth,
    )
    if synth is not None:
        from systolith.hw.silicon.tools import find_tool

        find_tool("yosys")
    if not json:
        print_text(counted(variations, len(loaded)))
    folder = SweepFolder(out, FRONT_FOLDER)
    with _workers(dask, jobs) as workers, progress("sweep") as shown:
        report = sweep(request, out, workers, shown, print_error)
        new = quantized_front(request, report, folder.networks(), workers)
    folder.replace(
        {point.name: point.quantized_sha256 for point in report.points if point.on_front},
        new,
        {
            "sweep.md": report.to_markdown().encode(),
            "sweep.csv": report.to_csv().encode(),
            "pareto.svg": draw_pareto(report),
            "sweep.html": sweep_page(report, data, label_column).encode(),
        },
        report.to_json(),
    )
    if json:
        print_json(report.to_json())
        return
    print_markdown(report.to_markdown())
    for name in ("sweep.json", "sweep.md", "sweep.csv", "pareto.svg", "sweep.html", FRONT_FOLDER):
        print_line(name, out / name)


def _variations(
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    calibrations: Sequence[str],
    vary: Sequence[str] | None,
) -> list[Variation]:
    """What varies, in the order of the options."""
    from systolith.scripts.sweeping.variations import Variation, parse_variations

    return [
        Variation("weight_bits", tuple(weight_bits)),
        Variation("activation_bits", tuple(activation_bits)),
        Variation("calibration", tuple(calibrations)),
        *parse_variations(vary or ()),
    ]


def _budgets(
    presets: Sequence[str] | None,
    multipliers: Sequence[int] | None,
    networks: Mapping[str, TrainedNetwork],
    images: Dataset,
) -> dict[str, Goal]:
    """The goals of presets and of numbers of multipliers, by name.

    If none are given, all presets that every network can reach; each other one is warned about.
    """
    from systolith import hw

    if presets is None and multipliers is None:
        presets = reachable_presets(networks, images)
    return {name: hw.PRESETS[name] for name in presets or ()} | {
        f"{each:,} multipliers": hw.Goal(max_multipliers=each) for each in multipliers or ()
    }


def reachable_presets(networks: Mapping[str, TrainedNetwork], images: Dataset) -> list[str]:
    """The presets that every network can reach.

    Raises
    ------
    PlanError
        There is none.
    """
    from systolith import golden, hw
    from systolith.golden.network.dataset_check import check_dataset
    from systolith.hw.errors import PlanError
    from systolith.hw.planning.budget import check_goal

    fixed = []
    for trained in networks.values():
        check_dataset(trained.network, images)
        fixed.append(golden.quantize(trained, images.images[:_FEW_IMAGES]).fixed)
    found, refused = [], []
    for name in PRESETS:
        try:
            for each in fixed:
                check_goal(each, hw.PRESETS[name])
        except PlanError as why:
            refused.append(why)
        else:
            found.append(name)
    if not found:
        raise refused[-1]
    for error in refused:
        print_error(f"warning: left out: {error}")
    return found


def _workers(dask: str | None, jobs: int | None) -> AbstractContextManager[Workers]:
    from systolith.scripts.sweeping.workers import dask_workers, local_workers, processors

    return local_workers(jobs or processors()) if dask is None else dask_workers(dask)

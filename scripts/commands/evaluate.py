"""`systolith evaluate`: an accuracy report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.calibration_split import (
    check_apart,
    how_to_repeat,
    split,
    test_images,
    validation_images,
)
from systolith.scripts.console import print_json, print_markdown
from systolith.scripts.options import (
    DataOption,
    ImagesOption,
    JsonOption,
    LabelColumnOption,
    file_to_write,
)
from systolith.scripts.outputs import writing
from systolith.scripts.plan_options import ResultOption
from systolith.scripts.progress import Progress, progress

if TYPE_CHECKING:
    from systolith.golden import AccuracyReport, Dataset, QuantizedNetwork
    from systolith.golden.quantization.trials import Trials
    from systolith.golden.reports.accuracy import HardwareEntry


_MOST_CLASSES = 20
"""Of more classes than this, a table has as many of the most frequent errors, not all pairs."""


def evaluate(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK_OR_Q",
            help="lenet5, lenet5-sigmoid, lenet5-relu, or a file: a trained network, which is "
            "evaluated in floats, or a quantized one, in integers.",
            show_default=False,
        ),
    ],
    data: DataOption = None,
    label_column: LabelColumnOption = None,
    images: ImagesOption = None,
    result: ResultOption = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            parser=file_to_write("--out", ".json", ".md", ".csv", ".html"),
            metavar="REPORT",
            help="Write the report: .json (for compare), .md, .csv (a row a layer), or .html (with "
            "pictures); may be given several times.",
            show_default=False,
        ),
    ] = None,
    rtl: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The network's hardware: the report shows its multipliers and cycles, and after "
            "synth its LUTs and clock; an .html report simulates an image on it.",
            show_default=False,
        ),
    ] = None,
    advice: Annotated[
        bool,
        typer.Option(
            "--advice",
            help="Advise on widths: try others on validation digits, some seconds for a LeNet-5.",
        ),
    ] = False,
    sensitivity: Annotated[
        bool,
        typer.Option(
            "--sensitivity",
            help="Show the effect of one and two bits less and of one more in each layer, by the "
            "same trials.",
        ),
    ] = False,
    trial_data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images for --advice and --sensitivity, none of them evaluated; files as for "
            "--data.",
            show_default="the 5,000 validation digits, for networks trained on MNIST",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure the accuracy of a network and, if it is quantized, the exactness of every layer.

    SQNR is a layer's ratio of signal to quantization noise, against the float
    network; saturated counts the values that left their format's range. The
    format s8.5 is signed and has 8 bits, 5 of them after the binary point.

    Without labels no accuracy is known: the report has the agreement with the
    float network in its place, and says so. A network that is no classifier
    has no classes, and labels mean nothing to it: the report has the errors
    of its outputs against the float network. --result scores says that a
    network which looks like a classifier is none.

    Advice and sensitivity are measured: the network is quantized with other
    widths, everywhere and layer by layer, and scored on validation digits,
    never on the images that are evaluated. 1,000 of them (at most half: the
    first digits, of --trial-data those that a fixed seed chooses) choose the
    formats, the others score them.

    A network whose file does not say that it was trained on MNIST needs images
    of its own: --data, and --trial-data for advice and sensitivity.

    [bold]Examples[/bold]

    systolith evaluate lenet5
    systolith evaluate lenet5.npz --images 1000
    systolith evaluate lenet5.npz --advice --out fixed.json
    systolith evaluate lenet5.npz --sensitivity --out report.html --out report.csv
    systolith evaluate lenet5.npz --rtl lenet5-rtl --out report.html
    systolith evaluate q.npz --data test.npz --advice --trial-data train.npz
    systolith evaluate prices.npz --data test.csv --result scores
    """
    from systolith import golden
    from systolith.golden.files.whole_files import write_whole
    from systolith.golden.network.dataset_check import check_dataset

    loaded = golden.load(network)
    quantized = loaded if isinstance(loaded, golden.QuantizedNetwork) else None
    for option, is_given in (
        ("--rtl", rtl is not None),
        ("--advice", advice),
        ("--sensitivity", sensitivity),
    ):
        if is_given and quantized is None:
            raise ValueError(
                f"{option}: needs a quantized network, not the float network {loaded.name!r}"
            )
    wants_trials = advice or sensitivity
    if trial_data is not None and not wants_trials:
        raise typer.BadParameter("needs --advice or --sensitivity", param_hint="--trial-data")
    trained = loaded.parent if isinstance(loaded, golden.QuantizedNetwork) else loaded
    by_class = trained.network.has_classes if result is None else result == "class"
    if result is None and rtl is not None:
        from systolith.hw.verilog.manifest import load_manifest

        by_class = load_manifest(rtl).result.kind == "class"
    if wants_trials and not by_class:
        raise ValueError(
            f"{'--advice' if advice else '--sensitivity'}: trials of other widths are scored by "
            "classes, which this network has not: compare its reports at several widths instead"
        )
    dataset = test_images(data, "--data FILE", trained, label_column=label_column)
    trials = None
    if wants_trials:
        trials = validation_images(
            trial_data,
            "--trial-data FILE",
            trained,
            label_column=None if trial_data is None else label_column,
        )
        if trial_data is not None:
            trials = replace(trials, split="trial")
        check_dataset(trained.network, trials)
        evaluated = dataset if images is None else dataset.take(images)
        why = "which are evaluated; trials need others"
        check_apart(trials, evaluated, "--trial-data", why)
    hardware = None
    if rtl is not None and quantized is not None:
        from systolith.scripts.rtl_folder import hardware_entry

        hardware = hardware_entry(rtl, quantized)
    with progress("evaluate") as shown:
        report = golden.evaluate(loaded, dataset, images, shown, by_class)
        if quantized is not None and trials is not None:
            shown.announce("trying widths")
            report = replace(report, trials=_trials(quantized, trials, shown))
        report = replace(report, hardware=hardware)
        for path in out or ():
            if path.suffix == ".html":
                from systolith.scripts.pages.evaluation_page import evaluation_page

                shown.announce("drawing the page" if rtl is None else "simulating an image")
                repeat = "" if report.trials is None else how_to_repeat(report.trials)
                text = evaluation_page(report, loaded, dataset, rtl, repeat)
            elif path.suffix == ".csv":
                from systolith.scripts.comparing.report_csv import report_csv

                text = report_csv(report)
            else:
                markdown = path.suffix == ".md"
                text = to_markdown(report, sensitivity) if markdown else report.to_json()
            with writing(path):
                write_whole(path, text.encode())
    if json:
        print_json(report.to_json())
    else:
        print_markdown(to_markdown(report, sensitivity))


def _trials(quantized: QuantizedNetwork, images: Dataset, shown: Progress) -> Trials:
    """Other widths, scored on those of the images on which formats were not chosen."""
    from systolith.golden.quantization.trials import try_widths
    from systolith.scripts.comparing.parallel_trials import on_all_processors

    calibration, others = split(images)
    return try_widths(quantized, calibration.images, others, shown, on_all_processors)


def to_markdown(report: AccuracyReport, sensitivity: bool = False) -> str:
    """The report as Markdown: figures, advice, widths, layers, and classes or outputs.

    With `sensitivity`, the effect of other widths in each layer stands after the advice.
    """
    from systolith.golden.reports.comparison import LAYER_HEADINGS, layer_cells
    from systolith.golden.reports.markdown import cell, table
    from systolith.golden.reports.output_errors import OUTPUT_HEADINGS, output_rows
    from systolith.golden.reports.sensitivity import helped_most_in_words, sensitivity_table

    dataset = report.dataset
    figures = [
        ("images", f"{report.images:,} of {cell(dataset.name)} ({cell(dataset.split)})"),
        *_scored(report),
    ]
    if report.calibrated_on is not None:
        known = report.calibrated_on
        figures.append(("calibrated on", f"{known.images:,} of {cell(known.name)}"))
    if any(report.size):
        figures.append(("weights", ", ".join(filter(None, report.size))))
    if report.hardware is not None:
        figures += [
            ("multipliers", f"{report.hardware.multipliers:,}"),
            ("cycles an image", f"{report.hardware.interval_cycles:,}"),
        ]
        figures += _silicon(report.hardware)
    text = table((cell(report.network), report.kind), figures, left=2)
    text += _advice(report)
    if report.trials is not None:
        if sensitivity:
            text += f"\n## Sensitivity\n\n{sensitivity_table(report.trials)}"
            text += f"\n{cell(helped_most_in_words(report.trials))}\n"
        text += "\n## Widths\n\n" + _bits_table(report)
    if report.layers:
        rows = [(cell(layer.name), *layer_cells(layer)) for layer in report.layers]
        text += "\n## Layers\n\n" + table(("layer", *LAYER_HEADINGS), rows, left=1)
        if windows := [(cell(layer.name), layer.form) for layer in report.layers if layer.form]:
            text += "\n" + table(("layer", "windows"), windows, left=2)
    if report.outputs is None:
        return f"{text}\n## Classes\n\n{_confusion_table(report)}"
    return f"{text}\n## Outputs\n\n{table(OUTPUT_HEADINGS, output_rows(report.outputs), left=0)}"


def _scored(report: AccuracyReport) -> list[tuple[str, str]]:
    """The accuracy; without labels, that there is none; without classes, the errors of outputs."""
    figures = [("labels", "none: agreement, not accuracy")]
    if report.outputs is not None:
        figures = [("classes", "none: errors of the outputs against the float network")]
    elif report.labels is not None:
        figures = [("accuracy", f"{report.rate:.4f} ({report.matching:,} right)")]
    if report.dataset.saturated:
        figures.append(("values out of the input's range", f"{report.dataset.saturated:,}"))
    if report.outputs is not None:
        return [*figures, *report.errors]
    low, high = report.interval
    return [
        *figures,
        ("95 % interval", f"{low:.4f} to {high:.4f}"),
        ("agreement with float", f"{report.agreement_with_float:.4f}"),
    ]


def _silicon(hardware: HardwareEntry) -> list[tuple[str, str]]:
    """What is known of the hardware on a device."""
    silicon = hardware.silicon
    if silicon is None:
        return []
    figures = [("LUTs", f"{silicon.luts:,} on {silicon.target}")]
    if silicon.clock_mhz is not None:
        speed = silicon.clock_mhz * 1e6 / hardware.interval_cycles
        figures.append(("clock", f"{silicon.clock_mhz:.1f} MHz, {speed:,.0f} images/s"))
    return figures


def _advice(report: AccuracyReport) -> str:
    """Actions with their settings files, and observations."""
    from systolith.golden.reports.advice import advise
    from systolith.golden.reports.markdown import cell

    advice, text = advise(report), ""
    if advice.conclusion:
        text += f"\n## Advice\n\n{cell(advice.conclusion)}\n"
    if report.trials is not None and advice.actions:
        text += f"\n{cell(how_to_repeat(report.trials))}\n"
    for action in advice.actions:
        text += (
            f"\n- **{cell(action.what)}**: {cell(action.effect.figures)}; "
            f"{cell(action.cost)}\n\n```toml\n{action.settings}```\n"
        )
    if advice.observations:
        text += "\n## Observations\n\n"
        text += "".join(f"- {cell(sentence)}\n" for sentence in advice.observations)
    return text


def _bits_table(report: AccuracyReport) -> str:
    """Accuracy against bits, with the same width in all layers."""
    from systolith.golden.reports.markdown import table
    from systolith.golden.reports.memory_size import smaller_than_float, told_apart
    from systolith.golden.reports.statistics import wilson_interval

    trials, weights = report.trials, report.weights
    assert trials is not None
    sizes = told_apart([trial.weight_bits_total for trial in trials.everywhere])
    rows = []
    for trial, size in zip(trials.everywhere, sizes, strict=True):
        low, high = wilson_interval(trial.correct, trials.images)
        rows.append(
            (
                f"{trial.bits}",
                f"{trial.correct / trials.images:.4f}",
                f"{low:.4f} to {high:.4f}",
                size,
                "" if weights is None else smaller_than_float(trial.weight_bits_total, weights),
            )
        )
    headings = (
        *("bits everywhere", f"{trials.split} {trials.measure}", "95 % interval"),
        *("weights (KiB)", "smaller than float"),
    )
    return table(headings, rows, left=0)


def _confusion_table(report: AccuracyReport) -> str:
    """A row for each label, a column for each class; of many classes the most frequent errors."""
    from systolith.golden.reports.markdown import table

    what = "label" if report.labels is not None else "float class"
    if len(report.confusion) > _MOST_CLASSES:
        wrong = [
            (count, label, given)
            for label, counts in enumerate(report.confusion)
            for given, count in enumerate(counts)
            if count and given != label
        ]
        wrong.sort(key=lambda each: (-each[0], *each[1:]))
        shown = [(f"{label}", f"{given}", f"{n:,}") for n, label, given in wrong[:_MOST_CLASSES]]
        about = f"{len(report.confusion):,} classes; {len(wrong):,} pairs of {what} and other class"
        if len(wrong) > len(shown):
            about += ", the most frequent"
        return f"{about}\n\n" + table((what, "class", "images"), shown, left=0)
    rows = [(f"{label}", *map(str, counts)) for label, counts in enumerate(report.confusion)]
    return table((what, *map(str, range(len(rows)))), rows, left=0)

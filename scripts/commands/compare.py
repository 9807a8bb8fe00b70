"""`systolith compare`: shows accuracy reports side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.console import (
    print_error,
    print_json,
    print_markdown,
    print_text,
    to_json,
)
from systolith.scripts.options import (
    JsonOption,
    LabelColumnOption,
    file_to_write,
    fraction,
    whole_number,
)
from systolith.scripts.outputs import require_apart, writing
from systolith.scripts.plan_options import ResultOption

if TYPE_CHECKING:
    from systolith.golden import Comparison
    from systolith.scripts.comparing.report_sources import Loaded

_MOST_IN_FULL = 8
"""A terminal shows all tables of this number of reports at most, and of more a summary."""


def compare(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Two or more reports (.json), networks (.npz), folders of both, sweeps or "
            "generated hardware, about the same images.",
            show_default=False,
        ),
    ],
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A report's name in tables; once for each, in their order.",
            show_default="what differs",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images on which networks are evaluated: .npz, IDX, a folder of pictures or a "
            ".csv file, with labels or without.",
            show_default="the 10,000 test digits, for networks trained on MNIST",
        ),
    ] = None,
    label_column: LabelColumnOption = None,
    images: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--images", 1),
            metavar="N",
            help="Evaluate networks on the first N images.",
            show_default="all",
        ),
    ] = None,
    result: ResultOption = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            parser=file_to_write("--out", ".json", ".md", ".csv", ".html"),
            metavar="FILE",
            help="Write the comparison: .md, .json, .csv, or .html (with pictures); may be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    fail_on_drop: Annotated[
        float | None,
        typer.Option(
            parser=fraction("--fail-on-drop"),
            metavar="FRACTION",
            help="End with status 1 if a report is less accurate than the first by more than this.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare reports and networks: what differs, accuracy image by image, and every layer.

    Gains are images that a report gets right and the first report does not;
    losses are the opposite. A report is better or worse than the first if
    gains and losses at least as uneven have a probability below 0.05 by chance
    alone: McNemar's exact test, with Holm's correction where several reports
    are compared with the first. Otherwise no difference is shown.
    --fail-on-drop looks at the accuracy alone. Networks that are no
    classifiers are compared by the errors of their outputs.

    The first report is that of the first argument. A folder stands for its
    reports and networks, by name, and the folder of a sweep for the networks
    of its fronts, the most accurate first; what is there before a folder is
    not taken from it again. Networks are evaluated, and the reports cached.

    Of more than 8 reports a summary is printed; --out writes all tables.

    [bold]Examples[/bold]

    systolith compare lenet5 lenet5.npz
    systolith compare q8.npz q6.npz q4.npz --out comparison.html --out comparison.csv
    systolith compare lenet5 sweep --images 2000
    systolith compare before.json after.json --fail-on-drop 0.001
    """
    from systolith import golden
    from systolith.golden.files.whole_files import write_whole
    from systolith.scripts.comparing.comparison_document import to_document
    from systolith.scripts.comparing.report_sources import compared_files, load_reports

    require_apart("out", out or (), compared_files(inputs))
    by_class = None if result is None else result == "class"
    loaded = load_reports(inputs, data, images, label_column, by_class)
    comparison = golden.compare(loaded.reports, names_of(loaded.paths), label)
    dropped = () if fail_on_drop is None else comparison.dropped(fail_on_drop)
    for path in out or ():
        with writing(path):
            write_whole(path, _text(comparison, loaded, path.suffix).encode())
    if json:
        print_json(to_json(to_document(comparison)))
    elif len(comparison.rows) <= _MOST_IN_FULL:
        print_markdown(comparison.to_markdown())
    else:
        print_markdown(comparison.to_summary())
        if not out:
            print_text("--out FILE.html (.md, .csv, .json) writes settings, intervals and layers.")
    if dropped:
        first = comparison.rows[0]
        for row in dropped:
            drop = first.report.rate - row.report.rate
            print_error(
                f"{row.name}: accuracy {row.report.rate:.4f} is {drop:.4f} below that of "
                f"{first.name}; --fail-on-drop allows {fail_on_drop:g}"
            )
        raise typer.Exit(1)


def _text(comparison: Comparison, loaded: Loaded, suffix: str) -> str:
    """The comparison in the format of files with this suffix."""
    from systolith.scripts.comparing.comparison_document import to_csv, to_document
    from systolith.scripts.pages.comparison_page import comparison_page

    if suffix == ".html":
        return comparison_page(comparison, loaded.networks, loaded.dataset)
    if suffix == ".csv":
        return to_csv(comparison)
    return comparison.to_markdown() if suffix == ".md" else to_json(to_document(comparison))


def names_of(paths: Sequence[Path]) -> list[str]:
    """The paths without the folders that they have in common."""
    if len(set(paths)) < 2:
        return [path.name for path in paths]
    common = os.path.commonpath([path.absolute().parent for path in paths])
    return [str(path.absolute().relative_to(common)) for path in paths]

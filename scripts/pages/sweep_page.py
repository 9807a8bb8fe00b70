"""The page of a sweep: its points, and for each the settings and the command that makes it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from systolith.golden.files.printable import printable
from systolith.scripts.pages.html_page import render
from systolith.scripts.pages.pareto_picture import panels
from systolith.scripts.sweeping.outcome import SweepReport, SweptPoint
from systolith.scripts.sweeping.variations import flat, shown_value, varied_keys

_OPTIONS = {
    "weight_bits": "--weight-bits",
    "activation_bits": "--activation-bits",
    "calibration": "--calibration",
}
_DEFAULTS = {"granularity": "channel", "rounding": "half_up"}


def sweep_page(report: SweepReport, data: Path | None, label_column: str | None = None) -> str:
    """The text of a page that needs no other file.

    Parameters
    ----------
    report
        The sweep.
    data
        What `--data` was, from which the commands take images.
    label_column
        What `--label-column` was.
    """
    return render(
        "sweep.html",
        panels(report),
        report=report,
        points=_points(report, data, label_column),
        tables={
            "front": report.points_table(report.weight_front),
            "hardware": report.hardware_table(),
            "best": report.points_table(report.best_at_widths),
            **({} if report.synthesis is None else {"synthesis": report.synthesis_table()}),
            "points": report.points_table(),
            "plans": report.plans_table(),
        },
    )


def command(
    point: SweptPoint,
    data: Path | None,
    calibration_images: int,
    label_column: str | None = None,
) -> str:
    """The command that makes a point's quantized network, with the same bytes."""
    words = ["systolith", "quantize", point.network]
    for key, option in _OPTIONS.items():
        words += [option, str(point.settings[key])]
    if point.settings.get("bias_correction"):
        words.append("--bias-correction")
    if settings_file(point):
        words += ["--config", f"{point.name}.toml"]
    if data is not None:
        words += ["--data", str(data), "--images", str(calibration_images)]
    if label_column is not None:
        words += ["--label-column", label_column]
    return shlex.join([*words, "--out", f"{point.name}.npz"])


def settings_file(point: SweptPoint) -> str:
    """The settings in TOML for which the command has no options; empty if there are none."""
    found = {
        key: value
        for key, value in flat(point.settings).items()
        if key not in _OPTIONS and key != "bias_correction" and value != _DEFAULTS.get(key)
    }
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in found.items())


def _points(
    report: SweepReport, data: Path | None, label_column: str | None
) -> dict[int, dict[str, Any]]:
    """What the page shows of each point when it is chosen, by rank."""
    varied = varied_keys([each.settings for each in report.points])
    sizes = report.sizes
    return {
        point.rank: _shown(report, point, data, label_column, varied, sizes[point.rank])
        for point in report.points
    }


def _shown(
    report: SweepReport,
    point: SweptPoint,
    data: Path | None,
    label_column: str | None,
    varied: Sequence[str],
    size: str,
) -> dict[str, Any]:
    test = point.test
    lines = {
        "rank": f"{point.rank} of {len(report.points)}",
        "network": point.network,
        "weights/maps": point.widths,
        "calibration": point.settings["calibration"],
        **{key: shown_value(point.settings, key) for key in varied},
        "weights": f"{size} KiB",
        "smaller than float": report.ratio(point),
        report.data.measure: f"{point.validation.rate:.4f} on {report.data.images:,} images",
        f"test {report.test.measure}": ""
        if test is None
        else f"{test.rate:.4f} on {report.test.images:,} images",
        "no hardware": point.not_built or "",
    }
    return {
        "name": point.name,
        "facts": [[key, printable(value)] for key, value in lines.items() if value],
        "command": printable(command(point, data, report.calibration["images"], label_column)),
        "settings": settings_file(point),
    }

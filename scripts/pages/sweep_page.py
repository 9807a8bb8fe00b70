"""The page of a sweep: its points, and for each the settings and the command that makes it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from systolith.golden.files.printable import printable
from systolith.golden.reports.memory_size import kibibytes
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


def sweep_page(report: SweepReport, data: Path | None, most_calibration_images: int) -> str:
    """The text of a page that needs no other file.

    Parameters
    ----------
    report
        The sweep.
    data
        What `--data` was, from which the commands take images.
    most_calibration_images
        The number of images of `data` on which `quantize` chooses formats, if it has as many.
    """
    return render(
        "sweep.html",
        panels(report),
        report=report,
        data=None if data is None else str(data),
        most_calibration_images=most_calibration_images,
        points={point.rank: _shown(report, point, data) for point in report.points},
        tables={
            "front": report.points_table(report.weight_front),
            "hardware": report.hardware_table(),
            **({} if report.synthesis is None else {"synthesis": report.synthesis_table()}),
            "points": report.points_table(),
            "plans": report.plans_table(),
        },
    )


def command(point: SweptPoint, data: Path | None) -> str:
    """The command that makes a point's quantized network."""
    words = ["systolith", "quantize", point.network]
    for key, option in _OPTIONS.items():
        words += [option, str(point.settings[key])]
    if point.settings.get("bias_correction"):
        words.append("--bias-correction")
    if settings_file(point):
        words += ["--config", f"{point.name}.toml"]
    if data is not None:
        words += ["--data", str(data)]
    return shlex.join([*words, "--out", f"{point.name}.npz"])


def settings_file(point: SweptPoint) -> str:
    """The settings in TOML for which the command has no options; empty if there are none."""
    found = {
        key: value
        for key, value in flat(point.settings).items()
        if key not in _OPTIONS and key != "bias_correction" and value != _DEFAULTS.get(key)
    }
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in found.items())


def _shown(report: SweepReport, point: SweptPoint, data: Path | None) -> dict[str, Any]:
    """What the page shows of a point when it is chosen."""
    test = point.test
    varied = varied_keys([each.settings for each in report.points])
    lines = {
        "rank": f"{point.rank} of {len(report.points)}",
        "network": point.network,
        "weights/maps": point.widths,
        "calibration": point.settings["calibration"],
        **{key: shown_value(point.settings, key) for key in varied},
        "weights": f"{kibibytes(point.weight_bits_total):,.1f} KiB",
        "accuracy": f"{point.validation.accuracy:.4f} on {report.data.images:,} images",
        "test accuracy": ""
        if test is None
        else f"{test.accuracy:.4f} on {report.test.images:,} images",
        "no hardware": point.not_built or "",
    }
    return {
        "name": point.name,
        "facts": [[key, printable(value)] for key, value in lines.items() if value],
        "command": printable(command(point, data)),
        "settings": settings_file(point),
    }

"""The multipliers and cycles of the hardware in a folder, held against its manifest."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from systolith.hw.planning.estimate import Planned, report_plan
from systolith.hw.verilog.artifacts import Artifacts
from systolith.hw.verilog.manifest import FILE_NAME

_COMPARED = "network", "multipliers", "macs", "mac_efficiency", "predicted"


def figures(folder: str | os.PathLike[str], built: Artifacts) -> Planned:
    """What follows from the network and the plan of a folder.

    Raises
    ------
    ValueError
        The manifest says something else, or the Verilog is not the one it describes.
    """
    manifest = built.manifest
    if not built.as_generated:
        raise ValueError(
            f"{Path(folder) / manifest.files.verilog}: is not the Verilog of {FILE_NAME}, whose "
            "multipliers and cycles are not known"
        )
    planned = report_plan(built.quantized, built.plan, manifest.result.kind)
    for name in _COMPARED:
        found, expected = (msgspec.to_builtins(getattr(each, name)) for each in (manifest, planned))
        if found != expected:
            raise ValueError(
                f"{Path(folder) / FILE_NAME}: {name} is {found}, "
                f"from the network and the plan follows {expected}"
            )
    return planned

"""The hardware in a folder, as accuracy reports show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from systolith.golden.errors import FileFormatError
from systolith.golden.files.json_reader import JsonReader
from systolith.golden.files.npz import read_bytes
from systolith.golden.reports.accuracy import HardwareEntry

if TYPE_CHECKING:
    from systolith.golden import QuantizedNetwork

_MAX_BYTES = 1 << 28


def hardware_entry(folder: Path, network: QuantizedNetwork) -> HardwareEntry:
    """The multipliers and cycles of the hardware, and whether its simulation was bit-exact.

    Raises
    ------
    ValueError
        The folder has no hardware, damaged files, or the hardware of another network.
    """
    from systolith.hw.verilog.manifest import load_manifest

    manifest = load_manifest(folder)
    if manifest.quantized_sha256 != network.sha256:
        raise ValueError(
            f"{folder}: is hardware of {manifest.network} {manifest.quantized_sha256[:8]}, "
            f"not of {network.name} {network.sha256[:8]}"
        )
    return HardwareEntry(
        multipliers=manifest.multipliers,
        interval_cycles=manifest.predicted.interval_cycles,
        latency_cycles=manifest.predicted.latency_cycles,
        bit_exact=_bit_exact(folder, network),
    )


def _bit_exact(folder: Path, network: QuantizedNetwork) -> bool | None:
    """The result of the last simulation in the folder; None without one of this network."""
    from systolith.sim.report import FILE_NAME

    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        reader = JsonReader(json.loads(read_bytes(path, _MAX_BYTES)), "")
        same = reader.string("quantized_sha256") == network.sha256
        exact: bool = reader.value("bit_exact", (bool,))
    except ValueError as error:
        raise FileFormatError(f"{path}: not a simulation report: {error}") from None
    return exact if same else None

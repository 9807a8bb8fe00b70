"""The hardware in a folder, as accuracy reports show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from systolith.golden.reports.accuracy import HardwareEntry

if TYPE_CHECKING:
    from systolith.golden import QuantizedNetwork


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
    from systolith.sim.report import FILE_NAME, load_outcome

    if not (folder / FILE_NAME).exists():
        return None
    outcome = load_outcome(folder)
    return outcome.bit_exact if outcome.quantized_sha256 == network.sha256 else None

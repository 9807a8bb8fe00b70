"""The waveform of one image, and a save file that shows it by layer in GTKWave.

`simulate --waves` writes both into the folder of the hardware.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vcd.gtkw import GTKWSave

from systolith.golden.files.whole_files import write_whole
from systolith.hw.accelerator import unit_part
from systolith.hw.verilog.tap_wrapper import ACCELERATOR, UNIT
from systolith.sim.bulk.engine import trace_image
from systolith.sim.record.scoreboard import LayerResult
from systolith.sim.record.taps import TappedNetwork

WAVES_NAME = "waves.vcd"
"""The name of the waveform, in the folder of the hardware."""

SAVE_NAME = "waves.gtkw"
"""The name of the save file for GTKWave, in the same folder."""

Scope = tuple[str, ...]

_SOURCE = ("s_axis_tvalid", "s_axis_tready", "s_axis_tlast", "s_axis_tdata")
_RESULT = ("m_axis_tvalid", "m_axis_tready", "m_axis_tlast", "m_axis_tdata", "m_axis_tuser")
_CYCLE = 10  # units of time
_ZOOM = -7.0  # two to the seventh units of time a pixel


def write_waves(
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    stalls: int | None,
    layers: tuple[LayerResult, ...],
    came_out: NDArray[np.bool_],
    folder: Path,
) -> int:
    """Write the waveform of the first image that failed, and a save file that shows it by layer.

    It is the image of the first wrong value of the earliest wrong layer, and the save file has a
    marker at that value. If no value is wrong, it is the first image that did not come out, or the
    first image.

    Parameters
    ----------
    network, images, stalls
        The arguments of `sim.bulk.engine.simulate_bulk`.
    layers
        The results of the comparison.
    came_out
        Whether each image came out.
    folder
        The folder of the two files; each is written completely or not at all.

    Returns
    -------
    int
        The image's number.

    Raises
    ------
    SimulationError
        The simulator died, or the waveform could not be written.
    OSError
        The save file could not be written.
    """
    places = {tap.layer: place for place, tap in enumerate(network.taps)}
    wrong = next((layer.first_mismatch for layer in layers if layer.mismatches), None)
    mark = 0, 0
    image = 0 if came_out.all() else int(np.argmin(came_out))
    if wrong is not None:
        name = next(layer.name for layer in layers if layer.mismatches)
        tap = network.taps[places[name]]
        where = wrong.row, wrong.column, wrong.channel
        image = wrong.image
        mark = places[name], int(np.ravel_multi_index(where, tap.shape)) // tap.beat.lanes
    target = folder / WAVES_NAME
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        cycle = trace_image(network, images, stalls, image, mark, temporary)
        marker = None if wrong is None else cycle * _CYCLE
        save = save_file(network, temporary, marker)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    write_whole(folder / SAVE_NAME, save)
    return image


def save_file(network: TappedNetwork, waves: Path, marker: int | None) -> bytes:
    """The bytes of a save file for GTKWave: a group for each stream and for the unit before it.

    Parameters
    ----------
    network
        The network that was simulated.
    waves
        The waveform.
    marker
        The time of the marker; None for none.
    """
    signals: dict[Scope, dict[str, str]] = {}
    with waves.open(encoding="utf-8") as file:
        for scope, name, bits in declarations(file):
            signals.setdefault(scope, {})[name] = name + bits
    top = next(scope for scope in signals if scope[-1] == network.design.top)
    text = StringIO()
    save = GTKWSave(text)
    save.dumpfile(WAVES_NAME, abspath=False)
    save.zoom_markers(_ZOOM, -1 if marker is None else marker)

    def trace(scope: Scope, names: Iterable[str], datafmt: str = "hex") -> None:
        for name in names:
            save.trace(".".join((*scope, signals[scope][name])), alias=name, datafmt=datafmt)

    trace(top, ("aclk", "aresetn"))
    with save.group("s_axis"):
        trace(top, _SOURCE)
    for tap in network.taps:
        with save.group(tap.layer):
            trace(top, (tap.port(signal) for signal in ("valid", "ready", "last")))
            lanes = (tap.lane(number) for number in range(tap.beat.lanes))
            trace(top, lanes, "signed" if tap.beat.signed else "dec")
            for scope, inside in signals.items():
                if scope[len(top) :] in ((ACCELERATOR, unit_part(tap.layer)), (UNIT,)):
                    with save.group(f"inside {tap.layer}", closed=True):
                        trace(scope, inside)
    with save.group("m_axis"):
        trace(top, _RESULT)
    return text.getvalue().encode()


def declarations(lines: Iterable[str]) -> Iterator[tuple[Scope, str, str]]:
    """The signals that a VCD declares: scope, name, and the range of bits as written."""
    scope: list[str] = []
    for line in lines:
        match line.split():
            case ["$scope", _, name, "$end"]:
                scope.append(name)
            case ["$upscope", "$end"]:
                scope.pop()
            case ["$var", _, _, _, name, *bits, "$end"]:
                yield tuple(scope), name, "".join(bits)
            case ["$enddefinitions", "$end"]:
                return

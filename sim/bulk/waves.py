"""The waveform of one image, and files with which GTKWave and Surfer show it by layer.

`simulate --waves` writes them into the folder of the hardware.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
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
from systolith.sim.bulk.fst import Scope, declarations
from systolith.sim.record.scoreboard import LayerResult
from systolith.sim.record.taps import TappedNetwork

WAVES_NAME = "waves.fst"
"""The name of the waveform, in the folder of the hardware."""

SAVE_NAME = "waves.gtkw"
"""The name of the save file for GTKWave, in the same folder."""

COMMANDS_NAME = "waves.sucl"
"""The name of the command file for Surfer, in the same folder."""

Signals = dict[Scope, dict[str, str]]
"""The signals of a waveform: for each scope, their names with the ranges of bits, by name."""

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
    """Write the waveform of the first image that failed, and files that show it by layer.

    It is the image of the first wrong value of the earliest wrong layer, and a marker is at that
    value. If no value is wrong, it is the first image that did not come out, or the first image.

    Parameters
    ----------
    network, images, stalls
        The arguments of `sim.bulk.engine.simulate_bulk`.
    layers
        The results of the comparison.
    came_out
        Whether each image came out.
    folder
        The folder of the three files; each is written completely or not at all.

    Returns
    -------
    int
        The image's number.

    Raises
    ------
    SimulationError
        The simulator died, or the waveform could not be written.
    OSError
        Another file could not be written.
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
        signals = _signals(temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    write_whole(folder / SAVE_NAME, save_file(network, signals, marker))
    write_whole(folder / COMMANDS_NAME, command_file(network, signals, marker))
    return image


def save_file(network: TappedNetwork, signals: Signals, marker: int | None) -> bytes:
    """The bytes of a save file for GTKWave: a group for each stream and for the unit before it.

    Parameters
    ----------
    network
        The network that was simulated.
    signals
        The signals of the waveform.
    marker
        The time of the marker; None for none.
    """
    top = _top(network, signals)
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


def command_file(network: TappedNetwork, signals: Signals, marker: int | None) -> bytes:
    """The bytes of a command file for Surfer: the signals of each stream below its name.

    Parameters are those of `save_file`.
    """
    top = ".".join(_top(network, signals))
    lines: list[str] = []
    formats: list[str] = []
    shown = 0

    def show(title: str, names: Iterable[str], value_format: str = "") -> None:
        nonlocal shown
        if title:
            lines.append(f"divider_add {title}")
            shown += 1
        for name in names:
            lines.append(f"variable_add {top}.{name}")
            if value_format:
                formats.extend((f"item_focus {_item(shown)}", f"item_set_format {value_format}"))
            shown += 1

    show("", ("aclk", "aresetn"))
    show("s_axis", _SOURCE)
    for tap in network.taps:
        show(tap.layer, (tap.port(signal) for signal in ("valid", "ready", "last")))
        lanes = (tap.lane(number) for number in range(tap.beat.lanes))
        show("", lanes, "Signed" if tap.beat.signed else "Unsigned")
    show("m_axis", _RESULT)
    # What is added goes below the item in focus: all is added before the first one has it.
    lines += [*formats, "item_unfocus", "zoom_fit"]
    if marker is not None:
        lines.append(f"cursor_set {marker}")
    return "\n".join([*lines, ""]).encode()


def _item(number: int) -> str:
    """The name that Surfer gives an item of its list: its number, with the digits a to p."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in f"{number:x}")


def _signals(waves: Path) -> Signals:
    signals: Signals = {}
    for scope, name, bits in declarations(waves):
        signals.setdefault(scope, {})[name] = name + bits
    return signals


def _top(network: TappedNetwork, signals: Signals) -> Scope:
    """The scope of the module that is simulated."""
    return next(scope for scope in signals if scope[-1] == network.design.top)

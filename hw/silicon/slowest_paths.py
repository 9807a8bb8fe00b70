"""The slowest path into each part of a routed design, from the delays that nextpnr writes.

A walk over the SDF (IEEE 1497): nextpnr's own report has a single path for each pair of clocks.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from systolith.golden.files.json_files import Count

_PATH = re.compile(
    r"\((?:IOPATH|INTERCONNECT) (?:\((?:pos|neg)edge (\S+)\)|(\S+)) (\S+) \(([^)]*)\) \(([^)]*)\)"
)
_CHECK = re.compile(r"\(SETUPHOLD \((?:pos|neg)edge (\S+)\) \((?:pos|neg)edge (\S+)\) \(([^)]*)\)")
_INSTANCE = re.compile(r"\(INSTANCE (\S*)\)")
_ESCAPE = re.compile(r"\\(.)")


class SlowestPath(msgspec.Struct, frozen=True):
    """The slowest path into a part, from a register to a register.

    Parameters
    ----------
    source, target
        The cells at its ends.
    picoseconds
        From clock to clock: clock to output, logic, wires and set-up.
    wire_picoseconds
        Its part in wires.
    """

    source: str
    target: str
    picoseconds: Count
    wire_picoseconds: Count


class _Edge(NamedTuple):
    """A delay from one pin to another."""

    target: str
    delay: int
    is_wire: bool


class _Delays(NamedTuple):
    """The content of an SDF: delays between pins, and of registers.

    Parameters
    ----------
    edges
        Wires and combinational delays, by the pin that they start from.
    launched
        Pins that a clock changes, with their delays from it.
    setup
        Pins that a clock samples, with their set-up times.
    """

    edges: dict[str, list[_Edge]]
    launched: dict[str, int]
    setup: dict[str, int]


def slowest_paths(sdf: str, part_of: Callable[[str], str]) -> dict[str, SlowestPath]:
    """The slowest path into each part.

    Parameters
    ----------
    sdf
        The text of the file, in picoseconds; the last of three delays, the slowest, counts.
    part_of
        The part of a cell, by the name of the cell.
    """
    delays = _read(sdf)
    arrivals, previous = _arrivals(delays)
    worst: dict[str, tuple[int, str]] = {}
    for pin, setup in delays.setup.items():
        if pin in arrivals:
            part, total = part_of(_cell(pin)), arrivals[pin] + setup
            if part not in worst or total > worst[part][0]:
                worst[part] = total, pin
    found = {}
    for part, (total, pin) in worst.items():
        *_, (source, _) = trace = list(_trace(pin, previous))
        wires = sum(edge.delay for _, edge in trace if edge is not None and edge.is_wire)
        found[part] = SlowestPath(_cell(source), _cell(pin), total, wires)
    return found


def _read(sdf: str) -> _Delays:
    edges: dict[str, list[_Edge]] = defaultdict(list)
    launched: dict[str, int] = {}
    setup: dict[str, int] = {}
    for block in sdf.split("(CELL\n")[1:]:
        instance = _INSTANCE.search(block)
        cell = _plain(instance[1]) if instance else ""
        prefix = f"{cell}/" if cell else ""
        clocks = set()
        for data, clock, time in _CHECK.findall(block):
            pin = prefix + _plain(data)
            clocks.add(clock)
            setup[pin] = max(_slowest(time), setup.get(pin, 0))
        for edge, source, target, rise, fall in _PATH.findall(block):
            delay = max(_slowest(rise), _slowest(fall))
            start, end = prefix + _plain(edge or source), prefix + _plain(target)
            if edge or source in clocks:
                launched[end] = max(delay, launched.get(end, 0))
            else:
                edges[start].append(_Edge(end, delay, is_wire=not cell))
    return _Delays(edges, launched, setup)


def _arrivals(delays: _Delays) -> tuple[dict[str, int], dict[str, tuple[str, _Edge]]]:
    """The latest changes of pins after the clock, and the pin and the delay that each is from."""
    arrivals, previous = dict(delays.launched), {}
    waiting: dict[str, int] = defaultdict(int)
    for start, edges in delays.edges.items():
        waiting[start] += 0
        for edge in edges:
            waiting[edge.target] += 1
    ready = deque(pin for pin, count in waiting.items() if not count)
    while ready:
        pin = ready.popleft()
        arrival = arrivals.get(pin)
        for edge in delays.edges.get(pin, ()):
            if arrival is not None and arrival + edge.delay > arrivals.get(edge.target, -1):
                arrivals[edge.target] = arrival + edge.delay
                previous[edge.target] = pin, edge
            waiting[edge.target] -= 1
            if not waiting[edge.target]:
                ready.append(edge.target)
    return arrivals, previous


def _trace(pin: str, previous: dict[str, tuple[str, _Edge]]) -> Iterator[tuple[str, _Edge | None]]:
    """The pins of a path from its end, each with the delay that leads to it."""
    while pin in previous:
        before, edge = previous[pin]
        yield pin, edge
        pin = before
    yield pin, None


def _cell(pin: str) -> str:
    return pin.rpartition("/")[0]


def _plain(name: str) -> str:
    return _ESCAPE.sub(r"\1", name) if "\\" in name else name


def _slowest(triple: str) -> int:
    return int(float(triple.rpartition(":")[2]))

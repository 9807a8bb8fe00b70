"""What reports differ in: the choices and costs of their networks, and labels made of these.

`comparison.compare` uses it for its first table and for the names of reports in all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from systolith.golden.reports.accuracy import AccuracyReport, HardwareEntry, SiliconEntry
from systolith.golden.reports.memory_size import smaller_than_float, told_apart

_KEYS = {
    "weight_bits": "weight bits",
    "activation_bits": "map bits",
    "calibration": "calibration",
    "percentile": "percentile",
    "granularity": "a scale for each",
    "table_index_bits": "table index bits",
    "rounding": "rounding",
    "bias_correction": "bias correction",
}
"""The settings of a quantization, and their names in tables."""

_COSTS: dict[str, Callable[[HardwareEntry], str]] = {
    "multipliers": lambda hardware: f"{hardware.multipliers:,}",
    "cycles an image": lambda hardware: f"{hardware.interval_cycles:,}",
    "cycles to the class": lambda hardware: f"{hardware.latency_cycles:,}",
    "target": lambda hardware: _target(hardware.silicon),
    "LUTs": lambda hardware: f"{hardware.silicon.luts:,}" if hardware.silicon else "",
    "clock": lambda hardware: _clock(hardware.silicon),
}
_NOT_IN_LABELS = (
    *("weights (KiB)", "smaller than float", "cycles an image", "cycles to the class"),
    *("LUTs", "clock"),
)


@dataclass(frozen=True)
class Factor:
    """A choice or a cost, and what it is in each report.

    Parameters
    ----------
    name
        Its name in tables.
    values
        One for each report: empty if the report does not say it, None if the report's network
        cannot have it, as floats have no widths.
    """

    name: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        """Whether two of the networks that can have it differ in it."""
        return len(set(self.values) - {None}) > 1

    @property
    def same(self) -> str:
        """The value of all reports that can have it; empty if they differ."""
        known = set(self.values) - {None}
        return known.pop() or "" if len(known) == 1 else ""


def factors(reports: Sequence[AccuracyReport]) -> tuple[Factor, ...]:
    """The choices and costs that at least one of the reports has."""
    found = (Factor(name, tuple(values)) for name, values in _factors(reports))
    return tuple(each for each in found if any(each.values))


def labels(reports: Sequence[AccuracyReport], names: Sequence[str]) -> tuple[str, ...]:
    """Short labels that say what the reports differ in, such as `6 bits, minmax`.

    Where this does not tell reports apart, their names are added, and after the second with the
    same name a number.
    """
    different = [each for each in factors(reports) if each.differs]
    made = [
        ", ".join(_parts(report, {each.name: each.values[place] for each in different}))
        for place, report in enumerate(reports)
    ]
    with_names = [
        label if label and made.count(label) == 1 else f"{label} ({name})" if label else name
        for label, name in zip(made, names, strict=True)
    ]
    return _numbered(with_names)


def _factors(reports: Sequence[AccuracyReport]) -> Iterator[tuple[str, Sequence[str | None]]]:
    parents = [(each.network, _real_values(each)) for each in reports]
    yield "network", _told_apart([each.network for each in reports], parents)
    yield "arithmetic", [each.kind for each in reports]
    for key, name in _KEYS.items():
        yield name, [_setting(each, None, key) for each in reports]
    overrides = {
        (layer, key): None
        for each in reports
        for layer, keys in _by_layer(each).items()
        for key in keys
    }
    for layer, key in overrides:
        yield f"{layer}: {_KEYS.get(key, key)}", [_setting(each, layer, key) for each in reports]
    yield "calibrated on", _calibrations(reports)
    sizes = told_apart([each.weight_bits_total for each in reports])
    yield "weights (KiB)", [size or None for size in sizes]
    yield "smaller than float", [_ratio(each) for each in reports]
    for name, cost in _COSTS.items():
        yield (
            name,
            ["" if each.hardware is None else cost(each.hardware) for each in reports],
        )
    yield "version", [each.version for each in reports]


def _real_values(report: AccuracyReport) -> Hashable:
    """What a float parent made of the images: by it parents of the same name are told apart."""
    if report.outputs is None:
        return report.float_predictions
    return tuple((each.lowest, each.highest) for each in report.outputs)


def _target(silicon: SiliconEntry | None) -> str:
    if silicon is None:
        return ""
    return f"{silicon.target}, grade {silicon.grade}" if silicon.grade else silicon.target


def _clock(silicon: SiliconEntry | None) -> str:
    if silicon is None or silicon.clock_mhz is None:
        return ""
    return f"{silicon.clock_mhz:.1f} MHz"


def _setting(report: AccuracyReport, layer: str | None, key: str) -> str | None:
    """A setting of a report, of one layer or of all; None if its network has no such layer."""
    if report.quantization is None:
        return None
    value: Any = report.quantization.get(key)
    if layer is not None:
        if layer not in {each.name for each in report.layers}:
            return None
        value = _by_layer(report).get(layer, {}).get(key, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _by_layer(report: AccuracyReport) -> dict[str, dict[str, Any]]:
    layers = (report.quantization or {}).get("layers")
    return layers if isinstance(layers, dict) else {}


def _calibrations(reports: Sequence[AccuracyReport]) -> list[str | None]:
    known = [each.calibrated_on for each in reports]
    texts = _told_apart(
        ["" if each is None else f"{each.images:,} of {each.name}" for each in known],
        [None if each is None else each.sha256 for each in known],
    )
    return [
        None if report.kind == "float" else text
        for report, text in zip(reports, texts, strict=True)
    ]


def _ratio(report: AccuracyReport) -> str | None:
    """How many times smaller the weights are than floats; None for a float network."""
    if report.weight_bits_total is None:
        return None
    known = report.weights
    return "" if known is None else smaller_than_float(report.weight_bits_total, known)


def _told_apart(texts: Sequence[str], identities: Sequence[Hashable]) -> list[str]:
    """Texts that differ where the things that they stand for differ: others get a number."""
    kinds: dict[str, dict[Hashable, int]] = {}
    for text, identity in zip(texts, identities, strict=True):
        numbers = kinds.setdefault(text, {})
        numbers.setdefault(identity, len(numbers) + 1)
    return [
        f"{text} #{kinds[text][identity]}" if len(kinds[text]) > 1 else text
        for text, identity in zip(texts, identities, strict=True)
    ]


def _numbered(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts; the second and later of equal ones with a number."""
    seen: Counter[str] = Counter()
    made = []
    for text in texts:
        seen[text] += 1
        made.append(text if seen[text] == 1 else f"{text} #{seen[text]}")
    return tuple(made)


def _parts(report: AccuracyReport, different: dict[str, str | None]) -> Iterator[str]:
    """The parts of a report's label, from the values of the factors that differ."""
    network = different.pop("network", None)
    if network:
        yield network
    arithmetic, weights, maps = (
        different.pop(name, None) for name in ("arithmetic", "weight bits", "map bits")
    )
    for name in _NOT_IN_LABELS:
        different.pop(name, None)
    if report.kind == "float":
        if arithmetic:
            yield "float"
        return
    if arithmetic or weights or maps:
        yield _widths(report)
    own = {
        f"{layer}: {_KEYS.get(key, key)}"
        for layer, keys in _by_layer(report).items()
        for key in keys
    }
    told = bool(network or arithmetic or weights or maps)
    for name, value in different.items():
        # What is off, and what a layer has like all others, goes without saying, unless nothing
        # else is said.
        usual = value == "no" or (": " in name and name not in own)
        if value and not (told and usual):
            told = True
            yield _part(name, value)


def _widths(report: AccuracyReport) -> str:
    weights, maps = (_setting(report, None, key) for key in ("weight_bits", "activation_bits"))
    if weights and maps:
        return f"{weights} bits" if weights == maps else f"{weights}/{maps} bits"
    return "fixed"


def _part(name: str, value: str) -> str:
    """A factor's part of a label."""
    if name in ("calibration", "rounding"):
        return value
    if name == "bias correction":
        return name if value == "yes" else f"no {name}"
    if name == "multipliers":
        return f"{value} {name}"
    return f"{name} {value}"

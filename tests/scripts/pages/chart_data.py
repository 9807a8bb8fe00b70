"""What a Vega-Lite chart draws, read back from its specification: a value for each channel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import altair as alt
import pytest


@dataclass(frozen=True)
class Layer:
    """One kind of mark, and for each mark the values of its channels, such as `x` and `color`.

    A channel with a scale of colours or shapes has the one that its value gets.
    """

    mark: str
    marks: list[dict[str, Any]]


def drawn(spec: dict[str, Any]) -> list[Layer]:
    """The layers of a chart, given as `Chart.to_dict()`, from the first to the last drawn."""
    return _layers(spec, spec.get("datasets", {}))


def tooltips(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """What the last layer with tooltips shows of each mark that is touched, by its fields."""
    datasets = spec.get("datasets", {})
    layers = [each for each in spec.get("layer", [spec]) if "tooltip" in each["encoding"]]
    fields = [each["field"] for each in layers[-1]["encoding"]["tooltip"]]
    rows = _rows(layers[-1].get("data", spec.get("data")), datasets)
    return [{field: row[field] for field in fields} for row in rows]


def panels(spec: dict[str, Any]) -> list[list[Layer]]:
    """The layers of each chart of several side by side."""
    return [_layers(panel, spec.get("datasets", {})) for panel in spec["hconcat"]]


def saved(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The specifications of the charts that are saved as pictures from now on, instead of them."""
    specs: list[dict[str, Any]] = []

    def save(chart: alt.TopLevelMixin, *_: object, **__: object) -> None:
        specs.append(chart.to_dict())

    monkeypatch.setattr(alt.TopLevelMixin, "save", save)
    return specs


def _layers(spec: dict[str, Any], datasets: dict[str, Any]) -> list[Layer]:
    # A layer without data of its own has those of the whole chart.
    inherited = spec.get("data")
    return [
        _layer(each, each.get("data", inherited), datasets) for each in spec.get("layer", [spec])
    ]


def _layer(layer: dict[str, Any], data: Any, datasets: dict[str, Any]) -> Layer:
    rows = _rows(data, datasets)
    for transform in layer.get("transform", []):
        match = re.fullmatch(r"datum\.(\w+) == '(\w+)'", transform["filter"])
        assert match is not None, transform
        rows = [row for row in rows if row[match[1]] == match[2]]
    mark = layer["mark"]
    channels = {name: each for name, each in layer["encoding"].items() if isinstance(each, dict)}
    return Layer(
        mark["type"] if isinstance(mark, dict) else mark,
        [{name: _value(each, row) for name, each in channels.items()} for row in rows],
    )


def _rows(data: Any, datasets: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = data["values"] if "values" in data else datasets[data["name"]]
    return rows


def _value(channel: dict[str, Any], row: dict[str, Any]) -> Any:
    if "datum" in channel:
        return channel["datum"]
    value = row[channel["field"]]
    scale = channel.get("scale") or {}
    if "range" in scale:
        return scale["range"][scale["domain"].index(value)]
    return value

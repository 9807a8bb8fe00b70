"""Plan files: the folding of every layer in TOML.

    [layers.C1]
    rows = 13
    columns = 3
    lanes = 3

    [layers.F6]
    order = "outputs"

Missing keys, and the keys of missing layers, have the defaults of `hw.folding.Folding`.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, get_args

from systolith.golden.files.toml_files import read_toml
from systolith.golden.network.graph import Network
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding, Order, Plan

MAX_SIZE = 4096
"""The largest number in a plan file."""

_KEYS = tuple(field.name for field in fields(Folding))


def load_plan(path: str | os.PathLike[str], network: Network) -> Plan:
    """Read a plan from a TOML file.

    `hw.accelerator.Accelerator` checks whether units can be built with these foldings.

    Raises
    ------
    FileFormatError
        There is no such file, or it is not TOML.
    PlanError
        It names a layer or a key that does not exist, or a size or an order that cannot be.
    """
    document = read_toml(path)
    try:
        return _plan(document, network)
    except PlanError as error:
        raise PlanError(f"{os.fspath(path)}: {error}") from None


def plan_to_toml(plan: Plan) -> str:
    """The text of a plan file with all keys; `load_plan` returns the same plan from it."""
    return "\n".join(
        "\n".join(
            [f"[layers.{name}]"]
            + [
                f"{key} = {json.dumps(value)}"
                for key, value in asdict(folding).items()
                if value is not None
            ]
        )
        + "\n"
        for name, folding in plan.items()
    )


def smallest_plan(network: Network) -> Plan:
    """The plan with one processing element and one lane for every layer."""
    return {layer.name: Folding() for layer in network.layers[1:]}


def _plan(document: Mapping[str, Any], network: Network) -> Plan:
    for key in document:
        if key != "layers":
            raise PlanError(f"{key} is unknown: a plan has layers.NAME alone")
    names = [layer.name for layer in network.layers[1:]]
    plan = dict(smallest_plan(network))
    for name, table in _table("layers", document.get("layers", {})).items():
        if name not in names:
            raise PlanError(
                f"layers.{name}: network {network.name!r} has no such layer: "
                f"it has {', '.join(names)}"
            )
        plan[name] = _folding(f"layers.{name}", table)
    return plan


def _folding(where: str, table: Any) -> Folding:
    values = _table(where, table)
    for key, value in values.items():
        if key not in _KEYS:
            raise PlanError(f"{where}.{key} is unknown: allowed are {', '.join(_KEYS)}")
        if key == "order":
            if value not in get_args(Order):
                allowed = " or ".join(map(repr, get_args(Order)))
                raise PlanError(f"{where}.order must be {allowed}, not {reprlib.repr(value)}")
        elif type(value) is not int or not 1 <= value <= MAX_SIZE:
            raise PlanError(
                f"{where}.{key} must be a whole number from 1 to {MAX_SIZE}, "
                f"not {reprlib.repr(value)}"
            )
    return Folding(**values)


def _table(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PlanError(f"{where} must be a table, not {reprlib.repr(value)}")
    return value

"""Plan files: the folding of every layer in TOML, or a part of it and a goal.

    quantized_sha256 = "..."

    [goal]
    max_multipliers = 122

    [layers.input]
    lanes = 3

    [layers.C1]
    rows = 13
    columns = 3
    lanes = 3

    [layers.F6]
    order = "outputs"

Without a goal, missing keys and the keys of missing layers have the defaults of
`hw.folding.Folding`. With one, the planner chooses the sizes that are missing. The input can only
have lanes, and has one if they are missing.
"""

from __future__ import annotations

import json
import os
import re
import reprlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from systolith.golden.files.toml_files import read_toml
from systolith.golden.network.graph import Network
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding, Order, Plan, input_lanes
from systolith.hw.planning.budget import Goal, make_plan
from systolith.hw.planning.estimate import Planned
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.streams.result_layout import ResultKind

MAX_SIZE = 4096
"""The largest size of a unit in a plan file."""

_HASH = "quantized_sha256"
_KEYS = tuple(field.name for field in fields(Folding))
_SIZES = tuple(field.name for field in fields(GivenSize))
_GOAL_KEYS = tuple(field.name for field in fields(Goal))

_MEANINGS = """\
# rows: multipliers along the reduction, which are the inputs of a step
# columns: multipliers along the outputs, which are the outputs of a step
# lanes: values in each beat of the layer's output stream
# depth: beats of the FIFO at the layer's output, beyond those that keep its pipeline moving
# order: "inputs": all outputs are finished with the last input; "outputs": one group after another
# lines: rows of its input that a convolution stores
"""


@dataclass(frozen=True)
class _PlanFile:
    """The content of a plan file, checked key by key: its goal, and the keys of each layer."""

    goal: Goal | None
    layers: Mapping[str, Mapping[str, Any]]

    def is_complete(self, names: Collection[str]) -> bool:
        """Whether every layer has all keys; `lines` may be left out."""
        needed = set(_KEYS) - {"lines"}
        return all(needed <= set(self.layers.get(name, ())) for name in names)


def load_plan(
    path: str | os.PathLike[str], network: Network, quantized_sha256: str | None = None
) -> Plan:
    """Read a plan from a TOML file that leaves nothing to choose.

    `hw.accelerator.Accelerator` checks whether units can be built with these foldings.

    Parameters
    ----------
    path
        The file.
    network
        The network whose layers it names.
    quantized_sha256
        The hash of the quantized network that the plan is for: a file with another one is refused.
        None: the file's is not compared.

    Raises
    ------
    FileFormatError
        There is no such file, or it is not TOML.
    PlanError
        It names a layer or a key that does not exist, a size or an order that cannot be, or
        another quantized network; or it has a goal and leaves sizes open.
    """
    names = _layer_names(network)
    file = _read(path, network, quantized_sha256)
    if file.goal is not None and not file.is_complete(names):
        raise PlanError(
            f"{os.fspath(path)}: has a goal and leaves sizes open, so that it is no plan yet: "
            "systolith plan Q --plan FILE --out PLAN.toml makes one of it"
        )
    if network.input.name in file.layers:
        names = [network.input.name, *names]
    plan = {name: Folding(**file.layers.get(name, {})) for name in names}
    try:
        input_lanes(network.input, plan)
    except PlanError as error:
        raise PlanError(f"{os.fspath(path)}: {error}") from None
    return plan


def plan_from_file(
    path: str | os.PathLike[str],
    quantized: QuantizedNetwork,
    result: ResultKind | None = None,
) -> tuple[Plan, Goal | None]:
    """The plan in a TOML file, made if the file leaves sizes open, and the file's goal.

    With a goal, a file in which every layer has all keys is a plan that was made for it. In any
    other, the planner chooses the rows, columns and lanes that are left out, and the order, depth
    and lines of every layer, which must then be left out; `result` is as for `make_plan`.

    Raises
    ------
    FileFormatError, PlanError, UnitError
        As `load_plan` and `make_plan`.
    """
    network = quantized.fixed.network
    file = _read(path, network, quantized.sha256)
    if file.goal is None or file.is_complete(_layer_names(network)):
        return load_plan(path, network, quantized.sha256), file.goal
    for name, keys in file.layers.items():
        for key in keys:
            if key not in _SIZES:
                raise PlanError(
                    f"{os.fspath(path)}: layers.{name}.{key} must be left out where a goal leaves "
                    f"sizes open, as it follows from these: only {', '.join(_SIZES)} can be given"
                )
    given = {name: GivenSize(**keys) for name, keys in file.layers.items()}
    return make_plan(quantized.fixed, file.goal, given, result), file.goal


def plan_to_toml(plan: Plan, planned: Planned | None = None, goal: Goal | None = None) -> str:
    """The text of a plan file with all keys; `load_plan` returns the same plan from it.

    Parameters
    ----------
    plan
        The plan.
    planned
        Its cost and its cycles: they become comments, with the network's hash and what the keys
        mean. None: no comments.
    goal
        The goal it was made for, if there is one.
    """
    return "\n".join(_tables(plan, planned, goal))


def smallest_plan(network: Network) -> Plan:
    """The plan with one processing element and one lane for every layer."""
    return {name: Folding() for name in _layer_names(network)}


def _tables(plan: Plan, planned: Planned | None, goal: Goal | None) -> Iterator[str]:
    """The parts of a plan file, each of which ends with a line feed."""
    if planned is not None:
        yield (
            f"# The plan of {planned.network}: {planned.multipliers} multipliers, "
            f"{planned.predicted.interval_cycles} cycles from one result to the next\n"
            f"#\n{_MEANINGS}"
        )
        yield (
            "# The quantized network. Without this line, the plan can be used for another one.\n"
            f"{_HASH} = {json.dumps(planned.quantized_sha256)}\n"
        )
    if goal is not None:
        yield (
            "# What the plan was made for. If a layer below is removed, it is chosen anew; order,\n"
            "# depth and lines of the others must then be removed as well.\n"
            + _table_text("goal", asdict(goal))
        )
    layers = planned.layers if planned is not None else ()
    comments = {
        each.name: f"  # multipliers: {each.multipliers}, cycles: {each.cycles}" for each in layers
    }
    for name, folding in plan.items():
        yield _table_text(f"layers.{name}", asdict(folding), comments.get(name, ""))


def _table_text(name: str, values: Mapping[str, Any], comment: str = "") -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"[{name}]{comment}", *lines, ""])


def _layer_names(network: Network) -> list[str]:
    return [layer.name for layer in network.layers[1:]]


def _read(
    path: str | os.PathLike[str], network: Network, quantized_sha256: str | None
) -> _PlanFile:
    document = read_toml(path)
    try:
        return _checked(document, network, quantized_sha256)
    except PlanError as error:
        raise PlanError(f"{os.fspath(path)}: {error}") from None


def _checked(
    document: Mapping[str, Any], network: Network, quantized_sha256: str | None
) -> _PlanFile:
    for key in document:
        if key not in ("layers", "goal", _HASH):
            raise PlanError(f"{key} is unknown: a plan has {_HASH}, goal and layers.NAME")
    if _HASH in document:
        _check_hash(document[_HASH], network, quantized_sha256)
    names = [network.input.name, *_layer_names(network)]
    layers = {}
    for name, table in _table("layers", document.get("layers", {})).items():
        if name not in names:
            raise PlanError(
                f"layers.{name}: network {network.name!r} has no such layer: "
                f"it has {', '.join(names[1:])}"
            )
        layers[name] = _layer_keys(f"layers.{name}", table)
    return _PlanFile(_goal(document["goal"]) if "goal" in document else None, layers)


def _check_hash(found: Any, network: Network, wanted: str | None) -> None:
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{64}", found):
        raise PlanError(f"{_HASH} must be 64 hex digits in lower case, not {reprlib.repr(found)}")
    if wanted is not None and found != wanted:
        raise PlanError(
            f"was made for the quantized network {found[:8]}, not for {network.name} {wanted[:8]}: "
            f"to use it all the same, remove the line {_HASH}"
        )


def _goal(value: Any) -> Goal:
    table = _table("goal", value)
    for key in table:
        if key not in _GOAL_KEYS:
            raise PlanError(f"goal.{key} is unknown: allowed are {', '.join(_GOAL_KEYS)}")
    try:
        return Goal(**table)
    except PlanError as error:
        raise PlanError(f"goal: {error}") from None


def _layer_keys(where: str, table: Any) -> Mapping[str, Any]:
    """The keys of a layer, each of which is one of a folding with a value that it can have."""
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
    return values


def _table(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PlanError(f"{where} must be a table, not {reprlib.repr(value)}")
    return value

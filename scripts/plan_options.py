"""The options of plan and generate that choose a plan: the folding of every layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.options import one_of, whole_number

if TYPE_CHECKING:
    from systolith.golden import QuantizedNetwork
    from systolith.hw import GivenSize, Goal, Plan, ResultKind

PRESETS = ("small", "medium", "large")

PlanOption = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="PLAN.toml",
        help="The folding of each layer, or of some and a goal for the others.",
        show_default=False,
    ),
]

PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        parser=one_of("--preset", *PRESETS),
        metavar="|".join(PRESETS),
        help="At most 28 multipliers, at most 122, or an image every 820 cycles.",
        show_default="medium",
    ),
]

MaxMultipliersOption = Annotated[
    int | None,
    typer.Option(
        "--max-multipliers",
        parser=whole_number("--max-multipliers", 1),
        metavar="N",
        help="The fewest cycles an image with at most N multipliers.",
        show_default=False,
    ),
]

TargetCyclesOption = Annotated[
    int | None,
    typer.Option(
        "--target-cycles",
        parser=whole_number("--target-cycles", 1),
        metavar="N",
        help="The fewest multipliers with an image at least every N cycles.",
        show_default=False,
    ),
]

MinimizeOption = Annotated[
    str | None,
    typer.Option(
        "--minimize",
        parser=one_of("--minimize", "interval", "latency"),
        metavar="interval|latency",
        help="latency: with the same multipliers, the fewest cycles from first pixel to result.",
        show_default="interval",
    ),
]


FixOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fix",
        metavar="LAYER=RxC",
        help="Give a layer R rows and C columns (RxCxL: and L lanes); the others are chosen. "
        "Repeat it for other layers. For the input, 1x1xL: L channels of a pixel in a beat.",
        show_default=False,
    ),
]

ResultOption = Annotated[
    Any,
    typer.Option(
        "--result",
        parser=one_of("--result", "class", "scores"),
        metavar="class|scores",
        help="What leaves the accelerator: the class and its score, or all scores, one a beat, for "
        "networks that are no classifiers.",
        show_default="class, but scores for a single value or a feature map",
    ),
]

_FIXED = re.compile(r"(\w+)=([1-9]\d{0,3})x([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", re.ASCII)


def chosen_plan(
    quantized: QuantizedNetwork,
    plan: Path | None,
    preset: str | None,
    max_multipliers: int | None,
    target_cycles: int | None,
    minimize: str | None,
    fix: list[str] | None,
    result: ResultKind | None,
) -> tuple[Plan, Goal | None]:
    """The plan that the options ask for, and its goal; by default that of the default preset."""
    from dataclasses import replace

    from systolith import hw

    given = [
        option
        for option, value in (
            ("--plan", plan),
            ("--preset", preset),
            ("--max-multipliers", max_multipliers),
            ("--target-cycles", target_cycles),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise typer.BadParameter(f"only one can be given, not both {' and '.join(given[:2])}")
    if plan is not None:
        for option, value in (("--minimize", minimize), ("--fix", fix)):
            if value:
                raise typer.BadParameter("has no meaning with --plan", param_hint=option)
        return hw.plan_from_file(plan, quantized, result)
    if max_multipliers is not None or target_cycles is not None:
        goal = hw.Goal(max_multipliers, target_cycles)
    else:
        goal = hw.PRESETS[preset or hw.DEFAULT_PRESET]
    if minimize == "latency":
        goal = replace(goal, minimize="latency")
    return hw.make_plan(quantized.fixed, goal, given_sizes(fix or ()), result), goal


def given_sizes(fix: Iterable[str]) -> dict[str, GivenSize]:
    """The sizes that `--fix` gives, by layer."""
    from systolith.hw import GivenSize

    given: dict[str, GivenSize] = {}
    for text in fix:
        found = _FIXED.fullmatch(text)
        if found is None:
            raise typer.BadParameter(
                "must be LAYER=ROWSxCOLUMNS or LAYER=ROWSxCOLUMNSxLANES, such as C3=15x4, "
                f"not {text!r}",
                param_hint="--fix",
            )
        layer, *sizes = found.groups()
        if layer in given:
            raise typer.BadParameter(f"gives {layer} twice", param_hint="--fix")
        given[layer] = GivenSize(*(None if size is None else int(size) for size in sizes))
    return given

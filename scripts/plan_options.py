"""The options of plan and generate that choose a plan: the folding of every layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.options import one_of, whole_number

if TYPE_CHECKING:
    from systolith.golden import QuantizedNetwork
    from systolith.hw import Goal, Plan

PRESETS = ("small", "medium", "large")

PlanOption = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="PLAN.toml", help="The folding of each layer.", show_default=False
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


def chosen_plan(
    quantized: QuantizedNetwork,
    plan: Path | None,
    preset: str | None,
    max_multipliers: int | None,
    target_cycles: int | None,
    minimize: str | None,
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
        if minimize is not None:
            raise typer.BadParameter("has no meaning with --plan", param_hint="--minimize")
        return hw.load_plan(plan, quantized.fixed.network), None
    if max_multipliers is not None or target_cycles is not None:
        goal = hw.Goal(max_multipliers, target_cycles)
    else:
        goal = hw.PRESETS[preset or hw.DEFAULT_PRESET]
    if minimize == "latency":
        goal = replace(goal, minimize="latency")
    return hw.make_plan(quantized.fixed, goal), goal

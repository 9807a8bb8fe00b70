"""Sensitivity: what each trial of other widths changes, layer by layer, and for how many bits.

`evaluate --sensitivity` shows it; advice and the JSON of a report are made of the same effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from systolith.golden.quantization.trials import ACTIVATIONS, WEIGHTS, Trial, Trials
from systolith.golden.reports.markdown import cell, table
from systolith.golden.reports.memory_size import figure
from systolith.golden.reports.paired_difference import (
    Difference,
    chance_text,
    paired_differences,
    signed,
)

PARTS = {WEIGHTS: "weights", ACTIVATIONS: "map"}
"""The parts of a layer whose width is changed, by the key of a trial."""


@dataclass(frozen=True)
class Effect:
    """A trial, and the difference of its accuracy from that of the network as it is."""

    trial: Trial
    difference: Difference

    @property
    def part(self) -> str:
        """The layer and its part, such as `C3 weights`; only for a trial of one layer."""
        return f"{self.trial.layer} {PARTS[self.trial.key]}"

    @property
    def figures(self) -> str:
        """The difference, its interval, and the probability by chance alone, in words."""
        return self.difference.figures


def effects(trials: Trials) -> tuple[Effect, ...]:
    """The effect of every trial; chance is corrected for their number (Holm's method)."""
    changes = [(trial.gains, trial.losses) for trial in trials.trials]
    found = paired_differences(changes, trials.images)
    return tuple(Effect(*each) for each in zip(trials.trials, found, strict=True))


def with_effects(trials: Trials) -> dict[str, Any]:
    """The trials as they stand in JSON, each with its effect on accuracy."""
    entries = [
        {
            **to_builtins(each.trial),
            "difference": each.difference.accuracy,
            "difference_interval": each.difference.interval,
            "chance": each.difference.chance,
            "chance_corrected": each.difference.corrected,
        }
        for each in effects(trials)
    ]
    return {**to_builtins(trials), "trials": entries}


def measure_in_words(trials: Trials) -> str:
    """What differences are of: accuracy, or agreement with the float network."""
    return "accuracy" if trials.measure == "accuracy" else "agreement with the float network"


def sensitivity(trials: Trials) -> tuple[Effect, ...]:
    """The effects of other widths in one layer; empty if reports of older versions lack them."""
    return tuple(each for each in effects(trials) if each.trial.change is not None)


def helped_most(found: Sequence[Effect]) -> Effect | None:
    """The layer's part that a single bit more helps most; None if none was tried."""
    more = [each for each in found if each.trial.change == 1]
    return max(more, key=lambda each: each.difference.accuracy, default=None)


def helped_most_in_words(trials: Trials) -> str:
    """A sentence about `helped_most`; empty if no layer was tried with a bit more."""
    found = sensitivity(trials)
    best = helped_most(found)
    if best is None:
        return ""
    return (
        f"A single bit more helps most in {best.part}: {best.figures}; {best.difference.verdict}."
    )


def sensitivity_table(trials: Trials) -> str:
    """The effects in Markdown, a row for each layer, part and change."""
    rows = [list(map(cell, sensitivity_cells(each))) for each in sensitivity(trials)]
    return table(sensitivity_headings(trials), rows, left=2)


def sensitivity_headings(trials: Trials) -> tuple[str, ...]:
    """Headings of the cells that `sensitivity_cells` returns."""
    return (
        *("layer", "part", "bits", "change", trials.measure, "95 % interval", "gains", "losses"),
        *("chance", "saved (KiB)"),
    )


def sensitivity_cells(effect: Effect) -> list[str]:
    """The cells of an effect, under `sensitivity_headings`: accuracies are differences."""
    trial, found = effect.trial, effect.difference
    return [
        trial.layer or "",
        PARTS[trial.key],
        str(trial.bits),
        f"{trial.change:+d}",
        signed(found.accuracy),
        found.interval_text,
        f"{found.gains:,}",
        f"{found.losses:,}",
        chance_text(found.corrected),
        figure(trial.bits_saved or 0),
    ]

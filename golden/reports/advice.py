"""Advice from an accuracy report: actions with their measured effects, and observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from systolith.golden.quantization.settings import Settings
from systolith.golden.quantization.trials import (
    ACTIVATIONS,
    BOTH,
    CORRECTION,
    WEIGHTS,
    Change,
    Trial,
    Trials,
)
from systolith.golden.reports.accuracy import AccuracyReport, LayerEntry
from systolith.golden.reports.memory_size import in_kibibytes
from systolith.golden.reports.paired_difference import LEVEL
from systolith.golden.reports.sensitivity import Effect, effects, measure_in_words

LOST = 0.001
"""A larger drop in accuracy counts as a loss even if it could be due to chance."""

_LITTLE_RANGE = 0.5
_FEW_IMAGES = 100
_WHOSE = {WEIGHTS: "weights", ACTIVATIONS: "feature map"}


@dataclass(frozen=True)
class Action:
    """Something to do, its measured effect, and how to do it.

    Parameters
    ----------
    what
        What to do, in words.
    effect
        The trial of it, and the difference of accuracy.
    cost
        The bits that it needs or saves, in words.
    settings
        The settings of the trial, as a complete file for `quantize --config`.
    """

    what: str
    effect: Effect
    cost: str
    settings: str


@dataclass(frozen=True)
class Advice:
    """What follows from a report.

    Parameters
    ----------
    actions
        The largest gains of accuracy first, then what saves bits without a loss.
    conclusion
        How actions were measured, or that there is nothing to gain; empty if nothing was tried.
    observations
        What the report shows of images, widths and layers, each once.
    """

    actions: tuple[Action, ...]
    conclusion: str
    observations: tuple[str, ...]


def advise(report: AccuracyReport) -> Advice:
    """Actions from the trials of a fixed network, and what limits its accuracy."""
    actions = tuple(_actions(report))
    return Advice(actions, _conclusion(report.trials, actions), tuple(_observations(report)))


def _conclusion(trials: Trials | None, actions: Sequence[Action]) -> str:
    if trials is None:
        return ""
    where = f"{len(trials.trials):,} trials on {_images(trials)}"
    if not actions:
        return f"Nothing to gain: of {where} none is better, and none saves bits without a loss."
    return (
        f"Measured by {where}: the difference of {measure_in_words(trials)} with its 95 % "
        "interval, and the "
        "probability by chance alone, corrected for all trials."
    )


def _actions(report: AccuracyReport) -> Iterator[Action]:
    if report.trials is None:
        return
    found = effects(report.trials)
    settings = Settings.from_mapping(
        {k: v for k, v in (report.quantization or {}).items() if k != "weight_bits_total"}
    )
    gaining = _gaining(found)
    for effect in (*gaining, *_saving(found, report.trials, gaining)):
        trial = effect.trial
        change = Change(trial.layer, trial.key, trial.bits)
        yield Action(
            what=_what(trial),
            effect=effect,
            cost=_cost(trial, report.trials),
            settings=change.settings(settings).to_toml(),
        )


def _gaining(found: Sequence[Effect]) -> list[Effect]:
    """Those that are better, the best first: of equal bits everywhere only the fewest."""
    better = [each for each in found if each.difference.verdict == "better"]
    everywhere = [each for each in better if each.trial.key == BOTH]
    fewest = min(everywhere, key=lambda each: each.trial.bits or 0, default=None)
    chosen = [each for each in better if each.trial.key != BOTH or each is fewest]
    return sorted(chosen, key=lambda each: -each.difference.accuracy)


def _saving(found: Sequence[Effect], trials: Trials, others: Sequence[Effect]) -> Iterator[Effect]:
    """Of bits everywhere, of one layer's weights and of one map, what saves most without a loss."""
    for key in (BOTH, WEIGHTS, ACTIVATIONS):
        fits = [
            each
            for each in found
            if each.trial.key == key and _saved(each.trial, trials) > 0 and not _loses(each)
        ]
        best = max(fits, key=lambda each: _saved(each.trial, trials), default=None)
        if best is not None and best not in others:
            yield best


def _saved(trial: Trial, trials: Trials) -> int:
    """The bits that a trial saves: of a feature map if only this is changed, else of weights."""
    if trial.key == ACTIVATIONS:
        return trial.bits_saved or 0
    return trials.weight_bits_total - trial.weight_bits_total


def _what(trial: Trial) -> str:
    if trial.key == CORRECTION:
        return "Correct the biases"
    if trial.layer is None:
        return f"{trial.bits} bits everywhere"
    return f"{trial.bits} bits for the {_WHOSE[trial.key]} of {trial.layer}"


def _cost(trial: Trial, trials: Trials) -> str:
    if trial.key == CORRECTION:
        return "costs nothing in hardware"
    saved = _saved(trial, trials)
    if trial.key == ACTIVATIONS:
        return _size(saved, "of the feature map of an image")
    weights = _size(saved, "of weights")
    return weights if trial.layer else f"{weights}; feature maps of {trial.bits} bits"


def _size(saved: int, of_what: str) -> str:
    """A size that is saved or needed, such as `saves 1.46 KiB of weights`."""
    return f"{'saves' if saved >= 0 else 'costs'} {in_kibibytes(abs(saved))} {of_what}"


def _observations(report: AccuracyReport) -> Iterator[str]:
    trials, known = report.trials, report.calibrated_on
    if report.images < _FEW_IMAGES and report.outputs is None:
        low, high = report.interval
        yield (
            f"{_count(report.images, 'image')} cannot say much: the {report.measure} may be "
            f"anything from {low:.2f} to {high:.2f}."
        )
    if known is not None and known.in_dataset:
        plural = report.outputs is not None
        what = "These errors are not those" if plural else f"This {report.measure} is not that"
        yield (
            f"{what} of a test: formats were chosen on "
            f"{_count(known.images, 'image')} of the same data."
        )
    if trials is not None:
        if (
            known is not None
            and trials.calibrated_on is not None
            and known.sha256 != trials.calibrated_on.sha256
        ):
            yield (
                "The formats of the trials were chosen on other images than those of the network: "
                "their differences include the effect of this."
            )
        yield from _broken(trials)
    for layer in report.layers:
        yield from _channels(layer)
    # The last layer's format is as wide as its accumulator, whatever its values are.
    for layer in report.layers[:-1]:
        if layer.range_use < _LITTLE_RANGE and len(layer.dead_channels) < layer.channels:
            yield (
                f"{layer.name} uses {_percent(layer.range_use)} of its format's range: what it "
                "lacks is steps, not range."
            )


def _broken(trials: Trials) -> Iterator[str]:
    """The largest width that is not enough."""
    lost = [
        each
        for each in effects(trials)
        if each.trial.key == BOTH and each.difference.verdict == "worse"
    ]
    if lost:
        widest = max(lost, key=lambda each: each.trial.bits or 0)
        yield (
            f"With {widest.trial.bits} bits everywhere {trials.measure} breaks: "
            f"{widest.figures} on {_images(trials)}."
        )


def _channels(layer: LayerEntry) -> Iterator[str]:
    if layer.padded_with:
        yield (
            f"{layer.name} pads with {layer.padded_with:.4g} instead of 0: no raw value of its "
            "input is nearer."
        )
    if layer.clipped_channels:
        where = " at the ends of its table" if "index" in layer.formats else ""
        yield (
            f"{layer.name} clips {_percent(layer.saturated_share)} of its values{where}, most in "
            f"{_listed(layer.clipped_channels)} of {layer.channels}."
        )
    if layer.dead_channels:
        yield (
            f"{layer.name} has the same value everywhere, in every image, in "
            f"{_listed(layer.dead_channels)} of {layer.channels}: dead."
        )


def _loses(effect: Effect) -> bool:
    """Whether a loss is shown, by the test without correction, or is larger than `LOST`."""
    found = effect.difference
    return found.accuracy < 0 and (found.chance < LEVEL or -found.accuracy > LOST)


def _images(trials: Trials) -> str:
    return f"{trials.images:,} {trials.split} images"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _listed(channels: Sequence[int]) -> str:
    shown = ", ".join(map(str, channels[:8])) + (", ..." if len(channels) > 8 else "")
    return f"{_count(len(channels), 'channel')} ({shown})"

"""Advice on widths, in sentences, from the measured figures of an accuracy report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from systolith.golden.quantization.trials import ACTIVATIONS, CORRECTION, WEIGHTS, Trial, Trials
from systolith.golden.reports.accuracy import AccuracyReport, LayerEntry
from systolith.golden.reports.statistics import mcnemar

SIGNIFICANCE = 0.05
"""Gains and losses with a larger probability by chance alone count as no difference."""

LOST = 0.001
"""A larger drop in accuracy is reported even if it could be due to chance."""

_LITTLE_RANGE = 0.5
_FEW_IMAGES = 100
_WHAT = {WEIGHTS: "its weights", ACTIVATIONS: "its feature map"}


def advise(report: AccuracyReport) -> tuple[str, ...]:
    """Sentences about what limits a fixed network's accuracy, and the effect of other widths."""
    return tuple(_sentences(report))


def _sentences(report: AccuracyReport) -> Iterator[str]:
    if report.images < _FEW_IMAGES:
        low, high = report.interval
        yield (
            f"{_count(report.images, 'image')} cannot say much: the accuracy may be anything from "
            f"{low:.2f} to {high:.2f}."
        )
    if report.calibrated_on is not None and report.calibrated_on.in_dataset:
        yield (
            f"This accuracy is not that of a test: formats were chosen on the first "
            f"{_count(report.calibrated_on.images, 'image')} of the same data."
        )
    if report.trials is not None:
        yield from _everywhere(report.trials)
        yield from _corrected(report.trials)
        yield from _more(report.trials, report.layers)
        yield from _fewer(report.trials)
    for layer in report.layers:
        yield from _channels(layer)
    # The last layer's format is as wide as its accumulator, whatever its values are.
    for layer in report.layers[:-1]:
        if layer.range_use < _LITTLE_RANGE and len(layer.dead_channels) < layer.channels:
            yield (
                f"{layer.name} uses {_percent(layer.range_use)} of its format's range: what it "
                "lacks is steps, not range."
            )


def _everywhere(trials: Trials) -> Iterator[str]:
    """The smallest width that is enough, and the largest that is not."""
    uniform = sorted(trials.everywhere, key=lambda trial: -(trial.bits or 0))
    kept = [trial for trial in uniform if not _loses(trial, trials)]
    lost = [trial for trial in uniform if _loses(trial, trials)]
    if kept and kept[-1].weight_bits_total < trials.weight_bits_total:
        least = kept[-1]
        yield (
            f"{least.bits} bits everywhere would do: {_against(least, trials)}, with "
            f"{_bytes(trials.weight_bits_total - least.weight_bits_total)} of weights less."
        )
    if lost:
        widest = lost[0]
        yield f"With {widest.bits} bits everywhere it breaks: {_against(widest, trials)}."


def _corrected(trials: Trials) -> Iterator[str]:
    """The effect of bias correction."""
    for trial in trials.trials:
        if trial.key == CORRECTION and _gains(trial):
            yield (
                f"Bias correction gives back {_points(trial, trials)} points, and costs nothing in "
                f"hardware: {_against(trial, trials)}."
            )


def _more(trials: Trials, layers: Sequence[LayerEntry]) -> Iterator[str]:
    """The layers in which one bit more helps, the best first."""
    entries = {layer.name: layer for layer in layers}
    more = [trial for trial in _by_layer(trials) if _is_more(trial, trials)]
    better = [trial for trial in more if _gains(trial)]
    for trial in sorted(better, key=lambda each: each.losses - each.gains):
        assert trial.layer is not None
        layer = entries.get(trial.layer)
        clips = ""
        if layer is not None and layer.saturated:
            clips = f" clips {_percent(layer.saturated_share)} of its values;"
        cost = trial.weight_bits_total - trials.weight_bits_total
        for_what = f" for {_bytes(cost)} of weights" if cost else ""
        yield (
            f"{trial.layer}{clips or ':'} one bit more for {_WHAT[trial.key]} gives back "
            f"{_points(trial, trials)} points{for_what}: "
            f"{_against(trial, trials)}; by chance alone with a probability of "
            f"{mcnemar(trial.gains, trial.losses):.2g}, of {len(more)} such trials."
        )
    if more and not better:
        yield (
            f"No layer gains from one bit more: of {len(more)} trials none differs from chance "
            f"on {_images(trials)}."
        )


def _fewer(trials: Trials) -> Iterator[str]:
    """The layer in which one bit fewer costs nothing and saves most."""
    spare = [
        trial
        for trial in _by_layer(trials)
        if not _is_more(trial, trials) and not _loses(trial, trials)
    ]
    if spare:
        best = min(spare, key=lambda each: each.weight_bits_total)
        saved = trials.weight_bits_total - best.weight_bits_total
        yield (
            f"{best.layer} can do with {best.bits} bits for its weights: {_against(best, trials)}, "
            f"and {_bytes(saved)} less."
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


def _by_layer(trials: Trials) -> list[Trial]:
    return [trial for trial in trials.trials if trial.layer is not None]


def _is_more(trial: Trial, trials: Trials) -> bool:
    return trial.key == ACTIVATIONS or trial.weight_bits_total > trials.weight_bits_total


def _gains(trial: Trial) -> bool:
    """Whether a trial's gains exceed its losses by more than chance explains."""
    return trial.gains > trial.losses and mcnemar(trial.gains, trial.losses) < SIGNIFICANCE


def _points(trial: Trial, trials: Trials) -> str:
    return f"{100 * (trial.correct - trials.correct) / trials.images:.2f}"


def _loses(trial: Trial, trials: Trials) -> bool:
    """Whether a trial's losses exceed its gains by more than chance explains, or than `LOST`."""
    lost = trial.losses - trial.gains
    return lost > 0 and (
        mcnemar(trial.gains, trial.losses) < SIGNIFICANCE or lost > LOST * trials.images
    )


def _against(trial: Trial, trials: Trials) -> str:
    return (
        f"{trial.correct:,} instead of {trials.correct:,} of {_images(trials)} right "
        f"({_count(trial.gains, 'gain')}, {_count(trial.losses, 'loss', 'losses')})"
    )


def _images(trials: Trials) -> str:
    return f"{trials.images:,} {trials.split} images"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _bytes(bits: int) -> str:
    return _count(-(-bits // 8), "byte")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _listed(channels: Sequence[int]) -> str:
    shown = ", ".join(map(str, channels[:8])) + (", ..." if len(channels) > 8 else "")
    return f"{_count(len(channels), 'channel')} ({shown})"

"""Whether the figures of an accuracy report agree: checked of every report that is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from systolith.golden.errors import FileFormatError
from systolith.golden.files.json_files import MAX_COUNT
from systolith.golden.quantization.trials import Trials

if TYPE_CHECKING:
    from systolith.golden.reports.accuracy import AccuracyReport

_ROUNDING = 1e-9


def require_consistent(report: AccuracyReport, accuracy: float | None) -> None:
    """Refuse a report whose figures contradict each other; `accuracy` is the one in its file.

    Raises
    ------
    FileFormatError
        Names the key and what contradicts it.
    """
    if report.outputs is not None:
        _check_outputs(report)
    else:
        _check_classes(report, accuracy)
    if (report.kind == "fixed") != (report.quantization is not None):
        raise FileFormatError(
            "$.quantization: must be an object for a fixed network, and null for a float one"
        )
    if report.quantization is not None:
        total = report.quantization.get("weight_bits_total")
        if type(total) is not int or not 0 <= total <= MAX_COUNT:
            raise FileFormatError(
                f"$.quantization.weight_bits_total: must be a whole number from 0 to {MAX_COUNT}, "
                f"not {total!r}"
            )
    if report.trials is not None:
        _check_trials(report.trials)


def _check_outputs(report: AccuracyReport) -> None:
    """Refuse classes beside the errors of outputs, and errors that cannot be."""
    for key in ("correct", "agreement_with_float", "labels", "trials"):
        if getattr(report, key) is not None:
            raise FileFormatError(f"$.{key}: must be null where there are outputs and no classes")
    for key in ("predictions", "float_predictions", "confusion"):
        if getattr(report, key):
            raise FileFormatError(f"$.{key}: must be empty where there are outputs and no classes")
    if not report.outputs:
        raise FileFormatError("$.outputs: must have an entry for each channel")
    for place, each in enumerate(report.outputs):
        if each.lowest > each.highest or not (
            0 <= each.rms_error <= each.largest_error * (1 + _ROUNDING)
        ):
            raise FileFormatError(
                f"$.outputs[{place}]: lowest must not be above highest, nor rms_error negative or "
                "above largest_error"
            )


def _check_classes(report: AccuracyReport, accuracy: float | None) -> None:
    if (report.labels is None) != (report.correct is None):
        raise FileFormatError("$.correct: must be a number if there are labels, else null")
    for key in ("labels", "predictions", "float_predictions"):
        entries = getattr(report, key)
        found = report.images if entries is None else len(entries)
        if found != report.images:
            raise FileFormatError(
                f"$.{key}: must have {report.images} entries, one an image, not {found}"
            )
    pairs = Counter(zip(report.reference, report.predictions, strict=True))
    correct = sum(count for (label, given), count in pairs.items() if label == given)
    if report.correct not in (None, correct):
        raise FileFormatError(
            f"$.correct: must be {correct} by labels and predictions, not {report.correct}"
        )
    if accuracy != report.accuracy:
        raise FileFormatError(f"$.accuracy: {accuracy} is not {report.correct} of {report.images}")
    agreement = 1 - len(report.disagreements) / report.images
    given = report.agreement_with_float
    if given is None or abs(given - agreement) > _ROUNDING:
        raise FileFormatError(
            f"$.agreement_with_float: must be {agreement} by the predictions, "
            f"not {report.agreement_with_float}"
        )
    _check_confusion(report.confusion, pairs)


def _check_confusion(
    confusion: tuple[tuple[int, ...], ...], pairs: Counter[tuple[int, int]]
) -> None:
    """Compare the table with the pairs of label and class, without making another table."""
    classes = len(confusion)
    if max(map(max, pairs)) >= classes or any(len(row) != classes for row in confusion):
        raise FileFormatError("$.confusion: must have a row and a column for each class")
    if sum(map(sum, confusion)) != pairs.total() or any(
        confusion[label][given] != count for (label, given), count in pairs.items()
    ):
        raise FileFormatError("$.confusion: is not that of labels and predictions")


def _check_trials(trials: Trials) -> None:
    if trials.correct > trials.images:
        raise FileFormatError(f"$.trials.correct: {trials.correct} of {trials.images} images")
    for place, trial in enumerate(trials.trials):
        if (
            trial.gains > trials.images - trials.correct
            or trial.losses > trials.correct
            or trial.correct != trials.correct + trial.gains - trial.losses
        ):
            raise FileFormatError(
                f"$.trials.trials[{place}]: correct is {trial.correct}, which does not follow from "
                f"{trials.correct} of {trials.images}, {trial.gains} gains and "
                f"{trial.losses} losses"
            )

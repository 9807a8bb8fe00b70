"""Which figures of a report contradict each other, on four images with figures by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files.json_files import MAX_COUNT
from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.coherence import require_consistent
from systolith.golden.reports.output_errors import OutputEntry
from tests.golden.reports.hand_made import CLASSES, OUTPUTS, UNLABELLED


def of_trials(right: int, **changes: Any) -> dict[str, Any]:
    """Of nine images, some of which are right; one is gained and three are lost."""
    trial = Trial(None, "bits", 4, right - 2, 1, 3, 300)
    trials = Trials("digits", "validation", 9, right, 1234, (trial,))
    return {"trials": replace(trials, **changes)}


def outputs(*entry: float) -> dict[str, Any]:
    """A sound channel and this one."""
    return {"outputs": (OutputEntry(-1.0, 2.0, 0.5, 0.75), OutputEntry(*entry))}


def total(bits: object) -> dict[str, Any]:
    return {"quantization": {"weight_bits_total": bits}}


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (CLASSES, {}),
        (CLASSES, {"kind": "float", "quantization": None}),
        (CLASSES, total(0)),
        (CLASSES, total(MAX_COUNT)),
        # A class that no image has, and no network gives.
        (CLASSES, {"confusion": ((1, 0, 0, 0), (0, 1, 1, 0), (0, 0, 1, 0), (0, 0, 0, 0))}),
        (CLASSES, {"agreement_with_float": 0.5 + 5e-10}),
        (CLASSES, {"agreement_with_float": 0.5 - 5e-10}),
        (CLASSES, of_trials(8)),
        (CLASSES, of_trials(3)),
        (CLASSES, of_trials(9, trials=())),
        (UNLABELLED, {}),
        (UNLABELLED, of_trials(5)),
        (OUTPUTS, {}),
        (OUTPUTS, {"kind": "float", "quantization": None}),
        (OUTPUTS, outputs(0.0, 1.0, 0.25, 0.25)),
        # The root of a mean of squares may be off by a rounding.
        (OUTPUTS, outputs(0.0, 1.0, 0.25 + 1e-11, 0.25)),
    ],
)
def test_figures_that_agree_are_taken(base: AccuracyReport, changes: dict[str, Any]) -> None:
    report = replace(base, **changes)
    require_consistent(report, report.accuracy)


BASES = {"classes": CLASSES, "unlabelled": UNLABELLED, "outputs": OUTPUTS}
TRIAL = "trials.trials[0]: correct is"
CHANNEL = "outputs[1]: lowest must not be above highest, nor rms_error"


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        ("classes", {"kind": "float"}, "quantization: must be an object for a fixed network"),
        ("classes", {"quantization": None}, "quantization: must be an object for a fixed"),
        *(
            ("classes", total(each), f"quantization.weight_bits_total: must be .* {each}")
            for each in (-1, MAX_COUNT + 1, True, 8.0, None)
        ),
        ("outputs", {"kind": "float"}, "quantization: must be an object for a fixed network"),
        ("classes", {"labels": None}, "correct: must be a number if there are labels, else null"),
        ("classes", {"correct": None}, "correct: must be a number if there are labels, else null"),
        ("classes", {"labels": (0, 1, 1)}, "labels: must have 4 entries, one an image, not 3"),
        ("classes", {"predictions": (0, 1, 2)}, "predictions: must have 4 entries, .* not 3"),
        ("classes", {"predictions": (0, 1, 2, 2, 0)}, "predictions: must have 4 entries, .* not 5"),
        ("unlabelled", {"predictions": ()}, "predictions: must have 4 entries, .* not 0"),
        ("classes", {"float_predictions": (0,)}, "float_predictions: must have 4 entries, .* 1"),
        ("classes", {"correct": 2}, "correct: must be 3 by labels and predictions, not 2"),
        ("classes", {"correct": 4}, "correct: must be 3 by labels and predictions, not 4"),
        *(
            (kind, {"agreement_with_float": each}, f"float: must be 0.5 by .*, not {each}")
            for kind in ("classes", "unlabelled")
            for each in (0.75, 0.25, 0.5000001, 0.4999999, None)
        ),
        ("classes", {"confusion": ((1, 0), (0, 1))}, "confusion: must have a row and a column"),
        (
            "classes",
            {"confusion": ((1, 0, 0), (0, 1, 1))},
            "confusion: must have a row and a column",
        ),
        (
            "classes",
            {"confusion": ((1, 0, 0), (0, 1, 1), (0, 0, 1, 0))},
            "confusion: must have a row and a column",
        ),
        # One of a pair that is not there; rows and columns changed; one more; one less.
        ("classes", {"confusion": ((1, 0, 0), (0, 2, 0), (0, 0, 1))}, "confusion: is not that of"),
        ("classes", {"confusion": ((1, 0, 0), (0, 1, 0), (0, 1, 1))}, "confusion: is not that of"),
        ("classes", {"confusion": ((1, 0, 1), (0, 1, 1), (0, 0, 1))}, "confusion: is not that of"),
        ("classes", {"confusion": ((1, 0, 0), (0, 1, 1), (0, 0, 0))}, "confusion: is not that of"),
        # Rows are the float network's classes without labels.
        ("unlabelled", {"confusion": CLASSES.confusion}, "confusion: is not that of"),
        ("classes", of_trials(5, correct=10), "trials.correct: 10 of 9 images"),
        ("classes", of_trials(9), f"{TRIAL} 7"),  # Nine of nine cannot gain one.
        ("classes", of_trials(2), f"{TRIAL} 0"),  # Two right ones cannot lose three.
        ("classes", of_trials(5, correct=4), f"{TRIAL} 3"),
        ("classes", of_trials(5, correct=6), f"{TRIAL} 3"),
        ("unlabelled", of_trials(5, correct=6), f"{TRIAL} 3"),
        *(
            ("outputs", {key: value}, f"{key}: must be null where there are outputs")
            for key, value in (
                ("correct", 0),
                ("agreement_with_float", 0.0),
                ("labels", ()),
                ("trials", of_trials(5)["trials"]),
            )
        ),
        *(
            ("outputs", {key: value}, f"{key}: must be empty where there are outputs")
            for key, value in (
                ("predictions", (0,)),
                ("float_predictions", (0,)),
                ("confusion", ((0,),)),
            )
        ),
        ("outputs", {"outputs": ()}, "outputs: must have an entry for each channel"),
        ("outputs", outputs(1.0, 0.5, 0.25, 0.5), CHANNEL),
        ("outputs", outputs(0.0, 1.0, 0.5, 0.25), CHANNEL),
        ("outputs", outputs(0.0, 1.0, -0.25, 0.5), CHANNEL),
    ],
)
def test_figures_that_contradict_each_other_are_refused(
    base: str, changes: dict[str, Any], message: str
) -> None:
    report = replace(BASES[base], **changes)
    pattern = r"^\$\.([a-z_.]*)?" + message.replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(FileFormatError, match=pattern):
        require_consistent(report, report.accuracy)


@pytest.mark.parametrize(
    ("base", "accuracy"), [("classes", 0.5), ("classes", 1.0), ("classes", None), ("unlabelled", 0)]
)
def test_the_accuracy_in_the_file_is_that_of_the_labels(base: str, accuracy: float | None) -> None:
    with pytest.raises(FileFormatError, match=rf"\$\.accuracy: {accuracy} is not .* of 4"):
        require_consistent(BASES[base], accuracy)

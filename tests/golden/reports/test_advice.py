"""What is said of reports whose figures are chosen here."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import binomtest

from systolith.golden.files.datasets import DatasetReference
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import (
    AccuracyReport,
    CalibrationEntry,
    DatasetEntry,
    LayerEntry,
)
from systolith.golden.reports.advice import Advice, advise
from systolith.golden.reports.format_entry import FormatEntry
from systolith.golden.reports.statistics import mcnemar, paired_interval
from tests.golden.reports.hand_made import OUTPUTS, UNLABELLED

LAYER = LayerEntry(
    name="C3",
    formats={"output": FormatEntry(8, 7, True)},
    sqnr_db=30.0,
    channels=16,
    saturated=31,
    clipped_channels=(),
    dead_channels=(),
    range_use=0.9,
    values=1000,
    accumulator_bits=20,
)
OUTPUT = replace(LAYER, name="output", saturated=0, range_use=0.1, channels=10)


def report(*trials: Trial, layer: LayerEntry = LAYER, images: int = 1000) -> AccuracyReport:
    return AccuracyReport(
        network="net",
        network_sha256="0" * 64,
        kind="fixed",
        dataset=DatasetEntry("digits", "test", "a" * 64, images),
        images=images,
        correct=images,
        agreement_with_float=1.0,
        labels=(0,) * images,
        predictions=(0,) * images,
        float_predictions=(0,) * images,
        confusion=((images, 0), (0, 0)),
        quantization={"weight_bits_total": 8000},
        layers=(layer, OUTPUT),
        version="1",
        trials=Trials("digits", "validation", 5000, 4900, 8000, trials) if trials else None,
    )


def trial(
    layer: str | None,
    key: str,
    bits: int | None,
    gains: int,
    losses: int,
    weights: int = 8000,
    saved: int = 0,
) -> Trial:
    change = None if layer is None or bits is None else bits - 8
    right = 4900 + gains - losses
    # Of a single layer only: trials of the whole network have none.
    own = None if layer is None else saved or 8000 - weights
    return Trial(layer, key, bits, right, gains, losses, weights, change, own)


def figures(gains: int, losses: int, corrected: float) -> str:
    low, high = paired_interval(gains, losses, 5000)
    return (
        f"{(gains - losses) / 5000:+.4f} ({low:+.4f} to {high:+.4f}; {gains} gained, "
        f"{losses} lost; chance {corrected:.2g})"
    )


def told(advice: Advice) -> list[str]:
    return [action.what for action in advice.actions]


def test_nothing_to_say() -> None:
    assert advise(report()) == Advice((), "", ())


def test_nothing_to_gain_is_said_in_one_line() -> None:
    """Five gains and no loss: 2 of 32."""
    advice = advise(report(trial("C3", "weight_bits", 9, 5, 0, 9200)))
    assert advice == Advice(
        (),
        "Nothing to gain: of 1 trials on 5,000 validation images none is better, and none saves "
        "bits without a loss.",
        (),
    )


def test_a_bit_that_gives_something_back() -> None:
    advice = advise(report(trial("C3", "weight_bits", 9, 24, 4, 9200)))
    (action,) = advice.actions
    assert action.what == "9 bits for the weights of C3"
    assert action.effect.figures == figures(24, 4, mcnemar(24, 4))
    assert action.cost == "costs 0.146 KiB of weights"
    assert Settings.from_mapping(tomllib.loads(action.settings)) == Settings(
        layers={"C3": {"weight_bits": 9}}
    )
    assert advice.conclusion.startswith("Measured by 1 trials on 5,000 validation images: ")


def test_settings_of_an_action_are_complete() -> None:
    floor = {"rounding": "floor"}
    made = replace(
        report(trial("C3", "activation_bits", 9, 24, 4), trial(None, "bits", 6, 90, 4, 6000)),
        quantization={
            "weight_bits": 7,
            "weight_bits_total": 8000,
            "layers": {"F6": {**floor}, "C3": {"weight_bits": 8}},
        },
    )
    everywhere, layer = (
        Settings.from_mapping(tomllib.loads(action.settings)) for action in advise(made).actions
    )
    assert everywhere == Settings(LayerSettings(6, 6), {"F6": floor, "C3": {}})
    both = {"weight_bits": 8, "activation_bits": 9}
    assert layer == Settings(LayerSettings(7, 8), {"F6": floor, "C3": both})


def test_feature_maps_cost_bits_of_an_image() -> None:
    (action,) = advise(
        report(
            trial("C3", "activation_bits", 9, 30, 4, saved=-1600),
            trial("C3", "weight_bits", 9, 2, 1, 9200),
        )
    ).actions
    assert action.what == "9 bits for the feature map of C3"
    assert action.cost == "costs 0.195 KiB of the feature map of an image"
    assert action.effect.figures == figures(30, 4, 2 * mcnemar(30, 4))


def test_bias_correction() -> None:
    (action,) = advise(report(trial(None, "bias_correction", None, 44, 13))).actions
    assert (action.what, action.cost) == ("Correct the biases", "costs nothing in hardware")
    assert "bias_correction = true\n" in action.settings
    assert advise(report(trial(None, "bias_correction", None, 7, 6))).actions == ()


def test_gains_count_only_if_the_number_of_trials_does_not_explain_them() -> None:
    """Chance is 0.012 for 14 and 3: enough for one trial, and too little for five."""
    gain = trial("C3", "weight_bits", 9, 14, 3, 9200)
    others = [trial("C1", "weight_bits", 9, 1, 1, 9200)] * 4
    assert told(advise(report(gain))) == ["9 bits for the weights of C3"]
    assert told(advise(report(gain, *others))) == []


def test_where_it_breaks_and_what_would_do() -> None:
    uniform = [
        trial(None, "bits", 2, 3, 2000, 2000),
        trial(None, "bits", 4, 20, 50, 4000),
        trial(None, "bits", 5, 7, 9, 5000),
        trial(None, "bits", 8, 0, 0, 8000),
    ]
    advice = advise(report(*uniform))
    (action,) = advice.actions
    assert action.what == "5 bits everywhere"
    assert action.cost == "saves 0.366 KiB of weights; feature maps of 5 bits"
    (broken,) = advice.observations
    assert broken == (
        "With 4 bits everywhere accuracy breaks: "
        f"{figures(20, 50, 3 * mcnemar(20, 50))} on 5,000 validation images."
    )


def test_a_loss_that_matters_counts_even_if_it_may_be_chance() -> None:
    """Six of 5,000 is more than 0.001."""
    assert told(advise(report(trial("C3", "weight_bits", 7, 20, 26, 7000)))) == []
    (action,) = advise(report(trial("C3", "weight_bits", 7, 20, 25, 7000))).actions
    assert action.what == "7 bits for the weights of C3"
    assert action.cost == "saves 0.122 KiB of weights"


def test_a_loss_that_is_shown_counts_even_if_it_is_small_and_trials_are_many() -> None:
    """Five losses of five changes have a chance of 0.06, and six of 0.03."""
    many = [trial("C1", "weight_bits", 9, 0, 0, 9000)] * 40
    for losses, said in ((5, ["7 bits for the weights of C3"]), (6, [])):
        made = report(trial("C3", "weight_bits", 7, 0, losses, 7000), *many)
        assert made.trials is not None
        wide = replace(made, trials=replace(made.trials, images=50_000))
        assert told(advise(wide)) == said


def test_the_best_gain_comes_first() -> None:
    said = told(
        advise(
            report(
                trial("C1", "weight_bits", 9, 20, 4, 8100),
                trial("C3", "weight_bits", 9, 60, 4, 9200),
                trial("F6", "activation_bits", 9, 40, 9),
            )
        )
    )
    assert [sentence.split()[-1] for sentence in said] == ["C3", "F6", "C1"]


def test_the_fewest_bits_everywhere_that_gain_come_before_what_saves() -> None:
    said = advise(
        report(
            trial(None, "bits", 9, 60, 2, 9000),
            trial(None, "bits", 10, 62, 2, 10000),
            trial("C3", "weight_bits", 7, 1, 1, 7000),
        )
    )
    assert told(said) == ["9 bits everywhere", "7 bits for the weights of C3"]


def test_what_gains_and_saves_is_named_once() -> None:
    assert told(advise(report(trial("C3", "weight_bits", 7, 30, 1, 7000)))) == [
        "7 bits for the weights of C3"
    ]


def test_the_layer_that_saves_most_is_named() -> None:
    spare = [
        trial("C1", "weight_bits", 7, 0, 0, 7900),
        trial("C5", "weight_bits", 7, 1, 0, 6000),
        trial("F6", "weight_bits", 7, 2, 1, 7000),
        # It would save more still, and loses.
        trial("C3", "weight_bits", 7, 0, 90, 5000),
        trial("C1", "activation_bits", 7, 1, 1, saved=400),
        trial("C5", "activation_bits", 7, 1, 1, saved=500),
    ]
    actions = advise(report(*spare)).actions
    assert [(action.what, action.cost) for action in actions] == [
        ("7 bits for the weights of C5", "saves 0.244 KiB of weights"),
        (
            "7 bits for the feature map of C5",
            "saves 0.061 KiB of the feature map of an image",
        ),
    ]


def test_what_saves_everywhere_comes_before_what_saves_in_a_layer() -> None:
    said = told(
        advise(
            report(
                trial("C5", "activation_bits", 7, 1, 1, saved=500),
                trial("C5", "weight_bits", 7, 1, 1, 7000),
                trial(None, "bits", 7, 1, 1, 7500),
            )
        )
    )
    assert said == [
        "7 bits everywhere",
        "7 bits for the weights of C5",
        "7 bits for the feature map of C5",
    ]


@pytest.mark.parametrize("weights", [8000, 9000])
def test_what_saves_nothing_is_not_praised(weights: int) -> None:
    assert told(advise(report(trial(None, "bits", 8, 3, 0, weights)))) == []
    (action,) = advise(report(trial(None, "bits", 8, 3, 0, 7999))).actions
    assert action.cost == "saves 0.000122 KiB of weights; feature maps of 8 bits"


def test_the_smallest_width_that_would_do_is_named() -> None:
    said = advise(report(trial(None, "bits", 6, 0, 0, 6000), trial(None, "bits", 4, 0, 0, 4000)))
    assert told(said) == ["4 bits everywhere"]


def test_an_accuracy_on_calibration_images_is_not_that_of_a_test() -> None:
    known = CalibrationEntry("digits", "b" * 64, 20, True)
    (said,) = advise(replace(report(), calibrated_on=known)).observations
    assert said == (
        "This accuracy is not that of a test: formats were chosen on 20 images of the same data."
    )
    other = replace(known, in_dataset=False)
    assert advise(replace(report(), calibrated_on=other)).observations == ()


@pytest.mark.parametrize(("sha256", "count"), [("b" * 64, 0), ("c" * 64, 1)])
def test_trials_on_other_calibration_images_are_told(sha256: str, count: int) -> None:
    made = report(trial("C3", "weight_bits", 9, 0, 0, 9200))
    assert made.trials is not None
    reference = DatasetReference("digits", sha256, 20)
    made = replace(
        made,
        trials=replace(made.trials, calibrated_on=reference),
        calibrated_on=CalibrationEntry("digits", "b" * 64, 20, False),
    )
    said = advise(made).observations
    assert len(said) == count
    assert all("on other images than those of the network" in each for each in said)


OF_ALL_KINDS = replace(
    LAYER,
    padded_with=-0.00312345,
    saturated=254,
    clipped_channels=(1, 2),
    dead_channels=tuple(range(3, 12)),
    range_use=0.31,
)
CLIPS = "C3 clips 25 % of its values{}, most in 2 channels (1, 2) of 16."
DEAD = "C3 has the same value everywhere, in every image, in {} of 16: dead."
LITTLE = "C3 uses 31 % of its format's range: what it lacks is steps, not range."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            [
                "C3 pads with -0.003123 instead of 0: no raw value of its input is nearer.",
                CLIPS.format(""),
                DEAD.format("9 channels (3, 4, 5, 6, 7, 8, 9, 10, ...)"),
                LITTLE,
            ],
        ),
        (
            {
                "padded_with": 0.0,
                "range_use": 0.5,
                "dead_channels": tuple(range(8)),
                "formats": {"index": FormatEntry(10, 7, True)},
            },
            [
                CLIPS.format(" at the ends of its table"),
                DEAD.format("8 channels (0, 1, 2, 3, 4, 5, 6, 7)"),
            ],
        ),
        (
            {"padded_with": 0.0, "clipped_channels": (), "dead_channels": (7,)},
            [DEAD.format("1 channel (7)"), LITTLE],
        ),
        (
            # A layer that is all dead uses no range.
            {
                "padded_with": 0.0,
                "clipped_channels": (),
                "dead_channels": tuple(range(16)),
                "range_use": 0.0,
            },
            [DEAD.format("16 channels (0, 1, 2, 3, 4, 5, 6, 7, ...)")],
        ),
    ],
)
def test_channels_and_ranges(changes: dict[str, Any], said: list[str]) -> None:
    layer = replace(OF_ALL_KINDS, **changes)
    assert list(advise(report(layer=layer)).observations) == said
    # The range of the last layer, which is as wide as its accumulator, says nothing.
    alone = replace(report(), layers=(replace(layer, name="C3"),))
    assert list(advise(alone).observations) == [each for each in said if each != LITTLE]


@pytest.mark.parametrize(
    ("used", "given", "said"),
    [
        (1, 1, ["1 image cannot say much: the accuracy may be anything from 0.21 to 1.00."]),
        # Of two images both are right: 2 / (2 + 1.96**2) of them and more.
        (2, 500, ["2 images cannot say much: the accuracy may be anything from 0.34 to 1.00."]),
        (99, 99, ["99 images cannot say much: the accuracy may be anything from 0.96 to 1.00."]),
        (100, 100, []),
    ],
)
def test_few_images(used: int, given: int, said: list[str]) -> None:
    """It counts how many are used, not how many the data set has."""
    made = report(images=used)
    made = replace(made, dataset=replace(made.dataset, images=given))
    assert list(advise(made).observations) == said


def test_agreement_and_errors_have_their_own_words() -> None:
    known = CalibrationEntry("digits", "b" * 64, 1, True)
    test = "of a test: formats were chosen on 1 image of the same data."
    unlabelled = replace(UNLABELLED, calibrated_on=known, layers=(), trials=None)
    low, high = binomtest(2, 4).proportion_ci(method="wilson")
    assert advise(unlabelled).observations == (
        f"4 images cannot say much: the agreement may be anything from {low:.2f} to {high:.2f}.",
        f"This agreement is not that {test}",
    )
    errors = replace(OUTPUTS, calibrated_on=known, layers=())
    assert advise(errors).observations == (f"These errors are not those {test}",)


def test_trials_of_agreement_are_described_as_such() -> None:
    made = report(trial(None, "bits", 2, 3, 2000, 2000), trial("C3", "weight_bits", 9, 24, 4, 9200))
    assert made.trials is not None
    trials = replace(made.trials, measure="agreement", split="trial")
    advice = advise(replace(made, trials=trials))
    assert advice.conclusion == (
        "Measured by 2 trials on 5,000 trial images: the difference of agreement with the float "
        "network with its 95 % interval, and the probability by chance alone, corrected for all "
        "trials."
    )
    (broken,) = advice.observations
    assert broken.startswith("With 2 bits everywhere agreement breaks: -0.3994 (")
    assert broken.endswith("; 3 gained, 2,000 lost; chance <1e-300) on 5,000 trial images.")

"""What is said of reports whose figures are chosen here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import (
    AccuracyReport,
    CalibrationEntry,
    DatasetEntry,
    LayerEntry,
)
from systolith.golden.reports.advice import advise
from systolith.golden.reports.format_entry import FormatEntry

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
    layer: str | None, key: str, bits: int | None, gains: int, losses: int, weights: int = 8000
) -> Trial:
    return Trial(layer, key, bits, 4900 + gains - losses, gains, losses, weights)


def test_nothing_to_say() -> None:
    assert advise(report()) == ()


def test_a_bit_that_gives_something_back() -> None:
    (said,) = advise(report(trial("C3", "weight_bits", 9, 24, 4, 9200)))
    assert said == (
        "C3 clips 3.1 % of its values; one bit more for its weights gives back 0.40 points for 150 "
        "bytes of weights: 4,920 instead of 4,900 of 5,000 validation images right (24 gains, "
        "4 losses); by chance alone with a probability of 0.00018, of 1 such trials."
    )


def test_feature_maps_cost_no_weights() -> None:
    said = advise(
        report(
            trial("C3", "activation_bits", 9, 30, 4),
            trial("C3", "weight_bits", 9, 2, 1, 9200),
            layer=replace(LAYER, saturated=0),
        )
    )
    assert said[0].startswith("C3: one bit more for its feature map gives back 0.52 points: 4,926")
    assert len(said) == 1


def test_bias_correction() -> None:
    (said,) = advise(report(trial(None, "bias_correction", None, 44, 13)))
    assert said == (
        "Bias correction gives back 0.62 points, and costs nothing in hardware: 4,931 instead of "
        "4,900 of 5,000 validation images right (44 gains, 13 losses)."
    )
    assert advise(report(trial(None, "bias_correction", None, 7, 6))) == ()


def test_chance_is_no_gain() -> None:
    """Five gains and no loss: 2 of 32."""
    (said,) = advise(report(trial("C3", "weight_bits", 9, 5, 0, 9200)))
    assert said == (
        "No layer gains from one bit more: of 1 trials none differs from chance on 5,000 "
        "validation images."
    )


def test_where_it_breaks_and_what_would_do() -> None:
    uniform = [
        trial(None, "bits", 2, 3, 2000, 2000),
        trial(None, "bits", 4, 20, 50, 4000),
        trial(None, "bits", 5, 7, 9, 5000),
        trial(None, "bits", 8, 0, 0, 8000),
    ]
    would_do, breaks = advise(report(*uniform))
    assert would_do.startswith("5 bits everywhere would do: 4,898 instead of 4,900")
    assert would_do.endswith("with 375 bytes of weights less.")
    assert breaks.startswith("With 4 bits everywhere it breaks: 4,870 instead of 4,900")


def test_a_loss_that_matters_counts_even_if_it_may_be_chance() -> None:
    """Six of 5,000 is more than 0.001."""
    assert advise(report(trial("C3", "weight_bits", 7, 20, 26, 7000))) == ()
    (said,) = advise(report(trial("C3", "weight_bits", 7, 20, 25, 7000)))
    assert said.startswith("C3 can do with 7 bits for its weights: 4,895 instead of 4,900")
    assert said.endswith("and 125 bytes less.")


def test_the_best_gain_comes_first() -> None:
    said = advise(
        report(
            trial("C1", "weight_bits", 9, 20, 4, 8100),
            trial("C3", "weight_bits", 9, 60, 4, 9200),
            trial("F6", "activation_bits", 9, 40, 9),
        )
    )
    assert [sentence.split()[0].rstrip(":") for sentence in said] == ["C3", "F6", "C1"]
    assert all(sentence.endswith("of 3 such trials.") for sentence in said)


def test_the_layer_that_saves_most_is_named() -> None:
    spare = [
        trial("C1", "weight_bits", 7, 0, 0, 7900),
        trial("C5", "weight_bits", 7, 1, 0, 6000),
        trial("F6", "weight_bits", 7, 2, 1, 7000),
        # It would save more still, and loses.
        trial("C3", "weight_bits", 7, 0, 90, 5000),
    ]
    (said,) = advise(report(*spare))
    assert said.startswith("C5 can do with 7 bits for its weights: 4,901 instead of 4,900")
    assert said.endswith("and 250 bytes less.")


@pytest.mark.parametrize("weights", [8000, 9000])
def test_what_saves_nothing_is_not_praised(weights: int) -> None:
    assert advise(report(trial(None, "bits", 8, 3, 0, weights))) == ()
    (said,) = advise(report(trial(None, "bits", 8, 3, 0, 7999)))
    assert said.startswith("8 bits everywhere would do") and "1 byte of weights less" in said


def test_the_smallest_width_that_would_do_is_named() -> None:
    said = advise(report(trial(None, "bits", 6, 0, 0, 6000), trial(None, "bits", 4, 0, 0, 4000)))
    assert said == (
        (
            "4 bits everywhere would do: 4,900 instead of 4,900 of 5,000 validation images right "
            "(0 gains, 0 losses), with 500 bytes of weights less."
        ),
    )


def test_an_accuracy_on_calibration_images_is_not_that_of_a_test() -> None:
    known = CalibrationEntry("digits", "b" * 64, 20, True)
    (said,) = advise(replace(report(), calibrated_on=known))
    assert said == (
        "This accuracy is not that of a test: formats were chosen on the first 20 images of the "
        "same data."
    )
    assert advise(replace(report(), calibrated_on=replace(known, in_dataset=False))) == ()


def test_channels_and_ranges() -> None:
    layer = replace(
        LAYER, clipped_channels=(1, 2), dead_channels=tuple(range(3, 13)), range_use=0.31
    )
    clips, dead, little = advise(report(layer=layer))
    assert clips == "C3 clips 3.1 % of its values, most in 2 channels (1, 2) of 16."
    assert "in 10 channels (3, 4, 5, 6, 7, 8, 9, 10, ...) of 16: dead" in dead
    assert little.startswith("C3 uses 31 % of its format's range")
    table = replace(layer, formats={"index": FormatEntry(10, 7, True)})
    assert "at the ends of its table" in advise(report(layer=table))[0]


def test_few_images() -> None:
    (said,) = advise(report(images=1))
    assert said == "1 image cannot say much: the accuracy may be anything from 0.21 to 1.00."

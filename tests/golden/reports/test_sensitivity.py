"""The effects of trials, by hand and by SciPy."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from msgspec import to_builtins
from scipy.stats import binomtest

from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.sensitivity import (
    effects,
    helped_most,
    helped_most_in_words,
    sensitivity,
    sensitivity_headings,
    sensitivity_table,
    with_effects,
)
from systolith.golden.reports.statistics import paired_interval

TRIALS = Trials(
    *("digits", "validation", 1000, 900, 8000),
    (
        Trial(None, "bits", 4, 700, 0, 200, 4000),
        Trial("C1", "weight_bits", 7, 899, 3, 4, 7850, -1, 150),
        Trial("C1", "weight_bits", 9, 920, 24, 4, 8150, 1, -150),
        Trial("F6", "activation_bits", 9, 901, 2, 1, 8000, 1, -84),
        # More, with two bits more than any trial has.
        Trial("F6", "activation_bits", 10, 950, 50, 0, 8000, 2, -168),
    ),
)


def test_effects_are_corrected_for_all_trials() -> None:
    found = effects(TRIALS)
    assert [each.difference.accuracy for each in found] == [-0.2, -0.001, 0.02, 0.001, 0.05]
    chances = [
        binomtest(gains, gains + losses).pvalue
        for gains, losses in ((0, 200), (3, 4), (24, 4), (2, 1), (50, 0))
    ]
    assert [each.difference.chance for each in found] == pytest.approx(chances)
    # Holm: the smallest times five, the next times four, and so on.
    corrected = [5 * chances[0], 1, 3 * chances[2], 1, 4 * chances[4]]
    assert [each.difference.corrected for each in found] == pytest.approx(corrected)
    assert found[2].difference.interval == paired_interval(24, 4, 1000)
    assert [each.trial for each in sensitivity(TRIALS)] == list(TRIALS.trials[1:])


def test_the_part_that_one_bit_helps_most() -> None:
    best = helped_most(sensitivity(TRIALS))
    assert best is not None
    assert best.part == "C1 weights"
    low, high = paired_interval(24, 4, 1000)
    chance = 3 * binomtest(24, 28).pvalue
    assert helped_most_in_words(TRIALS) == (
        f"A single bit more helps most in C1 weights: +0.0200 ({low:+.4f} to {high:+.4f}; 24 "
        f"gained, 4 lost; chance {chance:.2g}); better."
    )
    few = replace(TRIALS, trials=TRIALS.trials[3:4])
    assert helped_most_in_words(few).endswith("chance 1); no difference shown.")
    assert helped_most_in_words(replace(TRIALS, trials=TRIALS.trials[:2])) == ""


def test_reports_of_older_versions_say_nothing_of_layers() -> None:
    """Their trials of single layers lack the change."""
    old = replace(TRIALS, trials=tuple(replace(each, change=None) for each in TRIALS.trials))
    assert sensitivity(old) == ()
    assert helped_most_in_words(old) == ""
    assert len(effects(old)) == 5


def test_each_figure_stands_in_its_column() -> None:
    heading, _, first, *_ = sensitivity_table(TRIALS).splitlines()
    assert heading == f"| {' | '.join(sensitivity_headings(TRIALS))} |"
    low, high = paired_interval(3, 4, 1000)
    assert first == (
        f"| C1 | weights | 7 | -1 | -0.0010 | {low:+.4f} to {high:+.4f} | 3 | 4 | 1 | 0.0183 |"
    )


def test_what_a_trial_saves_may_be_unknown() -> None:
    unknown = replace(TRIALS, trials=(replace(TRIALS.trials[1], bits_saved=None),))
    assert sensitivity_table(unknown).splitlines()[2].endswith(" | 1 | 0 |")


def test_json_has_the_same_figures() -> None:
    written = json.loads(json.dumps(with_effects(TRIALS)))
    assert written["trials"][2] == {
        **to_builtins(TRIALS.trials[2]),
        "difference": 0.02,
        "difference_interval": list(paired_interval(24, 4, 1000)),
        "chance": pytest.approx(binomtest(24, 28).pvalue),
        "chance_corrected": pytest.approx(3 * binomtest(24, 28).pvalue),
    }
    assert written["images"] == 1000

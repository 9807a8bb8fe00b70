"""What figures draw, read back from their specifications and held against the report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import AccuracyReport, DatasetEntry, LayerEntry
from systolith.golden.reports.format_entry import FormatEntry
from systolith.golden.reports.sensitivity import helped_most_in_words
from systolith.golden.reports.side_by_side import LayerValues
from systolith.golden.reports.statistics import paired_interval
from systolith.scripts.pages import report_figures
from tests.scripts.pages.chart_data import drawn, tooltips

LABELS = (0, 0, 1, 1, 1, 2, 2, 2, 2, 2)
FLOAT_COLOUR, FIXED_COLOUR = "#7f9bb3", "#d9731a"


def layer(name: str, sqnr_db: float | None) -> LayerEntry:
    formats = {"output": FormatEntry(8, 4, True)}
    return LayerEntry(name, formats, sqnr_db, 6, 17, (), (), 0.75, 4704, 21)


def report(predictions: tuple[int, ...], *layers: LayerEntry) -> AccuracyReport:
    pairs = list(zip(LABELS, predictions, strict=True))
    return AccuracyReport(
        network="net",
        network_sha256="0" * 64,
        kind="fixed",
        dataset=DatasetEntry("digits", "test", "a" * 64, 10),
        images=10,
        correct=sum(label == given for label, given in pairs),
        agreement_with_float=1.0,
        labels=LABELS,
        predictions=predictions,
        float_predictions=predictions,
        confusion=tuple(
            tuple(pairs.count((label, given)) for given in range(3)) for label in range(3)
        ),
        quantization={"weight_bits_total": 1},
        layers=layers,
        version="1",
    )


# A 0 is taken for a 2 once, a 2 for a 0 three times and for a 1 once.
MANY_WRONG = report((0, 2, 1, 1, 1, 0, 0, 0, 1, 2), layer("C1", 40.5), layer("F6", 22.25))
FEW_WRONG = report((0, 0, 1, 1, 1, 2, 2, 2, 2, 0), layer("C1", 50.5), layer("F6", None))


def test_errors_against_bits_are_those_of_each_width_s_own_trial() -> None:
    trials = Trials(
        *("digits", "validation", 1000, 900, 800),
        (
            Trial(None, "bits", 4, 850, 10, 60, 400),
            Trial("C1", "weight_bits", 9, 990, 90, 0, 900),
            Trial(None, "bits", 6, 700, 0, 200, 600),
            Trial(None, "bits", 8, 1000, 100, 0, 800),
        ),
    )
    spec = report_figures.accuracy_against_bits(trials).to_dict()
    here, spread, line = drawn(spec)
    assert (here.mark, here.marks) == ("rule", [{"y": pytest.approx(0.1)}])
    scales = [layer["encoding"].get("y", {}).get("scale") for layer in spec["layer"]]
    # Fewer errors are higher.
    assert {(scale["type"], scale["reverse"]) for scale in scales if scale} == {("log", True)}
    assert line.mark == "line"
    # Nothing wrong is drawn as half an image, because a logarithm has no zero.
    assert line.marks == [
        {"x": bits, "y": pytest.approx(wrong)} for bits, wrong in ((4, 0.15), (6, 0.3), (8, 0.0005))
    ]
    assert [(each["bits"], each["accuracy"], each["weights"]) for each in tooltips(spec)] == [
        *((4, 0.85, "0.0488 KiB"), (6, 0.7, "0.0732 KiB"), (8, 1.0, "0.0977 KiB")),
    ]
    # Wilson's intervals, by Newcombe's formula with z = 1.96.
    assert spread.marks == [
        {"x": bits, "y": pytest.approx(most, abs=1e-5), "y2": pytest.approx(least, abs=1e-5)}
        for bits, most, least in (
            (4, 0.173469, 0.129210),
            (6, 0.329121, 0.272415),
            (8, 0.003827, 0.0005),
        )
    ]


def test_the_effect_of_each_width_is_drawn_in_the_row_of_its_part() -> None:
    trials = Trials(
        *("digits", "validation", 1000, 900, 800),
        (
            Trial(None, "bits", 4, 850, 10, 60, 400),
            Trial("C1", "weight_bits", 7, 880, 5, 25, 750, -1, 50),
            Trial("C1", "activation_bits", 9, 903, 4, 1, 800, 1, -6),
        ),
    )
    spec = report_figures.sensitivity_by_layer(trials).to_dict()
    ends, points = drawn(spec)
    colours = {"-1": "#d9731a", "+1": "#2e8b57"}
    rows = [("C1 weights", "-1", 5, 25), ("C1 map", "+1", 4, 1)]
    for place, (part, change, gains, losses) in enumerate(rows):
        low, high = paired_interval(gains, losses, 1000)
        common = {"y": part, "yOffset": change, "color": colours[change]}
        assert ends.marks[place].items() >= {**common, "x": low, "x2": high}.items()
        assert points.marks[place].items() >= {**common, "x": (gains - losses) / 1000}.items()
    assert " ".join(spec["title"]["text"]) == helped_most_in_words(trials)
    # Logarithmic from a thousandth on, on both sides of zero.
    x = spec["layer"][0]["encoding"]["x"]
    assert (x["scale"]["type"], x["scale"]["constant"]) == ("symlog", 0.001)
    found = [each["x"] for each in ends.marks] + [each["x2"] for each in ends.marks]
    assert x["scale"]["domain"] == [min(found), max(found)]
    ticks = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
    assert sorted(x["axis"]["values"]) == sorted([0, *ticks, *(-tick for tick in ticks)])
    # By Holm's method the smallest of three is multiplied by 3, the next one by 2.
    chances = [binomtest(gains, gains + losses).pvalue for gains, losses in ((10, 60), (5, 25))]
    assert chances[0] < chances[1]
    assert tooltips(spec) == [
        {
            "part": "C1 weights",
            "bits": "-1",
            "difference": -0.02,
            "low": ends.marks[0]["x"],
            "high": ends.marks[0]["x2"],
            "chance": pytest.approx(2 * chances[1]),
            "saved": "0.0061 KiB",
        },
        {
            "part": "C1 map",
            "bits": "+1",
            "difference": 0.003,
            "low": ends.marks[1]["x"],
            "high": ends.marks[1]["x2"],
            "chance": pytest.approx(0.375),
            "saved": "-0.000732 KiB",
        },
    ]


def test_a_trial_of_an_old_report_saves_nothing_that_is_known() -> None:
    trials = Trials(
        *("digits", "validation", 1000, 900, 800),
        (Trial("C1", "weight_bits", 7, 880, 5, 25, 750, -1),),
    )
    spec = report_figures.sensitivity_by_layer(trials).to_dict()
    assert [each["saved"] for each in tooltips(spec)] == ["0 KiB"]


def test_confusion_has_labels_downwards_and_classes_across() -> None:
    squares, numbers = drawn(report_figures.confusion(MANY_WRONG).to_dict())
    wrong = {("0", "2"): 1, ("2", "0"): 3, ("2", "1"): 1}
    assert {(each["y"], each["x"]): each["color"] for each in squares.marks} == wrong
    assert {(each["y"], each["x"]): each["text"] for each in numbers.marks} == wrong
    assert (squares.mark, numbers.mark) == ("rect", "text")


@pytest.mark.parametrize(
    ("report", "ratios"),
    [(MANY_WRONG, [("C1", 40.5), ("F6", 22.25)]), (FEW_WRONG, [("C1", 50.5)])],
    ids=["all layers", "a layer without noise"],
)
def test_the_ratio_of_each_layer_is_drawn(
    report: AccuracyReport, ratios: list[tuple[str, float]]
) -> None:
    for each in drawn(report_figures.sqnr_by_layer(report).to_dict()):
        assert each.marks == [{"x": name, "y": ratio} for name, ratio in ratios]


def shown(figure: Any) -> list[dict[str, Any]]:
    """What the first layer with tooltips shows of each of its rows; data are the whole chart's."""
    spec = figure.to_dict()
    layer = next(each for each in spec["layer"] if "tooltip" in each["encoding"])
    data = layer.get("data", spec.get("data"))
    return tooltips({**layer, "data": data, "datasets": spec["datasets"]})


def test_what_is_touched_shows_its_own_figures() -> None:
    assert shown(report_figures.confusion(MANY_WRONG)) == [
        {"label": "0", "class": "2", "images": 1},
        {"label": "2", "class": "0", "images": 3},
        {"label": "2", "class": "1", "images": 1},
    ]
    assert shown(report_figures.sqnr_by_layer(MANY_WRONG)) == [
        *({"layer": "C1", "SQNR (dB)": 40.5}, {"layer": "F6", "SQNR (dB)": 22.25})
    ]
    bars = shown(report_figures.histogram(values(), last=False))
    found = [each for each in bars if each["network"] == "float" and each["share"]]
    assert [(each["from"], each["to"], 8 * each["share"]) for each in found] == [
        *((-2.0, -1.5, 1), (-1.5, -1.0, 2), (-1.0, -0.5, 2), (-0.5, 0.0, 3))
    ]


def test_those_who_cannot_see_a_figure_are_told_its_figures() -> None:
    trials = Trials(
        *("digits", "validation", 1000, 900, 800),
        (
            Trial(None, "bits", 4, 850, 10, 60, 400),
            Trial(None, "bits", 8, 1000, 100, 0, 800),
            Trial("C1", "weight_bits", 9, 903, 4, 1, 850, 1, -6),
        ),
    )
    for figure, text in (
        (
            report_figures.accuracy_against_bits(trials),
            "The share of wrong images by bits: 4 bits 0.1500, 8 bits 0.0005",
        ),
        (
            report_figures.sensitivity_by_layer(trials),
            f"The difference of accuracy by layer and bits. {helped_most_in_words(trials)}",
        ),
        (report_figures.sqnr_by_layer(MANY_WRONG), "SQNR in dB by layer: C1 40.5, F6 22.2"),
        (
            report_figures.histogram(values(), last=True),
            "The distribution of the values of C1, float and fixed",
        ),
        # Of ten images five are wrong.
        (
            report_figures.confusion(MANY_WRONG),
            "The wrong classes of 5 images, by their labels",
        ),
    ):
        spec = figure.to_dict()
        assert spec["description"] == text
        assert spec["width"] == "container"


def test_every_class_has_its_row_and_column_though_nothing_is_wrong_with_it() -> None:
    spec = report_figures.confusion(FEW_WRONG).to_dict()
    for layer in spec["layer"]:
        encoding = layer["encoding"]
        for channel in ("x", "y"):
            assert encoding[channel]["scale"]["domain"] == ["0", "1", "2"]
    # A layer's row has room for its figures.
    many = replace(FEW_WRONG, confusion=tuple((0,) * 40 for _ in range(40)))
    assert report_figures.confusion(many).height == 60 + 20 * 40
    assert spec["height"] == 260


def values() -> LayerValues:
    """A format from -2.5 to 1 in steps of 0.5, plus 0.25; floats are all in the lower half."""
    real = np.array([-1.9, -1.2, -1.1, -0.7, -0.6, -0.3, -0.2, -0.1]).reshape(1, 1, 8, 1)
    held = np.array([-1.75, -1.25, -1.25, 0.75, 0.75, 1.25, 1.25, 1.25]).reshape(1, 1, 8, 1)
    return LayerValues("C1", real, held, QFormat(3, 1), 0.5, 0.25)


@pytest.mark.parametrize("last", [False, True])
def test_a_histogram_has_float_bars_and_a_fixed_line(last: bool) -> None:
    """The middle of each bin is a value of the format: a bin is half below and half above it."""
    bars, line, *ends = drawn(report_figures.histogram(values(), last).to_dict())
    assert (bars.mark, line.mark) == ("rect", "line")
    assert {mark["y2"] for mark in bars.marks} == {0}
    shares: list[dict[float, float]] = []
    for each, colour in ((bars, FLOAT_COLOUR), (line, FIXED_COLOUR)):
        assert {mark["color"] for mark in each.marks} == {colour}
        shares.append({mark["x"]: 8 * mark["y"] for mark in each.marks if mark["y"]})
    # -1.9 is nearest to -1.75; -1.2 and -1.1 to -1.25; -0.7 and -0.6 to -0.75; the rest to -0.25.
    assert shares[0] == {-2.0: 1, -1.5: 2, -1.0: 2, -0.5: 3}
    assert shares[1] == {-2.0: 1, -1.5: 2, 0.5: 2, 1.0: 3}
    assert {mark["x2"] - mark["x"] for mark in bars.marks} == {0.5}
    # The ends of the format, but for the scores.
    expected: list[list[dict[str, Any]]] = [] if last else [[{"x": -1.75}, {"x": 1.75}]]
    assert [each.marks for each in ends] == expected


@pytest.mark.parametrize(
    ("bits", "steps"),
    # 256 values and a half step at each end take 64 bins of 4 steps, or a few of them one more.
    [(6, 1), (8, 4), (9, 8), (10, 16)],
)
def test_a_bin_is_as_few_whole_steps_wide_as_64_bins_allow(bits: int, steps: int) -> None:
    random = np.random.default_rng(bits)
    fmt = QFormat(bits, bits - 1)
    raw = random.integers(fmt.min_raw, fmt.max_raw + 1, (50, 4, 4, 2))
    held = raw.astype(np.float64) * fmt.step
    real: NDArray[np.float64] = np.clip(
        held + random.normal(0, 0.02, held.shape), -1, fmt.max_raw * fmt.step
    )
    shown = report_figures.histogram(LayerValues("C1", real, held, fmt, fmt.step, 0.0), False)
    bars, line, _ = drawn(shown.to_dict())
    assert {round((mark["x2"] - mark["x"]) / fmt.step, 6) for mark in bars.marks} == {steps}
    # No value lies on an edge, so each is in one bin, and every bin has its own share.
    for marks, found in ((bars.marks, real), (line.marks, held)):
        width = steps * fmt.step
        shares = [np.mean((mark["x"] <= found) & (found < mark["x"] + width)) for mark in marks]
        assert [mark["y"] for mark in marks] == pytest.approx(shares)
        assert sum(shares) == pytest.approx(1)
    assert (bars.marks[0]["x"] + fmt.step / 2) / fmt.step == pytest.approx(fmt.min_raw)
    # The last bin has the greatest value of the format.
    assert bars.marks[-1]["x"] < fmt.max_raw * fmt.step < bars.marks[-1]["x2"]


@pytest.mark.parametrize("shift", [-1.7, 1.7])
def test_values_outside_of_the_format_have_bins_too(shift: float) -> None:
    """Bins begin half a step below a value of the format, however far away."""
    random = np.random.default_rng(3)
    held = np.clip(random.integers(-64, 64, (40, 4, 4, 1)) / 64, -1, 63 / 64)
    real = np.concatenate([held[:20], held[20:] + shift])
    fmt = QFormat(7, 6)
    shown = report_figures.histogram(LayerValues("C1", real, held, fmt, fmt.step, 0.0), False)
    bars, line, _ = drawn(shown.to_dict())
    first, last = bars.marks[0], bars.marks[-1]
    assert first["x"] <= min(real.min(), -1) < first["x2"]
    assert last["x"] <= max(real.max(), 63 / 64) < last["x2"]
    starts = np.array([each["x"] for each in bars.marks]) * 64 + 0.5
    assert starts == pytest.approx(np.round(starts))
    for part in (bars, line):
        assert sum(each["y"] for each in part.marks) == pytest.approx(1)


def test_scores_that_are_all_the_same_are_one_bin() -> None:
    same = np.full((3, 1, 1, 2), 0.75)
    scores = LayerValues("output", same, same, QFormat(8, 2), 0.25, 0.0)
    bars, line = drawn(report_figures.histogram(scores, last=True).to_dict())
    found = [(each["x"], each["y"]) for part in (bars, line) for each in part.marks if each["y"]]
    assert found == 2 * [(0.625, 1.0)]


def test_the_ends_of_a_format_have_its_offset() -> None:
    """Raw values from -4 to 3: from -1.75 to 1.75."""
    assert values().ends == (-1.75, 1.75)

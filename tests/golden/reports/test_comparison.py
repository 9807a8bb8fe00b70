"""Reports side by side, with figures by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from scipy.stats import binomtest

from systolith.golden.reports.accuracy import (
    AccuracyReport,
    DatasetEntry,
    HardwareEntry,
    LayerEntry,
)
from systolith.golden.reports.comparison import ComparisonError, compare, score_headings
from systolith.golden.reports.format_entry import FormatEntry
from systolith.golden.reports.paired_difference import Difference
from systolith.golden.reports.statistics import paired_interval
from tests.golden.reports.hand_made import CLASSES, OUTPUTS, UNLABELLED

LABELS = (0, 1, 1, 0)
FLOAT_PREDICTIONS = (0, 1, 0, 0)
LAYER_HEADINGS = (
    "| layer | report | input | weights | index | output | accumulator bits | SQNR (dB) "
    "| range used | saturated | clipped | dead |"
)


def report(predictions: tuple[int, ...], *layers: LayerEntry, **changes: object) -> AccuracyReport:
    made = AccuracyReport(
        network="net",
        network_sha256="0" * 64,
        kind="fixed" if layers else "float",
        dataset=DatasetEntry("digits", "test", "a" * 64, 10),
        images=4,
        correct=sum(a == b for a, b in zip(predictions, LABELS, strict=False)),
        agreement_with_float=0.75,
        labels=LABELS,
        predictions=predictions,
        float_predictions=FLOAT_PREDICTIONS,
        confusion=((0, 0), (0, 0)),
        quantization={"weight_bits_total": 1234} if layers else None,
        layers=layers,
        version="1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def layer(name: str, sqnr_db: float | None, *frac_bits: int) -> LayerEntry:
    formats = {"input": FormatEntry(8, 0, False), "weights": FormatEntry(8, frac_bits, True)}
    return LayerEntry(
        name=name,
        formats=formats,
        sqnr_db=sqnr_db,
        channels=6,
        saturated=1234,
        clipped_channels=(0, 4),
        dead_channels=(5,),
        range_use=0.504,
        values=99999,
        accumulator_bits=21,
    )


FIRST = report((0, 1, 0, 0))  # one of four is wrong
SECOND = report((1, 1, 1, 0), layer("C1", 40.123, 7, 9, 8), layer("F6", None, 7))
THIRD = report((0, 1, 0, 1), layer("C1", 20.0, 7), hardware=HardwareEntry(112, 3136, 7193, True))


def test_gains_and_losses_are_paired() -> None:
    rows = compare([FIRST, SECOND, THIRD], ["a", "b", "c"]).rows
    assert [row.name for row in rows] == ["a", "b", "c"]
    assert rows[0].difference is None
    second, third = differences(FIRST, SECOND, THIRD)
    assert [(each.gains, each.losses, each.changed) for each in (second, third)] == [
        (1, 1, 2),
        (0, 1, 1),
    ]
    assert [each.accuracy for each in (second, third)] == [0, -0.25]
    assert [each.chance for each in (second, third)] == [1, 1]
    assert [each.interval for each in (second, third)] == [
        paired_interval(1, 1, 4),
        paired_interval(0, 1, 4),
    ]


def test_without_labels_each_report_is_held_against_its_own_float_network() -> None:
    """The first agrees on images 0 and 1, the second on 1, 2 and 3."""
    first, second = (
        report(given, correct=None, labels=None, float_predictions=floats)
        for given, floats in (((0, 1, 0, 1), (0, 1, 1, 0)), ((0, 1, 1, 1), (1, 1, 1, 1)))
    )
    (found,) = differences(first, second)
    assert (found.gains, found.losses, found.accuracy) == (2, 1, 0.25)


def differences(*reports: AccuracyReport) -> list[Difference]:
    return [row.difference for row in compare(reports).rows if row.difference is not None]


def of_coins(gains: int, losses: int, same: int = 50) -> tuple[AccuracyReport, AccuracyReport]:
    """Two reports of images of which all have the label 0."""
    images = gains + losses + same
    first = (1,) * gains + (0,) * (losses + same)
    second = (0,) * gains + (1,) * losses + (0,) * same
    changes = {"images": images, "labels": (0,) * images, "confusion": ((images, 0), (0, 0))}
    return report(first, **changes, correct=first.count(0)), report(
        second, **changes, correct=second.count(0)
    )


@pytest.mark.parametrize(
    ("gains", "losses", "verdict"),
    [
        (6, 7, "no difference shown"),
        # Two of 32 and of 64 ways in which five and six coins fall: 0.0625 and 0.03125.
        (0, 5, "no difference shown"),
        (0, 6, "worse"),
        (6, 0, "better"),
        (0, 0, "no difference shown"),
    ],
)
def test_a_verdict_needs_more_than_chance(gains: int, losses: int, verdict: str) -> None:
    (found,) = differences(*of_coins(gains, losses))
    assert found.verdict == verdict
    assert found.accuracy == pytest.approx((gains - losses) / (gains + losses + 50))


def test_the_smallest_chance_of_several_is_corrected_by_their_number() -> None:
    """Six losses have a chance of 1 in 32 alone; of two such reports neither is shown worse."""
    first, second = of_coins(0, 6)
    alone, *_ = differences(first, second)
    assert (alone.chance, alone.corrected, alone.verdict) == (1 / 32, 1 / 32, "worse")
    for found in differences(first, second, second):
        assert (found.chance, found.corrected) == (1 / 32, 2 / 32)
        assert found.verdict == "no difference shown"


def test_drops_are_found_by_accuracy_alone() -> None:
    comparison = compare([FIRST, SECOND, THIRD], ["a", "b", "c"])
    assert [row.name for row in comparison.dropped(0.2)] == ["c"]
    assert comparison.dropped(0.25) == ()
    assert comparison.dropped(0.0) == comparison.rows[2:]


def test_only_accuracy_can_drop() -> None:
    for base, message in (
        (UNLABELLED, "--fail-on-drop: digits has no labels, so that there is no accuracy"),
        (OUTPUTS, "--fail-on-drop: these networks are no classifiers"),
    ):
        with pytest.raises(ComparisonError, match=message):
            compare([base, base]).dropped(0.0)


def test_reports_with_classes_are_not_compared_with_others() -> None:
    """The report that has no classes is named, whichever comes first."""
    for pair, which in (((CLASSES, OUTPUTS), "second"), ((OUTPUTS, CLASSES), "first")):
        other = {"first": "second", "second": "first"}[which]
        with pytest.raises(ComparisonError) as caught:
            compare(pair, ["first", "second"])
        assert str(caught.value) == (
            f"{which}: reports errors of outputs, and {other} classes: evaluate both with the same "
            "--result"
        )


def test_labels_are_those_given() -> None:
    rows = compare([FIRST, SECOND], ["a", "b"], ["before", "after"]).rows
    assert [(row.label, row.name) for row in rows] == [("before", "a"), ("after", "b")]
    with pytest.raises(ComparisonError, match="2 reports need as many labels, not 1"):
        compare([FIRST, SECOND], ["a", "b"], ["before"])
    for labels in (["a", "a"], ["a", ""]):
        with pytest.raises(ComparisonError, match="labels must differ, and none may be empty"):
            compare([FIRST, SECOND], ["a", "b"], labels)


def test_layers_stand_side_by_side() -> None:
    layers = compare([FIRST, SECOND, THIRD]).layers
    assert [row.name for row in layers] == ["C1", "F6"]
    assert layers[0].entries == (None, SECOND.layers[0], THIRD.layers[0])
    assert layers[1].entries == (None, SECOND.layers[1], None)


def test_markdown() -> None:
    text = compare([FIRST, SECOND, THIRD], ["a|b", "q8.json", "q4.json"]).to_markdown()
    second, third = ("{:+.4f} to {:+.4f}".format(*paired_interval(n, 1, 4)) for n in (1, 0))
    expected = f"""
4 images of digits (test). Compared with the first report: float (a\\|b).

| report | arithmetic | multipliers | cycles an image | cycles to the class | file |
| --- | ---: | ---: | ---: | ---: | ---: |
| float | float |  |  |  | a\\|b |
| fixed | fixed |  |  |  | q8.json |
| fixed, 112 multipliers | fixed | 112 | 3,136 | 7,193 | q4.json |

The same in all: network net, weights (KiB) 0.2, version 1.

| report | accuracy | 95 % interval | agreement with float | difference | 95 % interval | gai...
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| float | 0.7500 | 0.3006 to 0.9544 | 0.7500 |  |  |  |  |  |  |
| fixed | 0.7500 | 0.3006 to 0.9544 | 0.7500 | 0.0000 | {second} | 1 | 1 | 1 | ...
| fixed, 112 multipliers | 0.5000 | 0.1500 to 0.8500 | 0.7500 | -0.2500 | {third} | 0 | 1 | 1 | ...

Better and worse: gains and losses at least as uneven have a probability below 0.05 by chance ...

| layer | report | input | weights | index | output | accumulator bits | SQNR (dB) | ran...
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| C1 | fixed | u8.0 | s8.7..9 |  |  | 21 | 40.1 | 50 % | 1,234 | 2 | 1 |
| C1 | fixed, 112 multipliers | u8.0 | s8.7 |  |  | 21 | 20.0 | 50 % | 1,234 | 2 | 1 |
| F6 | fixed | u8.0 | s8.7 |  |  | 21 |  | 50 % | 1,234 | 2 | 1 |
"""
    lines = expected.strip().splitlines()
    for found, line in zip(text.splitlines(), lines, strict=True):
        whole = found.startswith(line[:-3]) if line.endswith("...") else found == line
        assert whole, (found, line)
    ends = {" | losses | chance | verdict |", " | no difference shown |", " for 2 comparisons)."}
    assert all(any(line.endswith(end) for line in text.splitlines()) for end in ends)
    assert LAYER_HEADINGS in text


def rows_of(html: str) -> list[list[str]]:
    return [[each.text or "" for each in row] for row in ElementTree.fromstring(html).iter("tr")]


def test_a_notebook_shows_what_differs_and_the_scores() -> None:
    comparison = compare([FIRST, SECOND, THIRD], ["a|b", "q8.json", "q4.json"])
    html = comparison._repr_html_()
    caption = "<caption>4 images of digits (test). Compared with the first report: float (a|b)."
    assert caption in html
    first, second, third = (binomtest(n, 4).proportion_ci(method="wilson") for n in (3, 3, 2))
    costs = ["multipliers", "cycles an image", "cycles to the class"]
    scores = ["accuracy", "95 % interval", "agreement with float", "difference", "95 % interval"]
    expected = [
        ["report", "arithmetic", *costs, *scores, "gains", "losses", "chance", "verdict"],
        ["float", "float", *[""] * 3, "0.7500", between(first), "0.7500", *[""] * 6],
        [
            *("fixed", "fixed", *[""] * 3, "0.7500", between(second), "0.7500", "0.0000"),
            *(between(paired_interval(1, 1, 4), "+"), "1", "1", "1", "no difference shown"),
        ],
        [
            *("fixed, 112 multipliers", "fixed", "112", "3,136", "7,193", "0.5000", between(third)),
            *("0.7500", "-0.2500", between(paired_interval(0, 1, 4), "+")),
            *("0", "1", "1", "no difference shown"),
        ],
    ]
    assert rows_of(html) == expected


def between(ends: Sequence[float], sign: str = "") -> str:
    return f"{ends[0]:{sign}.4f} to {ends[1]:{sign}.4f}"


def test_the_summary_of_many_reports_counts_verdicts() -> None:
    """The second gives back the seven that the first has wrong; the third loses ten more."""
    first = of_coins(7, 7, 1042)[0]
    images = first.images
    better = replace(first, predictions=(0,) * images, correct=images)
    worse = replace(first, predictions=(1,) * 17 + (0,) * (images - 17), correct=images - 17)
    sizes = ({"weight_bits_total": bits} for bits in (81920, 81930, 40960))
    reports = [
        replace(each, kind="fixed", quantization=size)
        for each, size in zip((first, better, worse), sizes, strict=True)
    ]
    text = compare(reports, ["a", "b", "c"], ["one", "two", "three"]).to_summary()
    rate = (images - 7) / images
    assert (
        text
        == f"""\
1,056 images of digits (test). Compared with the first report: one (a).

They differ in weights (KiB).

| report | weights (KiB) | accuracy | difference | verdict |
| --- | ---: | ---: | ---: | ---: |
| one | 10.000 | {rate:.4f} |  |  |
| two | 10.001 | 1.0000 | {1 - rate:+.4f} | better |
| three | 5.000 | {(images - 17) / images:.4f} | {-10 / images:+.4f} | worse |

1 better, 1 worse, 0 no difference shown. Better and worse: gains and losses at least as uneven \
have a probability below 0.05 by chance alone (McNemar's exact test, with Holm's correction for 2 \
comparisons).
"""
    )


def test_errors_of_outputs_side_by_side() -> None:
    """Another network with half the error of the first channel: 0.25 and 0.1."""
    assert OUTPUTS.outputs is not None
    one, other = OUTPUTS.outputs
    second = replace(
        OUTPUTS,
        quantization={"weight_bits": 8, "weight_bits_total": 1200},
        outputs=(replace(one, rms_error=0.25), other),
        layers=(OUTPUTS.layers[0], replace(OUTPUTS.layers[1], sqnr_db=None)),
    )
    comparison = compare([OUTPUTS, second], ["a", "b"], ["one", "two"])
    scores = [
        ["31.3", "0.3606 (9 % of the range)", "1.25 (31 % of the range)"],
        ["", "0.1904 (4.8 % of the range)", "1.25 (31 % of the range)"],
    ]
    about = (
        "4 images of digits (test). Compared with the first report: one (a). The networks are no "
        "classifiers: errors are those of the outputs, each report's against its own float network."
    )
    headings = ["report", "weights (KiB)", *score_headings("error")]
    sizes = [["one", "0.11"], ["two", "0.15"]]
    assert (comparison.about, comparison.rule, comparison.measure) == (about, "", "error")
    table_rows = [headings, *([*a, *b] for a, b in zip(sizes, scores, strict=True))]
    found = comparison.to_summary().splitlines()
    assert found[0] == about
    lines = [line[2:-2].split(" | ") for line in found if line.startswith("| ")]
    assert [[each.strip() for each in line] for line in lines if line[0] != "---"] == table_rows
    shown = rows_of(comparison._repr_html_())
    assert [row[-3:] for row in shown] == [headings[2:], *scores]
    assert comparison.to_markdown().count("| 0.1904 (4.8 % of the range) |") == 1


def test_a_layer_that_only_a_later_report_has_is_in_the_table() -> None:
    extra = replace(SECOND.layers[0], name="C3")
    found = compare([SECOND, report((0, 1, 0, 1), extra)])
    assert [row.name for row in found.layers] == ["C1", "F6", "C3"]
    assert found.layers[2].entries == (None, extra)
    assert "| C3 | " in found.to_markdown()


def test_a_name_in_a_label_is_not_repeated() -> None:
    for label, name, said in (
        ("8 bits", "a.json", "8 bits (a.json)."),
        ("8 bits (a.json)", "a.json", "8 bits (a.json)."),
        ("a.json", "a.json", "a.json."),
    ):
        comparison = compare([FIRST, SECOND], [name, "b.json"], [label, "other"])
        about = f"4 images of digits (test). Compared with the first report: {said}"
        assert comparison.about == about


def test_without_labels_comparisons_are_of_agreement() -> None:
    comparison = compare([UNLABELLED, UNLABELLED], ["a", "b"])
    assert comparison.about.endswith(
        " The images have no labels: agreement is the fraction that get the class of each report's "
        "own float network, and gains and losses are of it."
    )
    assert "| report | weights (KiB) | agreement | difference | " in comparison.to_summary()
    assert "| report | agreement | 95 % interval | " in comparison.to_markdown()
    # One comparison needs no correction.
    assert comparison.rule.endswith(" chance alone (McNemar's exact test).")


def test_chances_in_tables_are_corrected() -> None:
    first, second = of_coins(0, 6)
    for others, chance in (((second,), "0.031"), ((second, first), "0.062")):
        text = compare([first, *others]).to_markdown()
        assert f"| 0 | 6 | {chance} | " in text


def test_names_are_those_of_networks_unless_given() -> None:
    rows = compare([FIRST, replace(SECOND, network="mine")]).rows
    assert [row.name for row in rows] == ["net", "mine"]


def test_float_reports_have_no_layers() -> None:
    comparison = compare([FIRST, FIRST])
    assert comparison.layers == ()
    assert "| layer |" not in comparison.to_markdown()


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ComparisonError, match="needs at least 2 reports, not 1"):
        compare([FIRST])
    with pytest.raises(ComparisonError, match="2 reports need as many names, not 1"):
        compare([FIRST, SECOND], ["a"])
    other_images = replace(FIRST, dataset=replace(FIRST.dataset, sha256="b" * 64))
    fewer = replace(FIRST, images=3)
    other_labels = replace(FIRST, labels=(1, 1, 1, 0))
    for other in (other_images, fewer, other_labels):
        with pytest.raises(ComparisonError, match=r"^second: is about other images .* than first "):
            compare([FIRST, other], ["first", "second"])
    unknown = replace(FIRST, dataset=replace(FIRST.dataset, sha256="", name="mine"))
    with pytest.raises(ComparisonError) as caught:
        compare([FIRST, unknown], ["first", "second"])
    assert str(caught.value) == (
        "second: is about other images (4 of mine, test, sha256 none) "
        "than first (4 of digits, test, sha256 aaaaaaaa)"
    )

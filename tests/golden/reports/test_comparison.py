"""Reports side by side, with figures by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from systolith.golden.reports.accuracy import (
    AccuracyReport,
    DatasetEntry,
    HardwareEntry,
    LayerEntry,
)
from systolith.golden.reports.comparison import ComparisonError, compare
from systolith.golden.reports.format_entry import FormatEntry

LABELS = (0, 1, 1, 0)
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
        float_predictions=predictions,
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
    assert [row.difference for row in rows] == [0, 0, -0.25]
    assert [(row.gains, row.losses) for row in rows] == [(0, 0), (1, 1), (0, 1)]
    assert [row.chance for row in rows] == [1, 1, 1]
    assert [row.regression for row in rows] == [False, False, True]


def test_uneven_pairs_are_no_chance() -> None:
    """All of ten images lost: two of 1,024 ways in which ten coins fall."""
    ten = {"images": 10, "labels": (0,) * 10, "confusion": ((10, 0), (0, 0))}
    right = report((0,) * 10, **ten, correct=10)
    wrong = report((1,) * 10, **ten, correct=0)
    assert compare([right, wrong]).rows[1].chance == 2 / 1024


def test_drops_are_found() -> None:
    comparison = compare([FIRST, SECOND, THIRD], ["a", "b", "c"])
    assert [row.name for row in comparison.dropped(0.2)] == ["c"]
    assert comparison.dropped(0.25) == ()


def test_layers_stand_side_by_side() -> None:
    layers = compare([FIRST, SECOND, THIRD]).layers
    assert [row.name for row in layers] == ["C1", "F6"]
    assert layers[0].entries == (None, SECOND.layers[0], THIRD.layers[0])
    assert layers[1].entries == (None, SECOND.layers[1], None)


def test_markdown() -> None:
    text = compare([FIRST, SECOND, THIRD], ["a|b", "q8.json", "q4.json"]).to_markdown()
    assert text.splitlines() == [
        r"4 images of digits (test), compared with a\|b.",
        "",
        "| report | accuracy | 95 % interval | difference | gains | losses | chance | verdict |",
        "| --- |" + " ---: |" * 7,
        r"| a\|b | 0.7500 | 0.3006 to 0.9544 | +0.0000 | 0 | 0 | 1 |  |",
        "| q8.json | 0.7500 | 0.3006 to 0.9544 | +0.0000 | 1 | 1 | 1 |  |",
        "| q4.json | 0.5000 | 0.1500 to 0.8500 | -0.2500 | 0 | 1 | 1 | regression |",
        "",
        "| report | network | kind | agreement with float | weight bits | multipliers | cycles |",
        "| --- | --- | --- |" + " ---: |" * 4,
        r"| a\|b | net | float | 0.7500 |  |  |  |",
        "| q8.json | net | fixed | 0.7500 | 1,234 |  |  |",
        "| q4.json | net | fixed | 0.7500 | 1,234 | 112 | 3,136 |",
        "",
        LAYER_HEADINGS,
        "| --- | ---" + " | ---:" * 10 + " |",
        "| C1 | q8.json | u8.0 | s8.7..9 |  |  | 21 | 40.1 | 50 % | 1,234 | 2 | 1 |",
        "| C1 | q4.json | u8.0 | s8.7 |  |  | 21 | 20.0 | 50 % | 1,234 | 2 | 1 |",
        "| F6 | q8.json | u8.0 | s8.7 |  |  | 21 |  | 50 % | 1,234 | 2 | 1 |",
    ]


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

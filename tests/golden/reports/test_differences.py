"""What reports differ in, and the labels made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from systolith.golden.reports.accuracy import (
    AccuracyReport,
    CalibrationEntry,
    HardwareEntry,
    SiliconEntry,
)
from systolith.golden.reports.differences import factors, labels
from tests.golden.reports.hand_made import OUTPUTS
from tests.golden.reports.test_comparison import FIRST, SECOND

SETTINGS: dict[str, Any] = {
    "weight_bits": 8,
    "activation_bits": 8,
    "calibration": "mse",
    "granularity": "channel",
    "rounding": "half_up",
    "bias_correction": False,
    "layers": {},
    "weight_bits_total": 1000,
}


def fixed(**changes: Any) -> AccuracyReport:
    """A report of a network with layers C1 and F6, quantized with other settings."""
    return replace(SECOND, quantization=SETTINGS | changes)


def different(*reports: AccuracyReport) -> dict[str, tuple[str | None, ...]]:
    return {each.name: each.values for each in factors(reports) if each.differs}


def same(*reports: AccuracyReport) -> dict[str, str]:
    return {each.name: each.same for each in factors(reports) if each.same}


def labelled(*reports: AccuracyReport) -> tuple[str, ...]:
    return labels(reports, [f"{place}.json" for place in range(len(reports))])


def test_settings_that_differ_are_found_and_the_others_are_the_same() -> None:
    reports = fixed(), fixed(weight_bits=6, calibration="minmax")
    assert different(*reports) == {"weight bits": ("8", "6"), "calibration": ("mse", "minmax")}
    known = same(*reports)
    assert (known["map bits"], known["bias correction"]) == ("8", "no")
    assert not {"weight bits", "calibration"} & set(known)
    assert labelled(*reports) == ("8 bits, mse", "6/8 bits, minmax")


def test_a_float_network_has_no_widths() -> None:
    reports = FIRST, fixed(), fixed(activation_bits=4, weight_bits=4)
    assert different(*reports)["weight bits"] == (None, "8", "4")
    assert same(*reports)["calibration"] == "mse"
    assert labelled(*reports) == ("float", "8 bits", "4 bits")


def test_a_layer_without_settings_of_its_own_has_those_of_all() -> None:
    reports = fixed(layers={"C1": {"weight_bits": 6}}), fixed(), fixed(weight_bits=6)
    assert different(*reports)["C1: weight bits"] == ("6", "8", "6")
    assert different(*reports[::2]) == {"weight bits": ("8", "6")}
    assert labelled(*reports[:2]) == ("C1: weight bits 6", "C1: weight bits 8")
    mixed = (
        fixed(layers={"C1": {"weight_bits": 6}}),
        fixed(),
        fixed(weight_bits=4, activation_bits=4),
    )
    assert labelled(*mixed) == ("8 bits, C1: weight bits 6", "8 bits", "4 bits")


def test_a_layer_that_a_network_lacks_has_no_settings() -> None:
    other = replace(fixed(), layers=SECOND.layers[1:])
    reports = fixed(layers={"C1": {"weight_bits": 6}}), other
    values = {each.name: each.values for each in factors(reports)}
    assert values["C1: weight bits"] == ("6", None)


def test_networks_of_one_name_with_other_floats_are_told_apart() -> None:
    other = replace(fixed(), float_predictions=(1, 1, 1, 1))
    assert different(fixed(), other, fixed()) == {"network": ("net #1", "net #2", "net #1")}
    assert different(fixed(), replace(fixed(), network="mine")) == {"network": ("net", "mine")}


def test_networks_without_classes_are_told_apart_by_the_range_of_their_floats() -> None:
    """Not by errors, which are those of the quantization."""
    assert OUTPUTS.outputs is not None
    first, *others = OUTPUTS.outputs
    worse = replace(OUTPUTS, outputs=(replace(first, rms_error=0.6, largest_error=0.9), *others))
    wider = replace(OUTPUTS, outputs=(replace(first, lowest=-1.5), *others))
    assert different(OUTPUTS, worse) == {}
    assert different(OUTPUTS, worse, wider) == {"network": ("net #1", "net #1", "net #2")}


def test_calibration_images_of_one_name_with_other_hashes_are_told_apart() -> None:
    first = CalibrationEntry("digits", "a" * 64, 1000, False)
    reports = [replace(fixed(), calibrated_on=each) for each in (first, replace(first, sha256="b"))]
    values = ("1,000 of digits #1", "1,000 of digits #2")
    assert different(*reports) == {"calibrated on": values}
    assert "calibrated on" not in different(reports[0], reports[0])


def test_costs_differ() -> None:
    first, second = HardwareEntry(112, 3136, 7193, None), HardwareEntry(112, 3136, 7000, True)
    reports = [replace(fixed(), hardware=each) for each in (first, second)]
    assert different(*reports) == {"cycles to the class": ("7,193", "7,000")}
    assert same(*reports)["multipliers"] == "112"
    known = different(fixed(), reports[0])
    assert known["multipliers"] == ("", "112")
    sizes = different(fixed(weight_bits_total=1001), fixed())["weights (KiB)"]
    assert sizes == ("0.1222", "0.1221")


def test_luts_and_clock_differ() -> None:
    slow = SiliconEntry("ecp5-85k", 16774, 84.19, "6")
    fast = SiliconEntry("ecp5-85k", 13897, 132.31, "8")
    unplaced = SiliconEntry("xc7z020", 6244)
    reports = [
        replace(fixed(), hardware=HardwareEntry(112, 3136, 7193, None, each))
        for each in (slow, fast, unplaced)
    ]
    assert different(*reports) == {
        "target": ("ecp5-85k, grade 6", "ecp5-85k, grade 8", "xc7z020"),
        "LUTs": ("16,774", "13,897", "6,244"),
        "clock": ("84.2 MHz", "132.3 MHz", ""),
    }
    assert labelled(*reports[:2]) == ("target ecp5-85k, grade 6", "target ecp5-85k, grade 8")


def test_labels_say_no_more_than_what_tells_reports_apart() -> None:
    assert labelled(fixed(activation_bits=4), fixed()) == ("8/4 bits", "8 bits")
    # Costs that follow from other choices are in the table alone.
    costs = [
        replace(fixed(), hardware=HardwareEntry(112, interval, 7193, None), version=version)
        for interval, version in ((3136, "1"), (3000, "2"))
    ]
    assert labelled(*costs) == ("version 1", "version 2")
    more = [replace(fixed(), hardware=HardwareEntry(n, 3136, 7193, None)) for n in (1120, 90)]
    assert labelled(*more) == ("1,120 multipliers", "90 multipliers")
    three = fixed(), fixed(), fixed()
    assert labels(three, ["a", "b", "a"]) == ("a", "b", "a #2")
    assert labels(three, ["a", "a", "a"]) == ("a", "a #2", "a #3")
    settings = fixed(rounding="floor", granularity="tensor"), fixed()
    assert labelled(*settings) == (
        "a scale for each tensor, floor",
        "a scale for each channel, half_up",
    )


def test_what_goes_without_saying_is_said_where_nothing_else_is() -> None:
    corrected, rounded = fixed(bias_correction=True), fixed(layers={"C1": {"rounding": "floor"}})
    assert labelled(corrected, rounded) == (
        "bias correction",
        "no bias correction, C1: rounding floor",
    )
    assert labelled(rounded, fixed()) == ("C1: rounding floor", "C1: rounding half_up")


def test_a_float_report_has_neither_settings_nor_calibration() -> None:
    known = CalibrationEntry("digits", "a" * 64, 1000, False)
    reports = [FIRST, *(replace(fixed(weight_bits=n), calibrated_on=known) for n in (8, 6))]
    values = {each.name: each.values for each in factors(reports)}
    assert values["calibrated on"] == (None, "1,000 of digits", "1,000 of digits")
    assert values["bias correction"] == (None, "no", "no")
    assert values["arithmetic"] == ("float", "fixed", "fixed")
    assert same(*reports)["calibrated on"] == "1,000 of digits"
    # What only some reports say differs, and what none says is no factor.
    unknown = [fixed(), replace(fixed(), calibrated_on=known)]
    assert different(*unknown) == {"calibrated on": ("", "1,000 of digits")}
    assert "percentile" not in {each.name for each in factors(unknown)}


def test_a_clock_without_a_grade_and_a_grade_without_a_clock() -> None:
    placed = SiliconEntry("gowin", 900, clock_mhz=51.26)
    graded = SiliconEntry("gowin", 900, grade="C8")
    reports = [
        replace(fixed(), hardware=HardwareEntry(112, 3136, 7193, None, each))
        for each in (placed, graded)
    ]
    assert different(*reports) == {
        "target": ("gowin", "gowin, grade C8"),
        "clock": ("51.3 MHz", ""),
    }


def test_parents_are_told_apart_by_what_they_make_of_the_images() -> None:
    """Not by the hash of a report's file, which depends on its settings, too."""
    other = replace(fixed(weight_bits=6), network_sha256="9" * 64)
    assert set(different(fixed(), other)) == {"weight bits"}


def test_labels_are_unique() -> None:
    assert labelled(fixed(), fixed()) == ("0.json", "1.json")
    assert labels([fixed(), fixed()], ["a", "a"]) == ("a", "a #2")
    reports = fixed(weight_bits=4), fixed(weight_bits=4), fixed()
    assert labelled(*reports) == ("4/8 bits (0.json)", "4/8 bits (1.json)", "8 bits")
    corrected = fixed(weight_bits=4), fixed(weight_bits=4, bias_correction=True), fixed()
    assert labelled(*corrected) == ("4/8 bits", "4/8 bits, bias correction", "8 bits")
    assert labelled(fixed(bias_correction=True), fixed()) == (
        "bias correction",
        "no bias correction",
    )

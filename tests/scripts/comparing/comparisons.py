"""A comparison made by hand, of figures that are all different."""

from __future__ import annotations

from dataclasses import replace

from systolith.golden.reports.accuracy import (
    AccuracyReport,
    CalibrationEntry,
    DatasetEntry,
    HardwareEntry,
    LayerEntry,
    SiliconEntry,
)
from systolith.golden.reports.comparison import Comparison, LayerRow, Row
from systolith.golden.reports.differences import Factor
from systolith.golden.reports.format_entry import FormatEntry
from systolith.golden.reports.paired_difference import Difference

FORMATS = {"input": FormatEntry(8, 0, False), "output": FormatEntry(8, 4, True)}
C1 = LayerEntry("C1", FORMATS, 31.25, 6, 1200, (0, 4), (5, 2, 3), 0.75, 4800, 21)
F6 = LayerEntry("F6", FORMATS, None, 84, 3, (), (7,), 0.5, 840, 19)

FIRST = AccuracyReport(
    network="net",
    network_sha256="0" * 64,
    kind="float",
    dataset=DatasetEntry("digits", "test", "a" * 64, 20),
    images=10,
    correct=9,
    agreement_with_float=1.0,
    labels=(),
    predictions=(),
    float_predictions=(),
    confusion=((5, 0), (1, 4)),
    quantization=None,
    layers=(),
    version="1",
)
SECOND = replace(
    FIRST,
    network="other",
    kind="fixed",
    correct=8,
    agreement_with_float=0.7,
    confusion=((3, 2), (0, 5)),
    quantization={
        "weight_bits": 7,
        "layers": {"C1": {"weight_bits": 3}},
        "weight_bits_total": 4321,
    },
    calibrated_on=CalibrationEntry("some", "", 77, False),
    weights=567,
    hardware=HardwareEntry(112, 3136, 7193, True, SiliconEntry("ecp5-85k", 16774, 84.19, "6")),
    layers=(C1, F6),
)
# The rest of a comparison says what these reports could not: the verdicts are made up.
WORSE = Difference(-0.1, (-0.42, 0.23), 1, 2, 0.01, 0.02)
BETTER = Difference(0.2, (0.12, 0.33), 4, 3, 0.03, 0.04)
UNKNOWN = Difference(0.2, (0.12, 0.33), 4, 3, 0.04, 0.05)

COMPARISON = Comparison(
    rows=(
        Row("one", "a.json", FIRST, None),
        Row("two", "b.json", SECOND, WORSE),
        Row("three", "c.json", SECOND, BETTER),
        Row("four", "d.json", SECOND, UNKNOWN),
    ),
    factors=(
        Factor("arithmetic", ("float", "fixed", "fixed", "fixed")),
        Factor("rounding", (None, "floor", "floor", "floor")),
    ),
    layers=(
        LayerRow("C1", (None, C1, C1, None)),
        LayerRow("F6", (None, F6, None, F6)),
    ),
)

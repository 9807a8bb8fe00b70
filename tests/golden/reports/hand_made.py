"""Reports of four images with figures by hand, which differ wherever two could be confused."""

from __future__ import annotations

from dataclasses import replace

from systolith.golden.files.datasets import DatasetReference
from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import (
    AccuracyReport,
    CalibrationEntry,
    DatasetEntry,
    HardwareEntry,
    LayerEntry,
    SiliconEntry,
)
from systolith.golden.reports.format_entry import FormatEntry
from systolith.golden.reports.output_errors import OutputEntry

C1 = LayerEntry(
    name="C1",
    formats={
        "input": FormatEntry(8, 0, False),
        "weights": FormatEntry(6, (4, 5), True),
        "index": FormatEntry(10, 7, True),
        "output": FormatEntry(7, 6, True),
    },
    sqnr_db=40.126,
    channels=20,
    saturated=1234,
    clipped_channels=(0, 4, 9),
    dead_channels=(5, 6),
    range_use=0.514,
    values=56789,
    accumulator_bits=21,
    padded_with=-0.003,
    form="3 x 3 / 2, pad 0 1 1 0, 4 groups",
)
F2 = LayerEntry(
    name="F2",
    formats={
        "input": FormatEntry(7, 6, True),
        "weights": FormatEntry(5, 3, True),
        "output": FormatEntry(19, 9, True),
    },
    sqnr_db=None,
    channels=3,
    saturated=0,
    clipped_channels=(),
    dead_channels=(1,),
    range_use=0.127,
    values=12,
    accumulator_bits=19,
)
CLASSES = AccuracyReport(
    network="net",
    network_sha256="0" * 64,
    kind="fixed",
    dataset=DatasetEntry("digits", "test", "a" * 64, 2010, 17),
    images=4,
    correct=3,
    agreement_with_float=0.5,
    labels=(0, 1, 1, 2),
    predictions=(0, 1, 2, 2),
    float_predictions=(0, 2, 1, 2),
    confusion=((1, 0, 0), (0, 1, 1), (0, 0, 1)),
    quantization={"weight_bits": 6, "layers": {"F2": {"weight_bits": 5}}, "weight_bits_total": 900},
    layers=(C1, F2),
    version="1.2",
    calibrated_on=CalibrationEntry("train", "b" * 64, 50, False),
    trials=Trials(
        *("digits", "validation", 9, 5, 900),
        (Trial("C1", "weight_bits", 7, 4, 2, 3, 1000, 1, -100),),
        DatasetReference("digits (validation)", "c" * 64, 30),
        "lenet5",
    ),
    hardware=HardwareEntry(
        112, 3136, 7193, True, SiliconEntry("ecp5-85k", 16774, clock_mhz=84.25, grade="6")
    ),
    weights=160,
)
"""Of a classifier, with labels."""

UNLABELLED = replace(
    CLASSES, labels=None, correct=None, confusion=((1, 0, 0), (0, 0, 1), (0, 1, 1))
)
"""The same without labels: rows of the table are the float network's classes."""

OUTPUTS = replace(
    CLASSES,
    correct=None,
    agreement_with_float=None,
    labels=None,
    predictions=(),
    float_predictions=(),
    confusion=(),
    trials=None,
    layers=(C1, replace(F2, sqnr_db=31.26)),
    outputs=(OutputEntry(-1.0, 2.0, 0.5, 0.75), OutputEntry(3.0, 3.0, 0.1, 1.25)),
)
"""Of a network that is no classifier."""

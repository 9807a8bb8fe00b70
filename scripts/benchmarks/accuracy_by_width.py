"""`make bench-accuracy`: the accuracy of the shipped networks at every width, on all test digits.

The calibration method is chosen on the validation digits: one method for all networks and widths,
the one with the most right classes. The test digits are used only after that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from systolith import golden
from systolith.golden.files.datasets import VALIDATION_IMAGES
from systolith.golden.files.whole_files import write_whole
from systolith.golden.fixed import execution
from systolith.golden.network.shipped import names
from systolith.golden.reports.markdown import table
from systolith.golden.reports.memory_size import told_apart
from systolith.golden.reports.statistics import wilson_interval
from systolith.scripts.calibration_split import calibration_images
from systolith.scripts.console import to_json

SCHEMA = "systolith.accuracy-table/1"
WIDTHS = (16, 8, 7, 6, 5, 4, 3, 2)

METHODS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        f"{calibration}{', bias correction' if corrected else ''}": {
            "calibration": calibration,
            "bias_correction": corrected,
        }
        for corrected in (False, True)
        for calibration in ("minmax", "percentile", "entropy", "mse")
    }
)
"""The methods from which the one of the table is chosen: settings by name."""

VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "minmax, a scale a layer": {"calibration": "minmax", "granularity": "tensor"},
        "mse, a scale a layer": {"granularity": "tensor"},
        "mse, rounding half_even": {"rounding": "half_even"},
        "mse, rounding floor": {"rounding": "floor"},
    }
)
"""Further settings that are measured, but not chosen from."""

TARGETS: Mapping[tuple[str, int], float] = MappingProxyType(
    {
        ("lenet5-relu", 5): 0.9920,
        ("lenet5-relu", 4): 0.9900,
        ("lenet5", 6): 0.9900,
        ("lenet5", 4): 0.9840,
    }
)
"""The target: the lowest accuracy on all test digits, by network and width."""

MOST_LOST: Mapping[tuple[str, int], float] = MappingProxyType(
    {("lenet5", 8): 0.0008, ("lenet5-relu", 8): 0.0008}
)
"""The target as the largest loss of accuracy against float, by network and width."""

TWO_STANDARD_ERRORS = 0.002
"""A target that is missed by less than this might be met on other digits."""


@dataclass(frozen=True)
class Validated:
    """The number of validation digits that a method gets right."""

    network: str
    method: str
    bits: int
    images: int
    correct: int


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Parameters
    ----------
    network
        Its name.
    bits
        Of weights and of feature maps; None in float.
    images, correct, agreement_with_float
        As in an accuracy report.
    weight_bits_total
        Likewise; None in float.
    """

    network: str
    bits: int | None
    images: int
    correct: int
    agreement_with_float: float
    weight_bits_total: int | None

    @property
    def accuracy(self) -> float:
        """Fraction of images that got the class of their label."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy."""
        return wilson_interval(self.correct, self.images)


def settings(keys: Mapping[str, Any], bits: int) -> golden.Settings:
    """A method's settings at a width."""
    return golden.Settings.from_mapping({"weight_bits": bits, "activation_bits": bits, **keys})


def validate(network: str, images: int | None) -> Iterator[Validated]:
    """Every method and variant at every width."""
    trained, digits = golden.load_network(network), golden.validation_digits()
    digits = digits if images is None else digits.take(images)
    observed = golden.observe(trained, calibration_images())
    for method, keys in {**METHODS, **VARIANTS}.items():
        for bits in WIDTHS:
            made = golden.quantize_observed(observed, settings(keys, bits))
            right = execution.classes(made.fixed, digits.images) == digits.labels
            yield Validated(network, method, bits, len(digits), int(right.sum()))


def chosen(validated: Sequence[Validated]) -> str:
    """The method with the most right classes in total; on a tie the first."""
    return max(
        METHODS, key=lambda method: sum(each.correct for each in validated if each.method == method)
    )


def measure(network: str, method: str, images: int | None) -> Iterator[Line]:
    """The lines of a network: float, and every width."""
    trained, digits = golden.load_network(network), golden.test_digits()
    for bits in (None, *WIDTHS):
        made = (
            trained
            if bits is None
            else golden.quantize(trained, calibration_images(), settings(METHODS[method], bits))
        )
        report = golden.evaluate(made, digits, images)
        agreement = report.agreement_with_float
        assert agreement is not None  # the networks that ship are classifiers
        yield Line(
            network=network,
            bits=bits,
            images=report.images,
            correct=report.matching,
            agreement_with_float=agreement,
            weight_bits_total=report.weight_bits_total,
        )


def targets(tested: Sequence[Line]) -> list[tuple[Line, float]]:
    """The lines that have a target, and the lowest accuracy that reaches it."""
    real = {each.network: each.accuracy for each in tested if each.bits is None}
    pairs = []
    for each in tested:
        key = each.network, each.bits or 0
        if key in MOST_LOST:
            pairs.append((each, round(real[each.network] - MOST_LOST[key], 4)))
        elif key in TARGETS:
            pairs.append((each, TARGETS[key]))
    return pairs


def to_markdown(
    real: Mapping[str, float], validated: Sequence[Validated], tested: Sequence[Line]
) -> str:
    """A page that says what was measured and how; `real` are validation accuracies in float."""
    introduction = (
        f"`make bench-accuracy`: the accuracy on {tested[0].images:,} test digits, without "
        "retraining. Weights and feature maps have the same number of bits. Formats are chosen, "
        f"and biases corrected, on {len(calibration_images()):,} validation digits. The intervals "
        "are Wilson's."
    )
    how = (
        f"The method is chosen on {validated[0].images:,} validation digits, before any test digit "
        "is used. It is the same for all networks and widths: the one with the most right classes "
        f"in total, `{chosen(validated)}`. The narrow widths decide. One standard error is about "
        f"0.0014 at an accuracy of 0.99 and 0.0031 at 0.95. The last {len(VARIANTS)} lines were "
        "measured, but not chosen from. [quantization.md](quantization.md) describes all of them."
    )
    sections = [
        "# Accuracy",
        introduction,
        _table(tested),
        "## Targets",
        _targets(tested),
        "## How the method was chosen",
        how,
    ]
    for network, accuracy in real.items():
        own = [each for each in validated if each.network == network]
        sections += [f"### `{network}`, {accuracy:.4f} in float", _validation(own)]
    return "\n\n".join(section.rstrip() for section in sections) + "\n"


def _table(tested: Sequence[Line]) -> str:
    columns = (
        *("network", "bits", "accuracy", "95 % interval", "same class as float"),
        "weights (KiB)",
    )
    sizes = told_apart([each.weight_bits_total for each in tested])
    rows = [
        (
            f"`{each.network}`",
            "float" if each.bits is None else str(each.bits),
            f"{each.accuracy:.4f}",
            "{:.4f} to {:.4f}".format(*each.interval),
            f"{each.agreement_with_float:.4f}",
            size,
        )
        for each, size in zip(tested, sizes, strict=True)
    ]
    return table(columns, rows, left=1)


def _targets(tested: Sequence[Line]) -> str:
    rows = [
        (f"`{each.network}`", str(each.bits), f"{least:.4f}", f"{each.accuracy:.4f}")
        for each, least in targets(tested)
    ]
    return table(("network", "bits", "target", "accuracy"), rows, left=1)


def _validation(validated: Sequence[Validated]) -> str:
    found = {(each.method, each.bits): each.correct / each.images for each in validated}
    rows = [
        [method, *(f"{found[method, bits]:.4f}" for bits in WIDTHS)]
        for method in dict.fromkeys(each.method for each in validated)
    ]
    return table(("method", *(f"{bits} bits" for bits in WIDTHS)), rows, left=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the results; returns 1 if a target is clearly missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="digits of each kind (default: all)")
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="FILE.json or FILE.md to write"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    if options.images is not None and not 1 <= options.images <= VALIDATION_IMAGES:
        parser.error(f"--images: must be from 1 to {VALIDATION_IMAGES}, not {options.images}")
    digits = golden.validation_digits()
    digits = digits if options.images is None else digits.take(options.images)
    real, validated, tested = {}, [], []
    for network in names():
        real[network] = golden.evaluate(golden.load_network(network), digits).rate
        for each in validate(network, options.images):
            print(json.dumps(asdict(each)), flush=True)
            validated.append(each)
    method = chosen(validated)
    for network in names():
        for line in measure(network, method, options.images):
            print(json.dumps(asdict(line)), flush=True)
            tested.append(line)
    value = {
        "schema": SCHEMA,
        "method": method,
        "settings": METHODS[method],
        "test": [
            {**asdict(each), "accuracy": each.accuracy, "interval": each.interval}
            for each in tested
        ],
        "validation_float": real,
        "validation": [asdict(each) for each in validated],
    }
    text = to_markdown(real, validated, tested)
    for path in options.out:
        write_whole(path, (to_json(value) if path.suffix == ".json" else text).encode())
    clearly_missed = any(
        least - each.accuracy >= TWO_STANDARD_ERRORS for each, least in targets(tested)
    )
    return 1 if clearly_missed else 0


if __name__ == "__main__":
    sys.exit(main())

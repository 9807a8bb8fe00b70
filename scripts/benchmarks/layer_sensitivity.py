"""`make bench-sensitivity`: which layers of the shipped networks need their bits, at 4 bits.

Everything is measured on validation digits. What they say helps most, a single bit more in one
layer, is then checked once on all test digits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from systolith import golden
from systolith.golden.files.datasets import VALIDATION_IMAGES
from systolith.golden.files.whole_files import write_whole
from systolith.golden.fixed import execution
from systolith.golden.network.shipped import names
from systolith.golden.quantization.trials import Change, Trials, try_widths
from systolith.golden.reports.paired_difference import Difference, paired_differences
from systolith.golden.reports.sensitivity import (
    Effect,
    helped_most,
    helped_most_in_words,
    sensitivity,
    sensitivity_table,
    with_effects,
)
from systolith.scripts.calibration_split import calibration_images, split
from systolith.scripts.comparing.parallel_trials import on_all_processors
from systolith.scripts.console import to_json
from systolith.scripts.pages.report_figures import sensitivity_by_layer
from systolith.scripts.pages.svg_picture import BACKGROUND, GRID, draw

SCHEMA = "systolith.sensitivity/1"
BITS = 4

_WIDTH = 640
_PADDING = 10


@dataclass(frozen=True)
class Measured:
    """A network's trials, and its best single bit on the test digits.

    Parameters
    ----------
    network, trials
        The name of the network, and its trials on validation digits.
    seconds
        What the trials took on this machine.
    best
        The part that a single bit more helps most.
    test_images, test_correct
        The number of test digits, and of those that the network as it is classifies correctly.
    tested
        The difference that the bit makes on the test digits.
    """

    network: str
    trials: Trials
    seconds: float
    best: Effect
    test_images: int
    test_correct: int
    tested: Difference


def measure(network: str, images: int | None) -> Measured:
    """The trials of a network that ships, on at most `images` digits of each kind."""
    trained, settings = golden.load_network(network), _settings()
    validation, test = golden.validation_digits(), golden.test_digits()
    if images is not None:
        validation, test = validation.take(images), test.take(images)
    calibration, others = split(validation)
    quantized = golden.quantize(trained, calibration.images, settings)
    before = time.perf_counter()
    trials = try_widths(quantized, calibration.images, others, run=on_all_processors)
    seconds = time.perf_counter() - before
    best = helped_most(sensitivity(trials))
    assert best is not None
    change = Change(best.trial.layer, best.trial.key, best.trial.bits)
    changed = golden.quantize(trained, calibration.images, change.settings(settings))
    was, found = (
        execution.classes(each.fixed, test.images) == test.labels for each in (quantized, changed)
    )
    (tested,) = paired_differences(
        [(int((found & ~was).sum()), int((was & ~found).sum()))], len(test)
    )
    return Measured(network, trials, seconds, best, len(test), int(was.sum()), tested)


def to_markdown(measured: Sequence[Measured]) -> str:
    """A page that says what was measured and how, and a table for each network."""
    first = measured[0].trials
    sections = [
        "# Sensitivity",
        (
            f"`make bench-sensitivity`: networks of {BITS} bits, one part of which has one or two "
            "bits less, or one more. The accuracies are differences on "
            f"{first.images:,} validation digits, with 95 % intervals; formats are chosen on "
            f"{len(calibration_images()):,} others. Chance is the probability of gains and losses "
            "at least as uneven by chance alone, corrected for all trials of a network. Saved "
            "are KiB of all weights, or of the map of an image. The part that a single bit more "
            "helps most is then looked up on the test digits. [reports.md](reports.md) describes "
            "the method."
        ),
    ]
    for each in measured:
        sections += [
            f"## `{each.network}`",
            helped_most_in_words(each.trials),
            (
                f"On {each.test_images:,} test digits, looked at once: {each.tested.figures} from "
                f"{each.test_correct / each.test_images:.4f}; {each.tested.verdict}."
            ),
            f"![{helped_most_in_words(each.trials)}](sensitivity-{each.network}.svg)",
            sensitivity_table(each.trials),
        ]
    return "\n\n".join(section.rstrip() for section in sections) + "\n"


def to_document(measured: Sequence[Measured]) -> dict[str, Any]:
    """The document with all trials."""
    return {
        "schema": SCHEMA,
        "settings": _settings().to_mapping(),
        "networks": [
            {
                "network": each.network,
                "trials": with_effects(each.trials),
                "helped_most": {
                    "layer": each.best.trial.layer,
                    "key": each.best.trial.key,
                    "bits": each.best.trial.bits,
                    "verdict": each.best.difference.verdict,
                },
                "test": {
                    "images": each.test_images,
                    "correct": each.test_correct,
                    **asdict(each.tested),
                    "verdict": each.tested.verdict,
                },
            }
            for each in measured
        ],
    }


def picture(trials: Trials) -> bytes:
    """The figure of a network as SVG."""
    chart = sensitivity_by_layer(trials).properties(width=_WIDTH, padding=_PADDING)
    return draw(chart.configure(background=BACKGROUND).configure_axis(gridColor=GRID))


def _settings() -> golden.Settings:
    return golden.Settings.from_mapping({"weight_bits": BITS, "activation_bits": BITS})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="digits of each kind (default: all)")
    parser.add_argument(
        "--out", type=Path, help="folder for sensitivity.md, sensitivity.json and the figures"
    )
    options = parser.parse_args(arguments)
    if options.images is not None and not 2 <= options.images <= VALIDATION_IMAGES:
        parser.error(f"--images: must be from 2 to {VALIDATION_IMAGES}, not {options.images}")
    if options.out is not None and not options.out.is_dir():
        parser.error(f"--out: {options.out} is not a folder")
    measured = []
    for network in names():
        measured.append(measure(network, options.images))
        print(f"{network}: {measured[-1].seconds:.1f} s", flush=True)
    text = to_markdown(measured)
    print(text)
    if options.out is not None:
        write_whole(options.out / "sensitivity.md", text.encode())
        write_whole(options.out / "sensitivity.json", to_json(to_document(measured)).encode())
        for each in measured:
            write_whole(options.out / f"sensitivity-{each.network}.svg", picture(each.trials))
    return 0


if __name__ == "__main__":
    sys.exit(main())

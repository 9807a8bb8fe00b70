"""`make bench-sweep`: the cost of a sweep in processor seconds, and two examples of sweeps.

12 pairs of widths of one network are scored on 10,000 digits each. Times are user and system
seconds of the whole command and all its processes, including the plans for three budgets, the float
network, the Pareto front on the 10,000 test digits, and the picture.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np

from systolith import golden
from systolith.golden.files.whole_files import write_whole
from systolith.golden.reports.markdown import table
from systolith.scripts.benchmarks.measuring import command_seconds, machine
from systolith.scripts.calibration_split import CALIBRATION_IMAGES
from systolith.scripts.console import to_json
from systolith.scripts.pages.pareto_picture import draw_pareto
from systolith.scripts.sweeping.outcome import SweepReport

SCHEMA = "systolith.bench_sweep/2"
NETWORK = "lenet5-relu"
EXAMPLE = ("lenet5", "lenet5-relu", "--vary", "bias_correction=true,false")
FEW_BITS = (
    *("lenet5", "--weight-bits", "4,3", "--activation-bits", "4,3"),
    *("--calibration", "mse,minmax,percentile", "--vary", "bias_correction=true,false"),
)
DIGITS = 10_000
MOST_SECONDS = 40.0
"""The largest number of processor seconds that a sweep may take."""


@dataclass(frozen=True)
class Result:
    """The cost of a sweep.

    Parameters
    ----------
    network, points, digits
        The network, the number of its pairs of widths, and of the digits that score each pair.
    cpu_seconds
        Of the sweep.
    cpu_seconds_again
        Of the same command again, when all results are cached.
    """

    network: str
    points: int
    digits: int
    cpu_seconds: float
    cpu_seconds_again: float

    def to_markdown(self) -> str:
        """A table."""
        columns = ("network", "width pairs", "digits", "CPU s", "all cached, CPU s")
        row = (
            *(f"`{self.network}`", f"{self.points}", f"{self.digits:,}"),
            *(f"{self.cpu_seconds:.1f}", f"{self.cpu_seconds_again:.1f}"),
        )
        return table(columns, [row], left=1)


def measure(folder: Path, digits: int, rounds: int) -> Result:
    """Sweep a network twice; each time is the minimum over the rounds."""
    data = folder / "digits.npz"
    _save_digits(data, digits)
    seconds = []
    for number in range(rounds):
        out = folder / f"sweep-{number}"
        arguments = ("sweep", NETWORK, "--data", str(data), "--out", str(out))
        seconds.append((command_seconds(*arguments), command_seconds(*arguments)))
    report = read_report(out)
    first, again = (round(min(each), 1) for each in zip(*seconds, strict=True))
    return Result(NETWORK, len(report.points), report.data.images, first, again)


def example(folder: Path, *arguments: str) -> SweepReport:
    """The report of a sweep with these arguments."""
    command_seconds("sweep", *arguments, "--out", str(folder))
    return read_report(folder)


def read_report(folder: Path) -> SweepReport:
    """The report in the folder of a sweep."""
    return msgspec.json.decode((folder / "sweep.json").read_bytes(), type=SweepReport)


def _save_digits(path: Path, count: int) -> None:
    """Save the calibration digits, then `count` others, by repeating the other validation digits.

    There are fewer validation digits than that, and test digits must not rank anything.
    """
    digits = golden.validation_digits()
    others = CALIBRATION_IMAGES + np.arange(count) % (len(digits) - CALIBRATION_IMAGES)
    places = np.concatenate([np.arange(CALIBRATION_IMAGES), others])
    np.savez(path, images=digits.images[places], labels=digits.known_labels[places])


def to_markdown(result: Result, report: SweepReport, few_bits: SweepReport, rounds: int) -> str:
    """A page that says what was measured and how, and shows the examples."""
    introduction = (
        f"`make bench-sweep`: user and system seconds of a whole `systolith sweep` and of all its "
        f"processes, the minimum of {rounds} rounds. It plans for three budgets, scores every "
        f"pair of widths and the float network on {result.digits:,} digits, scores the Pareto "
        "fronts on the test digits, writes their networks, and draws them. The digits are "
        "repeated validation digits: their accuracy means nothing and is not shown."
    )
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    few = (
        f"`systolith sweep {' '.join(FEW_BITS)} --out DIR`: the best settings at each pair of "
        "widths are those of [accuracy.md](accuracy.md), `mse` with bias correction, also at 3/3, "
        "which is on no front because 3/4 is more accurate with the same weights."
    )
    _, _, shown = report.to_markdown().partition("\n\n")
    parts = [
        "# Sweeps",
        introduction,
        result.to_markdown(),
        f"Machine: {about}.",
        "[sweeps.md](sweeps.md) explains sweeps.",
        "## An example",
        f"`systolith sweep {' '.join(EXAMPLE)} --out DIR`.",
        "![Every design by bits of weights, multipliers and cycles](pareto.svg)",
        shown.replace("\n## ", "\n### "),
        "## Few bits at their best",
        few,
        few_bits.points_table(few_bits.best_at_widths).to_markdown(),
        "All points:",
        few_bits.points_table().to_markdown(),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the results; returns 1 if the sweep takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="rounds to measure (default: 2)")
    parser.add_argument("--digits", type=int, default=DIGITS, help="digits a point")
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="FILE.json, .md or .svg to write"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md", ".svg"):
            parser.error(f"--out: must end with .json, .md or .svg, not {str(path)!r}")
    for name in ("rounds", "digits"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: must be at least 1, not {getattr(options, name)}")
    with tempfile.TemporaryDirectory() as name:
        result = measure(Path(name), options.digits, options.rounds)
        report = example(Path(name) / "example", *EXAMPLE)
        few_bits = example(Path(name) / "few-bits", *FEW_BITS)
    text = to_markdown(result, report, few_bits, options.rounds)
    print(text, end="")
    value = {
        "schema": SCHEMA,
        "rounds": options.rounds,
        **asdict(result),
        "example": msgspec.to_builtins(report),
        "few_bits": msgspec.to_builtins(few_bits),
        "machine": machine(),
    }
    contents = {".json": to_json(value).encode(), ".md": text.encode(), ".svg": draw_pareto(report)}
    for path in options.out:
        write_whole(path, contents[path.suffix])
    return 0 if result.cpu_seconds <= MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())

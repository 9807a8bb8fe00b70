"""`make bench-simulation`: simulates every test digit, compares every layer, and measures speed.

A first simulation compiles and is not timed. After that, the whole command is timed in wall time.
The pace of the simulators is their clock cycles over their processor seconds, with all layers
compared, on one processor while the others are idle.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from systolith import golden, sim
from systolith.golden.files.whole_files import write_whole
from systolith.golden.network.shipped import names
from systolith.golden.reports.markdown import table
from systolith.scripts.benchmarks.measuring import command_seconds, machine
from systolith.scripts.calibration_split import calibration_images
from systolith.scripts.console import to_json
from systolith.scripts.plan_options import PRESETS

SCHEMA = "systolith.bench_simulation/1"
MOST_SECONDS = {"small": 240.0, "medium": 50.0, "large": 40.0}
"""The largest number of seconds that all test digits may take, by preset."""
LEAST_CYCLES = {"medium": 500_000}
"""The smallest number of cycles that one processor must simulate in a second, by preset."""
ROUNDS = 3
PACE_DIGITS = 200
PACES = 10
"""Measurements of the pace in a round. They are short, so that some meet no other work."""


@dataclass(frozen=True)
class Result:
    """The result of simulating the digits on one accelerator.

    Parameters
    ----------
    network, preset
        The accelerator.
    interval_cycles
        Cycles from one result to the next.
    digits, right
        The number of simulated digits, and of those whose class was right.
    values, mismatches
        The number of compared values, and of wrong ones.
    bit_exact
        Whether everything was right.
    seconds
        The time of the whole command: the minimum over the rounds.
    cycles_per_second
        The pace of one processor: the maximum over the rounds.
    """

    network: str
    preset: str
    interval_cycles: int
    digits: int
    right: int
    values: int
    mismatches: int
    bit_exact: bool
    seconds: float
    cycles_per_second: int

    @property
    def good(self) -> bool:
        """Whether the accelerator is exact and its simulation fast enough."""
        in_time = self.seconds <= MOST_SECONDS[self.preset]
        in_pace = self.cycles_per_second >= LEAST_CYCLES.get(self.preset, 0)
        return self.bit_exact and in_time and in_pace


def hardware() -> Iterator[tuple[str, str]]:
    """The accelerators: every network that ships, with every preset."""
    return product(names(), PRESETS)


def measure(network: str, preset: str, folder: Path, digits: str, rounds: int) -> Result:
    """Generate, compile, and simulate the digits `rounds` times."""
    quantized, built = folder / f"{network}.npz", folder / f"{network}-{preset}"
    golden.quantize(golden.load_network(network), calibration_images()).save(quantized)
    command_seconds("generate", str(quantized), "--out", str(built), "--preset", preset)
    pace(built)
    paces, seconds = [], []
    for _ in range(rounds):
        paces += [pace(built) for _ in range(PACES)]
        start = time.perf_counter()
        command_seconds("simulate", str(built), "--images", digits)
        seconds.append(time.perf_counter() - start)
    report = json.loads((built / "simulation.json").read_bytes())
    return Result(
        network=network,
        preset=preset,
        interval_cycles=report["interval_cycles"],
        digits=report["images"],
        right=report["correct"],
        values=sum(layer["values"] for layer in report["layers"]),
        mismatches=sum(layer["mismatches"] for layer in report["layers"]),
        bit_exact=report["bit_exact"],
        seconds=round(min(seconds), 1),
        cycles_per_second=round(max(paces)),
    )


def pace(built: Path) -> float:
    """The simulators' cycles over their processor seconds, without the fill of the pipeline.

    Values are compared in this process, whose time does not count.
    """
    processors = os.sched_getaffinity(0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.sched_setaffinity(0, {max(processors)})
    try:
        report = sim.simulate(built, images=PACE_DIGITS)
    finally:
        os.sched_setaffinity(0, processors)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    assert report.interval_cycles is not None
    return PACE_DIGITS * report.interval_cycles / seconds


def to_markdown(results: Sequence[Result], rounds: int) -> str:
    """A page that says what was measured and how."""
    introduction = (
        "`make bench-simulation`: `systolith simulate DIR --images all` on Verilator. The networks "
        "have 8 bits, the build is cached, and each processor has one process. Every value of "
        "every layer of every test digit is compared with the fixed-point model. Seconds are those "
        f"of the whole command, the minimum of {rounds} rounds. Cycles per second are those of one "
        "processor while the others are idle, with every layer's stream compared, the maximum of "
        f"{rounds * PACES} runs of {PACE_DIGITS:,} digits. Other work on the same machine can "
        "double the seconds and halve the cycles per second."
    )
    columns = (
        *("network", "preset", "interval", "digits", "right in RTL", "values compared"),
        *("mismatches", "seconds", "cycles per second"),
    )
    rows = [
        (
            f"`{each.network}`",
            f"`{each.preset}`",
            f"{each.interval_cycles:,}",
            f"{each.digits:,}",
            f"{each.right:,}",
            f"{each.values:,}",
            f"{each.mismatches:,}",
            f"{each.seconds:.1f}",
            f"{each.cycles_per_second:,}",
        )
        for each in results
    ]
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    return (
        f"# Every test digit in RTL\n\n{introduction}\n\n{table(columns, rows, left=2)}\n"
        f"Machine: {about}.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the results; returns 1 if anything is wrong or too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"(default: {ROUNDS})")
    parser.add_argument("--digits", default="all", help="the first N test digits (default: all)")
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="FILE.json or FILE.md to write"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    if options.rounds < 1:
        parser.error(f"--rounds: must be at least 1, not {options.rounds}")
    results = []
    with tempfile.TemporaryDirectory() as name:
        for network, preset in hardware():
            result = measure(network, preset, Path(name), options.digits, options.rounds)
            print(json.dumps(asdict(result)), flush=True)
            results.append(result)
    text = to_markdown(results, options.rounds)
    value = {
        "schema": SCHEMA,
        "rounds": options.rounds,
        "hardware": [asdict(each) for each in results],
        "machine": machine(),
    }
    for path in options.out:
        write_whole(path, (to_json(value) if path.suffix == ".json" else text).encode())
    return 0 if all(each.good for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())

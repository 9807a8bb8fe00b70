"""`make bench-threads`: commands on two processors, with and without a busy process.

Each time is compared with that of the same command under OPENBLAS_NUM_THREADS=1, measured just
before it, so that other work on the machine slows both. A ratio above 1 is the cost of threads
that BLAS uses where it should not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from systolith.golden.files.whole_files import write_whole
from systolith.golden.reports.markdown import table
from systolith.scripts.benchmarks.measuring import machine
from systolith.scripts.console import to_json

SCHEMA = "systolith.bench_threads/1"
NETWORK = "lenet5"
PROCESSORS = 2
MOST_RATIO = 1.2
"""The largest ratio that is allowed."""

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
# Ends with the process that started it, however that ends.
_BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    pass\n"


@dataclass(frozen=True)
class Case:
    """A command, run alone or together with a busy process.

    Parameters
    ----------
    command
        The name of the command.
    busy
        Whether another process is busy.
    ratios
        The time of each round over that under OPENBLAS_NUM_THREADS=1.
    """

    command: str
    busy: bool
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)

    def to_mapping(self) -> dict[str, Any]:
        """The case as the JSON file has it."""
        return {
            "command": self.command,
            "busy": self.busy,
            "ratio": round(self.ratio, 3),
            "ratios": [round(each, 3) for each in self.ratios],
        }


def bench(rounds: int) -> list[Case]:
    """Measure every command with and without a busy process; each round measures all four."""
    with tempfile.TemporaryDirectory() as folder:
        quantized = str(Path(folder, "network.npz"))
        commands = {
            "quantize": ("quantize", NETWORK, "--out", quantized),
            "evaluate": ("evaluate", quantized),
        }
        seconds(*commands["quantize"])
        ratios: dict[tuple[str, bool], list[float]] = {
            (name, busy): [] for busy in (False, True) for name in commands
        }
        for _ in range(rounds):
            for (name, busy), measured in ratios.items():
                with busy_process(busy):
                    one = seconds(*commands[name], environment=_ONE_THREAD)
                    measured.append(seconds(*commands[name]) / one)
    return [Case(name, busy, tuple(measured)) for (name, busy), measured in ratios.items()]


def seconds(*arguments: str, environment: dict[str, str] | None = None) -> float:
    """The elapsed seconds of a `systolith` command, from starting Python to the end.

    Parameters
    ----------
    arguments
        The command.
    environment
        Variables that are set for it; those that limit the threads of BLAS are otherwise unset.

    Raises
    ------
    CalledProcessError
        It failed.
    """
    outer = {name: os.environ[name] for name in os.environ if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-m", "systolith.scripts.main", *arguments]
    start = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**outer, **(environment or {})}
    )
    return time.perf_counter() - start


@contextmanager
def busy_process(wanted: bool = True) -> Iterator[None]:
    """Another process, if one is wanted, that computes all the time."""
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", _BUSY, str(os.getpid())]) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def two_processors() -> Iterator[None]:
    """Run this process, and those that it starts, on two of its processors where that can be set.

    On more processors, a command would find enough free ones despite the busy process.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:PROCESSORS])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def to_markdown(cases: Sequence[Case], rounds: int) -> str:
    """A page that says what was measured and how."""
    introduction = (
        f"`make bench-threads`: a ratio is the time of a command on {PROCESSORS} processors over "
        "its time under `OPENBLAS_NUM_THREADS=1`, measured just before. The commands are "
        f"`systolith quantize {NETWORK}`, and `systolith evaluate` of its result on 10,000 digits. "
        f"The busy process is an endless loop. Each ratio is the median of {rounds} rounds; each "
        "round measures all four cases."
    )
    rows = [
        (
            f"`{case.command}`",
            "a busy process" if case.busy else "none",
            f"{case.ratio:.2f}",
            f"{min(case.ratios):.2f} to {max(case.ratios):.2f}",
        )
        for case in cases
    ]
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    parts = [
        "# Threads",
        introduction,
        table(("command", "other work", "ratio", "all rounds"), rows, left=2),
        f"A ratio may be {MOST_RATIO} at most. Machine: {about}.",
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the results; returns 1 if a ratio is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds to measure (default: 7)")
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="FILE.json or FILE.md to write"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    if options.rounds < 1:
        parser.error(f"--rounds: must be at least 1, not {options.rounds}")
    with two_processors():
        cases = bench(options.rounds)
    text = to_markdown(cases, options.rounds)
    print(text, end="")
    value = {
        "schema": SCHEMA,
        "rounds": options.rounds,
        "cases": [each.to_mapping() for each in cases],
        "machine": machine(),
    }
    for path in options.out:
        write_whole(path, (to_json(value) if path.suffix == ".json" else text).encode())
    return 0 if all(each.ratio <= MOST_RATIO for each in cases) else 1


if __name__ == "__main__":
    sys.exit(main())

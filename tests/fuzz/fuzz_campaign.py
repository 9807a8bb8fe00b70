"""`make fuzz`: hostile files and options for every command, and what must hold for each.

Small valid files are made once; every case alters one of them, or the command line that reads it,
and runs the command under watch. `docs/fuzzing.md` says what is altered and what must hold.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import typer

from systolith.scripts.main import Status, main
from systolith.scripts.progress import progress
from tests.fuzz.inputs import (
    COMPARE_INTEGERS,
    FIRST_COMMANDS,
    TEMPLATES,
    Case,
    Files,
    Template,
    first_files,
    make_case,
    write,
)
from tests.fuzz.integer_comparison import compare_integers
from tests.fuzz.verdicts import Failure, failures, hardware_failures, snapshot
from tests.fuzz.watched_command import Limits, Outcome, Program, in_new_process, run

COUNT = 2_000
JOBS = 2

_SHOWN_BYTES = 160


@dataclass(frozen=True)
class Examined:
    """A case, the outcome of each of its commands, and the verdicts that failed."""

    case: Case
    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]

    @property
    def status(self) -> int:
        """That of the last command."""
        return self.outcomes[-1].status


def in_this_process(arguments: Sequence[str]) -> int:
    """Systolith, and the comparison of engines, with everything imported already."""
    if arguments[:1] == (COMPARE_INTEGERS,):
        return compare_integers(arguments[1:])
    return main(arguments)


def examine(
    case: Case,
    files: Files,
    limits: Limits,
    program: Program | None = None,
    root: Path | None = None,
) -> Examined:
    """Run a case in a folder of its own; `root` is kept; without one the folder is temporary."""
    if program is None:
        separate = case.separate and case.commands[0][0] != COMPARE_INTEGERS
        program = in_new_process if separate else in_this_process
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made:
        root = Path(made) if root is None else root
        folder, temporary = root / "here", root / "tmp"
        folder.mkdir()
        temporary.mkdir()
        write({**files, **case.files}, folder)
        outcomes: list[Outcome] = []
        found: list[Failure] = []
        for arguments in case.commands:
            before = snapshot(root)
            outcome = run(program, arguments, folder, temporary, limits)
            found += failures(outcome, before, snapshot(root), root, folder, limits)
            outcomes.append(outcome)
            if outcome.status != Status.DONE or found:
                break
        if len(outcomes) > 1:
            found += hardware_failures(outcome)
    return Examined(case, tuple(outcomes), tuple(found))


def seed_files(limits: Limits) -> Files:
    """All seed files: networks and images, and what the program makes of them.

    Raises
    ------
    RuntimeError
        A command that makes one fails.
    """
    files = first_files()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder, temporary = Path(name) / "here", Path(name) / "tmp"
        temporary.mkdir()
        folder.mkdir()
        write(files, folder)
        for line in FIRST_COMMANDS:
            outcome = run(main, shlex.split(line), folder, temporary, limits)
            if outcome.status != Status.DONE:
                raise RuntimeError(f"{line}: ended with {outcome.status}: {outcome.stderr}")
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def usable_templates() -> list[Template]:
    """All templates whose tools are installed."""
    absent = set()
    if shutil.which("iverilog") is None:
        absent.add("icarus")
    if importlib.util.find_spec("onnx") is None:
        absent |= {"import", "corpus", "export"}
    return [
        each for each in TEMPLATES if not any(absent.intersection(line) for line in each.commands)
    ]


_shared: tuple[Files, Sequence[Template], Limits]


def _examine_template(place: int) -> Examined:
    """Run an unaltered command line in a worker, which has inherited the seed files."""
    files, templates, limits = _shared
    return examine(Case(0, place, "", templates[place].commands), files, limits)


def _examine_number(seed: int, number: int) -> Examined:
    """Run a case in a worker."""
    files, templates, limits = _shared
    return examine(make_case(seed, number, files, templates), files, limits)


def wrong_templates(templates: Sequence[Template], examined: Iterable[Examined]) -> list[str]:
    """What is wrong with unaltered command lines: if they fail, nothing would be tested."""
    wrong = []
    for template, each in zip(templates, examined, strict=True):
        if each.failures or each.status not in template.statuses:
            seen = list(map(str, each.failures))
            seen += [f"status {each.status}", each.outcomes[-1].stderr.strip()]
            wrong.append(f"{'; '.join(template.lines)}: {', '.join(seen)}")
    return wrong


def campaign(
    seed: int, numbers: Sequence[int], files: Files, jobs: int, limits: Limits
) -> list[Examined]:
    """Every case of these numbers, in their order.

    Raises
    ------
    RuntimeError
        A command line fails to which nothing was done.
    """
    global _shared
    templates = usable_templates()
    _shared = files, templates, limits
    examined: list[Examined] = []
    kinds: set[Failure] = set()
    context = multiprocessing.get_context("fork")
    with progress("fuzz") as report, ProcessPoolExecutor(jobs, context) as pool:
        if wrong := wrong_templates(templates, pool.map(_examine_template, range(len(templates)))):
            raise RuntimeError("\n".join(["these fail with nothing done to them:", *wrong]))
        for each in pool.map(_examine_number, [seed] * len(numbers), numbers):
            examined.append(each)
            for failure in set(each.failures) - kinds:
                typer.echo(f"{each.case.number}: {failure}", err=True)
            kinds.update(each.failures)
            report(len(examined), len(numbers))
    return examined


def to_text(examined: Sequence[Examined]) -> str:
    """Totals by kind and by status, and of each kind of failure the smallest input."""
    statuses = sorted({each.status for each in examined})
    by_kind: dict[str, Counter[int]] = defaultdict(Counter)
    failed: Counter[str] = Counter()
    for each in examined:
        by_kind[each.case.kind][each.status] += 1
        failed[each.case.kind] += bool(each.failures)
    rows = [("kind of input", *(f"ends {each}" for each in statuses), "failures")]
    for kind in sorted(by_kind):
        counts = [str(by_kind[kind][status]) for status in statuses]
        rows.append((kind, *counts, str(failed[kind])))
    totals = [str(sum(counts[status] for counts in by_kind.values())) for status in statuses]
    rows.append(("all", *totals, str(sum(failed.values()))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    groups = grouped(examined)
    for failure, group in groups:
        smallest = min(group, key=lambda each: each.case.size)
        lines += ["", f"{failure} ({len(group)} inputs)"]
        lines += [f"  {line}" for line in described(smallest)]
    outcomes = [(outcome, each.case) for each in examined for outcome in each.outcomes]
    slowest, slow = max(outcomes, key=lambda pair: pair[0].seconds)
    largest, large = max(outcomes, key=lambda pair: pair[0].peak_bytes)
    lines += [
        "",
        f"slowest: {slowest.seconds:.1f} s (number {slow.number})",
        f"most memory: {largest.peak_bytes / 1e6:,.0f} MB (number {large.number})",
        f"in processes of their own: {sum(each.case.separate for each in examined):,}",
        f"{len(groups)} kinds of failures in {len(examined):,} inputs",
    ]
    return "\n".join(lines) + "\n"


def grouped(examined: Sequence[Examined]) -> list[tuple[Failure, list[Examined]]]:
    """The cases of each kind of failure, sorted."""
    groups: dict[Failure, list[Examined]] = defaultdict(list)
    for each in examined:
        for failure in dict.fromkeys(each.failures):
            groups[failure].append(each)
    return sorted(groups.items(), key=lambda item: (item[0].verdict, item[0].place))


def described(examined: Examined) -> list[str]:
    """An input in words, its outcome, and how to repeat it, in printable characters."""
    case = examined.case
    lines = [f"systolith {ascii(' '.join(line))[1:-1][:300]}" for line in case.commands]
    lines += [ascii(change)[1:-1][:200] for change in case.changes]
    for name, content in case.files.items():
        if isinstance(content, bytes) and len(content) <= _SHOWN_BYTES:
            lines.append(f"{ascii(name)[1:-1]} holds {content!r}")
    last = examined.outcomes[-1]
    error = next((line for line in reversed(last.stderr.splitlines()) if line.strip()), "")
    lines.append(f"ends with {last.status} after {last.seconds:.2f} s: {ascii(error)[1:-1][:300]}")
    lines.append(
        f"again: python -m tests.fuzz.fuzz_campaign --seed {case.seed} --only {case.number}"
    )
    return lines


def repeat(case: Case, files: Files, limits: Limits) -> int:
    """Run one case in a folder that is kept, and print everything about it."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    examined = examine(case, files, limits, root=root)
    typer.echo("\n".join(described(examined)))
    typer.echo(f"input: {root / 'here'}")
    for outcome in examined.outcomes:
        typer.echo(
            f"status {outcome.status}, {outcome.seconds:.2f} s, {outcome.peak_bytes:,} bytes"
        )
        typer.echo(f"standard output: {outcome.stdout[-2000:]!a}")
        typer.echo("\n".join(ascii(line)[1:-1] for line in outcome.stderr.splitlines()))
    for failure in examined.failures:
        typer.echo(f"failed: {failure}")
    return Status.CHECK_FAILED if examined.failures else Status.DONE


def run_campaign(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzz_campaign", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="how many inputs")
    parser.add_argument("--seed", type=int, help="of all inputs; by default a fresh one")
    parser.add_argument("--jobs", type=int, default=JOBS, help="processes")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this input alone")
    chosen = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if chosen.seed is None else chosen.seed
    limits = Limits()
    with tempfile.TemporaryDirectory(prefix="fuzz-cache-") as cache:
        os.environ["SYSTOLITH_CACHE"] = cache
        files = seed_files(limits)
        if chosen.only is not None:
            return repeat(make_case(seed, chosen.only, files, usable_templates()), files, limits)
        typer.echo(
            f"seed {seed}: python -m tests.fuzz.fuzz_campaign --seed {seed} --count {chosen.count}"
        )
        start = time.monotonic()
        examined = campaign(seed, range(chosen.count), files, chosen.jobs, limits)
        typer.echo(to_text(examined), nl=False)
        typer.echo(f"{time.monotonic() - start:.0f} s")
    return Status.CHECK_FAILED if any(each.failures for each in examined) else Status.DONE


if __name__ == "__main__":
    sys.exit(run_campaign())

"""A session of mutants: copies of the source tree in which tests run, and what they said.

Everything is recorded in the session's folder at once, so that a later session continues there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from systolith.golden.files.whole_files import write_whole
from systolith.scripts.console import to_json
from systolith.scripts.progress import progress
from tests.mutation.python_code.source_mutants import (
    AREAS,
    Mutant,
    Place,
    PlantedFault,
    modules,
)

TESTS = ("tests/golden", "tests/hw/planning", "tests/hw/verilog", "tests/sim", "tests/scripts")
"""The folders of the tests that may find them."""

FOUND, SURVIVED, UNTESTED = "found", "survived", "no test runs the line"

_ALLOWED_SECONDS = 60.0
_NOT_COPIED = (".*", "__pycache__", "build", "dist", "systolith-out")


@dataclass(frozen=True)
class Verdict:
    """What the tests said of a mutant: its place, the change, the outcome, and the first failure.

    The outcome is `FOUND`, `SURVIVED` or `UNTESTED`.
    """

    module: str
    kind: str
    occurrence: int
    line: int
    before: str
    after: str
    outcome: str
    found_by: str

    @property
    def key(self) -> str:
        """What names the change as long as its line is not edited."""
        return f"{self.module}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Coverage:
    """The seconds that a test file takes, and the lines of each module that it executes."""

    seconds: float
    lines: Mapping[str, frozenset[int]]


def chosen_tests(mutant: Mutant, coverage: Mapping[str, Coverage]) -> list[str]:
    """The test files that execute a mutant's line: its module's own first, then the fastest.

    They take `_ALLOWED_SECONDS` at most, unless the first takes longer.
    """
    own = f"test_{Path(mutant.module).name}"
    running = [
        name for name, each in coverage.items() if mutant.line in each.lines.get(mutant.module, ())
    ]
    running.sort(key=lambda name: (Path(name).name != own, coverage[name].seconds, name))
    chosen, seconds = running[:1], sum(coverage[name].seconds for name in running[:1])
    for name in running[1:]:
        seconds += coverage[name].seconds
        if seconds > _ALLOWED_SECONDS:
            break
        chosen.append(name)
    return chosen


def copied(root: Path, to: Path) -> Path:
    """A copy of the source tree, compiled so that only a module that changes is compiled again."""
    shutil.rmtree(to, ignore_errors=True)
    skipped = shutil.ignore_patterns(*_NOT_COPIED)
    shutil.copytree(root, to, symlinks=True, ignore=skipped)
    command = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    folders = ("golden", "hw", "sim", "scripts", "tests")
    subprocess.run([sys.executable, *command, *folders], cwd=to, check=True)
    return to


def pytest_command(tests: Sequence[str]) -> list[str]:
    """The words after `python` that run tests until one fails, with the same examples each time."""
    options = ("-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0")
    return ["-m", "pytest", *options, *tests]


def run(tree: Path, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run Python in a tree.

    Raises
    ------
    subprocess.TimeoutExpired
        It takes longer.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def covered(tree: Path, test: str, file: Path) -> Coverage | None:
    """The coverage of a test file, measured once a session; None if a test fails or none runs."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        data = file.with_suffix(".coverage")
        begun = time.monotonic()
        coverage = ["-m", "coverage", "run", f"--data-file={data}"]
        passed = run(tree, [*coverage, *pytest_command([test])], 900).returncode == 0
        seconds = time.monotonic() - begun
        lines = _lines(tree, data) if passed else {}
        write_whole(file, to_json({"seconds": seconds, "lines": lines}).encode())
        data.unlink(missing_ok=True)
    found = json.loads(file.read_text("utf-8"))
    if not found["lines"]:
        return None
    return Coverage(
        found["seconds"], {name: frozenset(each) for name, each in found["lines"].items()}
    )


def _lines(tree: Path, data: Path) -> dict[str, list[int]]:
    """The lines that a run executed, by module."""
    from coverage import CoverageData

    found = CoverageData(str(data))
    found.read()
    wanted = {
        str(tree / prefix / module): module
        for area in AREAS
        for module in modules(tree, area)
        for prefix in ("", "systolith")
    }
    return {
        wanted[file]: sorted(found.lines(file) or ())
        for file in found.measured_files()
        if file in wanted
    }


def judged(tree: Path, mutant: Mutant, tests: Sequence[str], seconds: float) -> tuple[str, str]:
    """Put a mutant into a tree, run tests, and take it out again: the outcome, and what found it.

    Raises
    ------
    OSError
        The module cannot be written.
    """
    if not tests:
        return UNTESTED, ""
    path = tree / mutant.module
    source = path.read_text("utf-8")
    path.write_text(mutant.text, "utf-8")
    try:
        ended = run(tree, pytest_command(tests), seconds)
    except subprocess.TimeoutExpired:
        return FOUND, "its tests did not end"
    finally:
        path.write_text(source, "utf-8")
    return (FOUND if ended.returncode else SURVIVED), first_failure(ended.stdout)


def first_failure(output: str) -> str:
    """The test that failed first, by what pytest printed."""
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("FAILED", "ERROR"):
            return rest.partition(" - ")[0]
    return ""


class Session:
    """A folder with the coverage of tests, copies of the tree, and a line for each verdict.

    Verdicts and coverage count for one state of the mutated modules; for another one, the session
    begins anew.

    Parameters
    ----------
    folder
        The folder, which need not exist yet.
    root
        The source tree.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        texts = hashlib.sha256()
        for area in AREAS:
            for module in modules(root, area):
                texts.update(module.encode() + (root / module).read_bytes())
        self.folder = folder / texts.hexdigest()[:12]
        self.root = root
        self._log = self.folder / "verdicts.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)

    def verdicts(self) -> dict[tuple[str, str, int], Verdict]:
        """What was judged, by module, kind and occurrence."""
        if not self._log.exists():
            return {}
        lines = self._log.read_text("utf-8").splitlines()
        found = (Verdict(**json.loads(line)) for line in lines)
        return {(each.module, each.kind, each.occurrence): each for each in found}

    def record(self, verdict: Verdict) -> None:
        """Append a verdict."""
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(verdict)) + "\n")

    @contextmanager
    def trees(self, jobs: int) -> Iterator[SimpleQueue[Path]]:
        """Copies of the tree, removed at the end."""
        queue: SimpleQueue[Path] = SimpleQueue()
        made = [copied(self.root, self.folder / f"tree-{n}") for n in range(jobs)]
        for tree in made:
            queue.put(tree)
        try:
            yield queue
        finally:
            for tree in made:
                shutil.rmtree(tree, ignore_errors=True)

    def coverage(self, trees: SimpleQueue[Path], jobs: int) -> dict[str, Coverage]:
        """The coverage of every test file; a failing one is left out."""
        found = (path for folder in TESTS for path in (self.root / folder).rglob("test_*.py"))
        tests = [path.relative_to(self.root).as_posix() for path in sorted(found)]

        def measure(test: str) -> Coverage | None:
            tree = trees.get()
            try:
                file = self.folder / "coverage" / (test.replace("/", "+") + ".json")
                return covered(tree, test, file)
            finally:
                trees.put(tree)

        measured = {}
        with progress("coverage") as report, ThreadPoolExecutor(jobs) as pool:
            for done, (test, each) in enumerate(
                zip(tests, pool.map(measure, tests), strict=True), 1
            ):
                report(done, len(tests))
                if each is not None:
                    measured[test] = each
        return measured

    def judge(
        self, wanted: Sequence[Place | PlantedFault], minutes: float, jobs: int
    ) -> list[Verdict]:
        """Judge mutants in their order until the time is over; returns all verdicts."""
        with self.trees(jobs) as trees:
            coverage = self.coverage(trees, jobs)
            known = self.verdicts()
            end = time.monotonic() + 60 * minutes

            def verdict(place: Place | PlantedFault) -> Verdict | None:
                key = place.module, place.kind, place.occurrence
                if key in known or time.monotonic() > end:
                    return known.get(key)
                tree = trees.get()
                try:
                    # Of the copy: who edits the code meanwhile changes nothing.
                    mutant = place.mutant(tree)
                    tests = chosen_tests(mutant, coverage)
                    seconds = 30 + 3 * sum(coverage[test].seconds for test in tests)
                    found = judged(tree, mutant, tests, seconds)
                finally:
                    trees.put(tree)
                made = Verdict(*key, mutant.line, mutant.before, mutant.after, *found)
                self.record(made)
                return made

            verdicts = []
            with progress("mutants") as report, ThreadPoolExecutor(jobs) as pool:
                for done, each in enumerate(pool.map(verdict, wanted), 1):
                    report(done, len(wanted))
                    if each is not None:
                        verdicts.append(each)
        return verdicts

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from systolith.scripts.progress import progress
from tests.mutation.python_code.line_recorder import OUTSIDE
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

_ALLOWED_SECONDS = 40.0
_PATIENCE = 30.0
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


@dataclass(frozen=True, eq=False)
class MeasuredFile:
    """A test file: the seconds of the processor that it takes, and what executes which lines.

    Parameters
    ----------
    name
        Its path in the tree.
    overhead
        The seconds that it takes besides its tests: to start, to collect them, and for fixtures.
    seconds
        Of each test, by its name.
    lines
        By module and line, the tests that execute it, `OUTSIDE` for fixtures, and nothing for
        imports.
    """

    name: str
    overhead: float
    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[int, frozenset[str]]]

    def executing(self, module: str, lines: Iterable[int] | None) -> list[str]:
        """The tests that execute any of some lines of a module, the fastest first.

        None stands for all lines, be it on import.
        """
        there = self.lines.get(module, {})
        found = set[str]().union(*(there.get(n, ()) for n in (there if lines is None else lines)))
        names = self.seconds if OUTSIDE in found or (lines is None and found == {""}) else found
        return sorted(self.seconds.keys() & names, key=lambda name: (self.seconds[name], name))


def chosen_tests(mutant: Mutant, files: Sequence[MeasuredFile]) -> list[dict[str, float]]:
    """The tests that may find a mutant: those of the nearest file, then those of all others.

    Each test has the seconds that it takes.

    A file is near if it mirrors the module, then if it is in the mirrored folder, then if it is
    fast. The tests that execute the changed statement come first, then the others of these files,
    because what a test computes may be cached for the next one. They take `_ALLOWED_SECONDS` at
    most, except that those of the first file that execute it always run. What runs on import is
    tested by what executes any line of its module.
    """
    lines = mutant.statement
    running = {each: names for each in files if (names := each.executing(mutant.module, lines))}
    mirror = Path("tests", mutant.module).with_name(f"test_{Path(mutant.module).name}")

    def distance(file: MeasuredFile) -> tuple[bool, bool, float, str]:
        path, seconds = Path(file.name), sum(file.seconds[name] for name in running[file])
        other, away = path.name != mirror.name, path.parent != mirror.parent
        return other, away, file.overhead + seconds, file.name

    near = sorted(running, key=distance)
    others = [(each, sorted(each.seconds.keys() - running[each])) for each in near]
    stages: list[dict[str, float]] = [{}, {}]
    begun = set[MeasuredFile]()
    spent = 0.0
    for file, names in [*((each, running[each]) for each in near), *others]:
        for name in names:
            seconds = file.seconds[name] + (file not in begun) * file.overhead
            needed = file is near[0] and name in running[file]
            if needed or spent + seconds <= _ALLOWED_SECONDS:
                begun.add(file)
                spent += seconds
                stages[file is not near[0]][name] = file.seconds[name]
    return [each for each in stages if each]


def copied(root: Path, to: Path) -> Path:
    """A copy of the source tree, compiled so that only a module that changes is compiled again."""
    shutil.rmtree(to, ignore_errors=True)
    skipped = shutil.ignore_patterns(*_NOT_COPIED)
    shutil.copytree(root, to, symlinks=True, ignore=skipped)
    command = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash"]
    folders = ("golden", "hw", "sim", "scripts", "tests")
    subprocess.run([sys.executable, *command, *folders], cwd=to, check=True)
    return to


def pytest_command(tests: Iterable[str], *options: str) -> list[str]:
    """The words after `python` that run tests, with the same random examples each time."""
    always = ("-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0")
    return ["-m", "pytest", *always, *options, *tests]


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
        # Of the random networks, which are in the names of tests.
        "SYSTOLITH_NETWORK_SEED": "0",
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


def measured(tree: Path, test: str, data: Path) -> MeasuredFile:
    """What the tests of a file execute, measured once and read again; only those that pass."""
    from coverage import CoverageData

    seconds = data.with_suffix(".json")
    if not seconds.exists():
        data.parent.mkdir(parents=True, exist_ok=True)
        data.unlink(missing_ok=True)
        recorder = ("-p", "tests.mutation.python_code.line_recorder", f"--record-lines={data}")
        run(tree, pytest_command([test], *recorder), 900)
    found = json.loads(seconds.read_text("utf-8"))
    database = CoverageData(str(data))
    database.read()
    lines = {
        file: {
            line: frozenset(contexts)
            for line, contexts in database.contexts_by_lineno(file).items()
        }
        for file in database.measured_files()
    }
    overhead = found["all"] - sum(found["tests"].values())
    return MeasuredFile(test, overhead, found["tests"], lines)


def judged(tree: Path, mutant: Mutant, stages: Sequence[Mapping[str, float]]) -> tuple[str, str]:
    """Put a mutant into a tree, run tests, and take it out again: the outcome, and what found it.

    Each stage of tests runs in a process of its own, the next only if none fails.

    Raises
    ------
    OSError
        The module cannot be written.
    """
    if not stages:
        return UNTESTED, ""
    path = tree / mutant.module
    source = path.read_text("utf-8")
    path.write_text(mutant.text, "utf-8")
    try:
        for tests in stages:
            # No test may wait forever, nor may the import of the module.
            limit = f"faulthandler_timeout={_PATIENCE + 10 * max(tests.values())}"
            options = ("-x", "-o", limit, "-o", "faulthandler_exit_on_timeout=true")
            seconds = 5 * _PATIENCE + 10 * sum(tests.values())
            ended = run(tree, pytest_command(tests, *options), seconds)
            found = first_failure(ended.stdout)
            if ended.returncode == pytest.ExitCode.USAGE_ERROR and not found:
                # The mutant changes the names of tests.
                files = dict.fromkeys(name.partition("::")[0] for name in tests)
                ended = run(tree, pytest_command(files, *options), seconds)
                found = first_failure(ended.stdout)
            if ended.returncode:
                return FOUND, found or "its tests did not end"
    except subprocess.TimeoutExpired:
        return FOUND, "its tests did not end"
    finally:
        path.write_text(source, "utf-8")
    return SURVIVED, ""


def first_failure(output: str) -> str:
    """The test that failed first, by what pytest printed."""
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("FAILED", "ERROR"):
            return rest.partition(" - ")[0]
    return ""


class Session:
    """A folder with what tests execute, copies of the tree, and a line for each verdict.

    All of it counts for one state of the mutated modules; for another one, the session begins
    anew. If tests change, they are measured again, and what they did not find is judged again.

    Parameters
    ----------
    folder
        The folder, which need not exist yet.
    root
        The source tree.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        found = (path for each in TESTS for path in (root / each).rglob("test_*.py"))
        tests = sorted(path.relative_to(root).as_posix() for path in found)
        self._tests = {name: _digest(root, [name]) for name in tests}
        self._state = _digest(root, tests)
        mutated = _digest(root, (module for area in AREAS for module in modules(root, area)))
        self.folder = folder / mutated
        self.root = root
        self._log = self.folder / "verdicts.jsonl"
        self.folder.mkdir(parents=True, exist_ok=True)

    def verdicts(self) -> dict[tuple[str, str, int], Verdict]:
        """What was judged, by module, kind and occurrence."""
        if not self._log.exists():
            return {}
        lines = [json.loads(line) for line in self._log.read_text("utf-8").splitlines()]
        found = (
            Verdict(**each["verdict"])
            for each in lines
            if each["tests"] == self._state or each["verdict"]["outcome"] == FOUND
        )
        return {(each.module, each.kind, each.occurrence): each for each in found}

    def record(self, verdict: Verdict) -> None:
        """Append a verdict."""
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"tests": self._state, "verdict": asdict(verdict)}) + "\n")

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

    def measured(self, trees: SimpleQueue[Path], jobs: int) -> list[MeasuredFile]:
        """What each test file executes."""

        def measure(test: str) -> MeasuredFile:
            tree = trees.get()
            try:
                name = f"{test.replace('/', '+')}-{self._tests[test]}.lines"
                return measured(tree, test, self.folder / "measured" / name)
            finally:
                trees.put(tree)

        files = []
        with progress("tests") as report, ThreadPoolExecutor(jobs) as pool:
            for done, each in enumerate(pool.map(measure, self._tests), 1):
                report(done, len(self._tests))
                files.append(each)
        return files

    def judge(
        self, wanted: Sequence[Place | PlantedFault], minutes: float, jobs: int
    ) -> list[Verdict]:
        """Judge mutants in their order until the time is over; returns all verdicts."""
        with self.trees(jobs) as trees:
            files = self.measured(trees, jobs)
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
                    found = judged(tree, mutant, chosen_tests(mutant, files))
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


def _digest(root: Path, names: Iterable[str]) -> str:
    """What names the texts of files, wherever their tree is."""
    texts = hashlib.sha256()
    for name in names:
        texts.update(name.encode() + (root / name).read_bytes())
    return texts.hexdigest()[:12]

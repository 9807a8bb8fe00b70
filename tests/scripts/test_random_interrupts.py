"""Interrupts at random moments: no process, no temporary file and no partial result stays.

`make test-interrupts` runs it; `SYSTOLITH_SEED` chooses other moments than the printed seed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from systolith.golden import QuantizedNetwork, load_network, quantize, validation_digits
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.hw.verilog import artifacts
from systolith.scripts.sweeping.outcome import SCHEMA as SWEEP_SCHEMA

PROGRAM = "import sys; from systolith.scripts.entry import main; sys.exit(main())"
MARK = "SYSTOLITH_INTERRUPTED"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTS = {"simulate": 14, "run": 13, "sweep": 13}
ARGUMENTS = {
    "simulate": "simulate hardware --images 200",
    "run": "run --images 20 --out results",
    "sweep": "sweep lenet5-relu --out results --weight-bits 8,4 --activation-bits 8 "
    "--preset small --images 1000 --jobs 2",
}


@dataclass(frozen=True)
class Place:
    """A folder in which a command runs, with its own temporary files and cached builds."""

    folder: Path

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TMPDIR": str(self.folder / "temporary"),
            "SYSTOLITH_CACHE": str(self.folder / "cache"),
            MARK: str(self.folder),
        }

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *ARGUMENTS[command].split()],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Shells start jobs in the background with interrupts ignored.
            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in SIGNALS],
        )

    def processes(self) -> list[str]:
        """The command lines of the processes that were started here, zombies aside."""
        mark = f"{MARK}={self.folder}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it ended meanwhile, or is somebody else's
                continue
        return found


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "hardware"
    artifacts.generate(quantize(load_network("lenet5-relu"), validation_digits().images), folder)
    return folder


@pytest.fixture(scope="module")
def seed() -> int:
    return int(os.environ.get("SYSTOLITH_SEED", time.time_ns() % 2**32))


@pytest.mark.long
@pytest.mark.parametrize("command", INTERRUPTS)
def test_an_interrupt_leaves_nothing(
    command: str, hardware: Path, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = random.Random(f"{seed} {command}")
    whole = _place(tmp_path / "whole", hardware)
    begin = time.monotonic()
    with whole.start(command) as process:
        process.communicate()
    seconds = time.monotonic() - begin
    assert process.returncode == 0
    warm = whole.folder / "cache"

    outcomes: list[str] = []
    number = 0
    while len(outcomes) < INTERRUPTS[command]:
        place = _place(tmp_path / str(number), hardware)
        number += 1
        most = 0.8 * seconds
        if chosen.random() < 0.5 and warm.exists():  # what was built before is found there
            shutil.copytree(warm, place.folder / "cache")
            most /= 2
        kind = chosen.choice(SIGNALS)
        delay = chosen.uniform(0, most)
        where = f"seed {seed}, {command} number {number}: {kind.name} after {delay:.3f} s"
        with place.start(command) as process:
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.send_signal(kind)
                sent = time.monotonic()
                errors = process.communicate(timeout=60)[1]
                took = time.monotonic() - sent
            else:
                continue  # too late
        if process.returncode == 0:
            continue  # too late
        early = delay < 1 and process.returncode in (-kind, 1)
        assert process.returncode == 130 or early, f"{where}: {process.returncode} {errors}"
        assert early or "Traceback" not in errors, f"{where}: {errors}"
        _wait_for_the_end(place, where)
        assert not list((place.folder / "temporary").iterdir()), where
        _require_whole(place.folder, where)
        outcomes.append(f"{where}: {process.returncode} {took:.2f} s later")
    with capsys.disabled():
        lines = ["", f"{command}: {seconds:.1f} s when not interrupted", *outcomes, ""]
        sys.stdout.write("\n".join(lines))


def _place(folder: Path, hardware: Path) -> Place:
    (folder / "temporary").mkdir(parents=True)
    shutil.copytree(hardware, folder / "hardware")
    return Place(folder)


def _wait_for_the_end(place: Place, where: str) -> None:
    """Workers of a sweep see that their parent has ended, which takes a moment."""
    for _ in range(40):
        left = place.processes()
        if not left:
            return
        time.sleep(0.05)
    pytest.fail(f"{where}: still there: {left}")


def _require_whole(folder: Path, where: str) -> None:
    """Check that everything that a command left can be read, and that it is a result."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        temporary = path.name.startswith((".generate-", ".front-", "building-", "temporary-"))
        assert not temporary and not path.name.endswith(".tmp"), f"{where}: {name}"
        if path.suffix in READERS and not name.startswith("cache/"):
            READERS[path.suffix](path)
    for hardware in (folder / "hardware", *folder.glob("results/*/rtl")):
        artifacts.load(hardware)


def _read_json(path: Path) -> None:
    content = json.loads(path.read_bytes())
    assert content["schema"].startswith("systolith.")
    if content["schema"] == SWEEP_SCHEMA:
        assert content["points"]
    if path.name in ("float.json", "fixed.json"):
        AccuracyReport.load(path)


def _read_page(path: Path) -> None:
    assert path.read_text("utf-8").rstrip().endswith("</html>")


READERS: dict[str, Callable[[Path], object]] = {
    ".json": _read_json,
    ".npz": QuantizedNetwork.load,
    ".html": _read_page,
    ".svg": lambda path: ElementTree.fromstring(path.read_text("utf-8")),
}

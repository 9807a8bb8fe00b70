"""A pytest plugin for measuring: the lines that each test executes, and the seconds that it takes.

`pytest -p tests.mutation.python_code.line_recorder --record-lines FILE` writes a database of
coverage.py, whose contexts are the tests' names, `OUTSIDE` for fixtures, and nothing for imports,
and `FILE.json` with the seconds of the processor that all takes, and every test that passed. File
names are relative.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

OUTSIDE = "fixtures"
"""The context of what fixtures do, which may be for any test of the file."""

_ENDED = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    # All tests of the file have a marker.
    pytest.ExitCode.NO_TESTS_COLLECTED,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-lines", type=Path, required=True, metavar="FILE")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Recorder(config.getoption("--record-lines")))


class _Recorder:
    def __init__(self, file: Path) -> None:
        from coverage import Coverage

        folders = ("golden", "hw", "sim", "scripts")
        self._file = file
        self._seconds: dict[str, float] = {}
        self._coverage = Coverage(
            data_file=str(file), config_file=False, include=[f"{name}/*" for name in folders]
        )
        self._coverage.set_option("run:relative_files", True)
        # Of tests that only start other processes.
        self._coverage.set_option("run:disable_warnings", ["no-data-collected"])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self._coverage.switch_context(OUTSIDE)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        begun = _processor_seconds()
        try:
            return (yield)
        finally:
            self._coverage.switch_context(OUTSIDE)
            self._seconds[item.nodeid] = _processor_seconds() - begun

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not report.passed:
            del self._seconds[report.nodeid]

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._coverage.stop()
        if exitstatus not in _ENDED:
            return  # Interrupted: what was not run yet would count as what executes nothing.
        self._coverage.save()
        text = json.dumps({"all": _processor_seconds(), "tests": self._seconds})
        begun = self._file.with_suffix(".part")
        begun.write_text(text, "utf-8")
        begun.replace(self._file.with_suffix(".json"))


def _processor_seconds() -> float:
    """Of this process and of those that it started, whatever else the machine does."""
    return sum(os.times()[:4])

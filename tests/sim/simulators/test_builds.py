"""When a build is taken from the cache: only if nothing that it is made of differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from systolith.sim.simulators import builds, installed
from systolith.sim.simulators.builds import (
    Design,
    build_icarus,
    build_verilator_cocotb,
    build_verilator_program,
)
from tests.sim.required import need

DESIGN = Design("top", "module top(input a); endmodule", ("a",))
HEADERS = {"network.h": "constexpr int beats = 3;", "layers.h": ""}


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys under which builds are looked up; nothing is built."""
    found: list[str] = []

    def cached(key: str, artifact: str, build: Callable[[Path], None]) -> Path:
        found.append(key)
        return Path(artifact)

    monkeypatch.setattr(builds, "cached", cached)
    return found


def program(design: Design = DESIGN, main: str = "int main() {}", **options: Any) -> None:
    build_verilator_program(design, main, **{"headers": HEADERS, **options})


def test_a_program_depends_on_every_text_that_it_is_made_of(
    keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        program()
    assert len(set(keys)) == 1
    program(replace(DESIGN, verilog="module top(input b); endmodule"))
    program(replace(DESIGN, top="other"))
    program(main="int main() { return 1; }")
    program(headers={**HEADERS, "network.h": "constexpr int beats = 4;"})
    program(headers={**HEADERS, "more.h": ""})
    program(headers={"network.h": "", "layers.h": HEADERS["network.h"]})
    program(trace=True)
    found = installed.find_verilator()
    monkeypatch.setattr(installed, "find_verilator", lambda: replace(found, version="another"))
    program()
    assert len(set(keys)) == len(keys) - 1 == 9


def test_a_model_under_cocotb_depends_on_its_visible_ports_and_its_level(keys: list[str]) -> None:
    for ports in ((), ("a",), ("a", "b")):
        for optimize in (False, True):
            build_verilator_cocotb(replace(DESIGN, ports=ports), optimize)
    assert len(set(keys)) == 6


def test_a_file_for_icarus_depends_on_its_verilog_and_its_top(keys: list[str]) -> None:
    need("icarus")
    for verilog in (DESIGN.verilog, "module top(input b); endmodule"):
        for top in ("top", "other"):
            build_icarus(Design(top, verilog, ()))
    assert len(set(keys)) == 4

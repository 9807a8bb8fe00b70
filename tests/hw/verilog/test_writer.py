# amaranth: UnusedElaboratable=no
from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from systolith import hw
from systolith.golden.files.datasets import validation_digits
from systolith.golden.network.trained_network import load_network
from systolith.golden.quantization.calibration import quantize
from systolith.hw.accelerator import Accelerator
from systolith.hw.verilog.writer import (
    accelerator_modules,
    count_multipliers,
    memories,
    part_rtlil,
    with_comments,
)
from systolith.hw.verilog.yosys import YosysError, run_yosys, started_yosys
from systolith.sim.simulators import installed
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized
from tests.random_cases import random_case

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    return accelerator_modules(Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN))


def test_a_module_for_each_unit_named_after_its_layer(modules: dict[str, str]) -> None:
    assert list(modules) == [
        "every_kind",
        "every_kind_frame_checker",
        *(f"every_kind_unit_{layer}" for layer in ("C1", "S2", "C3", "S4", "S5", "F6", "output")),
        "every_kind_classifier",
    ]
    for name in ("unit_C1", "unit_S2", "unit_S5", "classifier"):
        assert f"  every_kind_{name} {name} (\n" in modules["every_kind"]


def test_multiplications_are_the_multipliers(modules: dict[str, str]) -> None:
    counted = {name: count_multipliers([text]) for name, text in modules.items()}
    assert {name: count for name, count in counted.items() if count} == {
        "every_kind_unit_C1": 8,
        "every_kind_unit_C3": 6,
        "every_kind_unit_S4": 3,
        "every_kind_unit_F6": 15,
        # Squares, of which each processing element has one.
        "every_kind_unit_output": 2,
    }


def test_streams_keep_their_names_at_the_top(modules: dict[str, str]) -> None:
    for layer, high in (("input", "7"), ("C1", "15"), ("output", r"\d+")):
        data = rf"^  wire \[{high}:0\] stream_{layer}_data;$"
        assert re.search(data, modules["every_kind"], re.MULTILINE)
        for signal in ("valid", "ready", "last"):
            assert f"  wire stream_{layer}_{signal};\n" in modules["every_kind"]


def test_names_need_no_escape(modules: dict[str, str]) -> None:
    assert "\\" not in "".join(modules.values())


def test_only_the_differences_of_a_radial_basis_unit_have_an_attribute(
    modules: dict[str, str],
) -> None:
    text = "".join(modules.values())
    found = re.findall(r'^  \(\* keep = "true" \*\)\n  reg \[.*?\] (\w+)', text, re.MULTILINE)
    assert found == ["core_array_pe_0_0_difference", "core_array_pe_0_1_difference"]
    assert set(re.findall(r"\(\* \w+", text)) == {"(* keep", "(* parallel_case"}
    assert text.count("(* keep ") == len(found)


def test_memories() -> None:
    module = "  reg [7:0] a [3:0];\n  reg b [9:0];\n  reg [7:0] c = 8'h00;\n"
    assert memories(module) == [("a", 4, 8), ("b", 10, 1)]


def test_the_same_input_gives_the_same_bytes(modules: dict[str, str]) -> None:
    accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)
    text = with_comments(accelerator, modules, "0" * 64)
    assert "// 1 x 2 processing elements, one group of outputs after another, 1 values" in text
    assert text.count("\n// keep: a difference is both operands") == 1
    program = (
        "from tests.hw.small_networks import *\n"
        "from systolith.hw.verilog.writer import *\n"
        "accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)\n"
        "modules = accelerator_modules(accelerator)\n"
        "print(with_comments(accelerator, modules, '0' * 64), end='')\n"
    )
    again = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert again.stdout == text


@pytest.mark.parametrize("seed", range(2))
def test_multipliers_of_random_networks_are_all_counted(seed: int) -> None:
    case = random_case(seed)
    accelerator = Accelerator(case.quantized.fixed, case.plan)
    modules = accelerator_modules(accelerator)
    assert count_multipliers(modules.values()) == accelerator.multipliers
    assert multiplications(Accelerator(case.quantized.fixed, case.plan)) == accelerator.multipliers


def lint(folder: Path, *files: str) -> str:
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


def multiplications(accelerator: Accelerator) -> int:
    """The multiplications that Yosys counts in the flattened design, before any optimization."""
    text = "\n".join(text for _, text in part_rtlil(accelerator))
    cells = run_yosys(
        f"read_rtlil <<rtlil\n{text}\nrtlil\nhierarchy -top {accelerator.name}\n"
        "proc -noopt\nflatten\nwrite_rtlil\n"
    )
    assert cells.count("\nmodule ") == 1
    return cells.count("\n  cell $mul ")


@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid", "lenet5-relu"])
def test_shipped_networks(name: str, tmp_path: Path) -> None:
    q = quantize(load_network(name), validation_digits().images[:50])
    plan = hw.make_plan(q.fixed, hw.PRESETS[hw.DEFAULT_PRESET])
    manifest = hw.generate(q, tmp_path / "out")
    verilog = (tmp_path / "out" / f"{name}.v").read_text("utf-8")
    assert verilog.count("\n") < 15_000
    assert count_multipliers([verilog]) == manifest.multipliers
    assert multiplications(Accelerator(q.fixed, plan)) == manifest.multipliers
    assert "%Warning" not in lint(tmp_path / "out", f"{name}.vlt", f"{name}.v")


def test_lint_is_clean_and_every_waiver_is_needed(modules: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "every.v").write_text("".join(modules.values()), "utf-8")
    waivers = (ROOT / "hw" / "verilog" / "lint.vlt").read_text("utf-8").splitlines()
    (tmp_path / "every.vlt").write_text("\n".join([*waivers, ""]), "utf-8")
    assert "%Warning" not in lint(tmp_path, "every.vlt", "every.v")
    for number, line in enumerate(waivers):
        if line.startswith("lint_off"):
            others = waivers[:number] + waivers[number + 1 :]
            (tmp_path / "fewer.vlt").write_text("\n".join([*others, ""]), "utf-8")
            assert "%Warning" in lint(tmp_path, "fewer.vlt", "every.v"), line


def test_an_error_of_yosys_is_raised() -> None:
    with pytest.raises(YosysError, match=r"ended with status 1: ERROR: .*no_such"):
        run_yosys("no_such_command\n")


def test_yosys_runs_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with started_yosys("write_rtlil\n") as yosys:
        assert [path.name[:15] for path in tmp_path.glob("systolith-*")] == ["systolith-home-"]
        assert "Yosys" in yosys.output()
    assert not list(tmp_path.iterdir())

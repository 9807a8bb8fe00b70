# amaranth: UnusedElaboratable=no
"""Names of users: keywords, names of ours and of tools, and several accelerators in one design."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from systolith import hw
from systolith.golden.network.graph import Dense, Input, Layer, MaxPooling, Network
from systolith.hw.accelerator import Accelerator
from systolith.hw.planning.plan_file import smallest_plan
from systolith.hw.streams.module_names import RESERVED, default_module_name, is_module_name
from systolith.hw.verilog.artifacts import load
from systolith.hw.verilog.writer import accelerator_modules
from systolith.sim.bench.network_bench import simulate_cocotb
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import tapped_network
from systolith.sim.simulators import installed
from tests.hw.front_ends import icarus, slang
from tests.hw.several_accelerators import TOGETHER, TOPS, several_accelerators
from tests.hw.small_networks import ONE_LAYER, quantized

FILES = Path(__file__).with_name("keywords")


def words(*files: str) -> set[str]:
    """The words of some files; a line that begins with `#` is a comment."""
    lines = [line for file in files for line in (FILES / file).read_text().splitlines()]
    return {word for line in lines if not line.startswith("#") for word in line.split()}


KEYWORDS = words("verilog-2005.txt", "systemverilog-2017.txt")
WORDS = KEYWORDS | words("cpp-20.txt")
# Names that differ only in what tools change, and those of instances in the wrapper.
TRICKY = {
    "x_y",
    "x___y",
    "_",
    "__",
    "_x",
    "x_",
    "x_0",
    "accelerator",
    "unit",
    "unit_x_y",
    "tap_x_y",
}


@pytest.fixture(scope="module")
def names() -> list[str]:
    """Every word, and every identifier in the top module of a network."""
    accelerator = Accelerator(quantized(ONE_LAYER).fixed, smallest_plan(ONE_LAYER))
    top = accelerator_modules(accelerator)[accelerator.name]
    inside = set(re.findall(r"[A-Za-z_]\w*", top))
    assert inside >= {"s_axis_tdata", "classifier", "stream_scores_data", "unit_scores"}
    return sorted(WORDS | TRICKY | inside | {"s_axis", "m_axis"})


def test_the_keywords_are_all_there() -> None:
    assert len(words("verilog-2005.txt")) == 124
    assert len(words("systemverilog-2017.txt")) == 248
    assert KEYWORDS < RESERVED


def test_every_name_gives_a_module(names: list[str]) -> None:
    for name in [*names, *KEYWORDS, "1", "-", "a-b", "1-a"]:
        top = default_module_name(name)
        assert is_module_name(top) and top not in KEYWORDS
        assert not is_module_name(name) or top == name


def check_layers_named(names: list[str], folder: Path, simulator: str = "verilator") -> None:
    """Generate a network whose layers have these names, and simulate all of it."""
    layers: list[Layer] = [Input(name="x__y", height=2, width=1)]
    for name in names:
        layers.append(MaxPooling(name=name, inputs=(layers[-1].name,), window=(1, 1)))
    layers.append(Dense(name="scores", inputs=(layers[-1].name,), units=2))
    network = quantized(Network("module", tuple(layers)))
    hw.generate(network, folder, smallest_plan(network.fixed.network))
    built = load(folder)
    assert "\\" not in built.verilog
    assert lint(folder, built.manifest.top, "module.v") == ""
    tapped = tapped_network(network.fixed, built.manifest, built.verilog)
    images = np.random.default_rng(0).integers(0, 256, (3, *tapped.source_shape), np.uint8)
    check = Check(network.fixed, images, [layer.name for layer in network.fixed.layers])
    if simulator == "verilator":
        assert sum(check.take(simulate_bulk(tapped, images, 1))) == 3
    else:
        assert sum(check.take(simulate_cocotb(tapped, images, 1, "icarus"))) == 3
    assert check.violations() == ()
    assert not any(layer.mismatches for layer in check.layer_results())


def test_layers_may_have_the_names_of_anything(names: list[str], tmp_path: Path) -> None:
    some = {*names[::12], *TRICKY, "s_axis", "m_axis", "frame_checker", "output", "TOP", "std"}
    check_layers_named(sorted(some), tmp_path / "some")


def test_icarus_takes_them_too(names: list[str], tmp_path: Path) -> None:
    check_layers_named(["s_axis", "m_axis", "output", "x_y", "_"], tmp_path / "some", "icarus")


@pytest.mark.long
def test_layers_may_have_all_names(names: list[str], tmp_path: Path) -> None:
    check_layers_named([name for name in names if name != "scores"], tmp_path / "all")


def test_accelerators_share_a_design(tmp_path: Path) -> None:
    verilog = several_accelerators()
    modules = re.findall(r"^module (\w+)", verilog, re.MULTILINE)
    assert len(set(modules)) == len(modules)
    assert set(modules) - {TOGETHER, *TOPS} == {
        name for name in modules if any(name.startswith(f"{top}_") for top in TOPS)
    } - {*TOPS}
    (tmp_path / "together.v").write_text(verilog, "utf-8")
    assert lint(tmp_path, TOGETHER, "together.v") == ""
    assert slang(tmp_path / "together.v", "--top", TOGETHER) == (0, 0)
    for standard in ("-g2005", "-g2012"):
        assert icarus(tmp_path, standard, "-s", TOGETHER, "together.v") == ""


def lint(folder: Path, top: str, *files: str) -> str:
    """The errors of Verilator; a redefined module counts as one."""
    verilator = installed.find_verilator()
    options = ("--lint-only", "-Wno-lint", "-Wno-style", "-Werror-MODDUP", "--top-module", top)
    return subprocess.run(
        [str(verilator.root / "bin" / "verilator_bin"), *options, *files],
        cwd=folder,
        env={**os.environ, "VERILATOR_ROOT": str(verilator.root)},
        capture_output=True,
        check=False,
        encoding="utf-8",
    ).stderr

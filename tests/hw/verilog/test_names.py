from __future__ import annotations

from systolith.hw.verilog.names import plain_names


def test_names_become_identifiers_everywhere() -> None:
    rtlil = (
        "module \\top\n"
        "  wire width 8 \\o__payload.data\n"
        "  memory width 8 size 4 \\row$2\n"
        "  cell $memrd_v2 $1\n"
        '    parameter \\MEMID "\\\\row$2"\n'
        "  end\n"
        "  cell \\top.C1 \\C1\n"
        "    connect \\i__valid \\o__payload.data [0]\n"
        "  end\n"
        "end\n"
        "module \\top.C1\n"
        "  wire width 1 \\i__valid\n"
        "end\n"
    )
    expected = (
        rtlil.replace("o__payload.data", "o_payload_data")
        .replace("row$2", "row_2")
        .replace("top.C1", "top_C1")
        .replace("i__valid", "i_valid")
    )
    assert plain_names(rtlil, keep=()) == expected


def test_names_of_a_module_stay_different() -> None:
    rtlil = "module \\a\n  wire \\x$1\n  wire \\x_1\n  wire \\x__1\n  wire \\x.1\nend\n"
    assert plain_names(rtlil, keep=()) == (
        "module \\a\n  wire \\x_1_\n  wire \\x_1\n  wire \\x_1__\n  wire \\x_1___\nend\n"
    )


def test_a_name_is_free_again_in_another_module() -> None:
    rtlil = "module \\a\n  wire \\x_1\nend\nmodule \\b\n  wire \\x$1\nend\n"
    assert plain_names(rtlil, keep=()).endswith("wire \\x_1\nend\n")


def test_kept_names_stay() -> None:
    assert plain_names("module \\my__net\nend\n", keep=["my__net"]) == "module \\my__net\nend\n"


def test_a_kept_name_is_given_to_nothing_else() -> None:
    assert plain_names("module \\my.net\nend\n", keep=["my_net"]) == "module \\my_net_\nend\n"

"""Names for the top module: those that every tool takes, and the one that a network's name gives.

The accelerator checks its name here before anything is built.
"""

from __future__ import annotations

import re

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_KEYWORDS = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic
before begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle
checker class clocking cmos config const constraint context continue cover covergroup coverpoint
cross deassign default defparam design disable dist do edge else end endcase endchecker endclass
endclocking endconfig endfunction endgenerate endgroup endinterface endmodule endpackage
endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually
expect export extends extern final first_match for force foreach forever fork forkjoin function
generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies
import incdir include initial inout input inside instance int integer interconnect interface
intersect join join_any join_none large let liblist library local localparam logic longint
macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive
priority program property protected pull0 pull1 pulldown pullup pulsestyle_ondetect
pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime ref reg reject_on
release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually
s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled signed small
soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran
tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until
until_with untyped use uwire var vectored virtual void wait wait_order wand weak weak0 weak1 while
wildcard wire with within wor xnor xor
"""
"""The keywords of SystemVerilog (IEEE 1800-2017, annex B), those of Verilog among them."""

RESERVED = frozenset([*_KEYWORDS.split(), "TOP", "bool", "std"])
"""The keywords, and names that simulators use: Verilator `TOP` and `std`, Icarus `bool`."""


_INNER = re.compile(r"_unit_|_(frame_checker|classifier|score_stream)$")
"""What the names of modules inside an accelerator have, and names of top modules have not."""

_MAX_LENGTH = 220
"""The longest name of a module: a file is called after the top's."""


def is_module_name(name: str) -> bool:
    """Whether a name can be that of a top module, without an escape, in Verilog and SystemVerilog.

    It must not be one that a module inside another accelerator has, so that all accelerators with
    different names fit into one design.
    """
    return (
        _INNER.search(name) is None
        and _IDENTIFIER.fullmatch(name) is not None
        and name not in RESERVED
        and len(name) <= _MAX_LENGTH
    )


def default_module_name(network: str) -> str:
    """The name of the top module of a network: the network's, or `accelerator_<network>`.

    Hyphens become underscores. The prefix is for names that no module can have, and a name loses
    the underscores that a module inside an accelerator has.
    """
    name = network.replace("-", "_")
    while found := _INNER.search(name):
        name = name[: found.start()] + found[0].strip("_") + name[found.end() :]
    return name if is_module_name(name) else f"accelerator_{name}"

"""The command line: one thin module a subcommand, which parses, calls one function and prints."""

from __future__ import annotations

if __name__ != "systolith.scripts":
    raise ImportError("scripts is a part of systolith: import systolith.scripts")

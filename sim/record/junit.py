"""The outcome of checks as JUnit XML, which continuous integration and cocotb's tools read.

`sim.simulate` writes one test case for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from systolith.golden.files.printable import printable


@dataclass(frozen=True)
class Case:
    """A check.

    Parameters
    ----------
    name
        Its name.
    failure
        Why it failed, or None.
    error
        Why it could not be made, or None.
    """

    name: str
    failure: str | None = None
    error: str | None = None


def junit(suite: str, cases: Sequence[Case]) -> bytes:
    """The bytes of a file with one test suite."""
    root = ElementTree.Element("testsuites")
    element = ElementTree.SubElement(
        root,
        "testsuite",
        name=printable(suite),
        tests=str(len(cases)),
        failures=str(sum(case.failure is not None for case in cases)),
        errors=str(sum(case.error is not None for case in cases)),
    )
    for case in cases:
        entry = ElementTree.SubElement(
            element, "testcase", classname=printable(suite), name=printable(case.name)
        )
        for kind, message in (("failure", case.failure), ("error", case.error)):
            if message is not None:
                ElementTree.SubElement(entry, kind, message=printable(message))
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return content + b"\n"

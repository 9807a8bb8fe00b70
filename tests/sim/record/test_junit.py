from __future__ import annotations

from xml.etree import ElementTree

from systolith.sim.record.junit import Case, junit


def test_each_case_has_its_message_whatever_is_in_it() -> None:
    cases = [Case("C1"), Case("<C3>", failure='"4" & \x1b[31m < 5'), Case("all", error="died")]
    cases.append(Case("out", failure="5 < 6"))
    root = ElementTree.fromstring(junit("net", cases))
    (suite,) = root
    assert root.tag == "testsuites"
    assert suite.attrib == {"name": "net", "tests": "4", "failures": "2", "errors": "1"}
    assert [case.get("name") for case in suite] == ["C1", "<C3>", "all", "out"]
    found = [[(each.tag, each.get("message")) for each in case] for case in suite]
    messages = ("failure", '"4" & \\x1b[31m < 5'), ("error", "died"), ("failure", "5 < 6")
    assert found == [[], *([each] for each in messages)]

from __future__ import annotations

from xml.etree import ElementTree

from systolith.golden.reports.html_table import html_table


def test_cells_are_text_under_their_headings() -> None:
    hostile = "</td><script>&\x1b"
    table = ElementTree.fromstring(html_table(("a", "b"), [(hostile, "1,234")], 1, hostile))
    assert [[cell.text for cell in row] for row in table.iter("tr")] == [
        ["a", "b"],
        ["</td><script>&\\x1b", "1,234"],
    ]
    assert table.findtext("caption") == "</td><script>&\\x1b"
    styles = [cell.attrib["style"] for cell in table.iter("td")]
    assert styles == ["text-align: left", "text-align: right"]

"""Tables of Markdown, character by character."""

from __future__ import annotations

from systolith.golden.reports.markdown import cell, table


def test_a_table_of_words_and_figures() -> None:
    rows = [["C1", "weights", "1,234", ""], ["F6", "map", "5", "0.1"]]
    assert table(("layer", "part", "bits", "share"), rows, 2) == (
        "| layer | part | bits | share |\n"
        "| --- | --- | ---: | ---: |\n"
        "| C1 | weights | 1,234 |  |\n"
        "| F6 | map | 5 | 0.1 |\n"
    )


def test_what_means_something_in_markdown_is_text_in_a_cell() -> None:
    assert cell("a|b\\c<d>[e]*f*_g_`h`~i~&j") == (r"a\|b\\c\<d\>\[e\]\*f\*\_g\_\`h\`\~i\~\&j")
    assert cell("8/4 bits, C1: weight bits 6 (q.json) #2") == (
        "8/4 bits, C1: weight bits 6 (q.json) #2"
    )
    # Control characters are printed as escapes, whose backslashes are escaped too.
    assert cell("a\nb\x1b") == r"a\\nb\\x1b"

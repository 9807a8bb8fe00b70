from __future__ import annotations

from systolith.scripts.pages import html_page


def test_text_that_is_not_printable_is_shown_by_its_escapes() -> None:
    template = html_page._environment().from_string("<p>{{ name }}</p>\n<b>{{ number }}</b>")
    shown = template.render(name="a\x1b[31m<i>\n", number=3)
    assert shown == "<p>a\\x1b[31m&lt;i&gt;\\n</p>\n<b>3</b>"


def test_figures_of_a_template_have_the_digits_of_tables() -> None:
    text = "{{ 12345 | count }} {{ 0.91236 | share }} {{ 0.125 | signed }} {{ 0.25 | chance }}"
    shown = html_page._environment().from_string(text).render()
    assert shown == "12,345 0.9124 +0.1250 0.25"

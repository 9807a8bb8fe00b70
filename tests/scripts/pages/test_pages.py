"""Pages of reports and comparisons, as a browser shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Error

from systolith import golden
from systolith.golden.quantization.trials import try_widths
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.advice import advise
from systolith.scripts.pages.comparison_page import comparison_page
from systolith.scripts.pages.evaluation_page import evaluation_page
from tests.scripts.browser import chromium, look_at

HOSTILE = "</script><img src=x onerror=alert(1)>&{{ 7 * 7 }}"

# Of what is text: its colour and that behind it. A contrast of 4.5 is what WCAG 2 asks for.
WORST_CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  let worst = 21;
  for (const element of document.querySelectorAll("p, li, td, th, h1, h2, h3, span, b")) {
    if (!element.textContent.trim()) continue;
    const pair = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const [low, high] = pair.sort((a, b) => a - b);
    worst = Math.min(worst, (high + 0.05) / (low + 0.05));
  }
  for (const element of document.querySelectorAll("svg text")) {
    if (parse(getComputedStyle(element).fill).slice(0, 3).every((v) => v === 0)) continue;
    const pair = [light(parse(getComputedStyle(element).fill)), light(behind(element))];
    const [low, high] = pair.sort((a, b) => a - b);
    worst = Math.min(worst, (high + 0.05) / (low + 0.05));
  }
  return worst;
}"""

# Figures that are missing, empty or cut off, by id.
BAD_FIGURES = """() => [...document.querySelectorAll(".chart")].filter((chart) => {
  const svg = chart.querySelector("svg");
  if (!svg || svg.querySelectorAll("path, rect").length < 3) return true;
  const box = svg.getBoundingClientRect(), room = chart.parentElement.getBoundingClientRect();
  return box.width < 200 || box.right > room.right + 1;
}).map((chart) => chart.id)"""

# What those hear who do not see the figures.
FIGURE_TEXTS = """() => [...document.querySelectorAll("[role=graphics-document]")]
  .map((figure) => figure.getAttribute("aria-label"))"""

SMALLEST_TEXT = """() => Math.min(...[...document.querySelectorAll("p, li, td, th, span, text")]
  .map((element) => parseFloat(getComputedStyle(element).fontSize)))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def reports() -> dict[str, AccuracyReport]:
    """A float network, and a fixed one of so few bits that it often disagrees."""
    trained = golden.load_network("lenet5")
    few = golden.validation_digits().take(60)
    digits = golden.test_digits()
    fixed = golden.evaluate(QUANTIZED, digits, 60)
    trials = try_widths(QUANTIZED, few.images, few)
    return {
        "float": golden.evaluate(trained, digits, 60),
        "fixed": replace(fixed, trials=trials),
    }


QUANTIZED = golden.quantize(
    golden.load_network("lenet5"),
    golden.validation_digits().images[:30],
    golden.Settings.from_mapping({"weight_bits": 3, "activation_bits": 3}),
)


@pytest.fixture(scope="module")
def pages(reports: dict[str, AccuracyReport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    digits = golden.test_digits()
    trained = golden.load_network("lenet5")
    hostile = replace(
        reports["fixed"],
        network=HOSTILE,
        version=HOSTILE,
        dataset=replace(reports["fixed"].dataset, name=HOSTILE, split=HOSTILE),
        layers=tuple(replace(layer, name=HOSTILE) for layer in reports["fixed"].layers),
    )
    same = replace(reports["float"], dataset=hostile.dataset)
    texts = {
        "fixed": evaluation_page(reports["fixed"], QUANTIZED, digits),
        "float": evaluation_page(golden.evaluate(trained, digits, 400), trained, digits),
        "comparison": comparison_page(
            golden.compare([same, hostile], ["a", HOSTILE]), [trained, QUANTIZED], digits
        ),
        "hostile": evaluation_page(hostile, QUANTIZED, digits),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return folder


NAMES = ["fixed", "float", "comparison", "hostile"]
FIGURES = {"fixed": 4 + 7, "float": 1, "comparison": 6, "hostile": 4 + 7}


def test_a_page_is_small_and_needs_no_other_file(pages: Path) -> None:
    for name in NAMES:
        text = (pages / f"{name}.html").read_text("utf-8")
        assert len(text.encode()) < 3_000_000
        outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?!data:)', outside)
        assert not re.findall(r"<script[^>]+src", text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_readable(
    browser: Browser, pages: Path, name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    with look_at(browser, pages / f"{name}.html", width, scheme) as seen:
        assert seen.problems == []
        assert seen.script("document.querySelectorAll('.chart svg').length") == FIGURES[name]
        assert seen.script(BAD_FIGURES) == []
        texts = seen.script(FIGURE_TEXTS)
        assert len(texts) == FIGURES[name] == len(set(texts))
        assert "Vega visualization" not in texts
        assert seen.script("document.documentElement.scrollWidth - innerWidth") <= 0
        assert seen.script(SMALLEST_TEXT) >= 10
        assert seen.script(WORST_CONTRAST) >= 4.5
        assert seen.script("[...document.images].every((image) => image.naturalWidth > 0)")
        background = seen.script("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_hostile_names_are_text(browser: Browser, pages: Path) -> None:
    for name in ("hostile", "comparison"):
        with look_at(browser, pages / f"{name}.html", 1280, "light") as seen:
            assert seen.script("document.querySelectorAll('[onerror]').length") == 0
            assert HOSTILE in seen.script("document.body.textContent")


def test_what_a_page_tells(
    browser: Browser, pages: Path, reports: dict[str, AccuracyReport]
) -> None:
    fixed = reports["fixed"]
    with look_at(browser, pages / "fixed.html", 1280, "light") as seen:
        text = " ".join(seen.script("document.body.innerText").split())
        rows = seen.script("document.querySelectorAll('img.digit').length")
        maps = seen.script("document.querySelectorAll('img.map').length")
        settings = seen.script("[...document.querySelectorAll('pre')].map((e) => e.textContent)")
    assert f"{fixed.accuracy:.4f}" in text
    assert f"{fixed.agreement_with_float:.4f}" in text
    assert settings == [action.settings for action in advise(fixed).actions] != []
    assert "everywhere accuracy breaks" in text
    assert "A single bit more helps most" in text
    assert 0 < rows == min(24, len(fixed.disagreements))
    # The digit, and float, fixed and difference of seven layers.
    assert maps == 1 + 3 * 7


def test_images_that_changed_are_filtered(
    browser: Browser, pages: Path, reports: dict[str, AccuracyReport]
) -> None:
    pair = reports["float"], reports["fixed"]
    difference = golden.compare(pair).rows[1].difference
    assert difference is not None and difference.losses > 0
    changed = sum(a != b for a, b in zip(*(each.predictions for each in pair), strict=True))
    with look_at(browser, pages / "comparison.html", 390, "light") as seen:
        for kind, count in (
            ("", changed),
            ("gained", difference.gains),
            ("lost", difference.losses),
            ("still wrong", changed - difference.changed),
        ):
            seen.script(
                f"""() => {{
                  const select = document.querySelector("select[name=kind]");
                  select.value = "{kind}";
                  select.dispatchEvent(new Event("change", {{bubbles: true}}));
                }}"""
            )
            assert seen.script(VISIBLE_CHANGES) == count
            assert (
                seen.script("document.querySelector('#changes output').value")
                == f"{count} of {count}"
            )


VISIBLE_CHANGES = """[...document.querySelectorAll("#changed tbody")]
  .filter((entry) => entry.offsetHeight > 0).length"""


def test_a_broken_page_is_seen(browser: Browser, pages: Path) -> None:
    """The checks above can fail."""
    text = (pages / "comparison.html").read_text("utf-8")
    damages = {
        "figure": ('id="sqnr"', 'id="nothing"'),
        "wide": ('scroll"><table>', '"><table style="width: 3000px">'),
        "pale": ("--soft: #56616d", "--soft: #aab0b6"),
    }
    for name, (before, after) in damages.items():
        assert before in text
        (pages / f"{name}.html").write_text(text.replace(before, after), "utf-8")
    with look_at(browser, pages / "wide.html", 390, "light") as seen:
        assert seen.script("document.documentElement.scrollWidth - innerWidth") > 0
    with look_at(browser, pages / "pale.html", 1280, "light") as seen:
        assert seen.script(WORST_CONTRAST) < 4.5
    broken = look_at(browser, pages / "figure.html", 390, "light", patience=3)
    with pytest.raises(Error, match="Timeout"), broken:
        pass


# Figures that are too low, and labels of reports that are cut off or lie on one another, by id.
UNREADABLE = """() => [...document.querySelectorAll(".chart")].flatMap((chart) => {
  const svg = chart.querySelector("svg").getBoundingClientRect();
  const shown = (label) => label.getAttribute("opacity") !== "0";
  const labels = [...chart.querySelectorAll(".role-axis-label text")].filter(shown).map((label) => [
    label.textContent, label.getBoundingClientRect(), label.closest(".role-axis").ariaLabel,
  ]);
  const found = svg.height < 200 ? [`${chart.id}: low`] : [];
  for (const [text, box] of labels) {
    if (box.left < svg.left - 1 || box.right > svg.right + 1 || box.bottom > svg.bottom + 1)
      found.push(`${chart.id}: cut ${text}`);
    if (text.includes("\\u2026")) found.push(`${chart.id}: shortened ${text}`);
  }
  for (const [place, [text, box, axis]] of labels.entries()) {
    const [next, other, same] = labels[place + 1] || [];
    if (same === axis && box.bottom > other.top + 1.5 && box.right > other.left + 1
        && other.bottom > box.top + 1.5 && other.right > box.left + 1)
      found.push(`${chart.id}: ${text} on ${next}`);
  }
  return found;
})"""


@pytest.fixture(scope="module")
def thirty(reports: dict[str, AccuracyReport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of 30 reports, ten of each network that ships."""
    digits = golden.test_digits()
    few = golden.validation_digits().images[:10]
    found = []
    for name in ("lenet5", "lenet5-sigmoid", "lenet5-relu"):
        quantized = golden.quantize(golden.load_network(name), few)
        one = golden.evaluate(quantized, digits, 60)
        found += [
            replace(
                one,
                quantization={
                    **(one.quantization or {}),
                    "weight_bits": bits,
                    "bias_correction": corrected,
                    "calibration": "percentile",
                },
            )
            for bits in range(4, 9)
            for corrected in (True, False)
        ]
    path = tmp_path_factory.mktemp("thirty") / "thirty.html"
    path.write_text(comparison_page(golden.compare(found)), "utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_thirty_reports_are_readable(
    browser: Browser, thirty: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    assert thirty.stat().st_size < 5_000_000
    with look_at(browser, thirty, width, scheme) as seen:
        assert seen.problems == []
        assert seen.script("document.querySelectorAll('.chart svg').length") >= 5
        rows = "document.querySelectorAll('#sqnr .role-axis-label text').length"
        assert seen.script(rows) == 30 + 7
        assert seen.script(UNREADABLE) == []
        assert seen.script("document.documentElement.scrollWidth - innerWidth") <= 0
        assert seen.script(SMALLEST_TEXT) >= 10
        assert seen.script(WORST_CONTRAST) >= 4.5

"""The page of a sweep, as a browser shows it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page

from systolith import golden
from systolith.scripts.main import main
from systolith.scripts.pages.sweep_page import command, settings_file, sweep_page
from systolith.scripts.sweeping.outcome import (
    SweepReport,
    SweptPoint,
    SweptSynthesis,
    SynthesizedDesign,
)
from tests.scripts import tiny
from tests.scripts.browser import chromium, look_at

WORDS = (
    "sweep 'my net.npz' --data data.npz --test-data test.npz --out out --weight-bits 8,3 "
    "--activation-bits 5 --calibration mse,minmax --vary bias_correction=true,false "
    "--vary layers.conv.weight_bits=4 --vary granularity=tensor --max-multipliers 2,6 --jobs 1"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which a sweep ran; it is the current one."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tiny.quantized().parent.save("my net.npz")
        tiny.save_images(folder / "data.npz", 600)
        tiny.save_images(folder / "test.npz", 20, seed=3)
        assert main(shlex.split(WORDS)) == 0
        yield folder


def points(swept: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((swept / "out" / "sweep.json").read_text())["points"]
    return found


def chosen(tab: Page) -> str:
    return str(tab.inner_text("#chosen"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_readable(browser: Browser, swept: Path, width: int, scheme: Any) -> None:
    with look_at(browser, swept / "out" / "sweep.html", width, scheme) as seen:
        assert seen.problems == []
        assert seen.script("document.querySelectorAll('.chart svg').length") == 3
        assert seen.script("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_point_shows_its_settings_and_its_command(browser: Browser, swept: Path) -> None:
    tab = browser.new_page(viewport={"width": 800, "height": 900})
    tab.goto((swept / "out" / "sweep.html").as_uri())
    tab.wait_for_function("document.body.dataset.drawn")
    by_rank = {str(point["rank"]): point for point in points(swept)}
    for place, act in ((0, "move"), (1, "click")):
        mark = tab.locator("#weights .role-mark.mark-symbol path").nth(place)
        mark.evaluate("(element) => element.scrollIntoView({block: 'center'})")
        box = mark.bounding_box()
        assert box is not None
        getattr(tab.mouse, act)(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tab.wait_for_selector("#chosen[data-rank]")
        point = by_rank[str(tab.get_attribute("#chosen", "data-rank"))]
        text = chosen(tab)
        assert f"--out {point['name']}.npz" in text
        assert f"{point['validation']['accuracy']:.4f}" in text
    # Without a pointer.
    for rank, point in by_rank.items():
        tab.locator(f"button.rank[data-rank='{rank}']").first.press("Enter")
        assert tab.get_attribute("#chosen", "data-rank") == rank
        assert point["name"] in chosen(tab)
    tab.close()


def test_the_command_makes_the_point(swept: Path) -> None:
    for point in points(swept)[:4]:
        own = msgspec.convert(point, SweptPoint)
        text = settings_file(own)
        assert text == 'granularity = "tensor"\nlayers.conv.weight_bits = 4\n'
        Path(f"{point['name']}.toml").write_text(text)
        program, *words = shlex.split(command(own, Path("data.npz"), 300))
        assert program == "systolith" and main(words) == 0
        made = golden.QuantizedNetwork.load(f"{point['name']}.npz")
        assert made.sha256 == point["quantized_sha256"]


def test_luts_have_a_section_where_they_are_known(swept: Path) -> None:
    report = msgspec.json.decode((swept / "out" / "sweep.json").read_bytes(), type=SweepReport)
    assert 'id="luts"' not in sweep_page(report, None)
    design = SynthesizedDesign(1, "my net.npz", "2", 0.9, 54, 4321, 5, 3, 1, 2, fits=True)
    synthesis = SweptSynthesis("ecp5-25k", "0.70", [design], [0])
    page = sweep_page(msgspec.structs.replace(report, synthesis=synthesis), None)
    assert 'id="luts"' in page and "<td>4,321</td>" in page
    assert "Accuracy against LUTs on ecp5-25k" in page

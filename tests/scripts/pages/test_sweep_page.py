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
from systolith.scripts.pages import sweep_page as sweep_page_module
from systolith.scripts.pages.sweep_page import command, settings_file, sweep_page
from systolith.scripts.sweeping.outcome import (
    Images,
    Score,
    SweepReport,
    SweptNetwork,
    SweptPlan,
    SweptPoint,
    SweptSynthesis,
    SynthesizedDesign,
    designs,
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


def test_each_table_and_each_point_has_its_own_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second point is on the front of hardware alone, and the third cannot be built."""
    shown: dict[str, Any] = {}
    monkeypatch.setattr(sweep_page_module, "render", lambda *_, **given: shown.update(given))
    base = {"activation_bits": 5, "calibration": "minmax", "granularity": "channel"}
    base |= {"rounding": "half_up"}
    settings: list[dict[str, Any]] = [
        {**base, "weight_bits": 7, "bias_correction": True},
        {**base, "weight_bits": 7, "bias_correction": False, "percentile": 99.5},
        {**base, "weight_bits": 3, "rounding": "floor", "layers": {"C3": {"weight_bits": 4}}},
    ]
    points = [
        SweptPoint(1, "one", "net.npz", settings[0], "aa", 800, Score(91, 0.91), None, True),
        SweptPoint(2, "two", "net.npz", settings[1], "bb", 160, Score(81, 0.81), None, True),
        SweptPoint(3, "three", "net.npz", settings[2], "cc", 400, Score(71, 0.71), "too wide"),
    ]
    points[0] = msgspec.structs.replace(points[0], test=Score(43, 0.86))
    plans = [SweptPlan("net.npz", "few", 6, 100, 300), SweptPlan("net.npz", "more", 9, 50, 200)]
    report = SweepReport(
        schema="",
        calibration={"name": "some", "sha256": "", "images": 321},
        data=Images("digits", "validation", "", 1234),
        test=Images("digits", "test", "", 5678),
        networks=[SweptNetwork("net.npz", "Net", "", 200, Score(97, 0.97), Score(44, 0.88))],
        plans=plans,
        points=points,
        weight_front=[1],
        hardware_front=[each for each in designs(points, plans) if each.rank == 2],
        version="1",
    )
    sweep_page(report, Path("my data.csv"), "kind")
    tables = shown["tables"]
    assert {name: [row[0] for row in table.rows] for name, table in tables.items()} == {
        "front": ["1"],
        "hardware": ["2", "2"],
        "best": ["1", "3"],
        "points": ["1", "2", "3"],
        "plans": ["net.npz", "net.npz"],
    }
    common = ["systolith", "quantize", "net.npz", "--weight-bits"]
    data = ["--data", "my data.csv", "--images", "321", "--label-column", "kind"]
    maps = ["--activation-bits", "5", "--calibration", "minmax"]
    commands = {rank: shlex.split(each["command"]) for rank, each in shown["points"].items()}
    assert commands == {
        1: [*common, "7", *maps, "--bias-correction", *data, "--out", "one.npz"],
        2: [*common, "7", *maps, "--config", "two.toml", *data, "--out", "two.npz"],
        3: [*common, "3", *maps, "--config", "three.toml", *data, "--out", "three.npz"],
    }
    assert {rank: each["settings"] for rank, each in shown["points"].items()} == {
        1: "",
        2: "percentile = 99.5\n",
        3: 'rounding = "floor"\nlayers.C3.weight_bits = 4\n',
    }
    first, second, third = (dict(each["facts"]) for each in shown["points"].values())
    assert first == {
        "rank": "1 of 3",
        "network": "net.npz",
        "weights/maps": "7/5",
        "calibration": "minmax",
        "bias_correction": "true",
        "rounding": "half_up",
        "weights": "0.10 KiB",
        # 32 bits for each of 200 weights.
        "smaller than float": "8.00x",
        "accuracy": "0.9100 on 1,234 images",
        "test accuracy": "0.8600 on 5,678 images",
    }
    assert (second["percentile"], second["bias_correction"]) == ("99.5", "false")
    assert "test accuracy" not in second
    assert (third["no hardware"], third["layers.C3.weight_bits"]) == ("too wide", "4")
    assert "no hardware" not in first
    # Without a file the images are the digits that ship, and their number is that of `quantize`.
    assert command(points[0], None, 321).endswith("--bias-correction --out one.npz")


def test_luts_have_a_section_where_they_are_known(swept: Path) -> None:
    report = msgspec.json.decode((swept / "out" / "sweep.json").read_bytes(), type=SweepReport)
    assert 'id="luts"' not in sweep_page(report, None)
    design = SynthesizedDesign(1, "my net.npz", "2", 0.9, 54, 4321, 5, 3, 1, 2, fits=True)
    synthesis = SweptSynthesis("ecp5-25k", "0.70", [design], [0])
    page = sweep_page(msgspec.structs.replace(report, synthesis=synthesis), None)
    assert 'id="luts"' in page and "<td>4,321</td>" in page
    assert "Accuracy against LUTs on ecp5-25k" in page

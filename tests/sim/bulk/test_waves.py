"""Waveforms: of the right image, with what the simulation found, shown by layer."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import hw
from systolith.sim import SimulationReport, simulate
from systolith.sim.bulk import waves
from systolith.sim.bulk.engine import trace_image
from systolith.sim.bulk.waves import COMMANDS_NAME, SAVE_NAME, WAVES_NAME
from systolith.sim.errors import SimulationError
from systolith.sim.record.scoreboard import LayerResult, Mismatch
from tests.sim import small_hardware
from tests.sim.bulk.fst_values import Changes, read
from tests.sim.toy_network import toy_images, toy_network

DATA = small_hardware.dataset(30)
LAYERS = ("pool", "conv__x", "dense")


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "small"
    hw.generate(small_hardware.quantized(), folder, small_hardware.PLAN)
    return folder


@pytest.fixture
def folder(hardware: Path) -> Path:
    """The hardware, without earlier waveforms."""
    for name in (WAVES_NAME, SAVE_NAME, COMMANDS_NAME):
        (hardware / name).unlink(missing_ok=True)
    return hardware


def run(folder: Path, **options: Any) -> SimulationReport:
    return simulate(folder, 30, DATA, waves=True, **options)


def value(changes: Changes, name: str, time: int) -> int:
    """The value of the signal with that last name."""
    (found,) = (
        of for full, of in changes.items() if re.search(rf"_(tapped|alone)\.{name}(\[.*)?$", full)
    )
    return next(value for at, value in reversed(found) if at <= time)


def traced(save: str) -> list[str]:
    return re.findall(r"^\+\{.*?\} (\S+)$", save, re.MULTILINE)


@pytest.mark.parametrize("stalls", [None, 3])
@pytest.mark.parametrize("layer", [None, "conv__x"])
def test_the_first_wrong_value_is_at_the_marker(
    folder: Path, stalls: int | None, layer: str | None
) -> None:
    report = run(folder, inject_fault="conv__x", stalls=stalls, layer=layer)
    result = next(each for each in report.layers if each.mismatches)
    wrong = result.first_mismatch
    assert result.name == "conv__x" and wrong is not None
    assert report.waves_image == wrong.image
    changes = read(folder / WAVES_NAME)
    save = (folder / SAVE_NAME).read_text()
    marker = re.search(r"^\*\S+ (\d+)", save, re.MULTILINE)
    assert marker is not None
    time = int(marker[1])
    assert value(changes, "tap_conv__x_valid", time) == 1
    assert value(changes, "tap_conv__x_ready", time) == 1
    lanes = small_hardware.PLAN["conv__x"].lanes
    bits = small_hardware.quantized().fixed["conv__x"].output_format.bits
    found = value(changes, f"lane_conv__x_{wrong.channel % lanes}", time)
    assert found == wrong.found % (1 << bits)
    assert (folder / COMMANDS_NAME).read_text().splitlines()[-1] == f"cursor_set {time}"


def test_all_is_right(folder: Path) -> None:
    report = run(folder)
    assert report.bit_exact and report.waves_image == 0
    changes = read(folder / WAVES_NAME)
    save = (folder / SAVE_NAME).read_text()
    groups = re.findall(r"^@800200\n-(\S+)$", save, re.MULTILINE)
    assert groups == ["s_axis", "input", *LAYERS, "m_axis"]
    inside = re.findall(r"^@c00200\n-inside (\S+)$", save, re.MULTILINE)
    assert inside == list(LAYERS)
    assert set(traced(save)) <= set(changes)
    assert len(traced(save)) > 100
    assert re.search(r"^\*\S+ -1 ", save, re.MULTILINE)
    # From the first pixel offered on: all pixels of the image go in, and one result comes out.
    (taken,) = (of for name, of in changes.items() if name.endswith("_tapped.m_axis_tvalid"))
    assert [high for _, high in taken].count(1) == 1
    check_commands((folder / COMMANDS_NAME).read_text().splitlines(), changes)
    written = (folder / WAVES_NAME).read_bytes()
    run(folder)
    assert (folder / WAVES_NAME).read_bytes() == written


def check_commands(commands: list[str], changes: Changes) -> None:
    """Surfer's commands name signals of the waveform, and give each lane its number format."""
    assert commands[-1] == "zoom_fit"
    items = [line.split()[1] for line in commands if re.match("variable_add|divider_add", line)]
    assert [each for each in items if "." not in each] == ["s_axis", "input", *LAYERS, "m_axis"]
    names = {re.sub(r"\[.*", "", name) for name in changes}
    assert {each for each in items if "." in each} <= names
    fixed = small_hardware.quantized().fixed
    digits = str.maketrans("abcdefghijklmnop", "0123456789abcdef")
    places = [i for i, line in enumerate(commands) if line.startswith("item_focus")]
    shown = {
        items[int(commands[i].split()[1].translate(digits), 16)]: commands[i + 1] for i in places
    }
    assert len(shown) == len(places) == sum(".lane_" in each for each in items)
    for name, command in shown.items():
        layer = re.search(r"\.lane_(\w+)_\d+$", name)
        assert layer is not None
        signed = layer[1] != "input" and fixed[layer[1]].output_format.signed
        assert command == f"item_set_format {'Signed' if signed else 'Unsigned'}"


def test_what_did_not_come_out_is_shown(folder: Path, tmp_path: Path) -> None:
    stuck = tmp_path / "stuck"
    shutil.copytree(folder, stuck)
    verilog = stuck / "small-one.v"
    text, dense = verilog.read_text().split("\nmodule small_one_unit_dense(")
    broken = re.sub(r"assign o_valid = .*?;", "assign o_valid = 0;", dense, count=1)
    assert broken != dense
    verilog.write_text(f"{text}\nmodule small_one_unit_dense({broken}")
    report = run(stuck)
    assert report.failures[0].startswith("nothing moved for ")
    assert report.waves_image == 0
    changes = read(stuck / WAVES_NAME)
    assert value(changes, "tap_conv__x_valid", 10**9) == 1
    assert value(changes, "tap_conv__x_ready", 10**9) == 0


PLUS, SIDES = LayerResult("plus_", 96, 0, None), LayerResult("two__sides", 192, 0, None)
# Of two values a beat, the one of row 2, column 1 is in beat 9; of one a beat, too.
LATE = Mismatch(5, 2, 1, 1, expected=1, found=2)
EARLY = Mismatch(3, 0, 2, 0, expected=1, found=2)


@pytest.mark.parametrize(
    ("layers", "missing", "image", "mark"),
    [
        ((PLUS, SIDES), [], 0, (0, 0)),
        ((PLUS, SIDES), [4, 6], 4, (0, 0)),
        ((PLUS, replace(SIDES, mismatches=1, first_mismatch=LATE)), [], 5, (1, 9)),
        ((PLUS, replace(SIDES, mismatches=1, first_mismatch=LATE)), [4], 5, (1, 9)),
        # The earlier layer counts, although the other one is wrong in an earlier image.
        (
            (
                replace(PLUS, mismatches=1, first_mismatch=replace(LATE, channel=0)),
                replace(SIDES, mismatches=9, first_mismatch=EARLY),
            ),
            [],
            5,
            (0, 9),
        ),
    ],
    ids=["all is right", "some are missing", "a wrong value", "both", "two layers"],
)
def test_the_image_and_the_beat_that_are_shown(
    layers: tuple[LayerResult, ...],
    missing: list[int],
    image: int,
    mark: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def trace(*arguments: object) -> int:
        asked.extend(arguments)
        raise SimulationError("seen enough")

    monkeypatch.setattr(waves, "trace_image", trace)
    came_out = np.ones(8, bool)
    came_out[missing] = False
    with pytest.raises(SimulationError, match="seen enough"):
        waves.write_waves(toy_network(), toy_images(8), 7, layers, came_out, tmp_path)
    assert asked[2:5] == [7, image, mark]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error() -> None:
    message = r"writing full .* the file could not be written completely$"
    with pytest.raises(SimulationError, match=message):
        trace_image(toy_network(), toy_images(2), None, 0, (0, 0), Path("/dev/full"))


def test_a_waveform_that_cannot_be_written_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> int:
        raise KeyboardInterrupt

    before = set(folder.iterdir())
    monkeypatch.setattr("systolith.sim.bulk.waves.trace_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert set(folder.iterdir()) == before


def test_icarus_writes_none(folder: Path) -> None:
    with pytest.raises(ValueError, match="--waves: verilator writes them, icarus does not"):
        run(folder, simulator="icarus")

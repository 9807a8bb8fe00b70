"""What Python and the C++ engine agree on: names, options, exit statuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from systolith.sim.bulk.engine import split
from systolith.sim.bulk.program import build_engine, command_line, network_header, verilated_name
from tests.sim.required import need
from tests.sim.toy_network import toy_images, toy_network

FAILED = 11
OPTIONS = {"first": 0, "count": 1, "seed": 0, "reset_cycles": 0, "wrong_frames": 0}


def test_verilator_s_names() -> None:
    assert verilated_name("tap_C1_data") == "tap_C1_data"
    assert verilated_name("tap_a__b_data") == "tap_a___05Fb_data"
    header = network_header(toy_network())
    assert "m.tap_plus___05Fvalid" in header
    assert "m.tap_two___05Fsides_data" in header


def test_parts_cover_all_images_and_none_is_tiny() -> None:
    assert split(1, 2) == [(0, 1)]
    assert split(19, 2) == [(0, 19)]
    assert split(20, 2) == [(0, 10), (10, 10)]
    assert split(100, 3) == [(0, 33), (33, 33), (66, 34)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cuont", "1"], "unknown option --cuont"),
        (["--count", "2"], "--count is given twice"),
        (["--waves"], "--waves has no value"),
        (["1"], "not an option: 1"),
    ],
)
def test_arguments_that_the_engine_does_not_know_are_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert refused([*command(tmp_path), *arguments]) == message


@pytest.mark.parametrize("name", ["images", *OPTIONS, "patience"])
def test_a_missing_option_is_named(tmp_path: Path, name: str) -> None:
    option = f"--{name.replace('_', '-')}"
    words = command(tmp_path)
    place = words.index(option)
    assert refused(words[:place] + words[place + 2 :]) == f"{option} is missing"


@pytest.mark.parametrize("value", ["", "-1", "1.5", "ten", "18446744073709551616"])
def test_what_is_no_number_is_refused(tmp_path: Path, value: str) -> None:
    words = command(tmp_path)
    words[words.index("--count") + 1] = value
    assert refused(words) == f"--count must be a number, not '{value}'"


def command(folder: Path) -> list[str]:
    """A command line that the engine takes."""
    need("verilator")
    images = folder / "images"
    network = toy_network()
    network.source.pack_frames(toy_images(1)).tofile(images)
    return command_line(build_engine(network), network, images=images, **OPTIONS)


def test_the_command_line_is_complete(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path), capture_output=True)
    assert done.returncode == 0
    assert done.stderr.startswith(b"cycles ")
    assert len(done.stdout) == toy_network().record_type.itemsize


def refused(words: list[str]) -> str:
    """What the engine prints when it refuses a command line."""
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == FAILED and done.stdout == ""
    return done.stderr.rstrip("\n")

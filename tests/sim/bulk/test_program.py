"""What Python and the C++ engine agree on: names, options, exit statuses."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from systolith.golden.network.graph import Shape
from systolith.hw.streams.result_layout import ResultLayout
from systolith.sim.bulk.engine import split
from systolith.sim.bulk.program import build_engine, command_line, network_header, verilated_name
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.taps import Tap
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


def test_the_header_says_of_each_stream_what_the_engine_reads() -> None:
    """Three values of 12 bits in fields of 16 go in, and five scores of 16 bits come out."""
    network = replace(
        toy_network(),
        source=BeatFormat(3, 12, True, gap=4),
        source_shape=Shape(4, 6, 3),
        taps=(
            Tap("C1", BeatFormat(3, 12, True), Shape(4, 6, 3)),
            Tap("F", BeatFormat(5, 9, False), Shape(1, 1, 5)),
        ),
        result=ResultLayout("scores", 16, 5, ()),
        constants={"pace__in": 3, "pace": 4},
        patience=77,
    )
    header = network_header(network)
    sizes = dict(re.findall(r"^constexpr size_t (\w+) = (\d+);$", header, re.MULTILINE))
    assert sizes == {
        "kSourceBeats": "24",
        "kSourceBytes": "6",
        "kResultBeats": "5",
        "kResultBytes": "2",
    }
    # Lanes, bits, sign, bytes of a value in a record, beats of a frame.
    taps = re.findall(r'^    \{"(\w+)", (\d+), (\d+), (\d+), (\d+), (\d+), ', header, re.MULTILINE)
    assert taps == [("C1", "3", "12", "1", "2", "24"), ("F", "5", "9", "0", "2", "1")]
    for layer in ("C1", "F"):
        (line,) = (line for line in header.splitlines() if f'{{"{layer}"' in line)
        ports = [f"m.tap_{layer}_{name}" for name in ("valid", "ready", "last", "data")]
        assert re.findall(r"m\.\w+", line) == ports
    set_ports = re.findall(r'^    m\.(\w+) = options\.number\("([\w-]+)"\);$', header, re.MULTILINE)
    assert set_ports == [("pace___05Fin", "set-pace__in"), ("pace", "set-pace")]
    assert command_line(Path("engine"), network, wrong_frames=2, images=Path("a")) == [
        *("engine", "--wrong-frames", "2", "--images", "a", "--patience", "77"),
        *("--set-pace__in", "3", "--set-pace", "4"),
    ]


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

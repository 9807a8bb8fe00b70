"""The accelerators that boards are made for; `tests/sim/boards` simulates the design."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from systolith import hw
from systolith.golden.qformat import QFormat
from systolith.hw.boards.packets import Identity
from systolith.hw.boards.serial_accelerator import identity_of
from systolith.hw.streams.input_layout import InputLayout
from systolith.hw.streams.result_layout import ResultLayout
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.artifacts import Artifacts
from tests.hw.small_networks import ONE_LAYER, quantized


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    folder = tmp_path_factory.mktemp("serial") / "rtl"
    hw.generate(quantized(ONE_LAYER), folder)
    return artifacts.load(folder)


def test_the_identity_is_that_of_the_verilog_and_the_images(built: Artifacts) -> None:
    digest = bytes.fromhex(built.manifest.verilog_sha256)
    assert identity_of(built) == Identity(1, 2, 2, 3, 1, digest[:8])
    changed = replace(built, verilog=built.verilog + "// changed\n")
    assert identity_of(changed).verilog_hash != digest[:8]


@pytest.mark.parametrize(
    ("before", "after", "port"),
    [
        ("[7:0] s_axis_tdata", "[15:0] s_axis_tdata", "s_axis_tdata' of 8 bits"),
        ("[63:0] m_axis_tdata", "[127:0] m_axis_tdata", "m_axis_tdata' of 64 bits"),
        ("[63:0] m_axis_tdata", "m_axis_tdata", "m_axis_tdata' of 64 bits"),
        ("module one_layer(", "module other(", "s_axis_tdata' of 8 bits"),
    ],
)
def test_other_ports_are_refused(built: Artifacts, before: str, after: str, port: str) -> None:
    assert before in built.verilog
    with pytest.raises(ValueError, match=f"one-layer.v: module 'one_layer' must have .*'{port}"):
        identity_of(replace(built, verilog=built.verilog.replace(before, after, 1)))


def test_what_goes_in_or_comes_out_in_another_way_is_refused(built: Artifacts) -> None:
    """Values of 12 bits, scores, a class and score in 128 bits, two channels in a beat."""
    manifest, fixed = built.manifest, built.quantized.fixed
    wide = msgspec.structs.replace(manifest.result, bits=128)
    scores = ResultLayout("scores", 64, 4, ())
    takes = (
        "network 'one-layer': takes {} and gives {}; boards take pixels, u8.0, and give a class "
    )
    for result, words in ((wide, "class in 128 bits"), (scores, "scores in 64 bits")):
        other = replace(built, manifest=msgspec.structs.replace(manifest, result=result))
        with pytest.raises(ValueError, match=takes.format("u8.0", words)):
            identity_of(other)
    source = replace(fixed.network.input, format=QFormat(12, 4))
    network = replace(fixed.network, layers=(source, *fixed.network.layers[1:]))
    features: Any = SimpleNamespace(name="one-layer", fixed=replace(fixed, network=network))
    with pytest.raises(ValueError, match=takes.format("s12.4", "class in 64 bits")):
        identity_of(replace(built, quantized=features))
    pair = replace(
        built, manifest=msgspec.structs.replace(manifest, input=InputLayout(2, 8, False))
    )
    with pytest.raises(ValueError, match="'one-layer': takes 2 channels in a beat, and boards one"):
        identity_of(pair)


def test_images_with_a_long_side_are_refused(
    built: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("systolith.hw.boards.serial_accelerator.MOST_SIDE", 2)
    with pytest.raises(ValueError, match=r"images are 2 x 3 x 1, .* no side above 2$"):
        identity_of(built)

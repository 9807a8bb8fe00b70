# amaranth: UnusedElaboratable=no
"""Figures of a folder that do not follow from its network and its plan are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.folding import Folding
from systolith.hw.planning.estimate import PredictedEntry, report_plan
from systolith.hw.streams.result_layout import ResultKind
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.artifacts import Artifacts
from systolith.hw.verilog.figures import figures
from tests.hw.small_networks import ONE_LAYER, quantized

PLAN = {"scores": Folding(rows=2, columns=2, lanes=2)}


@pytest.fixture(scope="module")
def network() -> QuantizedNetwork:
    return quantized(ONE_LAYER)


@pytest.fixture(scope="module", params=["class", "scores"])
def built(
    request: pytest.FixtureRequest,
    network: QuantizedNetwork,
    tmp_path_factory: pytest.TempPathFactory,
) -> Artifacts:
    folder = tmp_path_factory.mktemp("generated") / "rtl"
    artifacts.generate(network, folder, PLAN, result=request.param)
    return artifacts.load(folder)


def test_the_figures_follow_from_the_network_and_the_plan(
    built: Artifacts, network: QuantizedNetwork
) -> None:
    """The first of four scores leaves before the class of all of them is known."""
    kind: ResultKind = built.manifest.result.kind
    planned = report_plan(network, PLAN, kind)
    assert figures("rtl", built) == planned
    assert planned.predicted != report_plan(network, PLAN, "class").predicted or kind == "class"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", "other"),
        ("multipliers", 5),
        ("macs", 25),
        ("mac_efficiency", 0.5),
        ("predicted", PredictedEntry(7, 99)),
    ],
)
def test_a_figure_that_does_not_follow_is_refused(
    built: Artifacts, network: QuantizedNetwork, field: str, value: Any
) -> None:
    changed = msgspec.structs.replace(built.manifest, **{field: value})
    expected = getattr(report_plan(network, PLAN, built.manifest.result.kind), field)
    found, expected = msgspec.to_builtins(value), msgspec.to_builtins(expected)
    words = f"{field} is {found}, from the network and the plan follows {expected}"
    with pytest.raises(ValueError, match=re.escape(f"rtl/manifest.json: {words}") + "$"):
        figures(Path("rtl"), replace(built, manifest=changed))


def test_the_figures_of_other_verilog_are_not_known(built: Artifacts) -> None:
    other = replace(built, verilog=built.verilog + "// edited\n")
    with pytest.raises(ValueError, match=r"rtl/one-layer\.v: is not the Verilog of manifest\.json"):
        figures("rtl", other)

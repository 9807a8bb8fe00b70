"""The netlists that `systolith synth` counts and places, of networks that ship, gate by gate."""

from __future__ import annotations

import re

import numpy as np
import pytest

from systolith import golden, hw
from systolith.hw.silicon.synthesis import Netlist, synthesize
from systolith.hw.silicon.targets import find_device
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.artifacts import Artifacts
from systolith.scripts.calibration_split import calibration_images
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import AXIS_PORTS, TappedNetwork, streams_of
from systolith.sim.simulators.builds import Design
from tests.gates.gate_level import synthesized_text, with_models

NETWORKS = ["lenet5", "lenet5-relu"]
DIGITS = {"xc7a100t": 100, "ecp5-85k": 20}
"""The number of test digits, by device."""

START_OF_MEMORY = re.compile(r"\.(INIT|INITVAL)_00\((256|320)'h([0-9a-f]+)\)")


@pytest.fixture(scope="module", params=NETWORKS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """What `quantize` and `generate` make without options."""
    quantized = golden.quantize(golden.load_network(request.param), calibration_images())
    plan = hw.make_plan(quantized.fixed, hw.PRESETS[hw.DEFAULT_PRESET])
    folder = tmp_path_factory.mktemp("hardware") / request.param
    hw.generate(quantized, folder, plan)
    return artifacts.load(folder)


@pytest.fixture(scope="module", params=DIGITS)
def netlist(built: Artifacts, request: pytest.FixtureRequest) -> Netlist:
    """Its netlist for a device: that of the accelerator itself, without other pins."""
    device = find_device(request.param)
    made = synthesize(built.verilog, built.manifest.top, built.manifest.ports, {}, device)
    assert made.top == built.manifest.top
    return made


def checked(built: Artifacts, netlist: Netlist, text: str) -> Check:
    """The results of a netlist, compared with those of the fixed-point model."""
    design = Design(netlist.top, "", AXIS_PORTS)
    streams = streams_of(built.quantized.fixed, built.manifest)
    network = TappedNetwork(
        design=with_models(design, text, netlist.device.family.name),
        source=streams.source,
        source_shape=streams.source_shape,
        taps=(),
        result=streams.result,
        patience=streams.patience,
    )
    digits = golden.test_digits().images[: DIGITS[netlist.device.name]]
    images = digits.reshape(len(digits), *streams.source_shape)
    check = Check(built.quantized.fixed, images, (), streams.result)
    for _ in check.take(simulate_bulk(network, images, None)):
        pass
    return check


@pytest.mark.gates
def test_every_class_is_that_of_the_fixed_point_model(built: Artifacts, netlist: Netlist) -> None:
    check = checked(built, netlist, synthesized_text(netlist))
    assert check.violations() == ()
    labels = golden.test_digits().labels
    assert labels is not None
    assert np.mean(check.classes == labels[: len(check.classes)]) > 0.9


@pytest.mark.gates
@pytest.mark.parametrize("built", ["lenet5-relu"], indirect=True)
def test_a_wrong_word_of_a_block_memory_is_seen(built: Artifacts, netlist: Netlist) -> None:
    text = synthesized_text(netlist)
    starts = list(START_OF_MEMORY.finditer(text))
    start, end = starts[len(starts) // 2].span(3)
    inverted = "".join(f"{15 - int(digit, 16):x}" for digit in text[start:end])
    wrong = text[:start] + inverted + text[end:]
    assert checked(built, netlist, wrong).violations() != ()

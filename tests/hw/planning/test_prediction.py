# amaranth: UnusedElaboratable=no
"""The cycle model of random networks and units against longer runs and closed forms.

To repeat a failure: `pytest tests/hw/planning/test_prediction.py --network-seed SEED
--network-count 1`, where SEED is the number in the test's name.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.golden.network.graph import Dense as DenseLayer
from systolith.golden.network.graph import Input, MaxPooling, Network
from systolith.hw.accelerator import RESULT, SOURCE, Accelerator
from systolith.hw.folding import Folding, input_lanes
from systolith.hw.planning.prediction import Prediction, min_interval, predict, timeline
from systolith.hw.streams.cycles import StreamCycles, always_ready, offering, run_until_taken
from systolith.hw.streams.result_layout import ResultKind
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.convolution import Convolution
from systolith.hw.units.dense import Dense, WholeInputUnit
from systolith.hw.units.frame import FRAMES_IN_FLIGHT
from systolith.hw.units.registry import UNITS, build_unit, unit_type
from systolith.sim.timing import MEASURED_IMAGES
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, ONE_LAYER, quantized
from tests.hw.units.test_unit_benches import random_unit
from tests.random_cases import random_case

MODELLED_NETWORKS = 20
UNITS_OF_A_KIND = 15
IMAGES = 24


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first = metafunc.config.getoption("network_seed")
    count = metafunc.config.getoption("network_count")
    for name, few in (
        ("modelled_seed", MODELLED_NETWORKS),
        ("unit_seed", UNITS_OF_A_KIND),
    ):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, range(first, first + (count or few)))


def becomes_steady(prediction: Prediction) -> bool:
    """False if more images could be in flight than the FIFO of flags can hold."""
    return prediction.latency_cycles < FRAMES_IN_FLIGHT * prediction.interval_cycles


def test_a_source_that_is_always_ready_reaches_the_interval(modelled_seed: int) -> None:
    case = random_case(modelled_seed, 1)
    fixed = case.quantized.fixed
    accelerator = Accelerator(fixed, case.plan)
    prediction = predict(accelerator)
    interval = prediction.interval_cycles
    assert interval >= min_interval(fixed, case.plan)
    passing = timeline(accelerator, 0)
    passing.run(5 * IMAGES)
    intervals = np.diff(passing.taken(RESULT)[:, 0])
    assert intervals[MEASURED_IMAGES - 2] == interval
    if becomes_steady(prediction):
        assert set(intervals[MEASURED_IMAGES:].tolist()) == {interval}


def test_no_image_is_modelled_that_no_result_needs() -> None:
    """Units once ran ahead by as many images as their buffers hold, each further than the next."""
    accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)
    streams = accelerator.cycles().streams
    run_until_taken(streams[RESULT], 2)
    pixels = EVERY_KIND.input.image_shape.size
    assert len(streams[SOURCE].taken) < 5 * pixels


def test_names_change_no_prediction() -> None:
    """Names of the ports' streams are names like any other for a layer."""
    names = {"input": "s_axis", "scores": "m_axis"}
    renamed = replace(
        ONE_LAYER,
        layers=tuple(
            replace(
                layer, name=names[layer.name], inputs=tuple(names[each] for each in layer.inputs)
            )
            for layer in ONE_LAYER.layers
        ),
    )
    before = predict(Accelerator(quantized(ONE_LAYER).fixed, {"scores": Folding()}))
    after = predict(Accelerator(quantized(renamed).fixed, {"m_axis": Folding()}))
    assert after.interval_cycles == before.interval_cycles
    assert after.latency_cycles == before.latency_cycles
    assert list(after.layers.values()) == list(before.layers.values())


def alone(layer: FixedLayer, folding: Folding, input_lanes: int) -> set[int]:
    """The initiation intervals of a unit after many images, by its cycle model.

    They may alternate where banks of accumulators hide gaps between rows of windows.
    """
    i, o = StreamCycles(), StreamCycles()
    offering(i, [0] * (layer.input_shape.size // input_lanes), 0)
    build_unit(layer, folding, input_lanes).cycles(i, o)
    always_ready(o)
    beats = layer.output_shape.size // folding.lanes
    run_until_taken(o, IMAGES * beats)
    return set(np.diff(o.taken[beats - 1 :: beats])[IMAGES // 2 :].tolist())


def test_the_cycles_of_a_layer_are_those_of_its_unit_alone(modelled_seed: int) -> None:
    case = random_case(modelled_seed, 1)
    fixed = case.quantized.fixed
    prediction = predict(Accelerator(fixed, case.plan))
    lanes = input_lanes(fixed.network.input, case.plan)
    for layer in fixed.layers:
        folding = case.plan[layer.name]
        assert prediction.layers[layer.name].cycles in alone(layer, folding, lanes)
        lanes = folding.lanes


def closed_form(layer: FixedLayer, folding: Folding, input_lanes: int) -> int:
    size = ArraySize(folding.rows, folding.columns, folding.lanes, folding.order)
    return int(unit_type(layer).frame_cycles(layer, size, input_lanes))


@pytest.mark.parametrize("kind", UNITS)
def test_the_closed_form_agrees_with_the_model(kind: type[graph.Layer], unit_seed: int) -> None:
    layer, folding, lanes = random_unit(kind, unit_seed)
    whole_input = issubclass(unit_type(layer), WholeInputUnit)
    for order in ("inputs", "outputs") if whole_input else ("inputs",):
        ordered = replace(folding, order=order)
        ample = replace(ordered, depth=layer.output_shape.size, lines=None)
        found = alone(layer, ample, lanes)
        assert closed_form(layer, ample, lanes) <= min(found)
        if not _gaps_absorbed(layer, ample, lanes):
            assert found == {closed_form(layer, ample, lanes)}
        assert max(found) <= max(alone(layer, ordered, lanes))


def _gaps_absorbed(layer: FixedLayer, folding: Folding, input_lanes: int) -> bool:
    """Whether banks of accumulators may hide gaps between windows."""
    unit = build_unit(layer, folding, input_lanes)
    if not isinstance(unit, Convolution):
        return False
    beats = layer.output_shape.channels // folding.lanes
    return unit.core.schedule.step_count < beats < unit.feeder.geometry.most_shifts


def test_closed_forms_take_arrays_of_sizes() -> None:
    layer = quantized(EVERY_KIND).fixed["F6"]
    rows, columns, lanes = np.array([(1, 1, 1), (3, 5, 5), (7, 2, 1), (12, 3, 1)]).T
    cycles = Dense.frame_cycles(layer, ArraySize(rows, columns, lanes), 3).tolist()
    assert cycles == [
        closed_form(layer, Folding(*size), 3)
        for size in zip(rows.tolist(), columns.tolist(), lanes.tolist(), strict=True)
    ]


def test_a_chunk_that_is_held_for_longer_than_the_next_is_collected_costs_cycles() -> None:
    layer = quantized(ONE_LAYER).fixed["scores"]
    held = Folding(rows=5, columns=2)
    # The first chunk has 5 of 6 values and is held for 2 folds, the second one has 1.
    assert (closed_form(layer, held, 1), alone(layer, held, 1)) == (5 + 2, {5 + 2})
    stored = replace(held, order="outputs")
    assert (closed_form(layer, stored, 1), alone(layer, stored, 1)) == (6, {6})


@pytest.mark.parametrize("result", ["class", "scores"])
def test_latencies_end_with_the_first_beat_that_is_offered(result: ResultKind) -> None:
    """Of maps and of scores, which have several; the source is always ready."""
    accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN, result=result)
    prediction = predict(accelerator)
    streams = accelerator.cycles().streams
    run_until_taken(streams[RESULT], accelerator.layout.beats)

    def latency(source: str, sink: str) -> int:
        return int(streams[sink].offered()[0]) - streams[source].taken[0]

    assert prediction.latency_cycles == latency(SOURCE, RESULT)
    for before, name in pairwise(["input", *EVERY_KIND_PLAN]):
        assert prediction.layers[name].latency_cycles == latency(before, name)


def test_a_result_waits_for_the_last_pixel_of_its_image() -> None:
    """The scores of the first row are known early; the flag of the image is not."""
    network = Network(
        "first-row",
        (
            Input(name="input", height=19, width=2, background=30),
            MaxPooling(name="S1", inputs=("input",), window=(10, 2)),
        ),
    )
    fixed = quantized(network).fixed
    prediction = predict(Accelerator(fixed, {"S1": Folding()}))
    assert prediction.latency_cycles == network.input.image_shape.size
    assert prediction.layers["S1"].latency_cycles == 20 - 1 + 2


def test_more_images_in_flight_than_flags_are_slower() -> None:
    names = [f"C{number}" for number in range(12)]
    network = Network(
        "deep",
        (
            Input(name="input", height=1, width=2, background=30),
            *(
                DenseLayer(name=name, inputs=(before,), units=1)
                for before, name in pairwise(["input", *names])
            ),
        ),
    )
    fixed = quantized(network).fixed
    plan = {name: Folding() for name in names}
    accelerator = Accelerator(fixed, plan)
    pace = min_interval(fixed, plan)
    assert pace == 2
    assert predict(accelerator).latency_cycles > FRAMES_IN_FLIGHT * pace
    assert timeline(accelerator, pace).lag(pace)
    longer = -(-predict(accelerator).latency_cycles // FRAMES_IN_FLIGHT) + 1
    assert not timeline(accelerator, longer).lag(longer)

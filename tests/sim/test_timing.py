"""Cycles of frames, and intervals and latencies from them; the toy's are known by heart."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from systolith.hw.planning.prediction import PREDICTED_IMAGES
from systolith.sim import timing
from systolith.sim.bulk.engine import split
from systolith.sim.record.taps import CYCLES_FIELD, Batch, Records, TappedNetwork
from systolith.sim.simulators.installed import Engine, Simulator
from systolith.sim.timing import MEASURED_IMAGES, Stopwatch, Timing, measure_network, timeline
from tests.sim.required import either_simulator, need
from tests.sim.toy_network import IMAGE, toy_images, toy_network


@pytest.fixture(scope="module")
def network() -> TappedNetwork:
    return toy_network()


def records(network: TappedNetwork, *images: list[tuple[int, int, int]]) -> Records:
    """Records of the cycles of `s_axis`, `plus_`, `two__sides` and `m_axis`, and nothing else."""
    made = np.zeros(len(images), network.record_type)
    for record, streams in zip(made, images, strict=True):
        record[CYCLES_FIELD] = streams
    return made


def test_cycles_are_measured_on_as_many_images_as_they_are_predicted_for() -> None:
    """Ten, by the documents."""
    assert MEASURED_IMAGES == PREDICTED_IMAGES == 10


FRAMES = (
    [(3, 4, 20), (6, 9, 25), (11, 13, 30), (31, 33, 33)],
    [(21, 22, 40), (26, 28, 47), (31, 34, 49), (50, 50, 50)],
    [(41, 42, 60), (48, 50, 66), (52, 52, 70), (71, 75, 75)],
)


def test_cycles_count_from_the_first_pixel_taken(network: TappedNetwork) -> None:
    found = timeline(network, records(network, *FRAMES))
    assert found.images == 3
    assert list(found.taps) == ["plus_", "two__sides"]
    streams = [found.source, *found.taps.values(), found.result]
    for number, stream in enumerate(streams):
        columns = stream.offered.tolist(), stream.first.tolist(), stream.last.tolist()
        expected = [tuple(cycle - 4 for cycle in frame[number]) for frame in FRAMES]
        assert list(zip(*columns, strict=True)) == expected


def test_intervals_are_of_the_last_two_and_latencies_of_the_first(network: TappedNetwork) -> None:
    found = timeline(network, records(network, *FRAMES))
    assert found.whole == Timing(interval_cycles=75 - 50, latency_cycles=31 - 4)
    # The toy has no stream after its input: `plus_` is in its place.
    assert found.layers == {"two__sides": Timing(interval_cycles=70 - 49, latency_cycles=11 - 9)}
    alone = timeline(network, records(network, FRAMES[0]))
    assert alone.whole == Timing(interval_cycles=None, latency_cycles=31 - 4)


def test_the_first_images_of_the_first_part_are_noted(network: TappedNetwork) -> None:
    assert Stopwatch(network).timeline is None
    stopwatch = Stopwatch(network)
    # Each image takes longer than the one before, so that none is mistaken for another.
    cycles = [10 * image**2 for image in range(MEASURED_IMAGES + 5)]
    frames = [[(c, c, c)] * 4 for c in cycles]
    mine, other = records(network, *frames), records(network, [(7, 7, 7)] * 4)
    batches = [
        Batch(1, 20, other),
        Batch(0, 0, mine[:4]),
        Batch(0, 4, mine[4:]),
        Batch(2, 21, other),
    ]
    assert list(stopwatch.watch(batches)) == batches
    found = stopwatch.timeline
    assert found is not None
    assert found.result.last.tolist() == cycles[:MEASURED_IMAGES]


def test_parts_are_long_enough_to_be_measured() -> None:
    for images in range(MEASURED_IMAGES, 5 * MEASURED_IMAGES):
        assert split(images, 4)[0][1] >= MEASURED_IMAGES


@pytest.mark.parametrize(
    ("simulator", "engine", "used"),
    [
        ("verilator", None, "bulk"),
        ("verilator", "bulk", "bulk"),
        ("verilator", "cocotb", "cocotb"),
        ("icarus", None, "cocotb"),
        ("icarus", "cocotb", "cocotb"),
    ],
)
def test_images_are_measured_by_the_engine_that_is_chosen(
    network: TappedNetwork,
    monkeypatch: pytest.MonkeyPatch,
    simulator: Simulator,
    engine: Engine | None,
    used: str,
) -> None:
    """Without pauses, in one part, and on the simulator that is chosen."""
    images = toy_images(3)
    called = []

    def by(name: str) -> Callable[..., Iterator[Batch]]:
        def simulated(*given: object, **options: object) -> Iterator[Batch]:
            called.append((name, given[0] is network, given[1] is images, *given[2:], options))
            made = records(network, *FRAMES)
            yield from (Batch(0, 0, made[:2]), Batch(0, 2, made[2:]))

        return simulated

    monkeypatch.setattr(timing, "simulate_bulk", by("bulk"))
    monkeypatch.setattr(timing, "simulate_cocotb", by("cocotb"))
    found = measure_network(network, images, simulator, engine)
    assert (found.images, found.whole.interval_cycles) == (3, 75 - 50)
    expected: dict[str, tuple[object, ...]] = {
        "bulk": ("bulk", True, True, None, {"processes": 1}),
        "cocotb": ("cocotb", True, True, None, simulator, {}),
    }
    assert called == [expected[used]]


@either_simulator
def test_a_network_is_measured_in_one_go(network: TappedNetwork, simulator: Simulator) -> None:
    need(simulator)
    images = toy_images(25)
    found = measure_network(network, images, simulator)
    # A pixel a cycle; two FIFOs of two cycles each, and a register after the last pixel.
    size = IMAGE.size
    starts = np.arange(len(images)) * size
    streams = [found.source, *found.taps.values()]
    for delay, stream in zip((0, 2, 4), streams, strict=True):
        np.testing.assert_array_equal(stream.offered, starts + delay)
        np.testing.assert_array_equal(stream.first, starts + delay)
        np.testing.assert_array_equal(stream.last, starts + delay + size - 1)
    for cycles in (found.result.offered, found.result.first, found.result.last):
        np.testing.assert_array_equal(cycles, starts + size - 1 + 5)
    assert found.whole == Timing(size, size - 1 + 5)
    assert found.layers == {"two__sides": Timing(size, 2)}

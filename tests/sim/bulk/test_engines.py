"""Both engines, the C++ loop and cocotb, on both simulators: the same records, the same rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.sim.bench.network_bench import simulate_cocotb
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.record.taps import (
    CYCLES_FIELD,
    FRAME_CYCLES,
    RESULT_FIELD,
    Batch,
    RuleBroken,
    TappedNetwork,
)
from systolith.sim.simulators.installed import Simulator
from tests.sim.required import need
from tests.sim.toy_network import (
    FAULTY_BEAT,
    FAULTY_FRAME,
    IMAGE,
    toy_images,
    toy_network,
    toy_values,
)

Engine = Callable[[TappedNetwork, NDArray[np.uint8], int | None], Iterator[Batch]]


CYCLES = [(name, np.int64) for name, _ in FRAME_CYCLES]


def bulk(network: TappedNetwork, images: NDArray[np.uint8], stalls: int | None) -> Iterator[Batch]:
    return simulate_bulk(network, images, stalls)


def cocotb_icarus(
    network: TappedNetwork, images: NDArray[np.uint8], stalls: int | None
) -> Iterator[Batch]:
    return simulate_cocotb(network, images, stalls, "icarus")


def cocotb_verilator(
    network: TappedNetwork, images: NDArray[np.uint8], stalls: int | None
) -> Iterator[Batch]:
    return simulate_cocotb(network, images, stalls, "verilator")


ENGINES: dict[str, tuple[Engine, Simulator]] = {
    "bulk": (bulk, "verilator"),
    "icarus": (cocotb_icarus, "icarus"),
    "cocotb": (cocotb_verilator, "verilator"),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    found, simulator = ENGINES[request.param]
    need(simulator)
    return found


# The bench is the same on either simulator, and each of its runs takes seconds.
one_of_each = pytest.mark.parametrize("engine", ["bulk", "icarus"], indirect=True)


def in_order(batches: Iterable[Batch]) -> NDArray[np.void]:
    """The records, in the order of the images."""
    ordered = sorted(batches, key=lambda batch: batch.first)
    return np.concatenate([batch.records for batch in ordered])


@pytest.mark.parametrize("stalls", [None, 5])
def test_records_are_what_the_layers_put_out(engine: Engine, stalls: int | None) -> None:
    images = toy_images(40)
    records = in_order(engine(toy_network(), images, stalls))
    expected = toy_values(images)
    for name, array in expected.items():
        np.testing.assert_array_equal(records[name], array)
    final = (expected["two__sides"][:, -1, -1] % 512) << np.array([0, 9])
    (beat,) = records[RESULT_FIELD].T
    np.testing.assert_array_equal(beat["data"].copy().view("<u8")[:, 0], final.sum(axis=1))
    assert not beat["user"].any() and beat["last"].all()


def test_cycles_without_stalls(engine: Engine) -> None:
    cycles = in_order(engine(toy_network(), toy_images(5), None))[CYCLES_FIELD]
    # A pixel a cycle; two FIFOs of two cycles each, and a register after the last pixel.
    size = IMAGE.size
    frame = np.array([0, 0, size - 1])
    expected = [frame, frame + 2, frame + 4, np.full(3, size - 1 + 5)]
    for image, found in enumerate(cycles.tolist()):
        start = cycles["first"][0, 0] + image * size
        assert found == [tuple(start + stream) for stream in expected]


def test_cycles_with_stalls(engine: Engine) -> None:
    cycles = in_order(engine(toy_network(), toy_images(9), 5))[CYCLES_FIELD].astype(CYCLES)
    source, plus, two, result = cycles.T
    for stream in (source, plus, two, result):
        assert (stream["offered"] <= stream["first"]).all()
        assert (stream["first"] <= stream["last"]).all()
        assert (stream["last"][:-1] < stream["offered"][1:]).all()
    # A register after the last beat, from which the sink takes when it likes.
    assert (result["offered"] == two["last"] + 1).all()
    assert (result["first"] == result["last"]).all()
    # While a result waits no beat of the next frame passes; one that has come is offered.
    assert (two["first"][1:] == np.maximum(two["offered"][1:], result["last"][:-1])).all()
    # The sink takes nothing until the first result has waited for a while.
    assert result["first"][0] - result["offered"][0] >= 16
    assert two["first"][1] - two["offered"][1] > 1


@one_of_each
def test_stalls_differ_by_seed_and_are_the_same_for_the_same(engine: Engine) -> None:
    def ends(seed: int) -> list[int]:
        records = in_order(engine(toy_network(), toy_images(6), seed))
        return [int(cycle) for cycle in records[CYCLES_FIELD]["last"][:, -1]]

    assert ends(1) == ends(1)
    assert ends(1) != ends(2)


@one_of_each
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("payload changes", "two__sides: the payload changed before it was taken"),
        ("valid drops", "two__sides: valid was dropped before the beat was taken"),
        ("last early", f"two__sides: last is set on beat {FAULTY_BEAT + 1} of {IMAGE.size}"),
        ("last missing", f"two__sides: last is missing on beat {IMAGE.size} of {IMAGE.size}"),
        ("stuck", f"two__sides had 0 frames and {FAULTY_BEAT} beats more"),
        ("valid waits", "nothing moved for"),
        ("result twice", "a beat comes that no image asked for"),
    ],
)
def test_a_broken_rule_is_named(engine: Engine, fault: str, message: str) -> None:
    with pytest.raises(RuleBroken, match=message):
        list(engine(toy_network(), toy_images(6, fault), 3))


@one_of_each
def test_what_came_before_a_broken_rule_is_given(engine: Engine) -> None:
    images = toy_images(6, "last missing")
    batches: list[Batch] = []
    with pytest.raises(RuleBroken):
        batches.extend(engine(toy_network(), images, None))
    assert sum(len(batch.records) for batch in batches) == FAULTY_FRAME


@one_of_each
def test_a_wrong_value_is_in_the_records(engine: Engine) -> None:
    images = toy_images(6, "value")
    found = in_order(engine(toy_network(), images, None))
    expected = toy_values(images)
    np.testing.assert_array_equal(found["plus_"], expected["plus_"])
    places = np.argwhere(found["two__sides"] != expected["two__sides"])
    assert places.tolist() == [
        [FAULTY_FRAME, *divmod(FAULTY_BEAT, IMAGE.width), 0],
    ]

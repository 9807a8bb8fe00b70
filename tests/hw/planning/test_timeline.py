"""Images on streams with known cycles: which keep an interval, and when that is known."""

from __future__ import annotations

from itertools import count

import pytest

from systolith.hw.planning import timeline
from systolith.hw.planning.prediction import PREDICTED_IMAGES, _steady_interval
from systolith.hw.planning.timeline import Timeline
from systolith.hw.streams.cycles import Process, StreamCycles, always_ready, offering, recurrence


class Slow:
    """Takes each beat some cycles after the one before; the last number of cycles repeats.

    A beat is offered `latency` cycles after it was taken, and at most `places` are in flight.
    """

    def __init__(self, cycles: list[int], latency: int = 1, places: int = 1000) -> None:
        self.pauses = cycles
        self.latency = latency
        self.places = places

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        last = -1
        for beat in count():
            while len(i.available) == beat:
                yield i.source
            pause = self.pauses[min(beat, len(self.pauses) - 1)]
            last = max(last + pause, i.available[beat])
            if beat >= self.places:
                while len(o.taken) <= beat - self.places:
                    yield o.sink
                last = max(last, o.taken[beat - self.places] + 1)
            i.taken.append(last)
            o.available.append(last + self.latency)


def passing(unit: Slow, interval: int, arrivals: list[int]) -> Timeline:
    i, o = StreamCycles(), StreamCycles()
    offering(i, arrivals, interval)
    unit.cycles(i, o)
    always_ready(o)
    return Timeline({"i": i, "o": o}, {"i": len(arrivals), "o": len(arrivals)})


def test_cycles_are_returned_by_image() -> None:
    found = passing(Slow([1], latency=4), 10, [0, 0, 5])
    assert found.images == 0
    found.run(2)
    assert found.taken("i").tolist() == [[0, 1, 5], [10, 11, 15]]
    assert found.offered("i").tolist() == [[0, 1, 5], [10, 11, 15]]
    assert found.taken("o").tolist() == [[4, 5, 9], [14, 15, 19]]
    found.run(1)
    assert found.images == 2


def test_a_beat_is_offered_once_the_one_before_it_was_taken() -> None:
    found = passing(Slow([3]), 100, [0, 0, 0])
    found.run(1)
    assert found.taken("i").tolist() == [[2, 5, 8]]
    assert found.offered("i").tolist() == [[0, 3, 6]]


@pytest.mark.parametrize(("cycles", "lag"), [([1], 0), ([5], 0), ([6], 2), ([9], 8)])
def test_images_keep_the_interval_or_fall_behind(cycles: list[int], lag: int) -> None:
    assert passing(Slow(cycles), 10, [0, 0]).lag(10) == lag


def test_images_that_are_a_cycle_later_each_time_are_soon_known_to_be_late() -> None:
    found = passing(Slow([11]), 10, [0])
    assert found.lag(10) == 1
    assert found.images < 5


def test_images_may_be_late_at_first() -> None:
    found = passing(Slow([9, 8, 8, 7, 6, 5]), 10, [0, 0])
    assert not found.lag(10)
    assert found.images > 3


@pytest.mark.parametrize(
    "pauses",
    [
        # The third image is 2 cycles late after one in step; the next one makes up for it.
        [1, 1, 1, 1, 1, 3, 1],
        # Two images in a row are late, the second by less.
        [1, 1, 1, 5, 1, 7, 1],
    ],
)
def test_one_late_image_does_not_decide(pauses: list[int]) -> None:
    """Images of two beats; the second beat of some is taken late.

    No more than three beats are in flight, so that later images do not pass before they are looked
    at.
    """
    assert passing(Slow(pauses, places=3), 10, [0, 0]).lag(10) == 0


def known(**taken: list[int]) -> Timeline:
    """Streams of two beats an image whose cycles are known."""
    streams = {}
    for name, cycles in taken.items():
        streams[name] = StreamCycles()
        streams[name].taken.extend(cycles)
        always_ready(streams[name])  # is never asked for a beat
    return Timeline(streams, dict.fromkeys(taken, 2))


@pytest.mark.parametrize("late", ["first", "middle", "last"])
def test_images_that_fall_behind_in_any_stream_are_late(late: str) -> None:
    in_step = [each for image in range(64) for each in (10 * image, 10 * image + 3)]
    behind = [each for image in range(64) for each in (10 * image, 12 * image + 3)]
    taken = dict.fromkeys(("first", "middle", "last"), in_step)
    assert known(**taken).lag(10) == 0
    assert known(**taken | {late: behind}).lag(10) == 2


@pytest.mark.parametrize("moved", ["first", "middle", "last"])
def test_an_image_in_step_has_every_beat_of_every_stream_in_step(moved: str) -> None:
    """The first beat of every other image comes a cycle later, and the last one does not."""
    in_step = [each for image in range(64) for each in (10 * image, 10 * image + 3)]
    uneven = [each for image in range(64) for each in (10 * image + image % 2, 10 * image + 3)]
    taken = dict.fromkeys(("first", "middle", "last"), in_step) | {moved: uneven}
    assert known(**taken).lag(10) == 1


def test_without_a_steady_state_the_interval_is_between_final_beats() -> None:
    """From the ninth result to the tenth; first beats are 12 cycles apart."""
    cycles = [each for image in range(64) for each in (12 * image, 12 * image + 3 + image % 2)]
    asked: list[int] = []

    def make(interval: int) -> Timeline:
        asked.append(interval)
        return known(i=cycles, o=cycles)

    found, interval = _steady_interval(make, "o", 10)
    assert (asked, interval, found.images) == ([10, 0], 13, PREDICTED_IMAGES)


@pytest.mark.parametrize(("most", "lag"), [(5, 0), (4, 1)])
def test_images_that_do_not_settle_count_as_late(
    most: int, lag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "_MOST_IMAGES", most)
    assert passing(Slow([9, 8, 8, 7, 6, 5]), 10, [0, 0]).lag(10) == lag


@pytest.mark.parametrize("places", range(1, 9))
def test_images_in_flight_must_all_keep_the_interval(places: int) -> None:
    """Images of one beat every 10 cycles, each for 55 cycles: places for 6 of them are needed."""
    assert (passing(Slow([1], latency=55, places=places), 10, [0]).lag(10) == 0) == (places >= 6)

# amaranth: UnusedElaboratable=no
"""The unit bench sees what is wrong with a unit. One build has every fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.beats import beat_stream
from systolith.sim.bench import unit_bench
from systolith.sim.bench.unit_bench import (
    BenchedUnit,
    Integers,
    Pace,
    UnitBenchReport,
    UnitCycles,
    measure_unit,
    run_unit_bench,
)
from systolith.sim.record.packing import BeatFormat
from systolith.sim.simulators.builds import Design
from systolith.sim.simulators.installed import Simulator
from tests.sim.required import either_simulator, need

LANES = 2
SHAPE = (3, 2, 4)
BEATS = 12
FRAMES = 3
PATIENCE = 300
SCENARIOS = 14

FAULTS = (
    "none",
    "wrong when full",
    "valid waits",
    "valid drops",
    "payload changes",
    "last early",
    "reset forgotten",
    "beat lost",
    "beat too many",
    "stops",
    "ready path",
    "valid path",
    "payload path",
)


class Invert(wiring.Component):
    """Every value's bits inverted, through a FIFO.

    The first value after a reset chooses a fault, by its position in `FAULTS`.
    """

    def __init__(self) -> None:
        super().__init__(
            {"i": In(beat_stream(signed(8), LANES)), "o": Out(beat_stream(signed(8), LANES))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFO(width=8 * LANES, depth=4)
        fault = self._fault(m)
        taken, total = Signal(), Signal(16)
        beat, kept = Signal(range(BEATS)), Signal(range(BEATS), reset_less=True)
        waited, frame_ended, bypass = Signal(), Signal(), Signal()
        inverted = ~self.i.payload.data
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(fifo.w_rdy),
            fifo.w_data.eq(inverted ^ (fault["wrong when full"] & (fifo.level == 3))),
            fifo.w_en.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(fifo.r_rdy),
            self.o.payload.data.eq(Mux(bypass, inverted, fifo.r_data)),
            self.o.payload.last.eq(beat == BEATS - 1),
            fifo.r_en.eq(taken & ~bypass),
        ]
        m.d.sync += [
            waited.eq(self.o.valid & ~self.o.ready),
            frame_ended.eq(self.i.valid & self.i.ready & self.i.payload.last),
        ]
        with m.If(taken):
            m.d.sync += total.eq(total + 1)
            for counter in (beat, kept):
                m.d.sync += counter.eq(Mux(counter == BEATS - 1, 0, counter + 1))

        with m.If(fault["valid waits"]):
            m.d.comb += self.o.valid.eq(fifo.r_rdy & self.o.ready)
        with m.If(fault["valid drops"]):
            m.d.comb += self.o.valid.eq(fifo.r_rdy & ~waited)
        with m.If(fault["payload changes"]):
            m.d.comb += self.o.payload.data.eq(fifo.r_data ^ waited)
        with m.If(fault["last early"]):
            m.d.comb += self.o.payload.last.eq(beat == BEATS - 2)
        with m.If(fault["reset forgotten"]):
            m.d.comb += self.o.payload.last.eq(kept == BEATS - 1)
        with m.If(fault["beat lost"] & frame_ended):
            m.d.comb += fifo.w_en.eq(0)
        with m.If(fault["beat too many"] & (total == FRAMES * BEATS)):
            m.d.comb += self.o.valid.eq(1)
        with m.If(fault["stops"] & (total == BEATS + 5)):
            m.d.comb += self.o.valid.eq(0)
        with m.If(fault["ready path"]):
            m.d.comb += self.i.ready.eq(fifo.w_rdy & (self.o.ready | (fifo.level == 0)))
        path = fault["valid path"] | (fault["payload path"] & self.i.payload.data[0])
        m.d.comb += bypass.eq(path & ~fifo.r_rdy & self.i.valid)
        with m.If(bypass):
            m.d.comb += [self.o.valid.eq(1), fifo.w_en.eq(~self.o.ready)]
        return m

    def _fault(self, m: Module) -> dict[str, Signal]:
        chosen, begun = Signal(8), Signal()
        with m.If(self.i.valid & self.i.ready & ~begun):
            m.d.sync += [chosen.eq(self.i.payload.data[:8]), begun.eq(1)]
        signals = {}
        for number, name in enumerate(FAULTS):
            signals[name] = Signal(name=name.replace(" ", "_"))
            m.d.comb += signals[name].eq(begun & (chosen == number))
        return signals


def random_frames(fault: str) -> Integers:
    """Frames that choose a fault, with the smallest and the largest value among them."""
    frames = np.random.default_rng(7).integers(-128, 128, (FRAMES, *SHAPE))
    frames[0, 0, 0, 0] = FAULTS.index(fault)
    frames[1, 1, 0, :2] = -128, 127
    return frames


def run(fault: str, simulator: Simulator = "icarus") -> UnitBenchReport:
    need(simulator)
    frames = random_frames(fault)
    return run_unit_bench(
        Invert(), frames, ~frames, simulator=simulator, seed=3, name="invert", patience=PATIENCE
    )


@either_simulator
def test_a_unit_without_fault_passes(simulator: Simulator) -> None:
    report = run("none", simulator)
    report.require_passed()
    assert len(report.scenarios) == len(set(report.scenarios)) == SCENARIOS
    assert (report.interval_cycles, report.latency_cycles) == (BEATS, 1)
    # A beat a cycle, each offered in the cycle after it came.
    total = FRAMES * BEATS
    later = tuple(range(1, total + 1))
    assert report.cycles == UnitCycles(tuple(range(total)), later, later)


def fifo_cycles(pace: Pace) -> UnitCycles:
    """The recurrence of a FIFO of four places, each free in the cycle after its beat was taken."""
    taken: list[int] = []
    offered: list[int] = []
    given: list[int] = []
    for beat, (offer, take) in enumerate(zip(pace.offers, pace.takes, strict=True)):
        free = given[beat - 4] + 1 if beat >= 4 else 0
        taken.append(max(offer, taken[-1] + 1 if taken else 0, free))
        offered.append(max(taken[-1] + 1, given[-1] + 1 if given else 0))
        given.append(max(offered[-1], take))
    return UnitCycles(tuple(taken), tuple(offered), tuple(given))


@either_simulator
def test_cycles_of_beats_that_come_and_go_when_they_may(simulator: Simulator) -> None:
    need(simulator)
    total = FRAMES * BEATS
    rng = np.random.default_rng(11)
    paces = [Pace([0] * total, [0] * total), Pace([5] * total, [40] * total)]
    for most in (2, 3, 5):
        steps = np.cumsum(rng.integers(0, most, (2, total)), axis=1)
        offers, takes = steps.tolist()
        # Beats that may go before the ones before them may.
        anyhow = rng.permutation(steps[0]).tolist()
        paces += [Pace(offers, takes), Pace(anyhow, takes), Pace(offers, takes[::-1])]
    frames = random_frames("none")
    found = measure_unit(Invert(), frames, ~frames, paces, simulator=simulator, name="invert")
    assert found == tuple(map(fifo_cycles, paces))


def test_a_failure_at_a_pace_names_it() -> None:
    need("icarus")
    frames = random_frames("wrong when full")
    total = FRAMES * BEATS
    paces = [Pace([0] * total, [0] * total), Pace([0] * total, [9] * total)]
    with pytest.raises(AssertionError, match=r"^pace 1: .* values differ"):
        measure_unit(Invert(), frames, ~frames, paces, simulator="icarus", name="invert")


@pytest.mark.parametrize(
    ("fault", "scenario", "message"),
    [
        ("wrong when full", "idle none, backpressure cyclic", "values differ, the first in image"),
        ("valid waits", "ready held low", "invert: valid waits for ready"),
        ("valid drops", "idle none, backpressure cyclic", "invert: valid was dropped"),
        ("payload changes", "idle none, backpressure cyclic", "invert: the payload changed"),
        ("last early", "idle none, backpressure none", "invert: last is set on beat 11 of 12"),
        ("reset forgotten", "reset in mid-frame, 1", "invert: last is"),
        ("beat lost", "idle none, backpressure none", "image 1, row 0, column 0, channel 0"),
        (
            "beat too many",
            "idle none, backpressure none",
            "more beats come out than were expected",
        ),
        ("stops", "idle none, backpressure none", "1 of 3 frames out and 10 values of the next"),
        ("ready path", "combinational paths", "path leads from o.ready to i.ready"),
        ("valid path", "combinational paths", "path leads from i.valid to o.valid"),
        ("payload path", "combinational paths", "path leads from i.payload to o.valid"),
    ],
)
def test_a_fault_is_found_and_named(fault: str, scenario: str, message: str) -> None:
    # On Icarus what no reset clears is undefined, and seen at once.
    report = run(fault, "verilator" if fault == "reset forgotten" else "icarus")
    assert report.scenarios[-1] == scenario
    assert message in "; ".join(report.failures)
    with pytest.raises(AssertionError, match=f"^{scenario}: "):
        report.require_passed()


def test_what_no_reset_clears_is_undefined_on_icarus() -> None:
    report = run("reset forgotten", "icarus")
    assert report.scenarios == ("idle none, backpressure none",)
    assert "undefined bits" in report.failures[0]


def test_an_altered_expectation_is_seen() -> None:
    need("icarus")
    frames = np.zeros((FRAMES, *SHAPE), np.int64)
    expected = ~frames
    expected[2, 1, 0, 3] = 5
    report = run_unit_bench(Invert(), frames, expected, simulator="icarus", seed=1, name="invert")
    place = "image 2, row 1, column 0, channel 3: expected 5, found -1"
    assert report.failures == (f"invert: 1 of 24 values differ, the first in {place}",)


class Swap(wiring.Component):
    """A stream of plain bits: two lanes change places."""

    def __init__(self) -> None:
        super().__init__(
            {"i": In(stream.Signature(unsigned(10))), "o": Out(stream.Signature(unsigned(10)))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFO(width=10, depth=2)
        m.d.comb += [
            fifo.w_data.eq(Cat(self.i.payload[5:], self.i.payload[:5])),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        return m


def test_a_stream_that_is_not_of_beats_needs_its_format() -> None:
    need("icarus")
    frames = np.random.default_rng(1).integers(-16, 16, (2, 1, 6, 2))
    expected: Integers = frames[..., ::-1]
    with pytest.raises(ValueError, match="i: the format of a beat must be given"):
        run_unit_bench(Swap(), frames, expected, simulator="icarus", seed=1)
    beat = BeatFormat(2, 5, True, has_last=False)
    run_unit_bench(
        Swap(),
        frames,
        expected,
        simulator="icarus",
        seed=1,
        input_format=beat,
        output_format=beat,
    ).require_passed()


def test_an_unknown_simulator_is_refused() -> None:
    unknown: Any = "nosim"
    frames = random_frames(FAULTS[0])
    with pytest.raises(ValueError, match="simulator 'nosim': allowed are verilator, icarus"):
        run_unit_bench(Invert(), frames, ~frames, simulator=unknown, seed=1, name="invert")


class Recorded:
    """In place of a simulation: notes its task, and has a result."""

    def __init__(self, result: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.result_ = result
        self.asked: list[Any] = []
        monkeypatch.setattr(unit_bench, "running_bench", self.running)

    @contextmanager
    def running(
        self, design: object, module: str, task: Any, arrays: Any, **options: Any
    ) -> Iterator[Recorded]:
        self.asked.append((task, arrays, options))
        yield self

    def result(self) -> Any:
        return self.result_


UNIT = BenchedUnit(
    Design("u", "", ()), BeatFormat(2, 8, True), BeatFormat(1, 9, False), constants={"pace": 3}
)
# Two frames of two beats go in, and of three come out.
IN, OUT = np.arange(8).reshape(2, 1, 1, 4), np.arange(6).reshape(2, 1, 1, 3)
CYCLES = {
    "taken": [5, 6, 15, 17],
    "offered": [8, 9, 10, 19, 20, 21],
    "given": [9, 10, 12, 20, 23, 27],
}


def test_interval_and_latency_are_those_of_the_pattern_without_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = {name: [2 * cycle for cycle in of] for name, of in CYCLES.items()}
    recorded = Recorded(
        {"scenarios": ["a", "b"], "failures": ["x"], "cycles": [CYCLES, later]}, monkeypatch
    )
    report = run_unit_bench(UNIT, IN, OUT, simulator="icarus", seed=7, name="mine", patience=99)
    # Counted from the first beat taken.
    assert report == UnitBenchReport(
        scenarios=("a", "b"),
        failures=("x",),
        interval_cycles=27 - 12,
        latency_cycles=8 - 5,
        cycles=UnitCycles((0, 1, 10, 12), (3, 4, 5, 14, 15, 16), (4, 5, 7, 15, 18, 22)),
    )
    with pytest.raises(AssertionError, match=r"^b: x$"):
        report.require_passed()
    ((task, arrays, options),) = recorded.asked
    assert task == {
        "name": "mine",
        "seed": 7,
        "patience": 99,
        "constants": {"pace": 3},
        "paces": [],
        "input": {"lanes": 2, "bits": 8, "signed": True, "has_last": True, "gap": 0},
        "output": {"lanes": 1, "bits": 9, "signed": False, "has_last": True, "gap": 0},
    }
    assert arrays["frames"] is IN and arrays["expected"] is OUT
    assert options == {"simulator": "icarus", "optimize": False}


def test_a_single_frame_has_no_interval_and_a_failed_pattern_no_cycles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Recorded({"scenarios": ["a"], "failures": [], "cycles": [CYCLES]}, monkeypatch)
    report = run_unit_bench(UNIT, IN[:1], OUT[:1], simulator="icarus", seed=0)
    assert (report.interval_cycles, report.latency_cycles) == (None, 3)
    report.require_passed()
    Recorded({"scenarios": ["a"], "failures": ["x"], "cycles": []}, monkeypatch)
    report = run_unit_bench(UNIT, IN, OUT, simulator="icarus", seed=0)
    assert (report.interval_cycles, report.latency_cycles, report.cycles) == (None, None, None)


def test_cycles_at_a_pace_are_counted_as_in_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace([*np.arange(4)], [0] * 6)
    result: dict[str, Any] = {"scenarios": ["a"], "failures": [], "cycles": [CYCLES, CYCLES]}
    recorded = Recorded(result, monkeypatch)
    found = measure_unit(UNIT, IN, OUT, [pace, pace], simulator="icarus")
    assert found == (UnitCycles(**{name: tuple(of) for name, of in CYCLES.items()}),) * 2
    assert recorded.asked[0][0]["paces"] == [{"offers": [0, 1, 2, 3], "takes": [0] * 6}] * 2
    result["failures"] = ["wrong", "late"]
    with pytest.raises(AssertionError, match=r"^a: wrong; late$"):
        measure_unit(UNIT, IN, OUT, [pace], simulator="icarus")


@pytest.mark.parametrize(
    ("frames", "expected", "paces", "message"),
    [
        (IN, OUT, [], "mine: at least one pace is needed"),
        (IN[:1], OUT, [Pace([0] * 2, [0] * 6)], "mine: 1 frames go in, but 2 are expected"),
        (IN, OUT[:1], [Pace([0] * 4, [0] * 3)], "mine: 2 frames go in, but 1 are expected"),
        (
            OUT,
            OUT,
            [Pace([], [])],
            r"mine: input frames must .* beats of 2 values, not \(2, 1, 1, 3",
        ),
        (IN[0], OUT, [Pace([], [])], "mine: input frames must have the shape"),
        (IN, OUT[:0], [Pace([], [])], "mine: output frames must have the shape"),
        (
            IN,
            OUT,
            [Pace([0] * 4, [0] * 6), Pace([0] * 5, [0] * 6)],
            "4 beats go in, but pace 1 has 5",
        ),
        (IN, OUT, [Pace([0] * 4, [0] * 7)], "mine: 6 beats go out, but pace 0 has 7"),
    ],
)
def test_frames_and_paces_that_do_not_fit_are_refused(
    frames: Integers,
    expected: Integers,
    paces: list[Pace],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = Recorded({}, monkeypatch)
    with pytest.raises(ValueError, match=message):
        measure_unit(UNIT, frames, expected, paces, simulator="icarus", name="mine")
    assert recorded.asked == []

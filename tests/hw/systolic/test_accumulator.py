# amaranth: UnusedElaboratable=no
import random
from typing import Any, get_args

import pytest
from amaranth.hdl import signed

from systolith.hw.folding import Order
from systolith.hw.systolic.accumulator import (
    Accumulator,
    ColumnAccumulators,
    RoutedAccumulators,
    banks_needed,
    control_lead,
)
from systolith.hw.systolic.array_work import ArrayWork
from systolith.hw.systolic.schedule import Schedule
from tests.hw.clocked import run_bench
from tests.hw.stream_driver import unpack


@pytest.mark.parametrize(("sums", "many"), [(1, False), (3, False), (4, True), (7, True)])
def test_sums_grow_in_turn_and_are_stored_once_finished(sums: int, many: bool) -> None:
    depth, rounds = 2 * sums, 40
    accumulator = Accumulator(signed(6), signed(9), sums=sums, depth=depth, many=many)
    rng = random.Random(1)
    lead = 2 if many else 0
    totals, stored = [0] * sums, [0] * depth
    # For each cycle to come, the partial sum, and then the address and the sum that is stored.
    partial: dict[int, int] = {}
    visible: dict[int, tuple[int, int]] = {}
    checked = 0

    async def bench(ctx: Any) -> None:
        nonlocal checked
        cycle, expected = 0, None
        for number in range(rounds):
            first, final = number % 4 == 0, number % 4 == 3 or rng.random() < 0.2
            for slot in range(sums):
                enable = False
                while not enable:
                    enable = rng.random() < 0.8
                    if enable:
                        psum = rng.randrange(-32, 32)
                        totals[slot] = psum + (0 if first else totals[slot])
                        partial[cycle + lead] = psum
                        address = slot + sums * (number // 4 % 2)
                        if final:
                            # A sum can be read in the next cycle; with many sums, in the one after.
                            visible[cycle + lead + 1 + many] = address, totals[slot]
                    if cycle in visible:
                        where, value = visible[cycle]
                        stored[where] = value
                    ctx.set(accumulator.enable, enable)
                    ctx.set(accumulator.first, first)
                    ctx.set(accumulator.final, final)
                    ctx.set(accumulator.slot, slot)
                    ctx.set(accumulator.address, slot + sums * (number // 4 % 2))
                    ctx.set(accumulator.psum, partial.get(cycle, rng.randrange(-32, 32)))
                    where = rng.randrange(depth)
                    ctx.set(accumulator.read_address, where)
                    read = rng.random() < 0.7
                    ctx.set(accumulator.read, read)
                    if not many:
                        expected = stored[where]
                    if expected is not None:
                        assert ctx.get(accumulator.value) == expected
                        checked += expected != 0
                    if many and read:
                        expected = stored[where]
                    await ctx.tick()
                    cycle += 1

    run_bench(accumulator, bench)
    assert checked > 20


DENSE = [
    Schedule(ArrayWork.dense(6, 4), 2, 4),
    Schedule(ArrayWork.dense(6, 7), 3, 3),
    Schedule(ArrayWork.dense(2, 6), 1, 6),
    Schedule(ArrayWork.dense(6, 7), 3, 3, "outputs"),
    Schedule(ArrayWork.dense(6, 10), 2, 4, "outputs"),
    Schedule(ArrayWork.dense(3, 12), 1, 3),
    Schedule(ArrayWork.dense(2, 5), 1, 1),
]
SPARSE = [
    Schedule(ArrayWork.connected(((0, 2), (1,), (0, 1, 2), (2,), (0, 2)), 3, 4), 2, 2),
    Schedule(ArrayWork.connected(((0,), (1,), (0, 1)), 2, 1), 1, 1),
]


@pytest.mark.parametrize("max_lanes", [False, True])
@pytest.mark.parametrize("schedule", [*DENSE, *SPARSE])
def test_every_sum_goes_to_its_output(schedule: Schedule, max_lanes: bool) -> None:
    """Column `c` has the sum `2**step` in the cycle of its step: a total identifies its steps."""
    lanes = schedule.max_lanes if max_lanes else 1
    windows, bits = 4, len(schedule.steps) + 2
    kind = RoutedAccumulators if schedule.sparse else ColumnAccumulators
    windows_a_frame = 2 if schedule.order == "inputs" else 1
    unit = kind(schedule, signed(bits), bits, lanes=lanes, banks=9, windows=windows_a_frame)
    steps = len(schedule.steps)
    expected = [
        sum(1 << number for number, step in enumerate(schedule.steps) if output in step.outputs)
        for output in range(schedule.outputs)
    ] * windows
    values: list[int] = []
    lasts: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(unit.o.ready, 1)
        for cycle in range(steps * windows + 60 * windows):
            # A pause between windows, longer than a drain.
            window, step = divmod(cycle, steps + 30)
            ctx.set(unit.valid, step < steps and window < windows)
            for column in range(schedule.columns):
                number = (cycle - control_lead(schedule) - column) % (steps + 30)
                ctx.set(getattr(unit, f"psum_{column}"), 1 << number if number < steps else 0)
            if ctx.get(unit.o.valid):
                values.extend(unpack(ctx.get(unit.o.payload.data), signed(bits), lanes))
                lasts.append(ctx.get(unit.o.payload.last))
            await ctx.tick()

    run_bench(unit, bench)
    assert values == expected
    beats = windows_a_frame * schedule.outputs // lanes
    assert lasts == [int(beat % beats == beats - 1) for beat in range(len(lasts))]


def test_banks_needed() -> None:
    one_step = Schedule(ArrayWork.dense(4, 4), 4, 4)
    # Step 0 is in the last column after 10 + 3 cycles, read in the next one, freed after that.
    assert banks_needed(one_step, 4, 10) == 10 + 3 + 1 + 1
    # The drain of 4 beats follows the wavefront, and windows come every 4 cycles.
    assert banks_needed(one_step, 1, 10) == -(-(10 + 1 + 4) // 4)
    # Many steps: a window has drained when the last step of the next one begins.
    assert banks_needed(Schedule(ArrayWork.dense(400, 4), 4, 4), 4, 10) == 1


def test_one_bank_less_stalls_the_array() -> None:
    """The interval of many windows, with the banks that are needed and with one less."""
    rng = random.Random(2)
    for _ in range(60):
        elements, outputs = rng.randint(1, 14), rng.randint(1, 20)
        rows, columns = rng.randint(1, elements), rng.randint(1, outputs)
        order: Order = rng.choice(get_args(Order))
        schedule = Schedule(ArrayWork.dense(elements, outputs), rows, columns, order)
        unit = schedule.max_lanes
        lanes = rng.choice([lanes for lanes in range(1, unit + 1) if unit % lanes == 0])
        latency = rng.randint(3, 40)
        banks = banks_needed(schedule, lanes, latency)
        best = max(len(schedule.steps), outputs // lanes)
        assert measured_interval(schedule, lanes, latency, banks) == best
        if banks > 1:
            assert measured_interval(schedule, lanes, latency, banks - 1) > best


def measured_interval(schedule: Schedule, lanes: int, latency: int, banks: int) -> float:
    """Cycles a window, the sink always ready."""
    chunks = len(schedule.chunks)
    groups = [outputs // lanes for outputs in schedule.groups]
    steps = len(schedule.steps) // len(groups)
    # From a group's first step to its last chunk, and then to the column that the drain waits for.
    last_chunk = steps - steps // (chunks if len(groups) == 1 else steps)
    complete = last_chunk + latency + schedule.columns - schedule.columns // lanes
    # Four sums or more are in a memory, which costs a cycle.
    complete += steps - last_chunk >= 4
    begun, freed = -steps, [0] * banks
    ends: list[int] = []
    windows = 4 * banks + 120
    for window in range(windows):
        for number, beats in enumerate(groups):
            bank = (window * len(groups) + number) % banks
            begun = max(begun + steps, freed[bank] - last_chunk)
            ends.append(max(ends[-1] if ends else 0, begun + complete + 1) + beats)
            freed[bank] = ends[-1]
    half = windows // 2
    return (ends[-1] - ends[-1 - half * len(groups)]) / half

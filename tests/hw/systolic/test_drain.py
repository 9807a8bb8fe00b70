# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from amaranth.hdl import unsigned

from systolith.hw.systolic.drain import Drain
from tests.hw.clocked import run_bench
from tests.hw.stream_driver import Pauses, cyclic, never, randomly, unpack

SHAPE = unsigned(16)


@pytest.mark.parametrize("latency", [1, 2])
@pytest.mark.parametrize("backpressure", [never, cyclic(3), randomly(1, 0.7)])
@pytest.mark.parametrize("arrival", [never, randomly(2, 0.8)])
@pytest.mark.parametrize(
    ("sources", "slots", "lanes", "outputs", "final_outputs"),
    [
        (4, 1, 4, 4, 4),
        (4, 1, 2, 4, 4),
        (3, 2, 1, 5, 5),
        (4, 3, 2, 10, 10),
        (1, 3, 1, 3, 3),
        (4, 1, 1, 4, 3),
        (6, 1, 2, 6, 2),
    ],
)
def test_reads_in_order_and_frees(
    sources: int,
    slots: int,
    lanes: int,
    outputs: int,
    final_outputs: int,
    arrival: Pauses,
    backpressure: Pauses,
    latency: int,
) -> None:
    groups, banks, in_all = 3, 2, 12
    # The last group of a frame ends earlier.
    sizes = [outputs, outputs, final_outputs] * (in_all // groups)
    drain = Drain(
        sources=sources,
        slots=slots,
        banks=banks,
        sum_shape=SHAPE,
        lanes=lanes,
        beats=outputs // lanes,
        final_beats=final_outputs // lanes,
        groups=groups,
        latency=latency,
    )
    values: list[int] = []
    lasts: list[int] = []
    # The number of the group in each bank.
    memory = [-1] * banks
    state = {"written": 0, "freed": 0}

    def sums(ctx: Any) -> list[int]:
        """The sums at the address."""
        bank, slot = ctx.get(drain.bank), ctx.get(drain.slot)
        return [1000 + memory[bank] * 64 + slot * sources + source for source in range(sources)]

    def set_values(ctx: Any, values: list[int]) -> None:
        for source, value in enumerate(values):
            ctx.set(getattr(drain, f"value_{source}"), value)

    async def bench(ctx: Any) -> None:
        for cycle in range(600):
            room = state["written"] - state["freed"] < banks
            finished = state["written"] < in_all and room and not arrival(cycle)
            ctx.set(drain.finished, finished)
            ctx.set(drain.o.ready, not backpressure(cycle))
            if latency == 1:
                set_values(ctx, sums(ctx))
            if ctx.get(drain.o.valid) and ctx.get(drain.o.ready):
                values.extend(unpack(ctx.get(drain.o.payload.data), SHAPE, lanes))
                lasts.append(ctx.get(drain.o.payload.last))
            if finished:
                memory[state["written"] % banks] = state["written"]
                state["written"] += 1
            if ctx.get(drain.released):
                state["freed"] += 1
            fetched = sums(ctx) if ctx.get(drain.read) else None
            await ctx.tick()
            if latency == 2 and fetched is not None:
                set_values(ctx, fetched)

    run_bench(drain, bench)
    assert state == {"written": in_all, "freed": in_all}
    assert values == [
        1000 + group * 64 + output for group, size in enumerate(sizes) for output in range(size)
    ]
    beats = sum(sizes[:groups]) // lanes
    assert lasts == [int(beat % beats == beats - 1) for beat in range(len(lasts))]


@pytest.mark.parametrize("latency", [1, 2])
def test_first_beat_and_rate(latency: int) -> None:
    drain = Drain(
        sources=4,
        slots=1,
        banks=4,
        sum_shape=SHAPE,
        lanes=2,
        beats=2,
        final_beats=2,
        groups=1,
        latency=latency,
    )  # fmt: skip
    valid = []

    async def bench(ctx: Any) -> None:
        ctx.set(drain.o.ready, 1)
        for cycle in range(12):
            ctx.set(drain.finished, cycle in (1, 2, 3))
            valid.append(ctx.get(drain.o.valid))
            await ctx.tick()

    run_bench(drain, bench)
    assert valid == [0] * (2 + latency) + [1] * 6 + [0] * (4 - latency)


def test_registers_behind_the_memories_hold_a_beat_during_a_stall() -> None:
    drain = Drain(
        sources=1,
        slots=4,
        banks=1,
        sum_shape=SHAPE,
        lanes=1,
        beats=4,
        final_beats=4,
        groups=1,
        latency=2,
    )  # fmt: skip
    reads = []

    async def bench(ctx: Any) -> None:
        for cycle in range(12):
            ctx.set(drain.finished, cycle == 0)
            ctx.set(drain.o.ready, cycle == 8)
            reads.append(ctx.get(drain.read) and cycle > 0)
            await ctx.tick()

    run_bench(drain, bench)
    # Two beats are on their way; the third is read when the first is taken.
    assert [cycle for cycle, read in enumerate(reads) if read] == [1, 2, 8]

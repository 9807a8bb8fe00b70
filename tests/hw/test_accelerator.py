# amaranth: UnusedElaboratable=no
"""Whole accelerators in Amaranth's simulator: pixels on AXI4-Stream in, classes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from systolith.golden.fixed.execution import run, winners
from systolith.golden.fixed.integers import FixedNetwork, Integers
from systolith.golden.network.graph import Network
from systolith.hw.accelerator import Accelerator, AcceleratorError
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding, Plan
from systolith.hw.planning.plan_file import smallest_plan
from tests.hw.small_networks import BACKGROUND, EVERY_KIND, EVERY_KIND_PLAN, ONE_LAYER, quantized
from tests.hw.stream_driver import Pauses, never, randomly

Result = tuple[int, int, int, int]


def simulate(
    fixed: FixedNetwork,
    plan: Plan,
    frames: list[list[int]],
    *,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int = 0,
) -> list[Result]:
    """The class, score, `tuser` and `tlast` of every frame of pixels."""
    dut = Accelerator(fixed, plan)
    results: list[Result] = []

    async def source(ctx: Any) -> None:
        cycle = 0

        async def tick() -> None:
            nonlocal cycle
            await ctx.tick()
            cycle += 1

        async def feed(pixels: list[int]) -> None:
            for place, pixel in enumerate(pixels):
                while idle(cycle):
                    await tick()
                ctx.set(dut.s_axis_tdata, pixel)
                ctx.set(dut.s_axis_tlast, place == len(pixels) - 1)
                ctx.set(dut.s_axis_tvalid, 1)
                while not ctx.get(dut.s_axis_tready):
                    await tick()
                await tick()
                ctx.set(dut.s_axis_tvalid, 0)

        async def reset() -> None:
            ctx.set(dut.aresetn, 0)
            ctx.set(dut.s_axis_tvalid, 1)
            for _ in range(2):
                assert not ctx.get(dut.m_axis_tvalid)
                assert not ctx.get(dut.s_axis_tready)
                await tick()
            ctx.set(dut.s_axis_tvalid, 0)
            ctx.set(dut.aresetn, 1)

        await reset()
        if reset_after:
            for frame in frames:
                await feed(frame[:reset_after])
            await reset()
            results.clear()
        for frame in frames:
            await feed(frame)

    async def sink(ctx: Any) -> None:
        for cycle in range(40_000):
            if len(results) == len(frames):
                return
            ready = not backpressure(cycle)
            ctx.set(dut.m_axis_tready, ready)
            if ready and ctx.get(dut.m_axis_tvalid):
                data = ctx.get(dut.m_axis_tdata)
                assert (data >> 8) & 0xFFFFFF == 0
                score = data >> 32
                results.append(
                    (
                        data & 0xFF,
                        score - (1 << 32) if score >> 31 else score,
                        ctx.get(dut.m_axis_tuser),
                        ctx.get(dut.m_axis_tlast),
                    )
                )
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(source)
    simulator.add_testbench(sink)
    simulator.run()
    return results


def expected(fixed: FixedNetwork, images: NDArray[np.uint8]) -> list[tuple[int, int]]:
    scores: Integers = run(fixed, images).outputs[fixed.layers[-1].name].reshape(len(images), -1)
    classes = winners(fixed, scores)
    return [(int(c), int(s[c])) for c, s in zip(classes, scores, strict=True)]


def random_images(network: Network, count: int) -> NDArray[np.uint8]:
    shape = (count, *network.input.image_shape)
    return np.random.default_rng(count).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("idle", "backpressure"), [(never, never), (randomly(1, 0.3), randomly(2, 0.9))]
)
def test_every_kind_of_layer(idle: Pauses, backpressure: Pauses) -> None:
    fixed = quantized(EVERY_KIND).fixed
    images = random_images(EVERY_KIND, 3)
    frames = [image.ravel().tolist() for image in images]
    results = simulate(fixed, EVERY_KIND_PLAN, frames, idle=idle, backpressure=backpressure)
    assert [r[:2] for r in results] == expected(fixed, images)
    assert [r[2:] for r in results] == [(0, 1)] * 3


def test_a_wrong_length_is_flagged_in_its_own_result() -> None:
    fixed = quantized(ONE_LAYER).fixed
    images = random_images(ONE_LAYER, 5)
    images[1, 1, 1:] = BACKGROUND
    frames = [image.ravel().tolist() for image in images]
    frames[1] = frames[1][:4]
    frames[3] += [255, 0, 7]
    results = simulate(fixed, smallest_plan(ONE_LAYER), frames)
    assert [r[:2] for r in results] == expected(fixed, images)
    assert [r[2] for r in results] == [0, 1, 0, 1, 0]


def test_flags_stay_with_their_frames() -> None:
    fixed = quantized(ONE_LAYER).fixed
    images = random_images(ONE_LAYER, 100)
    classes = [index for index, _ in expected(fixed, images)]
    # Every class follows every class: a flag that stays behind shows in a later result.
    units = sorted(set(classes))
    assert len(units) > 2 and {index % 2 for index in units} == {0, 1}
    order = [index for first in units for second in units for index in (first, second)]
    images = images[[classes.index(index) for index in order]]
    wrong = np.random.default_rng(1).integers(0, 2, len(order)).tolist()
    lists = [image.ravel().tolist() for image in images]
    frames = [pixels + [9] * flag for pixels, flag in zip(lists, wrong, strict=True)]
    results = simulate(fixed, smallest_plan(ONE_LAYER), frames)
    assert [r[0] for r in results] == order
    assert [r[2] for r in results] == wrong


@pytest.mark.parametrize("after", [1, 5])
def test_reset_in_mid_frame_leaves_it_as_new(after: int) -> None:
    fixed = quantized(ONE_LAYER).fixed
    images = random_images(ONE_LAYER, 4)
    frames = [image.ravel().tolist() for image in images]
    results = simulate(fixed, smallest_plan(ONE_LAYER), frames, reset_after=after)
    assert [r[:2] for r in results] == expected(fixed, images)
    assert not any(r[2] for r in results)


def test_a_waiting_result_is_not_valid_during_reset() -> None:
    dut = Accelerator(quantized(ONE_LAYER).fixed, smallest_plan(ONE_LAYER))

    async def bench(ctx: Any) -> None:
        ctx.set(dut.aresetn, 1)
        ctx.set(dut.s_axis_tvalid, 1)
        ctx.set(dut.s_axis_tlast, 1)
        for _ in range(200):
            await ctx.tick()
        assert ctx.get(dut.m_axis_tvalid)
        ctx.set(dut.aresetn, 0)
        assert not ctx.get(dut.m_axis_tvalid)
        await ctx.tick()
        ctx.set(dut.aresetn, 1)
        assert not ctx.get(dut.m_axis_tvalid)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_multipliers_are_those_of_the_units() -> None:
    accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)
    assert {name: unit.multipliers for name, unit in accelerator.units.items()} == {
        "C1": 8,
        "S2": 0,
        "C3": 6,
        "S4": 3,
        "S5": 1,
        "F6": 15,
        "output": 2,
    }
    assert accelerator.multipliers == 35


def test_ports_are_flat_and_have_their_widths() -> None:
    accelerator = Accelerator(quantized(ONE_LAYER).fixed, smallest_plan(ONE_LAYER))
    assert {name: len(getattr(accelerator, name)) for name, _, _ in accelerator.ports} == {
        name: width for name, _, width in accelerator.ports
    }


def test_refusals() -> None:
    fixed = quantized(ONE_LAYER).fixed
    with pytest.raises(AcceleratorError, match="'one-layer': the plan has no folding for 'scores'"):
        Accelerator(fixed, {})
    with pytest.raises(UnitError, match="dense 'scores': lanes must divide 1"):
        Accelerator(fixed, {"scores": Folding(lanes=3)})
    for name in ("", "1st", "a-b", "a$b", "a\n", "grün", "module", "logic", "TOP"):
        with pytest.raises(AcceleratorError, match=r"top module .*: its name must have letters"):
            Accelerator(fixed, smallest_plan(ONE_LAYER), name)


@pytest.mark.parametrize(
    ("network", "top"),
    [
        ("one-layer", "one_layer"),
        ("scores", "scores"),
        ("1-layer", "accelerator_1_layer"),
        ("module", "accelerator_module"),
        ("std", "accelerator_std"),
        ("-", "_"),
    ],
)
def test_the_top_is_named_after_the_network(network: str, top: str) -> None:
    fixed = quantized(replace(ONE_LAYER, name=network)).fixed
    assert Accelerator(fixed, smallest_plan(ONE_LAYER)).name == top
    assert Accelerator(fixed, smallest_plan(ONE_LAYER), "mine").name == "mine"

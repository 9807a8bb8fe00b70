"""cocotb tests of the small hardware, made of the kit; `test_run_tests` runs them."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import cocotb
import numpy as np
import pytest
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer

from systolith.sim import bench
from tests.sim import small_hardware

IMAGES = small_hardware.dataset(3).images


def parts(
    dut: HierarchyObject,
) -> tuple[bench.Accelerator, bench.Source, bench.Sink, list[bench.LayerMonitor]]:
    accelerator = bench.Accelerator(dut)
    source, sink = bench.Source(accelerator), bench.Sink(accelerator)
    return accelerator, source, sink, accelerator.monitors()


@cocotb.test()
async def good_with_stalls(dut: HierarchyObject) -> None:
    accelerator, source, sink, monitors = parts(dut)
    pixels = bench.LayerMonitor(accelerator, "input")
    source.stall(bench.pauses("random", 1))
    sink.stall(bench.pauses("cyclic"))
    assert [monitor.name for monitor in monitors] == [*accelerator.layers]
    await accelerator.reset()
    await source.send(IMAGES)
    await bench.Scoreboard(accelerator.reference(IMAGES)).check(*monitors, sink)
    np.testing.assert_array_equal(await pixels.receive(3), IMAGES)
    await accelerator.quiet()


@cocotb.test()
async def good_image_after_image(dut: HierarchyObject) -> None:
    accelerator, source, sink, monitors = parts(dut)
    reference = accelerator.reference(IMAGES)
    await accelerator.reset()
    for number, image in enumerate(IMAGES):
        await source.send(image)
        assert await sink.receive() == [reference.results[number]]
        values = await monitors[0].receive()
        np.testing.assert_array_equal(values[0], reference.layers["pool"][number])


@cocotb.test()
async def good_after_frames_of_a_wrong_length(dut: HierarchyObject) -> None:
    accelerator, source, sink, _ = parts(dut)
    await accelerator.reset()
    await source.send(IMAGES, lengths=[5, None, 1000])
    results = await sink.receive(3)
    assert [result.wrong_length for result in results] == [True, False, True]
    assert results[1] == accelerator.reference(IMAGES).results[1]


@cocotb.test()
async def good_after_a_reset_in_mid_frame(dut: HierarchyObject) -> None:
    accelerator, source, sink, monitors = parts(dut)
    await accelerator.reset()
    source.start(IMAGES)
    await accelerator.until(lambda: source.taken == 100)
    await accelerator.reset()
    await source.send(IMAGES)
    await bench.Scoreboard(accelerator.reference(IMAGES)).check(*monitors, sink)


@cocotb.test()
async def good_names_of_what_differs(dut: HierarchyObject) -> None:
    accelerator, source, sink, monitors = parts(dut)
    reference = accelerator.reference(IMAGES)
    right = reference.layers["conv__x"][1, 1, 0, 2].item()
    reference.layers["conv__x"][1, 1, 0, 2] += 3
    wrong = replace(reference.results[2], score=7)
    altered = replace(reference, results=(*reference.results[:2], wrong))
    await accelerator.reset()
    await source.send(IMAGES)
    with pytest.raises(AssertionError) as error:
        await bench.Scoreboard(altered).check(*monitors, sink)
    place = "image 1, row 1, column 0, channel 2"
    values = f"expected {right + 3}, found {right}"
    assert str(error.value).splitlines() == [
        f"conv__x: 1 of 18 values differ, the first in {place}: {values}",
        f"m_axis: image 2: expected {wrong}, found {reference.results[2]}",
    ]


@cocotb.test()
async def good_messages_about_what_cannot_be(dut: HierarchyObject) -> None:
    accelerator, source, sink, _ = parts(dut)
    with pytest.raises(ValueError, match="layer 'C9': the network has input, pool, conv__x, dense"):
        bench.LayerMonitor(accelerator, "C9")
    with pytest.raises(RuntimeError, match="await `reset` first"):
        await source.send(IMAGES)
    await accelerator.reset()
    with pytest.raises(ValueError, match=r"shape \(1, 3, 7, 5, 2\) cannot go in"):
        source.start(IMAGES[None])
    with pytest.raises(ValueError, match="values of images must be from 0 to 255"):
        source.start(-1 - IMAGES.astype(int))
    source.start(IMAGES)
    with pytest.raises(RuntimeError, match="await the earlier send first"):
        await source.send(IMAGES)
    await sink.receive(3)


@cocotb.test()
async def good_message_about_a_network_that_is_stuck(dut: HierarchyObject) -> None:
    accelerator, source, sink, _ = parts(dut)
    accelerator.streams = replace(accelerator.streams, patience=300)
    sink.stall(itertools.repeat(True))
    await accelerator.reset()
    with pytest.raises(bench.RuleBroken, match="nothing moved for 301 cycles; s_axis took "):
        await source.send(np.concatenate([IMAGES] * 20))


@cocotb.test()
async def good_message_about_a_beat_too_many(dut: HierarchyObject) -> None:
    accelerator, source, _, _ = parts(dut)
    await accelerator.reset()
    source.start(IMAGES)
    with pytest.raises(bench.RuleBroken, match="a beat comes that no image asked for"):
        await accelerator.quiet()


@cocotb.test()
async def bad_value(dut: HierarchyObject) -> None:
    accelerator, source, _, monitors = parts(dut)
    reference = accelerator.reference(IMAGES)
    reference.layers["dense"][0, 0, 0, 3] += 1
    await accelerator.reset()
    await source.send(IMAGES)
    await bench.Scoreboard(reference).check(*monitors)


class Wrong:
    """A part that finds a broken rule."""

    def __init__(self, accelerator: bench.Accelerator) -> None:
        self._accelerator = accelerator

    def clock(self, cycle: int) -> bool:
        return False if cycle < 50 else self._accelerator.fail("something is wrong")

    def restart(self) -> None:
        pass

    def state(self) -> str:
        return ""


@cocotb.test()
async def bad_rule_while_nobody_waits(dut: HierarchyObject) -> None:
    accelerator, _, _, _ = parts(dut)
    accelerator.add(Wrong(accelerator))
    await accelerator.reset()
    await Timer(10_000, "step")


@cocotb.test()
async def bad_death(dut: HierarchyObject) -> None:
    os._exit(7)

"""A cocotb test of hardware that puts out scores, made of the kit; `test_results` runs it."""

from __future__ import annotations

from dataclasses import replace

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject

from systolith.sim import bench


@cocotb.test()
async def scores_and_flags(dut: HierarchyObject) -> None:
    accelerator = bench.Accelerator(dut)
    source = bench.Source(accelerator, stalls=bench.pauses("random", 1))
    sink = bench.Sink(accelerator, stalls=bench.pauses("random", 2))
    shape = accelerator.network.fixed.network.input.image_shape
    images = np.random.default_rng(7).integers(0, 256, (4, *shape), np.uint8)
    expected = accelerator.reference(images).results
    await accelerator.reset()
    await source.send(images, lengths=[None, shape.size + 3, 2, None])
    first, second, third, last = await sink.receive(4)
    assert (first, last) == (expected[0], expected[3])
    assert second == replace(expected[1], wrong_length=True)
    assert third.wrong_length and len(third.scores) == len(first.scores) > 1
    assert (first.label, first.score) == (None, None)
    await accelerator.quiet()

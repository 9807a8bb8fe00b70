"""Images between a line and an accelerator that stalls."""

from __future__ import annotations

from typing import Any

import pytest

from systolith.hw.boards.image_buffer import WINDOW, ImageBuffer
from tests.hw.clocked import run_bench
from tests.hw.stream_driver import Pauses, cyclic, never, randomly

_SIZE = 5


@pytest.mark.parametrize("backpressure", [never, cyclic(7), randomly(3, 0.8)])
@pytest.mark.parametrize("pace", [1, 9])
def test_images_come_out_as_they_went_in(backpressure: Pauses, pace: int) -> None:
    unit = ImageBuffer(_SIZE)
    images = [[16 * image + place for place in range(_SIZE)] for image in range(7)]
    frames: list[list[int]] = []
    numbers: list[int] = []
    stalls = 0

    async def write(ctx: Any) -> None:
        nonlocal stalls
        for image, pixels in enumerate(images):
            while not ctx.get(unit.free):
                stalls += 1
                await ctx.tick()
            for place, pixel in enumerate(pixels):
                ctx.set(unit.write, 1)
                ctx.set(unit.position, place)
                ctx.set(unit.pixel, pixel)
                await ctx.tick()
                ctx.set(unit.write, 0)
                for _ in range(pace - 1):
                    await ctx.tick()
            assert ctx.get(unit.free)
            ctx.set(unit.commit, 1)
            ctx.set(unit.number, 100 + image)
            await ctx.tick()
            ctx.set(unit.commit, 0)

    async def read(ctx: Any) -> None:
        cycle = 0
        frame: list[int] = []
        held = None
        while len(frames) < len(images):
            ready = not backpressure(cycle)
            ctx.set(unit.o.ready, ready)
            ctx.set(unit.numbers.ready, ready)
            if ctx.get(unit.numbers.valid) and ready:
                assert len(numbers) == len(frames) and not frame
                numbers.append(ctx.get(unit.numbers.payload))
            offered = ctx.get(unit.o.valid) and (
                ctx.get(unit.o.payload.data),
                ctx.get(unit.o.payload.last),
            )
            assert held is None or offered == held
            held = offered if offered and not ready else None
            if offered and ready:
                frame.append(offered[0])
                if offered[1]:
                    frames.append(frame)
                    frame = []
            await ctx.tick()
            cycle += 1

    run_bench(unit, write, read)
    assert frames == images
    assert numbers == [100 + image for image in range(len(images))]
    assert WINDOW == 2 and (pace == 9 or stalls)

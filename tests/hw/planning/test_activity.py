# amaranth: UnusedElaboratable=no
from __future__ import annotations

from systolith.golden.network.graph import Convolution, Input, MaxPooling, Network
from systolith.hw.accelerator import RESULT, Accelerator
from systolith.hw.folding import Folding
from systolith.hw.planning.activity import activity
from systolith.hw.streams.cycles import run_until_taken
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized

# The steps of an array: windows, chunks, folds. The beats of a layer without an array.
CYCLES = {
    # 11 x 10 pixels with their border, kernel 3 x 2 over 2 maps: 9 x 9 windows of 12 elements.
    "C1": 9 * 9 * 3 * 2,
    "S2": 9 * 9 * 2,
    # 9 x 4 pixels, kernel 2 x 2: 8 x 3 windows; a map feeds 3, 4, 4 and 3 of the 6 outputs.
    "C3": 8 * 3 * 2 * (1 + 2 + 2 + 1),
    "S4": 8 * 3 * 2,
    "S5": 4 * 1 * 2,
    # 2 x 1 pixels of 6 channels in chunks of 3, one fold.
    "F6": 4,
    # 5 inputs one by one, 3 outputs on 2 columns.
    "output": 5 * 2,
}


def test_units_are_busy_for_the_cycles_of_their_work() -> None:
    images = 3
    accelerator = Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)
    seen = activity(accelerator, images, spans=50)
    assert list(seen.busy) == list(CYCLES)
    for name, busy in seen.busy.items():
        # As many spans as reach the last result.
        assert busy.shape == (images, -(-(seen.results[-1] + 1) // seen.span_cycles))
        assert busy.sum(axis=1).tolist() == [CYCLES[name]] * images, name
        assert (busy.sum(axis=0) <= seen.span_cycles).all()
    assert len(seen.results) == images
    # The shortest of which 50 reach the last result.
    assert 50 * (seen.span_cycles - 1) <= seen.results[-1] < 50 * seen.span_cycles
    # The cycle of the last result is one more than its number, as the first has the number 0.
    assert activity(accelerator, images, spans=seen.results[-1]).span_cycles == 2
    assert activity(accelerator, images, spans=seen.results[-1] + 1).span_cycles == 1


def test_a_result_is_in_the_cycle_of_the_last_of_its_scores() -> None:
    fixed = quantized(EVERY_KIND).fixed
    accelerator = Accelerator(fixed, EVERY_KIND_PLAN, result="scores")
    seen = activity(accelerator, images=2, spans=50)
    result = accelerator.cycles()[0][RESULT]
    run_until_taken(result, 2 * 3)
    # Three scores an image: the third and the sixth beat.
    assert seen.results == (result.taken[2], result.taken[5])


def test_work_after_the_last_result_is_left_out() -> None:
    """A result does not wait for the rows that pooling drops, which are taken later."""
    network = Network(
        "dropped-rows",
        (
            Input(name="input", height=12, width=2, background=30),
            Convolution(name="C1", inputs=("input",), kernel=(1, 1), out_channels=1),
            MaxPooling(name="S2", inputs=("C1",), window=(7, 2)),
        ),
    )
    plan = {"C1": Folding(), "S2": Folding()}
    seen = activity(Accelerator(quantized(network).fixed, plan), images=2, spans=1000)
    assert seen.span_cycles == 1
    assert seen.busy["S2"].shape == (2, seen.results[-1] + 1)
    first, second = seen.busy["S2"].sum(axis=1)
    assert first == 12 * 2 > second

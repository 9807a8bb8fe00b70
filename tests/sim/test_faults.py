from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.fixed.consistency import check
from systolith.golden.fixed.execution import FixedModel
from systolith.sim.faults import find_fault
from tests.sim import small_hardware

FIXED = small_hardware.quantized().fixed
IMAGES = small_hardware.dataset(6).images


@pytest.mark.parametrize("name", small_hardware.WEIGHTED)
def test_one_bit_differs_and_is_seen_in_that_layer_first(name: str) -> None:
    fault = find_fault(FIXED, name, IMAGES)
    check(fault.fixed)
    for before, after in zip(FIXED.layers, fault.fixed.layers, strict=True):
        if before.name != name:
            assert after is before
    weights, altered = FIXED[name].weights, fault.fixed[name].weights
    assert weights is not None and altered is not None
    assert np.argwhere(weights != altered).tolist() == [list(fault.index)]
    bits = FIXED[name].weight_formats[fault.index[-1]].bits
    difference = (int(weights[fault.index]) ^ int(altered[fault.index])) % (1 << bits)
    assert difference == 1 << fault.bit
    assert FIXED[name].accumulator_bits == fault.fixed[name].accumulator_bits
    right, wrong = (FixedModel(each).run(IMAGES).outputs for each in (FIXED, fault.fixed))
    assert (right["pool"] == wrong["pool"]).all()
    assert (right[name] != wrong[name]).any()


def test_it_is_the_same_every_time() -> None:
    first, second = (find_fault(FIXED, "dense", IMAGES) for _ in range(2))
    assert str(first) == str(second)


def test_images_that_no_fault_changes_are_an_error() -> None:
    # All pixels 0, and so all inputs of the convolution, whose zero is 0.
    dark = np.zeros_like(IMAGES)
    assert not FixedModel(FIXED).run(dark).outputs["pool"].any()
    with pytest.raises(ValueError, match="layer 'conv__x': no single bit of its weights changes"):
        find_fault(FIXED, "conv__x", dark)

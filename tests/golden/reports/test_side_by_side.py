"""Both networks' values against their own models."""

from __future__ import annotations

import numpy as np

from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.golden.reports.side_by_side import side_by_side
from tests.golden.random_networks import random_quantized


def test_values_stand_for_what_the_models_say() -> None:
    quantized, images = random_quantized(3)
    run = execution.run(quantized.fixed, images)
    real = float_model.run(quantized.parent, images)
    layers = list(side_by_side(quantized, images))
    assert [layer.name for layer in layers] == list(run.outputs)
    for layer in layers:
        assert (layer.real == real[layer.name]).all()
        raw = np.rint((layer.held - layer.offset) / layer.step).astype(np.int64)
        assert (raw == run.outputs[layer.name]).all()
        low, high = layer.ends
        assert low <= layer.held.min() and layer.held.max() <= high

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network.graph import Dense, GraphError, Shape
from systolith.sim.bench.unit_reference import layer_values, random_frames
from tests.hw.fixed_layers import array_layer
from tests.unknown_choices import has_no, piecewise_activation


def test_an_activation_of_an_unknown_fixed_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = array_layer(
        Dense(name="F", inputs=("x",), units=2),
        Shape(1, 1, 3),
        QFormat(8, 0),
        QFormat(8, 0),
        rng=np.random.default_rng(1),
    )
    frames = random_frames(layer, seed=1)
    assert layer_values(layer, frames).shape == (4, 1, 1, 2)
    strange = replace(layer.layer, activation=piecewise_activation(monkeypatch))
    with pytest.raises(GraphError, match=has_no("expected values")):
        layer_values(replace(layer, layer=strange), frames)

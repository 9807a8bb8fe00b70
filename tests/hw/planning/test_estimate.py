# amaranth: UnusedElaboratable=no
from __future__ import annotations

from systolith.hw.folding import Folding
from systolith.hw.planning.estimate import PlannedLayer, bottleneck


def layers(**cycles: int) -> list[PlannedLayer]:
    return [PlannedLayer(name, "dense", Folding(), 1, each, 1, 0) for name, each in cycles.items()]


def test_a_bottleneck_is_told_with_the_layer_that_is_next() -> None:
    assert bottleneck(200, layers(a=20, b=200, c=150), 1) == (
        "b holds the others back: 200 cycles an image; next is c with 150 (25.0% idle)"
    )
    assert bottleneck(200, layers(a=200), 1) == "a holds the others back: 200 cycles an image"


def test_a_bottleneck_may_be_the_scores_or_no_layer_at_all() -> None:
    assert bottleneck(1000, layers(a=20, b=200, c=150), 1000) == (
        "the 1,000 scores, one a cycle, hold the layers back; the slowest is b with 200"
    )
    assert bottleneck(1000, layers(a=20, b=200, c=150), 999).endswith("the slowest is b with 200")
    held = bottleneck(200, layers(a=20, b=200), 200)
    assert held.startswith("b holds the others back: 200 cycles")

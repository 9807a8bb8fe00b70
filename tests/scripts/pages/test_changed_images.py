"""Which images of a comparison are shown, and with which scores, held against the networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from systolith import golden
from systolith.golden.fixed import execution
from systolith.golden.network.graph import Network
from systolith.golden.qformat import QFormat
from systolith.golden.reports.comparison import Comparison
from systolith.scripts.pages import changed_images as module
from systolith.scripts.pages.changed_images import KINDS, changed_images
from systolith.scripts.pages.map_pictures import grey
from tests.scripts import tiny

COUNT = 60
DATA = golden.Dataset(
    "random",
    "custom",
    np.random.default_rng(9).integers(0, 256, (COUNT, 5, 4, 1), dtype=np.uint8),
    np.arange(COUNT) % 3,
)
FLOAT = tiny.quantized().parent
COARSE = [
    golden.quantize(
        FLOAT,
        DATA.images,
        golden.Settings.from_mapping({"weight_bits": bits, "activation_bits": bits}),
    )
    for bits in (2, 3)
]
NETWORKS: list[golden.TrainedNetwork | golden.QuantizedNetwork | None] = [FLOAT, *COARSE]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    reports = [golden.evaluate(network, DATA) for network in NETWORKS if network is not None]
    return golden.compare(reports, given_labels=["float", "two", "three"])


def test_every_change_is_shown_with_its_scores(comparison: Comparison) -> None:
    found = changed_images(comparison, NETWORKS, DATA)
    real = golden.float_maps(FLOAT, DATA.images)["dense"].reshape(COUNT, 3)
    expected = []
    for label, network in zip(("two", "three"), COARSE, strict=True):
        step = network.fixed.layers[-1].output_format.step
        values = execution.scores(network.fixed, DATA.images) * step
        for image in range(COUNT):
            before, after = int(real[image].argmax()), int(values[image].argmax())
            if before != after:
                own = {before: "lost", after: "gained"}.get(image % 3, "still wrong")
                expected.append((label, image, own, before, after, tuple(values[image].tolist())))
    assert [
        (each.after.by, each.image, each.kind, each.before.number, each.after.number)
        for each in found.shown
    ] == [each[:5] for each in expected]
    assert {each[2] for each in expected} == set(module.KINDS)
    for each, (*_, scores) in zip(found.shown, expected, strict=True):
        assert each.label == each.image % 3
        assert each.after.scores == pytest.approx(scores)
        assert each.before.scores == pytest.approx(real[each.image].tolist(), rel=1e-5)
        assert each.before.by == "float"
        assert each.picture == grey(DATA.images[each.image])
    assert found.total == len(expected)
    assert found.has_scores


@pytest.mark.parametrize("known", [0, 1, 2])
def test_scores_of_one_network_are_shown_beside_those_that_are_not_known(
    known: int, comparison: Comparison
) -> None:
    networks = [network if place == known else None for place, network in enumerate(NETWORKS)]
    found = changed_images(comparison, networks, DATA)
    assert found.has_scores
    for each in found.shown:
        assert bool(each.before.scores) == (known == 0)
        assert bool(each.after.scores) == (each.after.by == ("float", "two", "three")[known])


def test_without_networks_and_images_there_are_the_classes(comparison: Comparison) -> None:
    whole = changed_images(comparison, NETWORKS, DATA)
    found = changed_images(comparison, [], None)
    assert [each.image for each in found.shown] == [each.image for each in whole.shown]
    assert not found.has_scores
    assert {each.picture for each in found.shown} == {""}


def test_of_too_many_each_report_and_each_kind_is_shown_in_turn(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = changed_images(comparison, NETWORKS, DATA)
    monkeypatch.setattr(module, "MOST_IMAGES", 6)
    few = changed_images(comparison, NETWORKS, DATA)
    assert few.total == whole.total
    for label in ("two", "three"):
        own = [each for each in whole.shown if each.after.by == label]
        first = [next(each.image for each in own if each.kind == kind) for kind in KINDS]
        assert [each.image for each in few.shown if each.after.by == label] == sorted(first)
    monkeypatch.setattr(module, "_MOST_SCORES", 9)
    assert len(changed_images(comparison, NETWORKS, DATA).shown) == 3
    # With more classes than that, one image.
    monkeypatch.setattr(module, "_MOST_SCORES", 1)
    assert len(changed_images(comparison, NETWORKS, DATA).shown) == 1


def test_pictures_of_features_have_the_range_of_their_format(comparison: Comparison) -> None:
    """As the first network that is known says: here a signed format of 5 bits."""
    signed = QFormat(5, 2)
    first, others = FLOAT.network.input, FLOAT.network.layers[1:]
    network = Network("signed", (replace(first, format=signed), *others))
    trained = golden.TrainedNetwork(network, FLOAT.arrays)
    data = replace(DATA, images=(DATA.images.astype(np.int16) % 32 - 16).astype(np.int8))
    found = changed_images(comparison, [None, None, trained], data)
    assert found.shown
    for each in found.shown:
        assert each.picture == grey(data.images[each.image], signed)


@pytest.mark.parametrize("digits", [golden.test_digits(), golden.validation_digits()])
def test_digits_that_ship_are_known_by_their_hash(digits: golden.Dataset) -> None:
    network = golden.load_network("lenet5-relu")
    settings = golden.Settings.from_mapping({"weight_bits": 2, "activation_bits": 2})
    coarse = golden.quantize(network, golden.validation_digits().images[:20], settings)
    reports = [golden.evaluate(each, digits, 30) for each in (network, coarse)]
    shown = changed_images(golden.compare(reports), [None, None], None).shown
    assert shown
    assert [each.picture for each in shown] == [grey(digits.images[each.image]) for each in shown]

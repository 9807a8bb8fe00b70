"""Random networks through the whole path: quantize, generate, simulate, every value equal.

A failure is seen again with `pytest tests/test_random_networks.py --network-seed SEED
--network-count 1`, SEED being the number in the test's name.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from systolith import hw, sim
from tests.random_cases import random_case

NETWORKS = 10
MANY_NETWORKS = 100


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    many = metafunc.definition.get_closest_marker("long") is not None
    first = metafunc.config.getoption("network_seed")
    count = metafunc.config.getoption("network_count") or (MANY_NETWORKS if many else NETWORKS)
    metafunc.parametrize("network_seed", list(range(first, first + count)))


def check(seed: int, folder: Path) -> None:
    """Hold a network's hardware against its model, without pauses and with."""
    case = random_case(seed)
    hw.generate(case.quantized, folder, case.plan, result=hw.RESULT_KINDS[seed % 2])
    for stalls in (None, seed):
        report = sim.simulate(folder, images=None, dataset=case.data, stalls=stalls, engine="bulk")
        assert report.bit_exact, "; ".join(report.failures)
        assert report.images == len(case.data)
        assert report.result == "scores" or report.classes == tuple(case.data.known_labels.tolist())


def test_network(network_seed: int, tmp_path: Path) -> None:
    check(network_seed, tmp_path / "hardware")


@pytest.mark.long
def test_one_of_many_networks(network_seed: int, tmp_path: Path) -> None:
    check(network_seed, tmp_path / "hardware")

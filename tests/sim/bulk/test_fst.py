from __future__ import annotations

from pathlib import Path

import pytest

from systolith.sim.bulk.engine import trace_image
from systolith.sim.bulk.fst import declarations, finish
from systolith.sim.errors import SimulationError
from tests.sim.bulk.fst_values import read
from tests.sim.toy_network import toy_images, toy_network


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("waves") / "toy.fst"
    trace_image(toy_network(), toy_images(2), None, 0, (0, 0), path)
    return path


def test_every_signal_is_declared(waves: Path) -> None:
    found = {".".join((*scope, name + bits)) for scope, name, bits in declarations(waves)}
    changes = read(waves)
    assert found == set(changes)
    assert all(changes.values())


def test_a_waveform_that_was_cut_off_is_refused(waves: Path, tmp_path: Path) -> None:
    whole = waves.read_bytes()
    cut = tmp_path / "cut.fst"
    for content in (whole[:-1], whole[:329], bytes(330) + whole[330:], b""):
        cut.write_bytes(content)
        with pytest.raises(SimulationError, match=r"writing cut\.fst: the file could not be"):
            finish(cut)
    cut.write_bytes(whole)
    finish(cut)
    assert cut.read_bytes() == whole

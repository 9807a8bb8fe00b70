"""Trials on several processors: the same as on one, and what happens when a process dies."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pytest

from systolith import golden
from systolith.golden.quantization.trials import TrialBench, try_widths
from systolith.scripts.comparing import parallel_trials
from tests.scripts import tiny

RNG = np.random.default_rng(7)
DATA = golden.Dataset(
    "random", "custom", RNG.integers(0, 256, (90, 5, 4, 1), dtype=np.uint8), np.arange(90) % 3
)


@pytest.fixture(scope="module")
def quantized() -> golden.QuantizedNetwork:
    """A network with settings of one layer, which do not go to other processes by themselves."""
    settings = {"weight_bits": 3, "activation_bits": 3, "layers": {"dense": {"weight_bits": 4}}}
    return golden.quantize(
        tiny.quantized().parent, DATA.images[:30], golden.Settings.from_mapping(settings)
    )


def test_trials_do_not_depend_on_the_number_of_processes(
    quantized: golden.QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = try_widths(quantized, DATA.images[:30], DATA)
    assert len({trial.correct for trial in expected.trials}) > 2
    for processes in (1, 2):
        monkeypatch.setattr(parallel_trials, "processors", lambda count=processes: count)
        found = try_widths(quantized, DATA.images[:30], DATA, run=parallel_trials.on_all_processors)
        assert found == expected


def test_a_dead_process_is_named(
    quantized: golden.QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(_: int) -> NoReturn:
        raise ChildProcessError("finished results are cached")

    monkeypatch.setattr(parallel_trials, "processors", lambda: 2)
    monkeypatch.setattr(parallel_trials, "local_workers", dying)
    right = np.zeros(len(DATA), np.bool_)
    bench = TrialBench(
        quantized.parent, quantized.settings, DATA.images, DATA, DATA.known_labels, right
    )
    with pytest.raises(ChildProcessError, match=r"^a process that tried widths died$"):
        next(parallel_trials.on_all_processors(bench))

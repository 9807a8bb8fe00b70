"""Which simulators a test may use on this machine."""

from __future__ import annotations

import os

import pytest

from systolith.hw.errors import MissingToolError
from systolith.sim.simulators.installed import SIMULATORS, Simulator, require

either_simulator = pytest.mark.parametrize("simulator", SIMULATORS)


def need(simulator: Simulator) -> None:
    """Skip a test if the simulator is not installed; where CI is `true`, fail instead."""
    try:
        require(simulator)
    except MissingToolError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))

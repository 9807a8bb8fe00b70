"""What all tests share."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Iterator

import hypothesis
import pytest

from systolith.scripts import progress

# A deadline would make a test's result depend on what else the machine does.
hypothesis.settings.register_profile("systolith", deadline=None, print_blob=True)
hypothesis.settings.load_profile("systolith")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("random networks")
    group.addoption("--network-seed", type=int, help="of the first; by default a fresh one")
    group.addoption("--network-count", type=int, help="how many")


def pytest_configure(config: pytest.Config) -> None:
    # A script's shell has SIGINT ignored in what it starts in the background, and `nohup` SIGHUP:
    # the processes that tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Tables are as wide as where nobody says how wide a terminal is.
    os.environ.pop("COLUMNS", None)
    if config.option.network_seed is None:
        # Processes that pytest starts to share the tests inherit it.
        seed = os.environ.setdefault("SYSTOLITH_NETWORK_SEED", str(secrets.randbelow(10**9)))
        config.option.network_seed = int(seed)


def pytest_report_header(config: pytest.Config) -> str:
    return f"random networks: --network-seed {config.option.network_seed}"


@pytest.fixture(scope="module", autouse=True)
def no_patch_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test file that leaves one of its functions in a module of the project.

    A module that is first imported while a function of another is patched takes the patch for
    good, and later tests would test that. The remedy is to import it at the top of the test file.
    """
    yield
    left = [
        f"{name}.{key}"
        for name, module in list(sys.modules.items())
        if name.startswith("systolith.")
        for key, value in vars(module).items()
        if str(getattr(value, "__module__", "")).startswith("tests.")
    ]
    assert not left, f"{request.node.nodeid}: patched for good: {', '.join(left)}"


@pytest.fixture(scope="session", autouse=True)
def no_lines_of_progress() -> None:
    """Commands print one every ten seconds: on a slow machine, among what a test expects."""
    progress.SECONDS_BETWEEN_LINES = 3600.0

from __future__ import annotations

import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from systolith.golden.files.home import home_folder

# Draws figures as a user whom the user database does not know.
PROGRAM = """
import os, pwd
def unknown(_):
    raise KeyError
pwd.getpwuid = unknown
import systolith.scripts.pages.report_figures
assert "HOME" not in os.environ
"""


def test_home_is_the_variable_or_that_of_the_user_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_folder() == tmp_path
    monkeypatch.setenv("HOME", "")
    assert home_folder() is not None

    def unknown(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert home_folder() is None


def test_figures_are_drawn_without_a_home() -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)

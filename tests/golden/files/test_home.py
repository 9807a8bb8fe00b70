from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "below")
    assert home_folder() == tmp_path / "below"
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    monkeypatch.setattr(pwd, "getpwuid", lambda user: SimpleNamespace(pw_dir=f"/home/{user}"))
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("HOME")
        else:
            monkeypatch.setenv("HOME", value)
        assert home_folder() == Path("/home/4321")

    def unknown(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert home_folder() is None


def test_figures_are_drawn_without_a_home() -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)

"""What is installed, and how fast the command starts."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_FOLDERS = ("golden", "hw", "sim", "scripts")
_HEAVY = ("amaranth", "cocotb", "numpy", "onnx", "torch")


@pytest.fixture(scope="module")
def wheel_members(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=_ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_has_one_package(wheel_members: list[str]) -> None:
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    tops = {member.partition("/")[0] for member in wheel_members}
    assert tops == {"systolith", f"systolith-{version}.dist-info"}
    assert not [m for m in wheel_members if "__pycache__" in m or m.endswith(".pyc")]


def test_the_wheel_has_every_file_of_the_folders_but_benchmarks(wheel_members: list[str]) -> None:
    present = {
        f"systolith/{path.relative_to(_ROOT).as_posix()}"
        for folder in _FOLDERS
        for path in (_ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", "benchmarks"} & {*path.parts}
    }
    present |= {"systolith/__init__.py", "systolith/py.typed"}
    assert present == {m for m in wheel_members if m.startswith("systolith/")}


@pytest.mark.parametrize("folder", _FOLDERS)
def test_a_folder_is_imported_only_inside_the_package(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=_ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    *_, line = done.stderr.splitlines()
    assert line == f"ImportError: {folder} is a part of systolith: import systolith.{folder}"


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from systolith.scripts.main import main; main(['--help']); "
        f"print([name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    assert done.stderr == "[]\n"
    assert "simulate" in done.stdout


def test_constraints_pin_every_dependency_and_name_no_host() -> None:
    lines = (_ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all("://" not in pin and "+" not in pin and pin.count("==") == 1 for pin in pins)
    pinned = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    assert {line.partition(">=")[0].lower() for line in wanted} <= pinned

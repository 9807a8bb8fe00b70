from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest

from systolith.hw.installation import install_extra, install_package


class Installed:
    """The distribution of this program, installed in some way."""

    def __init__(self, origin: object) -> None:
        self._origin = origin

    def __call__(self, name: str) -> Installed:
        assert name == "systolith"
        return self

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._origin is None else json.dumps(self._origin)


@pytest.fixture(autouse=True)
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))


def test_an_extra_of_a_checkout_is_installed_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, named in ((tmp_path, "."), (Path("/a b/systolith"), "/a b/systolith")):
        origin = {"url": folder.as_uri(), "dir_info": {"editable": True}}
        monkeypatch.setattr(metadata, "distribution", Installed(origin))
        command = shlex.split(install_extra("onnx"))
        assert command == [".venv/bin/python", "-m", "pip", "install", "-e", f"{named}[onnx]"]


@pytest.mark.parametrize(
    "origin", [None, {"url": "file:///a", "dir_info": {}}, {"url": "https://a/b.whl"}]
)
def test_elsewhere_it_is_installed_by_name(origin: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", Installed(origin))
    assert install_extra("train") == ".venv/bin/python -m pip install 'systolith[train]'"


def test_without_an_installation_it_is_installed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Installed:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert install_extra("dask").endswith("'systolith[dask]'")


def test_the_python_that_runs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert install_package("cocotb") == ".venv/bin/python -m pip install cocotb"
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python3")
    assert install_package("cocotb") == "'/opt/my python/bin/python3' -m pip install cocotb"

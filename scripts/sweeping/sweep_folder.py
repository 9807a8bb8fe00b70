"""The folder of a sweep: its report, tables, picture and page, and the networks of its fronts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from systolith.golden.errors import FileFormatError
from systolith.golden.files import json_files, npz
from systolith.golden.files.whole_files import read_whole, write_whole
from systolith.hw.child_processes import interrupts_delayed, temporary_folder
from systolith.scripts.outputs import writing
from systolith.scripts.sweeping.outcome import SCHEMA

REPORT = "sweep.json"
"""The name of the report, which says what networks the folder has."""

_SUFFIX = ".npz"
_MAX_BYTES = 1 << 26


class _Point(msgspec.Struct, frozen=True):
    name: str
    quantized_sha256: str
    on_front: bool


class _Report(msgspec.Struct, frozen=True):
    points: list[_Point]


@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep.

    Parameters
    ----------
    folder
        The folder, which need not exist yet.
    front
        The name of the folder in it that has the quantized networks of the fronts.
    """

    folder: Path
    front: str

    def networks(self) -> dict[str, str]:
        """The hashes of the networks that the last sweep wrote and that are still so, by name."""
        path = self.folder / REPORT
        try:
            report = json_files.read(path, _Report, SCHEMA, _MAX_BYTES)
        except FileFormatError:
            return {}
        return {
            point.name: point.quantized_sha256
            for point in report.points
            if point.on_front
            and Path(point.name).name == point.name
            and self._has(point.name, point.quantized_sha256)
        }

    def replace(
        self,
        networks: Mapping[str, str],
        new: Mapping[str, bytes],
        files: Mapping[str, bytes],
        report: bytes,
    ) -> None:
        """Replace the networks of the last sweep, and its files; other files in the folder stay.

        Parameters
        ----------
        networks
            The hashes of all networks that are there afterwards, by name.
        new
            The content of those that are not there yet.
        files, report
            The content of the files next to the folder of networks, by name, and of the report.

        Raises
        ------
        ValueError
            A file that no sweep wrote has the name of a network.
        OSError
            A file cannot be written.
        """
        before = self.networks()
        for name in new:
            path = self._path(name)
            if path.exists() and name not in before and not self._has(name, networks[name]):
                raise ValueError(
                    f"{path}: is not as a sweep wrote it, and has the name of a network of this "
                    "one: move it; the results are cached"
                )
        folder = self.folder / self.front
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(".front-", self.folder) as stage:
            with writing(folder):
                for name, content in new.items():
                    write_whole(stage / name, content)
            for name, content in files.items():
                self._write(name, content)
            with interrupts_delayed():
                # It says which networks are a sweep's.
                self._write(REPORT, report)
                for name in new:
                    (stage / name).replace(self._path(name))
                for name in set(before) - set(networks):
                    self._path(name).unlink()

    def _write(self, name: str, content: bytes) -> None:
        with writing(self.folder / name):
            write_whole(self.folder / name, content)

    def _path(self, name: str) -> Path:
        return self.folder / self.front / f"{name}{_SUFFIX}"

    def _has(self, name: str, sha256: str) -> bool:
        """Whether a network is there with this content."""
        try:
            content = read_whole(self._path(name), npz.MAX_BYTES)
        except FileFormatError:
            return False
        return hashlib.sha256(content).hexdigest() == sha256

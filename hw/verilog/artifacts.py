# amaranth: UnusedElaboratable=no
"""The folder of an accelerator: Verilog, manifest, plan and quantized network."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.files.whole_files import read_whole
from systolith.golden.quantization.quantized_network import SCHEMA as QUANTIZED_SCHEMA
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.folding import Plan
from systolith.hw.planning.budget import DEFAULT_PRESET, PRESETS, make_plan
from systolith.hw.planning.plan_file import load_plan, plan_to_toml
from systolith.hw.verilog import manifest as manifests
from systolith.hw.verilog.manifest import FilesEntry, Manifest
from systolith.hw.verilog.writer import accelerator_modules, with_comments

LATER_FILES = ("simulation.json", "synthesis.json")
"""The files that simulation and synthesis write into the folder later."""


class FolderError(ValueError):
    """A folder that an accelerator cannot be written to; the message has the file in the way."""


@dataclass(frozen=True, eq=False)
class Artifacts:
    """The content of a folder that `generate` wrote."""

    manifest: Manifest
    quantized: QuantizedNetwork
    plan: Plan
    verilog: str


def generate(
    quantized: QuantizedNetwork,
    out: str | os.PathLike[str],
    plan: Plan | None = None,
    name: str | None = None,
) -> Manifest:
    """Write the accelerator of a quantized network to a folder: whole, or not at all.

    The folder then has NAME.v, the quantized network NETWORK.npz, `plan.toml`, `manifest.json`, and
    Verilator's lint waivers NAME.vlt. An earlier accelerator in the folder is replaced, and results
    of its simulation or synthesis are removed; other files stay. The same input gives the same
    bytes.

    Parameters
    ----------
    quantized
        The network.
    out
        The folder; made if it is missing.
    plan
        The folding of each layer; without one, that of `hw.planning.budget.DEFAULT_PRESET`.
    name
        The name of the top module, with which the name of every module begins, and of the Verilog's
        file; by default the network's.

    Raises
    ------
    UnitError, AcceleratorError, PlanError
        Hardware does not support the network or the plan.
    FolderError
        A file in the folder is in the way.
    OSError
        The folder is not writable, or Yosys failed.
    """
    folder = Path(out)
    if plan is None:
        plan = make_plan(quantized.fixed, PRESETS[DEFAULT_PRESET])
    accelerator = Accelerator(quantized.fixed, plan, name)
    files = manifests.file_names(quantized.name, name)
    _require_writable(folder)
    _require_free(folder, _names(files))
    modules = accelerator_modules(accelerator)
    manifest = manifests.describe(quantized, accelerator, modules, files)
    contents = {
        files.verilog: with_comments(accelerator, modules, quantized.sha256).encode(),
        files.lint_waivers: (resources.files("systolith.hw.verilog") / "lint.vlt").read_bytes(),
        files.quantized: npz.encode(QUANTIZED_SCHEMA, *quantized.contents()),
        files.plan: plan_to_toml(plan).encode(),
        manifests.FILE_NAME: manifest.to_json(),
    }
    if folder.exists():
        _replace(folder, contents, [*_earlier_files(folder), *LATER_FILES])
    else:
        _create(folder, contents)
    return manifest


def load(folder: str | os.PathLike[str]) -> Artifacts:
    """Read a folder that `generate` wrote.

    The Verilog is not checked; a simulation compares it with the network.

    Raises
    ------
    FileFormatError, PlanError
        A file is missing or damaged, or belongs to another network than the manifest.
    """
    manifest = manifests.load_manifest(folder)
    where = Path(folder)
    quantized = QuantizedNetwork.load(where / manifest.files.quantized)
    if quantized.sha256 != manifest.quantized_sha256:
        raise FileFormatError(
            f"{where / manifest.files.quantized}: is not the network of {manifests.FILE_NAME}"
        )
    verilog = where / manifest.files.verilog
    try:
        text = read_whole(verilog, npz.MAX_BYTES).decode()
    except UnicodeDecodeError:
        raise FileFormatError(f"{verilog}: is not UTF-8 text") from None
    plan = load_plan(where / manifest.files.plan, quantized.fixed.network)
    return Artifacts(manifest, quantized, plan, text)


def _names(files: FilesEntry) -> list[str]:
    return [*msgspec.structs.astuple(files), manifests.FILE_NAME]


def _earlier_files(folder: Path) -> list[str]:
    """The files of the accelerator that a folder already has."""
    if not (folder / manifests.FILE_NAME).exists():
        return []
    try:
        return _names(manifests.load_manifest(folder).files)
    except FileFormatError as error:
        raise FolderError(f"{error}: choose another folder") from None


def _require_writable(folder: Path) -> None:
    """Fail early if the folder cannot be written."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "the folder is not writable", str(nearest))


def _require_free(folder: Path, names: Iterable[str]) -> None:
    """Check that no file with one of the names is there, but those that `generate` wrote before."""
    earlier = _earlier_files(folder)
    for name in names:
        if name not in earlier and (folder / name).exists():
            raise FolderError(
                f"{folder / name}: is there already and was not made by generate: "
                "choose another folder"
            )


def _create(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Create a folder with files; it appears once all of them are written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _stage(folder.parent, contents) as stage:
        stage.rename(folder)


def _replace(folder: Path, contents: Mapping[str, bytes], stale: Iterable[str]) -> None:
    """Move files into a folder, the manifest last, once all of them are written."""
    with _stage(folder, contents) as stage:
        for name in stale:
            if name not in contents:
                (folder / name).unlink(missing_ok=True)
        for name in contents:
            os.replace(stage / name, folder / name)


@contextmanager
def _stage(parent: Path, contents: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder with files, on the same file system as their destination."""
    with tempfile.TemporaryDirectory(prefix=".generate-", dir=parent) as name:
        # Only the owner may read a temporary folder; a folder inside has the usual rights.
        stage = Path(name) / "stage"
        stage.mkdir()
        for file, content in contents.items():
            (stage / file).write_bytes(content)
        yield stage

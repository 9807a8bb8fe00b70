# amaranth: UnusedElaboratable=no
"""The folder of an accelerator: Verilog, manifest, plan and quantized network."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.files.whole_files import read_whole
from systolith.golden.quantization.quantized_network import SCHEMA as QUANTIZED_SCHEMA
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.child_processes import interrupts_delayed, temporary_folder
from systolith.hw.folding import Plan
from systolith.hw.planning.budget import DEFAULT_PRESET, PRESETS, Goal, make_plan
from systolith.hw.planning.plan_file import load_plan, plan_to_toml
from systolith.hw.streams.result_layout import ResultKind, result_layout
from systolith.hw.verilog import manifest as manifests
from systolith.hw.verilog.harmless import require_harmless
from systolith.hw.verilog.manifest import Manifest
from systolith.hw.verilog.writer import accelerator_modules, with_comments

RESULT_FILES = (
    *("simulation.json", "simulation.log", "results.xml"),
    *("synthesis.json", "waves.fst", "waves.gtkw", "waves.sucl"),
    *("board.bit", "board.json"),
)
"""The files that simulation, synthesis and `board` write into the folder later."""


class FolderError(ValueError):
    """A folder that an accelerator cannot be written to; the message has the file in the way."""


@dataclass(frozen=True, eq=False)
class Handover:
    """Files for other tools, by their paths in the folder, and in words the images of the bench."""

    images: str
    files: Mapping[str, bytes]


@dataclass(frozen=True, eq=False)
class Artifacts:
    """The content of a folder that `generate` wrote."""

    manifest: Manifest
    quantized: QuantizedNetwork
    plan: Plan
    verilog: str

    @property
    def verilog_sha256(self) -> str:
        """The SHA-256 of the Verilog's file in hex."""
        return _sha256(self.verilog.encode())

    @property
    def as_generated(self) -> bool:
        """Whether the Verilog is the one that the manifest describes."""
        return self.verilog_sha256 == self.manifest.verilog_sha256


def generate(
    quantized: QuantizedNetwork,
    out: str | os.PathLike[str],
    plan: Plan | None = None,
    name: str | None = None,
    goal: Goal | None = None,
    handover: Callable[[Artifacts], Handover] | None = None,
    result: ResultKind | None = None,
) -> Manifest:
    """Write the accelerator of a quantized network to a folder: whole, or not at all.

    The folder then has NAME.v, the quantized network NETWORK.npz, `plan.toml` and `manifest.json`.
    An earlier accelerator in the folder is replaced, and results
    of its simulation or synthesis are removed; other files stay, and files that were changed since
    they were generated are refused. The same input gives the same bytes.

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
    goal
        The goal that the plan was made for, for the file of the plan and the header of the
        Verilog.
    handover
        Makes the files for other tools (`hw.handover`). They are replaced with the others, and no
        command reads them.
    result
        What the accelerator puts out; by default what suits the network (`streams.result_layout`).

    Raises
    ------
    ValueError
        There is no such kind of result.
    UnitError, AcceleratorError, PlanError
        Hardware does not support the network or the plan.
    FolderError
        A file in the folder is in the way.
    OSError
        The folder is not writable, or Yosys failed.
    """
    folder = Path(out)
    if plan is None:
        goal = PRESETS[DEFAULT_PRESET]
        plan = make_plan(quantized.fixed, goal, result=result)
    accelerator = Accelerator(quantized.fixed, plan, name, result)
    files = manifests.file_names(quantized.name, name)
    _require_writable(folder)
    _replaced_files(folder, [*msgspec.structs.astuple(files), manifests.FILE_NAME])
    modules = accelerator_modules(accelerator)
    manifest = manifests.describe(quantized, accelerator, modules, files)
    contents = {
        files.verilog: with_comments(accelerator, modules, manifest, goal).encode(),
        files.quantized: npz.encode(QUANTIZED_SCHEMA, *quantized.contents()),
        files.plan: plan_to_toml(plan, manifest, goal).encode(),
    }
    manifest = msgspec.structs.replace(
        manifest,
        verilog_sha256=_sha256(contents[files.verilog]),
        plan_sha256=_sha256(contents[files.plan]),
    )
    if handover is not None:
        verilog = contents[files.verilog].decode()
        more = handover(Artifacts(manifest, quantized, plan, verilog))
        hashes = {file: _sha256(content) for file, content in more.files.items()}
        entry = manifests.HandoverEntry(more.images, hashes)
        manifest = msgspec.structs.replace(manifest, handover=entry)
        contents |= more.files
    contents[manifests.FILE_NAME] = manifest.to_json()
    if folder.exists():
        _replace(folder, contents)
    else:
        _create(folder, contents)
    return manifest


def load(folder: str | os.PathLike[str]) -> Artifacts:
    """Read a folder that `generate` wrote.

    The Verilog may be other than generated (`Artifacts.as_generated`): a simulation compares it
    with the network. It contains nothing that would run as a program (`verilog.harmless`).

    Raises
    ------
    FileFormatError, PlanError
        A file is missing or damaged; the network or the plan is not the manifest's.
    """
    manifest = manifests.load_manifest(folder)
    where = Path(folder)
    files = manifest.files
    quantized = QuantizedNetwork.load(where / files.quantized)
    if quantized.sha256 != manifest.quantized_sha256:
        raise FileFormatError(
            f"{where / files.quantized}: is not the network of {manifests.FILE_NAME}"
        )
    plan = load_plan(where / files.plan, quantized.fixed.network)
    if not _has(where / files.plan, manifest.plan_sha256):
        raise FileFormatError(f"{where / files.plan}: is not the plan of {manifests.FILE_NAME}")
    names = [layer.name for layer in quantized.fixed.layers]
    if [layer.name for layer in manifest.layers] != names:
        raise FileFormatError(
            f"{where / manifests.FILE_NAME}: its layers are not those of {files.quantized}"
        )
    if manifest.result != result_layout(quantized.fixed.layers[-1], manifest.result.kind):
        raise FileFormatError(
            f"{where / manifests.FILE_NAME}: its result is not one of {files.quantized}"
        )
    return Artifacts(manifest, quantized, plan, _read_verilog(where / files.verilog))


def _read_verilog(path: Path) -> str:
    content = read_whole(path, npz.MAX_BYTES)
    try:
        text = content.decode()
        require_harmless(text)
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: is not UTF-8 text") from None
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from None
    return text


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _has(path: Path, sha256: str) -> bool:
    """Whether a path is that of a file with this content."""
    try:
        return _sha256(read_whole(path, npz.MAX_BYTES)) == sha256
    except FileFormatError:
        return False


def _require_writable(folder: Path) -> None:
    """Fail early if the folder cannot be written."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "the folder is not writable", str(nearest))


def _replaced_files(folder: Path, names: Iterable[str]) -> list[str]:
    """The files in a folder that make way for new ones with these names, the manifest first.

    They are those of the accelerator in the folder, as it was generated, and its results.

    Raises
    ------
    FolderError
        One of them was changed since, or another file has one of the names.
    """
    earlier = {}
    if (folder / manifests.FILE_NAME).exists():
        try:
            earlier = manifests.load_manifest(folder).sha256()
        except FileFormatError as error:
            raise FolderError(f"{error}: choose another folder") from None
    found = []
    for name in sorted({*earlier, *names} - {manifests.FILE_NAME}):
        path = folder / name
        if not path.parent.is_dir() and os.path.lexists(path.parent):
            path = path.parent
        if os.path.lexists(path):
            if name not in earlier:
                raise FolderError(
                    f"{path}: is there already and was not made by generate: choose another folder"
                )
            if not _has(path, earlier[name]):
                raise FolderError(
                    f"{path}: is not as generate wrote it: move it, or choose another folder"
                )
            found.append(name)
    if not earlier:
        return []
    return [
        manifests.FILE_NAME,
        *found,
        *(name for name in RESULT_FILES if (folder / name).is_file()),
    ]


def _create(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Create a folder with files; it appears once all of them are written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _stage(folder.parent, contents) as stage:
        stage.rename(folder)


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replace the accelerator in a folder; after an error it is there as before.

    In between there is no manifest, and folders without one are never read.
    """
    with _stage(folder, contents) as stage, _locked(folder), interrupts_delayed():
        before = stage.with_name("before")
        before.mkdir()
        moves = [(folder / name, before / name) for name in _replaced_files(folder, contents)]
        moves += [(stage / name, folder / name) for name in contents]
        made = [each for each in {to.parent for _, to in moves} if not each.exists()]
        try:
            for each in made:
                each.mkdir()
            for source, target in moves:
                source.rename(target)
        except BaseException:
            for source, target in reversed(moves):
                if not os.path.lexists(source):
                    target.rename(source)
            for each in made:
                with suppress(OSError):
                    each.rmdir()
            raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from replacing the accelerator in the folder at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some file systems of networks have no locks for folders.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _stage(parent: Path, contents: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder with files, on the same file system as their destination."""
    with temporary_folder(".generate-", parent) as folder:
        # Only the owner may read a temporary folder; a folder inside has the usual rights.
        stage = folder / "stage"
        stage.mkdir()
        for file, content in contents.items():
            path = stage / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        yield stage

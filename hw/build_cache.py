"""The cache of builds: each build is made once for the content that it is made from.

Processes share it, so that no build is compiled twice; damaged builds are made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from systolith.golden.files.home import home_folder
from systolith.hw.child_processes import temporary_folder

LIMIT_BYTES = 2 * 2**30
"""The largest size of the cache."""

_TEMPORARY = "building-"
_ABANDONED_SECONDS = 24 * 3600.0
_LOCK = ".lock"
_DIGEST = ".sha256"


def cache_folder() -> Path:
    """The folder of the cache, an absolute path.

    It is `$SYSTOLITH_CACHE`, or `systolith` in `$XDG_CACHE_HOME` if that is absolute (others are
    invalid by the XDG Base Directory Specification), or `~/.cache/systolith`.

    Raises
    ------
    OSError
        None of them exists: there is no home folder.
    """
    chosen = os.environ.get("SYSTOLITH_CACHE")
    if chosen:
        return Path(chosen).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():
        return shared / "systolith"
    home = home_folder()
    if home is None:
        raise OSError("no home folder for cached builds: set SYSTOLITH_CACHE to a folder")
    return home / ".cache" / "systolith"


def content_key(*parts: str | bytes) -> str:
    """The key of a build: the sha256 of `parts` and their lengths, in hex."""
    state = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        state.update(len(content).to_bytes(8, "little"))
        state.update(content)
    return state.hexdigest()


def cached(
    key: str, artifact: str, build: Callable[[Path], None], limit_bytes: int = LIMIT_BYTES
) -> Path:
    """The path of the file `artifact` that `build(folder)` makes, from the cache if it has `key`.

    A build appears in the cache completely or not at all, even if it is interrupted or if two
    processes make it at the same time. A build whose files have changed since is made again. If the
    cache is larger than `limit_bytes`, the builds that were not used for the longest time go.

    Raises
    ------
    OSError
        If the cache cannot be written, or the build did not make the artifact.
    """
    root = cache_folder()
    root.mkdir(parents=True, exist_ok=True)
    entry = root / key
    path = entry / artifact
    with _locked(root):
        if _is_intact(entry):
            os.utime(entry)
            return path
    with temporary_folder(_TEMPORARY, root) as building:
        build(building)
        if not (building / artifact).exists():
            raise OSError(f"{path}: the build did not make it")
        (building / _DIGEST).write_text(_digest(building), "ascii")
        with _locked(root):
            # Another process may have been faster, and its build may be in use.
            if not _is_intact(entry):
                shutil.rmtree(entry, ignore_errors=True)
                building.rename(entry)
            _prune(root, limit_bytes, used=entry)
    return path


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Keep other processes and threads from looking builds up, adding and removing them."""
    with (root / _LOCK).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _is_intact(entry: Path) -> bool:
    """Whether a build is there, with the content that it was added with."""
    try:
        return (entry / _DIGEST).read_text("ascii") == _digest(entry)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(folder: Path) -> str:
    """The sha256 of the names and contents of all files in a folder."""
    parts: list[str | bytes] = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != _DIGEST:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").digest()
            parts += [file.relative_to(folder).as_posix(), digest]
    return content_key(*parts)


def _prune(root: Path, limit_bytes: int, used: Path) -> None:
    """Remove abandoned builds, and the longest unused until the rest is within `limit_bytes`."""
    entries = []
    for entry in root.iterdir():
        if entry.name == _LOCK:
            continue
        try:
            used_at = entry.stat().st_mtime
            size = sum(file.stat().st_size for file in entry.rglob("*"))
        except FileNotFoundError:  # a build that is being made
            continue
        if not entry.name.startswith(_TEMPORARY):
            entries.append((used_at, size, entry))
        elif time.time() - used_at > _ABANDONED_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= limit_bytes:
            break
        if entry != used:
            shutil.rmtree(entry, ignore_errors=True)
            total -= size

"""Builds kept by the content they were made from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LIMIT_BYTES = 2 * 2**30
"""The size to which the cache is kept."""

_TEMPORARY = "building-"
_ABANDONED_SECONDS = 24 * 3600.0


def cache_folder() -> Path:
    """`$SYSTOLITH_CACHE`, or `systolith` in `$XDG_CACHE_HOME`, or in `~/.cache`."""
    chosen = os.environ.get("SYSTOLITH_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "systolith"


def content_key(*parts: str | bytes) -> str:
    """The sha256 of `parts` and of where each ends, in hex."""
    state = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        state.update(len(content).to_bytes(8, "little"))
        state.update(content)
    return state.hexdigest()


def cached(
    key: str, artifact: str, build: Callable[[Path], None], limit_bytes: int = LIMIT_BYTES
) -> Path:
    """The file `artifact` that `build(folder)` makes in a folder, made once for each `key`.

    The folder appears in the cache whole or not at all, whatever stops the build, and whoever
    builds the same at the same time. Beyond `limit_bytes` the folders go that were used longest
    ago.

    Raises
    ------
    OSError
        If the cache cannot be written.
    """
    root = cache_folder()
    root.mkdir(parents=True, exist_ok=True)
    entry = root / key
    path = entry / artifact
    if path.exists():
        os.utime(entry)
        return path
    building = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=root))
    try:
        build(building)
        shutil.rmtree(entry, ignore_errors=True)
        # Another process may have been faster: then its folder serves as well as this one.
        with contextlib.suppress(OSError):
            building.rename(entry)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    if not path.exists():
        raise OSError(f"{path}: the build did not make it")
    _prune(root, limit_bytes, keep=entry)
    return path


def _prune(root: Path, limit_bytes: int, keep: Path) -> None:
    """Drop what was abandoned, and the longest unused until the rest is within `limit_bytes`."""
    entries = []
    for entry in root.iterdir():
        try:
            used = entry.stat().st_mtime
            size = sum(file.stat().st_size for file in entry.rglob("*"))
        except FileNotFoundError:  # another process dropped it
            continue
        if not entry.name.startswith(_TEMPORARY):
            entries.append((used, size, entry))
        elif time.time() - used > _ABANDONED_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= limit_bytes:
            break
        if entry != keep:
            shutil.rmtree(entry, ignore_errors=True)
            total -= size

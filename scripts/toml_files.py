"""Reading TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from systolith.golden.errors import FileFormatError
from systolith.golden.files.npz import read_bytes

_MAX_BYTES = 2**20


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises
    ------
    FileFormatError
        The file is missing, or is not TOML.
    """
    try:
        return tomllib.loads(read_bytes(path, _MAX_BYTES).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: not TOML: {error}") from None

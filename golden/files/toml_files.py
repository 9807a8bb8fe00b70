"""Reading TOML: settings of a quantization and plans of hardware."""

from __future__ import annotations

import math
import os
import re
import tomllib
from typing import Any

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign
from systolith.golden.files.whole_files import read_whole

MAX_BYTES = 2**20
"""The largest TOML file that is read, in bytes."""

MAX_DEPTH = 16
"""How deep tables and lists may be nested, and the number of parts that a dotted key may have."""

_INT64 = range(-(2**63), 2**63)
_QUOTED_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*')


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file: its integers have 64 bits, and its floats are finite.

    Raises
    ------
    FileFormatError
        The file is missing or too large, is not TOML, is nested deeper than `MAX_DEPTH`, or has a
        number that is out of range; the message names the key.
    """
    content = read_whole(path, MAX_BYTES)
    try:
        text = content.decode()
        _require_short_keys(text)
        document = tomllib.loads(text)
        _require_plain(document)
    except FileFormatError as error:
        raise foreign.refusal(path, content, foreign.TOML, error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = FileFormatError(f"not TOML: {error}")
        raise foreign.refusal(path, content, foreign.TOML, reason) from None
    except ValueError:  # the only other one: Python converts no text of thousands of digits
        raise FileFormatError(f"{path}: must have integers of 64 bits only") from None
    except RecursionError:
        raise FileFormatError(f"{path}: not TOML: nested too deeply") from None
    return document


def _require_short_keys(text: str) -> None:
    """Refuse long dotted keys before they are parsed: memory grows with the square of the parts."""
    for number, line in enumerate(text.split("\n"), 1):
        if _QUOTED_OR_COMMENT.sub("", line).count(".") > 2 * MAX_DEPTH:
            raise FileFormatError(
                f"line {number}: has too many dots, a key has at most {MAX_DEPTH} parts"
            )


def _require_plain(document: dict[str, Any]) -> None:
    """Refuse what is nested too deeply, and numbers that are out of range."""
    level: list[tuple[str, Any]] = list(document.items())
    for _ in range(MAX_DEPTH):
        for key, value in level:
            if isinstance(value, float) and not math.isfinite(value):
                raise FileFormatError(f"{key}: must be a finite number, not {value}")
            if isinstance(value, int) and value not in _INT64:
                raise FileFormatError(f"{key}: must be an integer of 64 bits")
        level = [part for key, value in level for part in _parts(key, value)]
    if level:
        raise FileFormatError(f"{level[0][0]}: is nested deeper than {MAX_DEPTH} levels")


def _parts(key: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{key}.{name}", each) for name, each in value.items()]
    if isinstance(value, list):
        return [(f"{key}[{place}]", each) for place, each in enumerate(value)]
    return []

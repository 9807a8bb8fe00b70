"""The user's home folder, which programs in containers and batch jobs may not have."""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path


def home_folder() -> Path | None:
    """The folder `$HOME`, or that of the user database if it is empty or missing; else None."""
    home = os.environ.get("HOME")
    if not home:
        with contextlib.suppress(KeyError):
            home = pwd.getpwuid(os.getuid()).pw_dir
    return Path(home).absolute() if home else None

"""The commands that install what is missing: a package, or an extra of this program.

Errors about a missing tool print them. They name the Python that runs, so that they work whether
or not its environment is active, and the checkout if the program is installed from one.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def install_package(name: str) -> str:
    """The command that installs a package."""
    return f"{_python()} -m pip install {shlex.quote(name)}"


def install_extra(extra: str) -> str:
    """The command that installs an extra of this program, such as `onnx`."""
    checkout = _checkout()
    if checkout is None:
        return install_package(f"systolith[{extra}]")
    return f"{_python()} -m pip install -e {shlex.quote(f'{_short(checkout)}[{extra}]')}"


def _python() -> str:
    return shlex.quote(_short(Path(sys.executable)))


def _checkout() -> Path | None:
    """The folder from which this program is installed, if changes there take effect at once."""
    try:
        text = metadata.distribution("systolith").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(text or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))


def _short(path: Path) -> str:
    """A path without the current folder, if it is below it."""
    here = Path(os.getcwd())
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

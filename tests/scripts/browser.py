"""A headless Chromium that looks at pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


@dataclass
class Seen:
    """A page as a browser has it.

    Parameters
    ----------
    problems
        What the console and the network said.
    script
        Runs JavaScript in the page, and gives its value.
    """

    problems: list[str]
    script: Any


def require_chromium() -> str:
    """The browser's path. Skips a test if there is none; where CI is `true`, fails instead."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is missing")
        pytest.skip("chromium is not installed")
    return path


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that has no window."""
    path = require_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def look_at(
    browser: Browser,
    page: Path,
    width: int,
    scheme: Literal["light", "dark"],
    patience: float = 60.0,
) -> Iterator[Seen]:
    """Open a page in a window of that width, and wait until its figures are drawn, in seconds."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda request: problems.extend(_foreign(request.url)))
    try:
        tab.goto(page.absolute().as_uri())
        tab.wait_for_function(
            "document.body.dataset.drawn || !document.getElementById('figures')",
            timeout=1000 * patience,
        )
        yield Seen(problems, tab.evaluate)
    finally:
        tab.close()


def _foreign(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:", "blob:")) else [f"request: {url}"]

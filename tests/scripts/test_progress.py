from __future__ import annotations

import os
import pty
import time

import pytest

from systolith.scripts import progress as module
from systolith.scripts.progress import progress


def test_elsewhere_than_on_a_terminal_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.05)
    lines = []
    with progress("evaluate") as shown:
        for step, count in ((None, None), (None, 1000), ("trying widths", None), (None, 2)):
            if step is not None:
                shown.announce(step)
            if count is not None:
                shown(count, 3000)
            time.sleep(0.2)
            lines.append(capsys.readouterr().err.splitlines()[-1])
    assert lines == [
        "evaluate",
        "evaluate: 1,000 of 3,000",
        "evaluate: trying widths",
        "evaluate: trying widths: 2 of 3,000",
    ]


def test_short_work_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("evaluate") as shown:
        shown.announce("trying widths")
        shown(1, 2)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_bar_that_names_the_step_and_goes_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leader, follower = pty.openpty()
    with open(follower, "w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("TERM", "xterm-256color")
        texts = []
        with progress("simulate") as shown:
            shown.announce("compiling")
            time.sleep(0.3)
            texts.append(os.read(leader, 65536).decode())
            shown(10, 20)
            time.sleep(0.3)
            texts.append(os.read(leader, 65536).decode())
    os.close(leader)
    assert "simulate: compiling" in texts[0] and "100%" not in texts[0]
    assert "10/20" in texts[1]

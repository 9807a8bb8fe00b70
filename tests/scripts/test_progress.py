from __future__ import annotations

import pytest

from systolith.scripts.progress import progress


def test_elsewhere_than_on_a_terminal_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("systolith.scripts.progress.time.monotonic", lambda: now)
    with progress("evaluate") as report:
        for done in range(1, 31):
            now += 1.0
            report(100 * done, 3000)
    assert capsys.readouterr().err.splitlines() == [
        "evaluate: 1,000 of 3,000",
        "evaluate: 2,000 of 3,000",
    ]


def test_on_a_terminal_a_bar_that_goes_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("systolith.scripts.progress.sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("evaluate") as report:
        report(10, 20)
    assert "evaluate" in capsys.readouterr().err

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from systolith.scripts.benchmarks import blas_threads
from systolith.scripts.benchmarks.blas_threads import busy_process, seconds, two_processors


def test_the_command_really_runs() -> None:
    assert seconds("describe", "lenet5", environment={"OPENBLAS_NUM_THREADS": "1"}) > 0.1
    with pytest.raises(subprocess.CalledProcessError):
        seconds("describe", "nothing")


def test_limits_of_the_caller_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    seen = []
    monkeypatch.setattr(subprocess, "run", lambda *_, env, **__: seen.append(env))
    seconds("describe", "lenet5")
    seconds("describe", "lenet5", environment={"OPENBLAS_NUM_THREADS": "3"})
    assert [env.get("OPENBLAS_NUM_THREADS") for env in seen] == [None, "3"]
    assert "PATH" in seen[0]


def test_the_busy_process_is_busy_and_ends() -> None:
    before = os.times()
    with busy_process():
        seconds("describe", "lenet5")
    with busy_process(wanted=False):
        pass
    after = os.times()
    assert after.children_user > before.children_user


def test_the_busy_process_ends_with_its_parent() -> None:
    script = (
        "import os, signal\n"
        "from systolith.scripts.benchmarks.blas_threads import busy_process\n"
        "with busy_process():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The busy process has the pipe too, which is at its end when both have ended.
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")
def test_two_processors_are_used_for_a_while() -> None:
    before = os.sched_getaffinity(0)
    with two_processors():
        assert len(os.sched_getaffinity(0)) == min(2, len(before))
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(("slow", "status"), [(1.19, 0), (1.21, 1)])
def test_the_whole(
    slow: float,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    factors = iter([slow] * 4 + [9.0] * 4 + [0.5] * 4)

    def fake(*arguments: str, environment: dict[str, str] | None = None) -> float:
        if environment is not None:
            return 2.0
        return 2.0 * next(factors)

    monkeypatch.setattr(blas_threads, "seconds", fake)
    # The network that is evaluated is quantized first.
    factors = iter([1.0, *factors])
    paths = [tmp_path / "t.json", tmp_path / "t.md"]
    options = ["--rounds", "3", "--out", str(paths[0]), "--out", str(paths[1])]
    assert blas_threads.main(options) == status
    value = json.loads(paths[0].read_text())
    cases = [(each["command"], each["busy"]) for each in value["cases"]]
    assert cases == [(name, busy) for busy in (False, True) for name in ("quantize", "evaluate")]
    assert {each["ratio"] for each in value["cases"]} == {slow}
    assert value["cases"][0]["ratios"] == [slow, 9.0, 0.5]
    assert paths[1].read_text() == capsys.readouterr().out


@pytest.mark.parametrize("options", [["--out", "t.txt"], ["--rounds", "0"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        blas_threads.main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err

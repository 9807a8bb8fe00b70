from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from systolith.hw.build_cache import cache_folder, cached, content_key

_ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SYSTOLITH_CACHE", str(folder))
    return folder


def writer(text: str, calls: list[str]) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        calls.append(text)
        (folder / "artifact").write_text(text)

    return build


def builds(cache: Path) -> list[str]:
    return sorted(entry.name for entry in cache.iterdir() if entry.is_dir())


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("SYSTOLITH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/systolith")
    monkeypatch.setenv("HOME", "/home/me")
    for invalid in ("somewhere", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", invalid)
        assert cache_folder() == Path("/home/me/.cache/systolith")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/me/.cache/systolith")


def test_a_relative_folder_counts_from_the_current_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYSTOLITH_CACHE", "builds")
    path = cached("key", "artifact", writer("one", []))
    monkeypatch.chdir("/")
    assert path.read_text() == "one" and path.is_relative_to(tmp_path / "builds")


@pytest.mark.parametrize("home", ["", None])
def test_without_a_home_the_user_database_is_asked(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.delenv("SYSTOLITH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    expected = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "systolith"
    assert cache_folder() == expected

    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises(OSError, match="set SYSTOLITH_CACHE to a folder"):
        cache_folder()


def test_keys_tell_parts_apart() -> None:
    keys = [content_key("ab", "c"), content_key("a", "bc"), content_key("abc"), content_key(b"abc")]
    assert len(set(keys)) == 3 and keys[2] == keys[3]


def test_the_same_is_built_once(cache: Path) -> None:
    calls: list[str] = []
    paths = [cached("key", "artifact", writer("one", calls)) for _ in range(3)]
    assert calls == ["one"] and len(set(paths)) == 1
    assert paths[0].read_text() == "one"
    cached("other", "artifact", writer("two", calls))
    assert calls == ["one", "two"]


def test_a_build_that_fails_leaves_nothing(cache: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("key", "artifact", build)
    assert builds(cache) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda artifact: artifact.unlink(),
        lambda artifact: artifact.write_text(""),
        lambda artifact: artifact.write_text("on"),
        lambda artifact: artifact.write_text("two"),
        lambda artifact: (artifact.parent / "other").unlink(),
        lambda artifact: (artifact.parent / ".sha256").unlink(),
        lambda artifact: (artifact.parent / ".sha256").write_bytes(b"\xff"),
        lambda artifact: shutil.rmtree(artifact.parent),
    ],
)
def test_a_damaged_build_is_made_again(cache: Path, damage: Callable[[Path], object]) -> None:
    calls: list[str] = []

    def build(folder: Path) -> None:
        writer("one", calls)(folder)
        (folder / "other").touch()

    path = cached("key", "artifact", build)
    damage(path)
    for _ in range(2):
        assert cached("key", "artifact", build).read_text() == "one"
    assert calls == ["one", "one"] and (path.parent / "other").exists()


def test_a_build_that_does_not_make_its_artifact_is_an_error(cache: Path) -> None:
    with pytest.raises(OSError, match="key/artifact: the build did not make it"):
        cached("key", "artifact", lambda folder: None)
    assert builds(cache) == []


def test_the_build_of_a_faster_process_stays(cache: Path) -> None:
    calls: list[str] = []

    def build(folder: Path) -> None:
        cached("key", "artifact", writer("theirs", calls))
        (folder / "artifact").write_text("ours")

    assert cached("key", "artifact", build).read_text() == "theirs"
    assert builds(cache) == ["key"]


MANY = """
import sys
from systolith.hw.build_cache import cached
for number in range(300):
    def build(folder):
        (folder / "artifact").write_text(str(number))
    assert cached(f"key{number}", "artifact", build).read_text() == str(number)
"""


def test_processes_that_make_the_same_builds_lose_none(cache: Path) -> None:
    commands = [[sys.executable, "-c", MANY] for _ in range(3)]
    processes = [subprocess.Popen(command, cwd=_ROOT) for command in commands]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(builds(cache)) == 300


def test_the_longest_unused_go_when_it_grows(cache: Path) -> None:
    calls: list[str] = []
    for age, key in enumerate("abcd"):
        cached(key, "artifact", writer(key * 1000, calls))
        os.utime(cache / key, (1000 + age, 1000 + age))
    cached("a", "artifact", writer("", calls))
    cached("e", "artifact", writer("e" * 1000, calls), limit_bytes=3500)
    assert builds(cache) == ["a", "d", "e"]


def test_what_was_abandoned_long_ago_goes(cache: Path) -> None:
    old, young = cache / "building-old", cache / "building-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    cached("key", "artifact", writer("", []))
    assert not old.exists() and young.exists()


def test_a_cache_that_cannot_be_written_is_an_os_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYSTOLITH_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="file"):
        cached("key", "artifact", writer("", []))

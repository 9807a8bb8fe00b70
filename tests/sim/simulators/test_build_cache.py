from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from systolith.sim.simulators.build_cache import cache_folder, cached, content_key


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


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("SYSTOLITH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/systolith")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "systolith"


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
    assert list(cache.iterdir()) == []


def test_a_damaged_entry_is_built_again(cache: Path) -> None:
    calls: list[str] = []
    cached("key", "artifact", writer("one", calls)).unlink()
    assert cached("key", "artifact", writer("two", calls)).read_text() == "two"


def test_another_process_may_be_faster(cache: Path) -> None:
    calls: list[str] = []

    def build(folder: Path) -> None:
        cached("key", "artifact", writer("theirs", calls))
        (folder / "artifact").write_text("ours")

    assert cached("key", "artifact", build).read_text() in ("theirs", "ours")
    assert [entry.name for entry in cache.iterdir()] == ["key"]


def test_the_longest_unused_go_when_it_grows(cache: Path) -> None:
    calls: list[str] = []
    for age, key in enumerate("abcd"):
        cached(key, "artifact", writer(key * 1000, calls))
        os.utime(cache / key, (1000 + age, 1000 + age))
    cached("a", "artifact", writer("", calls))
    cached("e", "artifact", writer("e" * 1000, calls), limit_bytes=3000)
    assert sorted(entry.name for entry in cache.iterdir()) == ["a", "d", "e"]


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

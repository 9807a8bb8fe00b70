import contextlib
import os
import pty
import threading
import time
from pathlib import Path

import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files.whole_files import (
    is_special,
    observed_reads,
    read_whole,
    write_whole,
)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "five"
    file.write_bytes(b"12345")
    assert read_whole(file, 5) == b"12345"
    with pytest.raises(FileFormatError, match="five: has 5 bytes, at most 4 are read"):
        read_whole(file, 4)
    for path in (tmp_path / "none", file / "below"):
        with pytest.raises(FileFormatError, match=f"{path.name}: no such file"):
            read_whole(path, 4)
    with pytest.raises(FileFormatError, match="not a file"):
        read_whole(tmp_path, 4)


def test_a_file_is_replaced_and_nothing_else_left(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.bin"]


def test_what_an_interruption_of_the_machine_left_is_no_obstacle(tmp_path: Path) -> None:
    for name in ("out.tmp", ".out.tmp", ".out.bin.tmp"):
        (tmp_path / name).write_bytes(b"part")
    write_whole(tmp_path / "out.bin", b"whole")
    assert (tmp_path / "out.bin").read_bytes() == b"whole"
    assert (tmp_path / ".out.bin.tmp").read_bytes() == b"part"


def test_new_files_have_the_permissions_of_others(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_whole(tmp_path / "out", b"")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interruption_leaves_what_was_there(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.bin"
    write_whole(path, b"first")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.bin"]


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "out", b"")


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    for content in (b"first", b"second"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        write_whole(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert [entry.name for entry in target.parent.iterdir()] == ["target"]


def test_a_pipe_that_nobody_reads_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no process reads this pipe") as caught:
        write_whole(tmp_path / "pipe", b"new")
    assert caught.value.filename == str(tmp_path / "pipe")


def test_a_device_is_written_to(tmp_path: Path) -> None:
    # A terminal of the test's own: a device of the machine would be lost if this failed as root.
    leader, follower = pty.openpty()
    link = tmp_path / "terminal"
    link.symlink_to(os.ttyname(follower))
    write_whole(link, b"content")
    assert os.read(leader, 100) == b"content"
    assert link.is_char_device()
    assert [entry.name for entry in tmp_path.iterdir()] == ["terminal"]
    os.close(leader)
    os.close(follower)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo()


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, what in (("", "a folder"), ("pipe", "a device or a pipe")):
        with pytest.raises(FileFormatError, match=f"^{tmp_path / name}: is {what}, not a file$"):
            read_whole(tmp_path / name, 4)
    (tmp_path / "file").touch()
    expected = {"": True, "pipe": True, "file": False, "none": False, "file/below": False}
    assert {name: is_special(tmp_path / name) for name in expected} == expected


def test_reads_are_seen_before_they_happen_and_not_after(tmp_path: Path) -> None:
    path, seen = tmp_path / "file", list[Path]()
    path.write_bytes(b"old")

    def observe(read: Path) -> None:
        seen.append(read)
        path.write_bytes(b"new")

    def refuse(read: Path) -> None:
        raise RuntimeError(read.name)

    with observed_reads(observe):
        assert read_whole(str(path), 3) == b"new"
        with pytest.raises(RuntimeError, match="file"), observed_reads(refuse):
            read_whole(path, 3)
        assert read_whole(path, 3) == b"new"
        with pytest.raises(FileFormatError):
            read_whole(tmp_path / "none", 3)
    read_whole(path, 3)
    assert seen == [path, path]


def test_a_slow_reader_of_a_pipe_gets_all(tmp_path: Path) -> None:
    """More than a pipe holds is written as it is read."""
    pipe, content = tmp_path / "pipe", bytes(range(256)) * 4096
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    parts: list[bytes] = []

    def read() -> None:
        for _ in range(60_000):
            if sum(map(len, parts)) == len(content):
                break
            time.sleep(0.001)
            with contextlib.suppress(BlockingIOError):
                parts.append(os.read(reader, 65536))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        write_whole(pipe, content)
    finally:
        thread.join()
        os.close(reader)
    assert b"".join(parts) == content

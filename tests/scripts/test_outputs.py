from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from systolith.scripts.outputs import require_file, require_folder, writing


def test_what_can_be_written_passes_and_stays_unwritten(tmp_path: Path) -> None:
    require_file(tmp_path / "report.json")
    require_folder(tmp_path / "a" / "b")
    require_folder(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("require", [require_file, require_folder])
@pytest.mark.parametrize("below", ["q.npz", "deep/er/q.npz"])
def test_below_a_file_nothing_can_be_written(
    tmp_path: Path, require: Callable[[Path], None], below: str
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match=f"^{file / below}: cannot be written"):
        require(file / below)


def test_a_file_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        require_file(tmp_path / "absent" / "q.npz")


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is a folder"):
        require_file(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a folder"):
        require_folder(tmp_path / "file")


def test_an_error_names_what_was_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written: disk full") as caught, writing(tmp_path):
        raise OSError(errno.ENOSPC, "disk full", ".some.tmp")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))


def test_an_error_that_is_not_the_systems_stays(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^Yosys failed$"), writing(tmp_path):
        raise OSError("Yosys failed")


def test_what_a_link_points_to_is_what_is_written(tmp_path: Path) -> None:
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "absent" / "q.npz")
    with pytest.raises(ValueError, match="there is no folder"):
        require_file(link)
    (tmp_path / "absent").mkdir()
    require_file(link)
    link.unlink()
    link.symlink_to("/dev/null")
    require_file(link)

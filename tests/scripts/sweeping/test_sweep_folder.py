from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from systolith.scripts.sweeping.outcome import SCHEMA
from systolith.scripts.sweeping.sweep_folder import SweepFolder

A, B, C = b"a", b"b", b"c"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def report(networks: dict[str, bytes]) -> bytes:
    points = [
        {"name": name, "quantized_sha256": sha256(content), "on_front": True}
        for name, content in networks.items()
    ]
    return json.dumps({"schema": SCHEMA, "points": points}).encode()


def replace(folder: SweepFolder, networks: dict[str, bytes]) -> None:
    hashes = {name: sha256(content) for name, content in networks.items()}
    there = folder.networks()
    new = {name: each for name, each in networks.items() if there.get(name) != hashes[name]}
    folder.replace(hashes, new, {"sweep.md": b"text"}, report(networks))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_networks_are_replaced_and_other_files_stay(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "out", "front")
    assert folder.networks() == {}
    replace(folder, {"x": A, "y": B})
    own = {"front/mine.npz": C, "front/y-notes.txt": C}
    for name, content in own.items():
        (tmp_path / "out" / name).write_bytes(content)
    assert folder.networks() == {"x": sha256(A), "y": sha256(B)}

    replace(folder, {"y": B, "z": C})
    files = {"sweep.json": report({"y": B, "z": C}), "sweep.md": b"text"}
    networks = {"front/y.npz": B, "front/z.npz": C}
    assert contents(tmp_path / "out") == files | networks | own


def test_a_changed_network_stays(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path, "front")
    replace(folder, {"x": A, "y": B})
    (tmp_path / "front" / "x.npz").write_bytes(C)
    replace(folder, {"y": B})
    assert (tmp_path / "front" / "x.npz").read_bytes() == C


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_of_the_user_s_own_is_not_overwritten(tmp_path: Path, is_folder: bool) -> None:
    folder = SweepFolder(tmp_path, "front")
    replace(folder, {"y": B})
    if is_folder:
        (tmp_path / "front" / "x.npz").mkdir()
    else:
        (tmp_path / "front" / "x.npz").write_bytes(C)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"x\.npz: is not as a sweep wrote it.*move it"):
        replace(folder, {"x": A})
    assert contents(tmp_path) == before


def test_a_network_that_an_interrupted_sweep_wrote_is_as_good_as_new(tmp_path: Path) -> None:
    """No report names it, but its content is that of this sweep."""
    folder = SweepFolder(tmp_path, "front")
    (tmp_path / "front").mkdir()
    (tmp_path / "front" / "x.npz").write_bytes(A)
    replace(folder, {"x": A})
    assert folder.networks() == {"x": sha256(A)}


def test_a_network_of_the_last_sweep_is_replaced_by_one_of_the_same_name(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path, "front")
    replace(folder, {"x": A, "y": B})
    replace(folder, {"x": C, "y": B})
    assert (tmp_path / "front" / "x.npz").read_bytes() == C
    assert folder.networks() == {"x": sha256(C), "y": sha256(B)}


def test_points_that_are_on_no_front_have_no_network(tmp_path: Path) -> None:
    """A file with the name of one is the user's own, though it has the same content."""
    folder = SweepFolder(tmp_path, "front")
    (tmp_path / "front").mkdir()
    for name, content in (("x", A), ("y", B)):
        (tmp_path / "front" / f"{name}.npz").write_bytes(content)
    document = json.loads(report({"x": A, "y": B}))
    document["points"][1]["on_front"] = False
    (tmp_path / "sweep.json").write_text(json.dumps(document))
    assert folder.networks() == {"x": sha256(A)}
    folder.replace({}, {}, {}, report({}))
    assert sorted(path.name for path in (tmp_path / "front").iterdir()) == ["y.npz"]


def test_names_in_a_report_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "other.npz").write_bytes(A)
    (tmp_path / "front").mkdir()
    (tmp_path / "sweep.json").write_bytes(report({"../other": A}))
    folder = SweepFolder(tmp_path, "front")
    assert folder.networks() == {}
    replace(folder, {"y": B})
    assert (tmp_path / "other.npz").read_bytes() == A


@pytest.mark.parametrize("content", [b"{", b'{"schema": "systolith.sweep/1", "points": []}'])
def test_a_report_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sweep.json").write_bytes(content)
    assert SweepFolder(tmp_path, "front").networks() == {}

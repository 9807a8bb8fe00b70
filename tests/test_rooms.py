"""The house: rooms of a size to look over, and module names that say which module is meant."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_FOLDERS = ("golden", "hw", "sim", "scripts")
_MOST_MODULES = 16

# The same thing in two folders.
_NAMESAKES = {
    "accumulator": {"golden/fixed", "hw/systolic"},
    "errors": {"golden", "hw", "sim"},
    "export": {"golden/onnx", "scripts/commands"},
    "processing_element": {"hw/systolic", "tests/formal"},
    "simulate": {"sim", "scripts/commands"},
}

# What all commands have in common is tested next to the tests of each.
_TESTS_ALONE = {"scripts/all_commands"}


def modules(*folders: str) -> list[Path]:
    return [
        path.relative_to(_ROOT)
        for folder in folders
        for path in sorted((_ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py"
    ]


def test_no_room_is_crowded() -> None:
    rooms = defaultdict(list)
    for module in modules(*_FOLDERS, "tests"):
        rooms[module.parent.as_posix()].append(module.stem)
    assert len(rooms) > 30
    assert {room: names for room, names in rooms.items() if len(names) > _MOST_MODULES} == {}


def test_a_module_name_names_one_thing() -> None:
    rooms = defaultdict(set)
    for module in modules(*_FOLDERS, "tests"):
        if not module.stem.startswith("test_"):
            rooms[module.stem].add(module.parent.as_posix())
    assert {name: where for name, where in rooms.items() if len(where) > 1} == _NAMESAKES
    inner = {path.name for folder in _FOLDERS for path in (_ROOT / folder).iterdir()}
    assert not {module.stem for module in modules(*_FOLDERS)} & (inner | {*_FOLDERS})


def test_tests_stand_where_the_modules_stand() -> None:
    tested = {module.with_name(f"test_{module.name}") for module in modules(*_FOLDERS)}
    for test in modules(*(f"tests/{folder}" for folder in _FOLDERS)):
        room = test.relative_to("tests").parent
        if test.stem.startswith("test_"):
            assert (_ROOT / room).is_dir() or room.as_posix() in _TESTS_ALONE, test
            namesakes = {each for each in tested if each.name == test.name}
            assert not namesakes or room / test.name in namesakes, test

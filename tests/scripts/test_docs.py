"""What the documents promise is there."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import typer

from systolith import golden, hw, sim
from systolith.golden.network.activations import ACTIVATIONS, FAMILIES
from systolith.golden.network.graph import LAYER_TYPES, Activation
from systolith.scripts.main import app
from tests.golden.random_networks import random_quantized

if TYPE_CHECKING:
    from typer.core import TyperGroup

_ROOT = Path(__file__).parents[2]
_DOCUMENTS = [
    *(_ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted(_ROOT.glob("docs/*.md")),
]
_README = _DOCUMENTS[0].read_text()
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def _uncommented(block: str) -> list[str]:
    """The lines of a shell script, without comments; continued lines are joined."""
    return [line.partition(" #")[0].strip() for line in block.replace("\\\n", " ").split("\n")]


_COMMAND_LINES = [
    pytest.param(line, id=f"{document.name}: {line}")
    for document in _DOCUMENTS
    for block in _BLOCK.findall(document.read_text())
    for line in _uncommented(block)
    if line.startswith("systolith ")
]


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", document.read_text())
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_python_of_the_readme_names_what_exists() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
    faces = {"golden": golden, "hw": hw, "sim": sim}
    used = [
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in faces
    ]
    assert {face for face, _ in used} == set(faces)
    assert [use for use in used if use[1] not in faces[use[0]].__all__] == []


def test_every_key_and_array_of_a_network_is_described() -> None:
    header, arrays = random_quantized(0)[0].contents()
    layer_keys = {field.name for cls in LAYER_TYPES.values() for field in fields(cls)}
    layer_keys |= {field.name for field in fields(Activation)} | {"type", *LAYER_TYPES}
    keys = {"schema", "calibrated_on", "trained_on", *header, *layer_keys, *_keys(header["layers"])}
    keys |= {name.rpartition("/")[2] for name in arrays} | {
        "table",
        "weight_frac_bits",
        *ACTIVATIONS,
        *FAMILIES,
    }
    page = (_ROOT / "docs" / "files.md").read_text()
    assert {key for key in keys if f"`{key}`" not in page and f"/{key}`" not in page} == set()


def _keys(value: Any) -> set[str]:
    """The keys of objects in a JSON value, at any depth."""
    if isinstance(value, Mapping):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list | tuple) else set()


@pytest.mark.parametrize("line", _COMMAND_LINES)
def test_command_lines_have_the_options_that_there_are(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    commands = cast("TyperGroup", typer.main.get_command(app)).commands
    with commands[name].make_context(name, arguments):
        pass


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_a_contributor_is_sent_to_exist(document: str) -> None:
    text = re.sub(r"```.*?```", "", (_ROOT / document).read_text(), flags=re.DOTALL)
    named = re.findall(r"`((?:golden|hw|sim|scripts|tests)/[\w/.]+)`", text)
    assert len(named) > 5
    real = [name for name in named if "NAME" not in name]
    assert [name for name in real if not (_ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["flow.svg", "rooms.svg", "image.svg"])
def test_pictures_are_xml_without_a_fixed_background(name: str) -> None:
    picture = (_ROOT / "docs" / name).read_text()
    assert "prefers-color-scheme: dark" in picture
    assert picture.lstrip().startswith("<svg")

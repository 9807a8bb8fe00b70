# amaranth: UnusedElaboratable=no
from __future__ import annotations

from pathlib import Path

import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.network import shipped
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding
from systolith.hw.planning.plan_file import load_plan, plan_to_toml, smallest_plan
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN

LENET5 = shipped.network("lenet5")


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "plan.toml"
    path.write_text(text, "utf-8")
    return load_plan(path, LENET5)


def test_missing_keys_have_the_defaults(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        "[layers.C1]\nrows = 5\ncolumns = 2\n[layers.F6]\nlanes = 2\ndepth = 9\n"
        '[layers.C5]\norder = "outputs"\n[layers.output]\norder = "inputs"\n'
        "[layers.C3]\nlines = 7\n",
    )
    assert plan == {
        **smallest_plan(LENET5),
        "C1": Folding(rows=5, columns=2),
        "C3": Folding(lines=7),
        "C5": Folding(order="outputs"),
        "F6": Folding(lanes=2, depth=9),
    }
    assert load(tmp_path, "") == smallest_plan(LENET5)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(plan_to_toml(EVERY_KIND_PLAN), "utf-8")
    assert load_plan(path, EVERY_KIND) == EVERY_KIND_PLAN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[layers.C9]\nrows = 2", "layers.C9: network 'lenet5' has no such layer: it has C1, S2,"),
        ("[layers.input]\nrows = 2", "layers.input: network 'lenet5' has no such layer"),
        ("[layers.C1]\nrow = 2", "layers.C1.row is unknown: allowed are rows, columns, lanes"),
        ("[layers.C1]\nrows = 0", "layers.C1.rows must be a whole number from 1 to 4096, not 0"),
        ("[layers.C1]\nrows = 5000", "layers.C1.rows must be a whole number from 1 to 4096"),
        ("[layers.C1]\nlanes = true", "layers.C1.lanes must be a whole number .* not True"),
        ("[layers.C1]\nlanes = 1.5", "layers.C1.lanes must be a whole number .* not 1.5"),
        (
            "[layers.F6]\norder = 'both'",
            "layers.F6.order must be 'inputs' or 'outputs', not 'both'",
        ),
        ("[layers.C3]\nlines = 0", "layers.C3.lines must be a whole number from 1 to 4096, not 0"),
        ("[layers.C3]\nlines = true", "layers.C3.lines must be a whole number .* not True"),
        ("[layers.F6]\norder = 1", "layers.F6.order must be 'inputs' or 'outputs', not 1"),
        ("[layers.F6]\norder = ['inputs']", "layers.F6.order must be .* not .'inputs'."),
        ("layers.C1 = 3", "layers.C1 must be a table, not 3"),
        ("layers = 3", "layers must be a table, not 3"),
        ("[layer.C1]\nrows = 2", "layer is unknown: a plan has layers.NAME alone"),
    ],
)
def test_a_wrong_key_is_refused_by_its_path(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=f"plan.toml: {message}"):
        load(tmp_path, text)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    for content in (b"\xff\xfe", b"[layers.C1\n"):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"plan\.toml: not TOML: "):
            load_plan(path, LENET5)
    with pytest.raises(FileFormatError, match=r"missing\.toml"):
        load_plan(tmp_path / "missing.toml", LENET5)

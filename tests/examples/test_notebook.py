"""The page about notebooks runs as it stands, and the notebook in `examples` is that page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.examples.notebook import NOTEBOOK, cells, executed, source
from tests.sim.required import need


def tables(notebook: dict[str, Any]) -> list[str]:
    shown = [each["data"] for cell in code(notebook) for each in cell["outputs"] if "data" in each]
    return [each["text/html"] for each in shown if "text/html" in each]


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def require_shown(notebook: dict[str, Any]) -> None:
    """Check that every result is there: four of this program, two of pandas, and a figure."""
    assert len(tables(notebook)) == 4 + 2
    for table in tables(notebook):
        assert "<script" not in table
    kinds = [list(each.get("data", {})) for cell in code(notebook) for each in cell["outputs"]]
    assert kinds.count(["image/png"]) == 1
    accuracy, comparison, _, _, plan, simulation = tables(notebook)
    assert "agreement with float" in accuracy and "SQNR (dB)" in accuracy
    assert "bias correction" in comparison and "verdict" in comparison
    assert "multipliers" in plan and "every value equal" in simulation


def test_the_notebook_is_the_page() -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    found = [cell["source"] for cell in notebook["cells"]]
    assert found == [source(*each) for each in cells()]
    require_shown(notebook)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("verilator")
    monkeypatch.chdir(tmp_path)
    notebook = executed()
    require_shown(notebook)
    for table in tables(notebook):
        if "<style" not in table and "dataframe" not in table:
            for each in table.split("\n<table>"):
                rows = [len(row) for row in ElementTree.fromstring(_whole(each)).iter("tr")]
                assert len(set(rows)) == 1 and len(rows) > 1


def _whole(table: str) -> str:
    return table if table.startswith("<table>") else f"<table>{table}"

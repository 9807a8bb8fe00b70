"""The page about notebooks as a notebook: runs its cells, and writes them with their outputs.

`python -m tests.examples.notebook` writes `examples/notebook.ipynb`.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
from code import InteractiveInterpreter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest

from systolith.scripts.main import main

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "notebooks.md"
NOTEBOOK = _ROOT / "examples" / "notebook.ipynb"

_BLOCK = re.compile(r"^```(python|sh)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:|\.\./)")


def cells() -> Iterator[tuple[str, str]]:
    """The kind (`markdown`, `python` or `sh`) and the text of each cell of the page."""
    texts = iter(_BLOCK.split(PAGE.read_text("utf-8")))
    for text in texts:
        if text.strip():
            yield "markdown", _LINK.sub("](../docs/", text.strip())
        kind = next(texts, None)
        if kind is not None:
            yield kind, next(texts)


def executed() -> dict[str, Any]:
    """The notebook, its cells run one after another in the current folder."""
    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    return {
        "cells": [_cell(place, *each, names) for place, each in enumerate(cells())],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def source(kind: str, text: str) -> str:
    """The text of a cell in a notebook."""
    return f"!{text}" if kind == "sh" else text


def _cell(place: int, kind: str, text: str, names: dict[str, Any]) -> dict[str, Any]:
    cell = {"id": f"cell-{place}", "metadata": {}, "source": source(kind, text)}
    if kind == "markdown":
        return {"cell_type": "markdown", **cell}
    outputs = _run_command(text) if kind == "sh" else _run_code(text, names)
    return {"cell_type": "code", "execution_count": None, **cell, "outputs": outputs}


def _run_command(text: str) -> list[dict[str, Any]]:
    program, *arguments = shlex.split(text.replace("\\\n", " "))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert (program, main(arguments)) == ("systolith", 0)
    return [{"output_type": "stream", "name": "stdout", "text": printed.getvalue()}]


def _run_code(text: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """The table of the last expression, if it has a value, and the figures."""
    *body, last = ast.parse(text).body
    shown: list[Any] = []
    cells = _Interpreter(names)
    cells.runcode(compile(ast.Module(body, []), str(PAGE), "exec"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "displayhook", shown.append)
        cells.runcode(compile(ast.Interactive([last]), str(PAGE), "single"))
    outputs = [
        _output({"text/html": each._repr_html_(), "text/plain": f"<{type(each).__name__}>"})
        for each in shown
        if each is not None
    ]
    for number in plt.get_fignums():
        picture = io.BytesIO()
        plt.figure(number).savefig(picture, format="png", metadata={"Software": None})
        plt.close(number)
        outputs.append(_output({"image/png": base64.b64encode(picture.getvalue()).decode()}))
    return outputs


def _output(data: dict[str, str]) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {}}


class _Interpreter(InteractiveInterpreter):
    def showtraceback(self) -> None:
        error = sys.exception()
        assert error is not None
        raise error


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        NOTEBOOK.write_text(json.dumps(executed(), indent=1) + "\n", "utf-8")

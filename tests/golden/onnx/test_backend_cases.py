"""ONNX's own tests of single operators: each passes or is refused, as the document says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.golden.onnx import backend_cases
from tests.golden.onnx.backend_cases import Outcome, cases, document, outcome, outcomes


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return outcomes(tmp_path_factory.mktemp("cases"))


def test_none_is_wrong(found: list[Outcome]) -> None:
    assert [each for each in found if each.result == "wrong"] == []
    counts = Counter(each.result for each in found)
    assert counts["passed"] > 70
    assert all(each.reason for each in found if each.result == "refused")


def test_the_document_is_what_was_found(found: list[Outcome]) -> None:
    if f"of onnx {onnx.__version__} " not in backend_cases.DOCUMENT.read_text():
        pytest.skip("the document is of another version of onnx")
    assert backend_cases.DOCUMENT.read_text() == document(found)


@pytest.mark.parametrize(
    "name",
    ["test_transpose_all_permutations_3", "test_basic_conv_with_padding", "test_gemm_alpha"],
)
def test_a_wrong_value_is_seen(name: str, tmp_path: Path) -> None:
    (case,) = (each for each in cases() if each[1] == name)
    operator, _, model, inputs, expected = case
    changed = np.array(expected)
    changed.flat[changed.argmax()] += 1
    file = tmp_path / "case.onnx"
    assert outcome(operator, name, model, inputs, expected, file).result == "passed"
    assert outcome(operator, name, model, inputs, changed, file).result == "wrong"

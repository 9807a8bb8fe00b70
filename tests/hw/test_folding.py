from typing import Any

import pytest

from systolith.hw.folding import Folding


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rows", 0, "rows must be at least 1, not 0"),
        ("lanes", 1.5, "lanes must be at least 1, not 1.5"),
        ("order", "rows", "order must be 'inputs' or 'outputs', not 'rows'"),
        ("order", None, "order must be 'inputs' or 'outputs', not None"),
    ],
)
def test_refusals(key: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Folding(**{key: value})

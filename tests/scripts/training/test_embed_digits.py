from pathlib import Path

import numpy as np
import pytest

from systolith.golden.files import idx
from systolith.scripts.training import embed_digits


def test_writes_into_the_source_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    embed_digits.TARGET.mkdir(parents=True)
    for stem, count in (("train", 5_001), ("t10k", 3)):
        images = np.full((count, 1, 1), 7, np.uint8)
        Path(f"{stem}-images-idx3-ubyte").write_bytes(idx.encode(images))
        Path(f"{stem}-labels-idx1-ubyte").write_bytes(idx.encode(images[:, 0, 0]))
    assert embed_digits.main(["."]) == 0
    written = capsys.readouterr().out.split()
    assert [Path(path).name for path in written] == sorted(
        p.name for p in embed_digits.TARGET.iterdir()
    )
    assert len(idx.read(embed_digits.TARGET / "validation-images-idx3-ubyte.gz")) == 5_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "takes one argument, the folder of the MNIST files"),
        (["none"], "t10k-images-idx3-ubyte.gz: no such file"),
    ],
)
def test_bad_input_ends_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed_digits.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1

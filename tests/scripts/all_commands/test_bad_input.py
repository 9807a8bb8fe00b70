"""Bad input: one line on standard error, the right status, nothing written."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from systolith import golden
from systolith.scripts.main import main

Folder = Callable[[], dict[str, bytes]]


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("quantized") / "q.npz"
    images = golden.validation_digits().images[:20]
    golden.quantize(golden.load_network("lenet5-relu"), images).save(path)
    return path.read_bytes()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], here: Path, arguments: str, status: int = 2) -> str:
    """The line that refuses a command line, which must leave the folder as it was."""
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(arguments.split()) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("systolith: ")
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    return err


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("describe lenet6", "'lenet6' is neither a file nor one of lenet5,"),
        ("run --network lenet6", "lenet6"),
        ("quantize lenet6 --out q.npz", "lenet6"),
        ("evaluate lenet6", "lenet6"),
        ("train lenet6 --data . --out t.npz", "lenet6"),
        ("quantize lenet5 --out q.npz --weight-bits 0", "from 2 to 16, not '0'"),
        ("quantize lenet5 --out q.npz --weight-bits 99", "from 2 to 16, not '99'"),
        ("quantize lenet5 --out q.npz --activation-bits 0", "from 2 to 16, not '0'"),
        ("quantize lenet5 --out q.npz --activation-bits 99", "from 2 to 16, not '99'"),
        ("quantize lenet5 --out q.npz --activation-bits eight", "from 2 to 16, not 'eight'"),
        ("quantize lenet5 --out q.npz --images 5001", "(validation) has 5,000 images, not 5,001"),
        ("quantize lenet5 --out q.npz --calibration median", "minmax, percentile, entropy, not"),
        ("quantize lenet5 --out q.npz --config absent.toml", "absent.toml: no such file"),
        ("quantize lenet5 --out q.onnx", "must end with .npz, not 'q.onnx'"),
        ("evaluate lenet5 --images 0", "at least 1, not '0'"),
        ("run --images 0", "at least 1, not '0'"),
        ("run --images 10001", "10001"),
        ("evaluate lenet5 --images 10001", "from 1 to 10000"),
        ("evaluate lenet5 --data absent.npz", "absent.npz: no such file"),
        (
            "evaluate lenet5 --out report.pdf",
            "must end with .json or .md or .csv or .html, not 'report.pdf'",
        ),
        ("evaluate lenet5 --rtl .", "--rtl: needs a quantized network, not the float network"),
        ("compare a.json b.json --fail-on-drop 2", "must be a fraction from 0 to 1, not '2'"),
        ("compare a.json b.json --fail-on-drop x", "must be a fraction from 0 to 1, not 'x'"),
        ("compare", "Missing argument 'INPUT...'"),
        ("compare absent.json absent.json", "absent.json: no such file"),
        ("train lenet5 --data . --out t.npz --seed -1", "at least 0, not '-1'"),
        ("simulate absent --images 0", "at least 1, or all, not '0'"),
        ("simulate absent --simulator vcs", "verilator, icarus"),
        ("simulate absent", "absent: no such folder"),
        ("simulate absent --stalls -1", "at least 0, not '-1'"),
        ("generate absent.npz --out rtl", "absent.npz: no such file"),
        ("plan lenet5", "`systolith quantize lenet5 --out lenet5.npz` makes one"),
        ("export absent.npz --out q.onnx", "absent.npz: no such file"),
        ("export absent.npz --out q.npz", "must end with .onnx, not 'q.npz'"),
        ("export absent.npz", "Missing option '--out'"),
        ("synth rtl", "Missing option '--target'"),
        ("synth rtl --target xc7z020 --out report.md", "--out: must end with .json or .html"),
        ("describe", "Missing argument 'NETWORK'"),
        ("describe lenet5 lenet5-relu", "unexpected extra argument"),
        ("evaluate lenet5 --colour", "No such option: --colour"),
        ("quantize lenet5 --out q.npz --rounding floor", "No such option: --rounding"),
    ],
)
def test_words_and_numbers(
    capsys: pytest.CaptureFixture[str], here: Path, arguments: str, names: str
) -> None:
    assert names in refused(capsys, here, arguments)


def _npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _with_nan(quantized: bytes) -> bytes:
    """The file with one float weight replaced by a NaN."""
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(quantized)) as source,
        zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as target,
    ):
        for info in source.infolist():
            content = source.read(info)
            if info.filename == "float/C1/weights.npy":
                content = content[:-4] + np.float32(np.nan).tobytes()
            target.writestr(info, content)
    return result.getvalue()


@pytest.mark.parametrize(
    "command",
    ["evaluate {} --images 1", "generate {} --out rtl", "describe {}", "export {} --out q.onnx"],
)
@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lambda good: good[: len(good) // 2], "not an intact .npz file"),
        (lambda good: b"", "is an empty file, not a "),
        (lambda good: b"not an archive at all", "not an intact .npz file"),
        (lambda good: _npz(images=np.zeros(3)), "is an .npz file of arrays, not a "),
        (lambda good: _npz(header=np.array([{}, None], dtype=object)), "header"),
        (_with_nan, "not finite"),
    ],
    ids=["truncated", "empty", "text", "foreign", "pickled", "nan"],
)
def test_files_of_networks(
    capsys: pytest.CaptureFixture[str],
    here: Path,
    quantized: bytes,
    command: str,
    damage: Callable[[bytes], bytes],
    names: str,
) -> None:
    (here / "bad.npz").write_bytes(damage(quantized))
    line = refused(capsys, here, command.format("bad.npz"))
    assert line.startswith("systolith: bad.npz: ")
    assert names in line


@pytest.mark.parametrize(
    ("toml", "names"),
    [
        ("weight_bit = 8", "weight_bit: no such key"),
        ("weight_bits = 99", "weight_bits: must be a whole number from 2 to 16, not 99"),
        ("layers.C9.weight_bits = 4", "no layer 'C9'"),
        ("layers.C1.weigth_bits = 4", "layers.C1.weigth_bits: no such key"),
        ("layers.S2.weight_bits = 4", "changes nothing"),
        ("percentile = 99.9", "percentile: changes nothing with the calibration 'mse'"),
        ('rounding = "truncate"', "must be one of floor, half_up, half_even, not 'truncate'"),
        ('bias_correction = "yes"', "bias_correction: must be true or false, not 'yes'"),
        ("weight_bits 8", "not TOML"),
    ],
)
def test_settings(capsys: pytest.CaptureFixture[str], here: Path, toml: str, names: str) -> None:
    (here / "settings.toml").write_text(toml)
    line = refused(capsys, here, "quantize lenet5-relu --out q.npz --config settings.toml")
    assert names in line


@pytest.mark.parametrize(
    "command", ["plan q.npz", "plan q.npz --preset small --out p.toml", "generate q.npz --out rtl"]
)
@pytest.mark.parametrize("rounding", ["floor", "half_even"])
def test_hardware_has_one_rounding(
    capsys: pytest.CaptureFixture[str], here: Path, command: str, rounding: str
) -> None:
    images = golden.validation_digits().images[:20]
    settings = golden.Settings.from_mapping({"layers": {"C3": {"rounding": rounding}}})
    golden.quantize(golden.load_network("lenet5-relu"), images, settings).save(here / "q.npz")
    line = refused(capsys, here, command)
    assert f"'C3': hardware builds the rounding 'half_up' only, not '{rounding}'" in line


@pytest.mark.parametrize("below", ["file/q", "file/deep/er/q", "absent/q"])
@pytest.mark.parametrize(
    "command",
    [
        "quantize lenet5 --out {}.npz",
        "evaluate lenet5 --images 1 --out {}.json",
        "train lenet5 --data . --out {}.npz",
        "export q.npz --out {}.onnx",
        "import net.onnx --out {}.npz --raw",
        "compare a.json b.json --out {}.html",
        "plan q.npz --preset small --timeline {}.svg",
    ],
)
def test_files_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], here: Path, command: str, below: str
) -> None:
    (here / "file").write_text("")
    assert "cannot be written" in refused(capsys, here, command.format(below))


@pytest.mark.parametrize("below", ["file", "file/rtl"])
@pytest.mark.parametrize(
    "command", ["generate q.npz --out {}", "run --out {}", "sweep lenet5 --out {}"]
)
def test_folders_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], here: Path, quantized: bytes, command: str, below: str
) -> None:
    (here / "file").write_text("")
    (here / "q.npz").write_bytes(quantized)
    assert "cannot be written" in refused(capsys, here, command.format(below))

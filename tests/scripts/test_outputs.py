from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper

from systolith.golden.files import idx
from systolith.scripts.main import main
from systolith.scripts.outputs import require_file, require_folder, writing
from tests.golden.onnx.small_models import model, node, normal
from tests.scripts import tiny


def test_what_can_be_written_passes_and_stays_unwritten(tmp_path: Path) -> None:
    require_file(tmp_path / "report.json")
    require_folder(tmp_path / "a" / "b")
    require_folder(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("require", [require_file, require_folder])
@pytest.mark.parametrize("below", ["q.npz", "deep/er/q.npz"])
def test_below_a_file_nothing_can_be_written(
    tmp_path: Path, require: Callable[[Path], None], below: str
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match=f"^{file / below}: cannot be written"):
        require(file / below)


def test_a_file_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        require_file(tmp_path / "absent" / "q.npz")


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is a folder"):
        require_file(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a folder"):
        require_folder(tmp_path / "file")


def test_an_error_names_what_was_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written: disk full") as caught, writing(tmp_path):
        raise OSError(errno.ENOSPC, "disk full", ".some.tmp")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))


def test_an_error_that_is_not_the_systems_stays(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^Yosys failed$"), writing(tmp_path):
        raise OSError("Yosys failed")


def test_what_a_link_points_to_is_what_is_written(tmp_path: Path) -> None:
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "absent" / "q.npz")
    with pytest.raises(ValueError, match="there is no folder"):
        require_file(link)
    (tmp_path / "absent").mkdir()
    require_file(link)
    link.unlink()
    link.symlink_to("/dev/null")
    require_file(link)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network, its fixed-point twin, images, and links and hardware of them."""
    monkeypatch.chdir(tmp_path)
    quantized = tiny.quantized()
    quantized.save("q.npz")
    quantized.parent.save("net.npz")
    tiny.save_images(tmp_path / "data.npz", 20)
    Path("sub").mkdir()
    Path("link.npz").symlink_to("data.npz")
    for name in ("net.onnx", "plan.toml", "sweep.csv", "report.json"):
        Path(name).write_text("{}")
    Path("rtl").mkdir()
    for name in ("manifest", "simulation", "synthesis"):
        Path(f"rtl/{name}.json").write_text("{}")
    Path("runs/tiny").mkdir(parents=True)
    quantized.parent.save("runs/tiny/tiny.npz")
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        "import net.onnx --raw --data data.npz --out data.npz",
        "import net.onnx --raw --data data.npz --out ./sub/../data.npz",
        "import net.onnx --raw --data data.npz --out link.npz",
        "import net.onnx --raw --data link.npz --out data.npz",
        "quantize net.npz --data data.npz --out data.npz",
        "quantize net.npz --data data.npz --out net.npz",
        "evaluate net.npz --data sweep.csv --out report.json --out sweep.csv",
        "evaluate q.npz --rtl rtl --out rtl/manifest.json",
        "evaluate q.npz --advice --trial-data sweep.csv --out sweep.csv",
        "compare net.npz report.json --out report.json",
        "corpus sub --raw --data report.json --out report.json",
        "compare rtl report.json --out rtl/simulation.json",
        "compare rtl report.json --out rtl/synthesis.json",
        "plan q.npz --plan plan.toml --out plan.toml",
        "synth rtl --target ecp5-25k --out rtl/manifest.json",
        "generate q.npz --data sub --out sub",
        "sweep net.npz --data sub --out sub",
        "sweep net.npz --data data.npz --test-data sweep.csv --out .",
        "run --network net.npz --data sub --out sub",
        "run --network runs/tiny/tiny.npz --data data.npz --out runs",
    ],
)
def test_no_command_writes_over_what_it_reads(
    here: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(here)
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "is an input of this command" in err
    assert contents(here) == before


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("quantize net.npz --data t-images-idx3.json --out labels.npz", "t-labels-idx1.json"),
        (
            "evaluate net.npz --data t-images-idx3.json --out t-labels-idx1.json",
            "t-labels-idx1.json",
        ),
        ("import big.onnx --raw --out w.npz", "w.npz"),
        ("corpus . --raw --out w.md", "w.npz"),
    ],
)
def test_nor_over_what_it_reads_without_being_told(
    here: Path, command: str, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.zeros((20, 5, 4), np.uint8)
    Path("t-images-idx3.json").write_bytes(idx.encode(pixels))
    Path("t-labels-idx1.json").write_bytes(idx.encode(pixels[:, 0, 0]))
    Path("labels.npz").symlink_to("t-labels-idx1.json")
    network = onnx.load_from_string(model([node("MatMul", "x w", "y")], {"w": normal(10, 3)}))
    external_data_helper.convert_model_to_external_data(network, location="w.npz", size_threshold=0)
    onnx.save(network, "big.onnx")
    Path("w.md").symlink_to("w.npz")
    before = Path(found).read_bytes()
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "is an input of this command" in err
    assert Path(found).read_bytes() == before


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an accelerator."""
    folder = tmp_path_factory.mktemp("hardware") / "acc"
    tiny.generate(folder)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "synth acc --target ecp5-25k --out acc/simulation.json",
        "synth acc --target ecp5-25k --out acc/board.json",
        "evaluate q.npz --data data.npz --out acc/manifest.json",
        "evaluate q.npz --data data.npz --out acc/synthesis.json",
        "evaluate q.npz --data data.npz --out acc/datasheet.md",
        "plan q.npz --out acc/plan.toml",
        "quantize net.npz --data data.npz --out acc/tiny.npz",
    ],
)
def test_no_command_writes_a_file_of_an_accelerator(
    here: Path, hardware: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("acc").symlink_to(hardware)
    before = contents(hardware)
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "is a file of the accelerator in" in err
    assert contents(hardware) == before


def test_an_earlier_output_is_written_over(here: Path) -> None:
    for _ in range(2):
        assert main("quantize net.npz --data data.npz --out new.npz".split()) == 0
    Path("copy.npz").write_bytes(Path("data.npz").read_bytes())
    assert main("quantize net.npz --data data.npz --out copy.npz".split()) == 0
    assert Path("copy.npz").read_bytes() == Path("new.npz").read_bytes()

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith import golden
from systolith.golden.files.seeded_choice import chosen_numbers
from systolith.golden.network.graph import Dense, Input, Network
from systolith.golden.onnx import runtime_comparison
from systolith.golden.qformat import QFormat
from systolith.hw.installation import install_extra
from systolith.scripts.commands import import_network as command
from systolith.scripts.main import main
from tests.golden.onnx.small_models import model, node, normal


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a model in it."""
    monkeypatch.chdir(tmp_path)
    nodes = [
        node("Conv", "x w", "a", name="/conv/Conv"),
        node("Relu", "a", "b"),
        node("Flatten", "b", "c"),
        node("Gemm", "c d", "e", name="\x1b[31mfc\x1b[0m"),
        node("Softmax", "e", "y", name="softmax"),
    ]
    Path("net.onnx").write_bytes(model(nodes, {"w": normal(2, 1, 3, 3), "d": normal(72, 4)}))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], arguments: str, status: int = 2) -> list[str]:
    before = sorted(Path().iterdir())
    assert main(arguments.split()) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.replace("\n", "").isprintable()
    assert sorted(Path().iterdir()) == before
    lines = err.splitlines()
    assert lines[-1].startswith("systolith: ")
    return lines


def test_writes_a_network_and_says_what_became_of_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "import net.onnx --out net.npz --scale 1/255 --mean 0.1307 --std 0.3081"
    assert main(arguments.split()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    out = " ".join(out.split())
    network = golden.load_network("net.npz").network
    assert [layer.name for layer in network.layers] == ["input", "conv", "dense_31mfc_0m"]
    assert network.name == "net"
    assert network.input.scale == pytest.approx(1 / 255 / 0.3081)
    assert network.input.offset == pytest.approx(-0.1307 / 0.3081)
    assert "/conv/Conv" in out
    assert "Conv Relu" in out
    assert "8 x 8 x 1 pixels, each standing for 0.0127282 * pixel + -0.424213" in out
    assert "softmax (Softmax): left out" in out
    assert "2 of 2 layers compared, largest difference" in out


def test_the_network_goes_on_to_integers(here: Path) -> None:
    assert main("import net.onnx --out net.npz --raw".split()) == 0
    trained = golden.load_network("net.npz")
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    assert golden.quantize(trained, images).name == "net"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", "--scale: must be given, as no ONNX file says what its input is: --scale S"),
        ("--mean 0.5", "--scale: must be given"),
        ("--scale 1/0", "--scale: must be a number such as 0.5 or 1/255"),
        ("--scale x", "one a channel with commas between, not 'x'"),
        ("--scale 0", "scale must be above 0, not 0.0"),
        ("--raw --std 2", "--raw: has no meaning with --std"),
        ("--scale 1 --mean 1,2", "net.onnx: preprocessing: mean must be 1 number or 1, one a"),
        ("--raw --output z", "net.onnx: has no output 'z': it has y"),
        ("--raw --image 8", "--image: must be height and width, and channels if there are several"),
        ("--raw --image 8x8", "net.onnx: its input, 1 x 8 x 8, is no row of 64 values"),
    ],
)
def test_preprocessing_is_declared(
    here: Path, capsys: pytest.CaptureFixture[str], options: str, names: str
) -> None:
    (line,) = refused(capsys, f"import net.onnx --out net.npz {options}")
    assert names in line


@pytest.mark.parametrize(
    ("options", "declared"),
    [
        ("--raw", golden.Preprocessing()),
        ("--scale 1/255", golden.Preprocessing((1 / 255,))),
        ("--scale 2 --mean 3 --std 4", golden.Preprocessing((2.0,), (3.0,), (4.0,))),
        ("--scale 2 --std 4", golden.Preprocessing((2.0,), std=(4.0,))),
        ("--scale 2 --mean 0.5", golden.Preprocessing((2.0,), (0.5,))),
        (
            "--scale 1/2 --mean 1,2,3 --std 4,5,6",
            golden.Preprocessing((0.5,), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)),
        ),
        ("--input-format s8.5", golden.Preprocessing(format=QFormat(8, 5))),
        ("--input-format u16.0", golden.Preprocessing(format=QFormat(16, 0, signed=False))),
        (
            "--input-format s9.3 --scale 2 --mean 3 --std 4",
            golden.Preprocessing((2.0,), (3.0,), (4.0,), QFormat(9, 3)),
        ),
    ],
)
def test_what_is_declared_is_what_the_model_takes(
    options: str,
    declared: golden.Preprocessing,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []

    def read(*args: object) -> None:
        seen.extend(args)
        raise ValueError("seen enough")

    monkeypatch.setattr(golden, "import_onnx", read)
    words = f"import net.onnx --out net.npz {options}"
    assert main([*words.split(), "--output", "y", "--image", "8x4x2"]) == 2
    assert seen == [Path("net.onnx"), declared, "y", (8, 4, 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--raw --input-format s8.5", "--raw: has no meaning with --input-format"),
        ("--raw --scale 1", "--raw: has no meaning with --scale"),
        ("--raw --mean 1", "--raw: has no meaning with --mean"),
        ("--input-format s17.0", "--input-format: must have 1 to 16 bits and from -"),
        ("--input-format u8.999", "--input-format: must have 1 to 16 bits and from -"),
        ("--input-format u8.-999", "--input-format: must have 1 to 16 bits and from -"),
        ("--input-format float", "--input-format: "),
    ],
)
def test_what_contradicts_itself_is_refused(
    options: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = refused(capsys, f"import net.onnx --out net.npz {options}")
    assert message in line


def test_every_node_in_the_way_has_a_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [node("Shrink", "x", "a"), node("Shrink", "a", "y")]
    Path("leaky.onnx").write_bytes(model(nodes))
    assert refused(capsys, "import leaky.onnx --out net.npz --raw") == [
        "a (Shrink): is no activation that is built; train with another",
        "y (Shrink): is no activation that is built; train with another",
        "systolith: leaky.onnx: 2 of 2 nodes cannot be imported",
    ]
    Path("leaky.onnx").write_bytes(model([node("Shrink", "x", "y")]))
    (line,) = refused(capsys, "import leaky.onnx --out net.npz --raw")
    assert "1 of 1 nodes cannot be imported: y (Shrink): is no activation" in line


def test_without_onnx_it_says_how_to_get_it(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (line,) = refused(capsys, "import net.onnx --out net.npz --raw", 3)
    assert install_extra("onnx") in line


def test_without_onnx_runtime_it_says_that_nothing_was_compared(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    assert main("import net.onnx --out net.npz --raw".split()) == 0
    assert "not installed, so nothing was compared" in capsys.readouterr().out


def test_a_difference_is_a_failed_check_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(imported: golden.ImportedNetwork, images: object) -> tuple[Any, ...]:
        return (runtime_comparison.LayerDifference("conv", 1.0, 0.1, False),)

    monkeypatch.setattr(runtime_comparison, "compare_with_runtime", differ)
    assert main("import net.onnx --out net.npz --raw".split()) == 1
    err = capsys.readouterr().err
    assert err == "systolith: net.onnx: not written, as ONNX Runtime differs: conv\n"
    assert not Path("net.npz").exists()


def test_only_layers_that_differ_by_more_than_rounding_are_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tuple(
        runtime_comparison.LayerDifference(name, 1.0, 0.1, is_rounding)
        for name, is_rounding in (("a", True), ("b", False), ("c", True), ("d", False))
    )
    monkeypatch.setattr(runtime_comparison, "compare_with_runtime", lambda *_: found)
    assert main("import net.onnx --out net.npz --raw".split()) == 1
    err = capsys.readouterr().err
    assert err == "systolith: net.onnx: not written, as ONNX Runtime differs: b, d\n"


def test_each_layer_has_its_shape_its_node_and_its_difference(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    differences = {"conv": 2e-6, "dense_31mfc_0m": 3e-7}
    found = tuple(
        runtime_comparison.LayerDifference(name, 1.0, each, True)
        for name, each in differences.items()
    )
    monkeypatch.setattr(runtime_comparison, "compare_with_runtime", lambda *_: found)
    assert main("import net.onnx --out net.npz --raw".split()) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "conv convolution 6 x 6 x 2 /conv/Conv Conv Relu 2.0e-06" in rows
    (row,) = (each for each in rows if each.startswith("dense_31mfc_0m "))
    assert row.startswith("dense_31mfc_0m dense 1 x 1 x 4 ") and row.endswith(" 3.0e-07")
    assert "input 8 x 8 x 1 pixels, each standing for 1 * pixel + 0" in rows


def test_the_border_of_the_input_and_all_notes_are_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = Input(
        name="input",
        height=5,
        width=4,
        border=2,
        background=7,
        scale=0.5,
        offset=-3.0,
        format=QFormat(8, 5),
    )
    network = Network("net", (first, Dense(name="y", inputs=("input",), units=3)))
    trained = SimpleNamespace(network=network)
    imported: Any = SimpleNamespace(trained=trained, origins=(), notes=("one", "two"))
    command._print(imported, {})
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    values = "5 x 4 x 1 values of s8.5, each standing for 0.5 * value + -3, 2 of 7 around"
    assert rows[-3:] == [f"input {values}", "note one", "note two"]


def test_the_output_that_is_named_is_the_last_layer(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f d", "y"), node("Gemm", "y e", "z")]
    content = model(nodes, {"d": normal(64, 4), "e": normal(4, 2)}, outputs=("y", "z"))
    Path("two.onnx").write_bytes(content)
    (line,) = refused(capsys, "import two.onnx --out net.npz --raw")
    assert "has 2 outputs, choose one with --output: y, z" in line
    for output, units in (("y", [4]), ("z", [4, 2])):
        assert main(f"import two.onnx --out net.npz --raw --output {output}".split()) == 0
        network = golden.load_network("net.npz").network
        assert [shape.channels for shape in network.shapes().values()][1:] == units


def test_the_largest_difference_on_the_given_images_is_printed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.arange(128, dtype=np.uint8).reshape(2, 8, 8, 1)
    np.savez("data.npz", images=images)

    def compare(_: object, given: Any) -> tuple[runtime_comparison.LayerDifference, ...]:
        assert given.tolist() == images.tolist()
        return tuple(
            runtime_comparison.LayerDifference(name, 2.0, difference, True)
            for name, difference in (("a", 2e-6), ("b", 8e-6), ("c", 4e-6))
        )

    monkeypatch.setattr(runtime_comparison, "compare_with_runtime", compare)
    assert main("import net.onnx --out net.npz --raw --data data.npz".split()) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 of 2 layers compared, largest difference 4.0e-06 of the largest value, in b" in shown


@pytest.mark.parametrize(
    ("given", "shape"), [("8x4x3", (8, 4, 3)), ("4x8x3", (4, 8, 3)), ("16x6", (16, 6, 1))]
)
def test_an_image_is_height_width_and_channels(
    given: str, shape: tuple[int, int, int], here: Path
) -> None:
    Path("row.onnx").write_bytes(model([node("Gemm", "x d", "y")], {"d": normal(96, 4)}, ("N", 96)))
    assert main(f"import row.onnx --out net.npz --raw --image {given}".split()) == 0
    assert golden.load_network("net.npz").network.input.image_shape == shape


@pytest.mark.parametrize(
    ("units", "why"), [(4, "the images have no labels"), (1, "the network is no classifier")]
)
def test_ranges_are_those_of_the_given_images_and_of_the_outputs(
    units: int, why: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output is 3 times the first pixel and 2, or -3 times it; pixels from 10 to 20."""
    weights = np.zeros((4, units), np.float32)
    weights[0] = [3, -3, 3, 3][:units]
    arrays = {"d": weights, "b": np.full(units, 2, np.float32)}
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f d b", "y")]
    Path("net.onnx").write_bytes(model(nodes, arrays, ("N", 1, 2, 2)))
    images = np.full((2, 2, 2, 1), 20, np.uint8)
    images[0, 0, 0], images[1, 0, 0] = 10, 20
    np.savez("data.npz", images=images)
    words = "import net.onnx --out net.npz --scale 0.5 --mean 1 --data data.npz"
    assert main(words.split()) == 0
    out = " ".join(capsys.readouterr().out.split())
    # Half of a pixel, and 1 less: from 4 to 9.
    low = 3 * 4 + 2 if units == 1 else -3 * 9 + 2
    assert f"the model's input 4 to 9, its outputs {low} to 29, on 2 images of data.npz" in out
    assert f"cannot be judged: {why}" in out


@pytest.mark.parametrize("labelled", [True, False])
def test_preprocessing_is_judged_on_images_from_all_over_the_file(
    labelled: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file sorted by class has its first images of one class alone; all, if there are few."""
    images = np.random.default_rng(8).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    arrays: dict[str, Any] = {"images": images}
    if labelled:
        arrays["labels"] = np.arange(60) // 15
    np.savez("data.npz", **arrays)
    seen: list[golden.Dataset] = []
    name = "_check_preprocessing" if labelled else "_print_ranges"
    monkeypatch.setattr(command, name, lambda _, dataset: seen.append(dataset))
    for most in (20, 60, 61):
        monkeypatch.setattr(command, "_CHECKED_IMAGES", most)
        assert main("import net.onnx --out net.npz --raw --data data.npz".split()) == 0
    some, *every = seen
    numbers = chosen_numbers(60, 20)
    assert np.array_equal(some.images, images[numbers])
    if labelled:
        assert some.known_labels.tolist() == (numbers // 15).tolist()
    for each in every:
        assert np.array_equal(each.images, images)


@pytest.mark.parametrize(
    ("arguments", "status", "names"),
    [
        ("import absent.onnx --out net.npz --raw", 2, "absent.onnx: no such file"),
        ("import net.onnx --out net.onnx --raw", 2, "must end with .npz"),
        ("import net.onnx --raw", 2, "Missing option '--out'"),
        ("import net.onnx --out absent/net.npz --raw", 2, "cannot be written"),
    ],
)
def test_files(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: str, status: int, names: str
) -> None:
    assert names in refused(capsys, arguments, status)[-1]

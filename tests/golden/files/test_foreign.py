from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from systolith import golden, hw
from systolith.golden.errors import FileFormatError
from systolith.golden.files.foreign import (
    HARDWARE,
    IDX,
    NETWORK,
    PICTURE,
    Kind,
    kind_of,
    of_schema,
    refusal,
    require_folder,
)
from systolith.golden.files.toml_files import read_toml


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (28, 28)).save(file, kind)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, "content")
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


def onnx_model(producer: str) -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["x2"])], "g", [value], [])
    return bytes(helper.make_model(graph, producer_name=producer).SerializeToString())


FOREIGN = {
    "a PNG picture": picture("PNG"),
    "a JPEG picture": picture("JPEG"),
    "a GIF picture": picture("GIF"),
    "a BMP picture": picture("BMP"),
    "a TIFF picture": picture("TIFF"),
    "a WebP picture": picture("WEBP"),
    "a PDF document": b"%PDF-1.7 ",
    "an ONNX model": onnx_model("pytorch"),
    "a PyTorch file": archive("model/data.pkl", "model/data/0"),
    "a Python pickle, such as a PyTorch file": pickle.dumps({}, 2),
    "a Keras model": archive("metadata.json", "config.json", "model.weights.h5"),
    "an HDF5 file, such as a Keras model": b"\x89HDF\r\n\x1a\n" + bytes(8),
    "a TensorFlow Lite model": b"\x1c\0\0\0TFL3" + bytes(8),
    "a safetensors file": b'\x10\0\0\0\0\0\0\0{"weight": {}}  ',
    "an .npz file of arrays": archive("weights.npy", "bias.npy"),
    "a zip archive": archive("readme.txt"),
    "a NumPy array (.npy)": array(),
    "a gzip file": gzip.compress(b"text"),
    "an empty file": b"",
}
NETWORKS = ("Keras", "PyTorch", "TensorFlow", "safetensors")


@pytest.mark.parametrize("words", FOREIGN)
def test_every_reader_names_what_it_was_given(words: str, tmp_path: Path) -> None:
    path = tmp_path / "given.npz"
    path.write_bytes(FOREIGN[words])
    advice = "export it as ONNX" if any(name in words for name in NETWORKS) else "systolith "
    for load, wanted in (
        (golden.load, "a network of this program"),
        (golden.load_network, "a trained network"),
        (golden.QuantizedNetwork.load, "a quantized network"),
    ):
        with pytest.raises(FileFormatError) as raised:
            load(path)
        message = str(raised.value)
        assert message.startswith(f"{path}: is {words}, not {wanted}: {advice}")
    with pytest.raises(FileFormatError, match="not an accuracy report: systolith evaluate"):
        golden.AccuracyReport.load(path)
    with pytest.raises(FileFormatError, match="not a folder with hardware: systolith generate"):
        hw.load_manifest(path)
    if words != "an empty file":
        with pytest.raises(FileFormatError, match="not a TOML file: docs/quantization"):
            read_toml(path)


@pytest.mark.parametrize("words", FOREIGN)
def test_data_sets_name_it_too(words: str, tmp_path: Path) -> None:
    for name in ("given.npz", "given", "given-images-idx3-ubyte"):
        path = tmp_path / name
        path.write_bytes(FOREIGN[words])
        with pytest.raises(FileFormatError) as raised:
            golden.load_dataset(path)
        reasons = ("has no array 'images'", "not an IDX file of unsigned bytes")
        message = str(raised.value)
        assert f"{path}: is {words}, not " in message or any(each in message for each in reasons)


def test_files_of_this_program_are_told_apart(tmp_path: Path) -> None:
    trained = golden.load_network("lenet5-relu")
    trained.save(tmp_path / "t.npz")
    golden.quantize(trained, golden.validation_digits().images[:10]).save(tmp_path / "q.npz")
    for load, path, expected in (
        (golden.QuantizedNetwork.load, "t.npz", "is a trained network, not a quantized network: "),
        (golden.load_network, "q.npz", "is a quantized network, not a trained network: "),
        (golden.AccuracyReport.load, "q.npz", "is a quantized network, not an accuracy report: "),
        (golden.load_dataset, "t.npz", "is a trained network, not an .npz file of arrays: "),
        (hw.load_manifest, "q.npz", "is a quantized network, not a folder with hardware: "),
    ):
        with pytest.raises(FileFormatError, match=expected):
            load(tmp_path / path)


def test_other_reports_are_named(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({"schema": "systolith.sweep/1"}), "utf-8")
    with pytest.raises(FileFormatError, match="is the report of a sweep, not an accuracy report: "):
        golden.AccuracyReport.load(path)
    with pytest.raises(FileFormatError, match="is the report of a sweep, not a trained network: "):
        golden.load_network(path)


def test_a_damaged_file_keeps_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    golden.load_network("lenet5-relu").save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(FileFormatError, match="not an intact"):
        golden.load_network(path)


@pytest.mark.parametrize(
    "content", [b"hello", b"\x08", b"\x08\x09text", b"PK\x03\x04", b"[" * 9999]
)
def test_what_is_unknown_has_no_kind(content: bytes) -> None:
    assert kind_of(content) is None


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"is a folder, not a file$"):
        golden.load(tmp_path)
    (tmp_path / "a.npz").touch()
    with pytest.raises(FileFormatError, match=r"is a folder, not a file: it has .*/a\.npz$"):
        golden.QuantizedNetwork.load(tmp_path)
    with pytest.raises(FileFormatError, match=r"is not a folder with hardware, it has no m\.json"):
        require_folder(tmp_path, "m.json", HARDWARE)
    with pytest.raises(FileFormatError, match="none: no such folder"):
        require_folder(tmp_path / "none", "m.json", HARDWARE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"MM\0*" + bytes(8), "a TIFF picture"),
        (pickle.dumps({}, 4), "a Python pickle, such as a PyTorch file"),
        (archive(), "a zip archive"),
        (archive("metadata.json", "data.csv"), "a zip archive"),
        (archive("weights.npy", "readme.txt"), "a zip archive"),
        (archive("data.pkl"), "a PyTorch file"),
        (b"\0\0\x08\x03" + bytes(12), "an IDX file"),
        *((bytes([8, 10, field]), "an ONNX model") for field in b"\x12\x1a\x22\x28\x32\x3a\x42"),
        (b"\x08\x1f\x12", "an ONNX model"),
        (b'{"schema": "systolith.accuracy/9", "more": 1}', "an accuracy report"),
        (b'{"schema": "systolith.manifest/1"}', "a manifest of hardware"),
        (b'{"schema": "systolith.simulation/1"}', "the result of a simulation"),
        (b'{"schema": "systolith.comparison/1"}', "a comparison of reports"),
        (b'{"schema": "systolith.description/1"}', "the description of a network"),
        (b'{"schema": "systolith.plan/1"}', "a report of a plan"),
        (b'{"schema": "systolith.prediction/1"}', "the classes of pictures"),
        (b'{"schema": "systolith.sweep/1"}', "the report of a sweep"),
    ],
)
def test_the_first_bytes_say_what_a_file_is(content: bytes, words: str) -> None:
    found = kind_of(content)
    assert found is not None and found.words == words


@pytest.mark.parametrize(
    ("schema", "words", "advice"),
    [
        ("systolith.trained-network/1", "a trained network", "systolith train writes one"),
        ("systolith.quantized-network/1", "a quantized network", "systolith quantize writes one"),
        ("systolith.accuracy/2", "an accuracy report", "systolith evaluate --out writes one"),
        ("systolith.manifest/1", "a manifest of hardware", "systolith generate writes one"),
        ("systolith.simulation/1", "the result of a simulation", "systolith simulate writes one"),
        ("systolith.plan/1", "a report of a plan", ""),
        ("other/1", "other/1", ""),
    ],
)
def test_what_is_wanted_is_named_with_the_command_that_writes_it(
    schema: str, words: str, advice: str
) -> None:
    told = str(refusal("f", picture("PNG"), of_schema(schema), FileFormatError("no")))
    assert told == f"f: is a PNG picture, not {words}" + (f": {advice}" if advice else "")


@pytest.mark.parametrize(
    ("content", "wanted", "message"),
    [
        (FOREIGN["an ONNX model"], NETWORK, "systolith import makes one of it (docs/import.md)"),
        (
            FOREIGN["a Keras model"],
            NETWORK,
            "export it as ONNX, which systolith import reads, or see docs/limits.md",
        ),
        (FOREIGN["a Keras model"], PICTURE, PICTURE.advice),
        (FOREIGN["a PNG picture"], NETWORK, NETWORK.advice),
        (b'{"schema": "systolith.sweep/1"}', NETWORK, NETWORK.advice),
    ],
)
def test_advice_is_for_what_was_given(content: bytes, wanted: Kind, message: str) -> None:
    told = str(refusal("f", content, wanted, FileFormatError("no")))
    assert told.startswith("f: is ") and told.endswith(f", not {wanted.words}: {message}")


def test_a_file_of_the_wanted_kind_keeps_the_reader_s_error() -> None:
    assert str(refusal("f", b"\0\0\x08\x03", IDX, FileFormatError("cut"))) == "f: cut"


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "given"
    advice = "not a folder with hardware: systolith generate Q.npz --out DIR writes one"
    for content, words in ((picture("GIF"), "a GIF picture"), (b"text", "a file")):
        path.write_bytes(content)
        with pytest.raises(FileFormatError) as caught:
            require_folder(path, "m.json", HARDWARE)
        assert str(caught.value) == f"{path}: is {words}, {advice}"
    (tmp_path / "other.json").touch()
    with pytest.raises(FileFormatError) as caught:
        require_folder(tmp_path, "m.json", HARDWARE)
    message = "is not a folder with hardware, it has no m.json: systolith generate Q.npz --out DIR"
    assert str(caught.value) == f"{tmp_path}: {message} writes one"
    (tmp_path / "m.json").touch()
    require_folder(tmp_path, "m.json", HARDWARE)

"""Recognises files by their first bytes, so that an error can say what was given instead.

Readers raise `refusal` when they cannot read a file: a picture or an ONNX model in place of a
network is named, and the message says what writes the file that was expected.
"""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass

import msgspec

from systolith.golden.errors import FileFormatError
from systolith.golden.files.whole_files import read_whole

_HEADER = "header.npy"
_MAX_HEADER = 2**20
_MAX_BYTES = 2**30
_ADVICE_FOR_ONNX = "systolith import makes one of it (docs/import.md)"
_ADVICE_FOR_OTHERS = "export it as ONNX, which systolith import reads, or see docs/limits.md"


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    words
        What it is, with an article.
    advice
        How to get one; empty for what no reader wants.
    is_network
        Whether it is a network, of this program or of another.
    """

    words: str
    advice: str = ""
    is_network: bool = False


ONNX = Kind("an ONNX model", is_network=True)
"""What `import` reads, and what `export` writes."""

NETWORK = Kind("a network of this program", "systolith train and quantize write them", True)
"""A trained or a quantized network."""

IMAGES = Kind("images with labels", "docs/limits.md lists the files that are read")
"""A data set."""

ARRAYS = Kind("an .npz file of arrays", "images and labels are the arrays of a data set")
"""A data set, or arrays of another program."""

IDX = Kind("an IDX file", "the files of MNIST have this format")
"""Images or labels."""

TOML = Kind("a TOML file", "docs/quantization.md has settings, docs/planning.md plans")
"""Settings or a plan."""

PICTURE = Kind("a picture", "systolith predict reads PNG, JPEG, BMP, GIF, PPM, PGM and WebP")
"""What `predict` reads."""

HARDWARE = Kind("a folder with hardware", "systolith generate Q.npz --out DIR writes one")
"""What `generate` writes."""

_OURS = {
    "systolith.trained-network": Kind("a trained network", "systolith train writes one", True),
    "systolith.quantized-network": Kind(
        "a quantized network", "systolith quantize writes one", True
    ),
    "systolith.accuracy": Kind("an accuracy report", "systolith evaluate --out writes one"),
    "systolith.manifest": Kind("a manifest of hardware", "systolith generate writes one"),
    "systolith.simulation": Kind("the result of a simulation", "systolith simulate writes one"),
    "systolith.comparison": Kind("a comparison of reports"),
    "systolith.description": Kind("the description of a network"),
    "systolith.plan": Kind("a report of a plan"),
    "systolith.prediction": Kind("the classes of pictures"),
    "systolith.sweep": Kind("the report of a sweep"),
}
"""Files of this program, by the name of their schema."""

_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", Kind("a PNG picture")),
    (0, b"\xff\xd8\xff", Kind("a JPEG picture")),
    (0, b"GIF8", Kind("a GIF picture")),
    (0, b"BM", Kind("a BMP picture")),
    (0, b"II*\0", Kind("a TIFF picture")),
    (0, b"MM\0*", Kind("a TIFF picture")),
    (8, b"WEBP", Kind("a WebP picture")),
    (0, b"%PDF-", Kind("a PDF document")),
    (0, b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file, such as a Keras model", is_network=True)),
    (4, b"TFL3", Kind("a TensorFlow Lite model", is_network=True)),
    (8, b'{"', Kind("a safetensors file", is_network=True)),
    (0, b"\x80\x02", Kind("a Python pickle, such as a PyTorch file", is_network=True)),
    (0, b"\x80\x04", Kind("a Python pickle, such as a PyTorch file", is_network=True)),
    (0, b"\x93NUMPY", Kind("a NumPy array (.npy)")),
    (0, b"\x1f\x8b", Kind("a gzip file")),
    (0, b"\0\0\x08", IDX),
)
"""The first bytes of files: position, bytes and kind."""

# Protocol buffers have no magic. ONNX writers put the version first, a small integer in field 1,
# and then the producer, the graph or another of the model's fields.
_ONNX_START = b"\x08"
_ONNX_VERSIONS = range(1, 32)
_ONNX_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42"


class _Head(msgspec.Struct):
    schema: str


def of_schema(schema: str) -> Kind:
    """The kind of the files of this program with a schema, `name/version`."""
    return _OURS.get(schema.rpartition("/")[0], Kind(schema))


def refusal(
    path: str | os.PathLike[str], content: bytes, wanted: Kind, error: Exception
) -> FileFormatError:
    """The error of a file that cannot be read: what it is instead, or else the reader's `error`."""
    found = kind_of(content)
    if found is None or found == wanted:
        return FileFormatError(f"{path}: {error}")
    advice = wanted.advice
    if wanted.is_network and found.is_network and found not in _OURS.values():
        advice = _ADVICE_FOR_ONNX if found == ONNX else _ADVICE_FOR_OTHERS
    return FileFormatError(
        f"{path}: is {found.words}, not {wanted.words}" + (f": {advice}" if advice else "")
    )


def require_folder(path: str | os.PathLike[str], name: str, wanted: Kind) -> None:
    """Check that there is a folder with a file of this name.

    Raises
    ------
    FileFormatError
        There is none, or a file in its place, which is named.
    """
    if os.path.isfile(path):
        error = FileFormatError(f"is a file, not {wanted.words}: {wanted.advice}")
        raise refusal(path, read_whole(path, _MAX_BYTES), wanted, error)
    if not os.path.isdir(path):
        raise FileFormatError(f"{path}: no such folder")
    if not os.path.exists(os.path.join(path, name)):
        raise FileFormatError(f"{path}: is not {wanted.words}, it has no {name}: {wanted.advice}")


def kind_of(content: bytes) -> Kind | None:
    """The kind of a file; None for text without a schema and for what is unknown."""
    if not content:
        return Kind("an empty file")
    if content.startswith(b"PK"):
        return _kind_of_archive(content)
    for position, magic, kind in _MAGIC:
        if content.startswith(magic, position):
            return kind
    if content[:1] == _ONNX_START and content[2:3] and content[1] in _ONNX_VERSIONS:
        return ONNX if content[2] in _ONNX_FIELDS else None
    return _kind_of_json(content)


def _kind_of_archive(content: bytes) -> Kind | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if _HEADER in names and archive.getinfo(_HEADER).file_size <= _MAX_HEADER:
                header = archive.read(_HEADER)
                return _kind_of_json(header[header.find(b"{", header.find(b"\n")) :])
    # What zipfile raises for damaged archives in addition to its own error.
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, RuntimeError, OverflowError):
        return None
    if any(name.endswith("data.pkl") for name in names):
        return Kind("a PyTorch file", is_network=True)
    if {"metadata.json", "config.json"} <= set(names):
        return Kind("a Keras model", is_network=True)
    if names and all(name.endswith(".npy") for name in names):
        return ARRAYS
    return Kind("a zip archive")


def _kind_of_json(content: bytes) -> Kind | None:
    try:
        schema = msgspec.json.decode(content, type=_Head).schema
    except (ValueError, RecursionError):
        return None
    return _OURS.get(schema.rpartition("/")[0])

"""Makes valid files hostile: one change, by the structure of the format.

Every function takes a source of random numbers and the content of a file, and returns the changed
content and a few words about the change.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import random
import re
import struct
import tomllib
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mutated = tuple[bytes, str]
Mutation = Callable[[random.Random, bytes], Mutated]

MANY = 30_000
"""How often something is repeated, or how deep it is nested, where sizes are to be hostile."""

HOSTILE_STRINGS = (
    "",
    " ",
    "\x00",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "a\nb",
    "a\rb",
    "\u202egnp",
    "\u2028",
    "\x7f\x9b",
    "é漢字",
    "😀",
    "|a|b|",
    "<script>alert(1)</script>",
    "[bold]x[/bold]",
    "[/]",
    "*x* _y_ `z` # ~~",
    "../x",
    "/dev/null",
    "a/b",
    "%s%n{}$(id)",
    "__proto__",
    "N/A",
    "notes.txt",
    "x" * 5_000,
)
"""Text that breaks terminals, tables, pages, paths and formats."""

HOSTILE_NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "17",
    "255",
    "65537",
    f"{2**31}",
    f"{2**53 + 1}",
    f"{2**63}",
    f"{2**64}",
    f"1{'0' * 400}",
    f"-1{'0' * 400}",
    f"1{'0' * 5000}",
    "-0.0",
    "0.5",
    "1e308",
    "-1e308",
    "5e-324",
    "1e999",
)

HOSTILE_NAMES = (
    *"s_axis m_axis aclk aresetn s_axis_tdata clk rst i o out x_y x__y _ __ top TOP std".split(),
    *"frame_checker classifier output input image pixels weights bias argmax raw valid".split(),
    *"module endmodule wire reg begin end case class logic bit int signed always initial".split(),
    *"assign generate genvar parameter function task table primitive specify and or not".split(),
    *"self None def lambda import namespace template this new delete int64_t main".split(),
    *("header", "float", "fixed", "a" * 300, "a" * 5000, "A", "l1"),
)
"""Names that a graph may accept: of ports, modules, keywords, and of files."""


@dataclass(frozen=True)
class Raw:
    """Text that stands for a value as it is."""

    text: str


class Pairs(list[Any]):
    """A JSON object as a list of lists of a key and a value: keys may be there twice."""


def mutate_bytes(rng: random.Random, content: bytes) -> Mutated:
    """Drop, alter, repeat or add bytes anywhere."""
    data = bytearray(content)
    place = rng.randrange(len(data) + 1)
    kind = rng.choice(("empty", "truncated", "flipped", "cut", "doubled", "added", "zeros", "bom"))
    if kind == "empty":
        return b"", kind
    if kind == "truncated":
        return bytes(data[:place]), f"truncated to {place} bytes"
    if kind == "flipped" and data:
        flips = rng.choice((1, 1, 2, 8))
        for _ in range(flips):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data), f"{flips} bits flipped"
    length = rng.choice((1, 2, 16, 200))
    if kind == "cut":
        return bytes(data[:place] + data[place + length :]), f"{length} bytes cut at {place}"
    if kind == "doubled":
        return bytes(data[: place + length] + data[place:]), f"{length} bytes doubled at {place}"
    if kind == "zeros":
        return bytes(data[:place]) + bytes(len(data) - place), f"zeros from {place}"
    if kind == "bom":
        return b"\xef\xbb\xbf" + bytes(data), "a byte order mark before it"
    added = rng.choice((b"\x00", b"\xff\xfe", b"PK\x03\x04", b"]}", b"\n" * 100, rng.randbytes(40)))
    return bytes(data[:place] + added + data[place:]), f"{added[:8]!r} added at {place}"


def mutate_json(rng: random.Random, content: bytes) -> Mutated:
    """Alter a key or a value of a JSON text."""
    tree = json.loads(content, object_pairs_hook=lambda pairs: Pairs([list(p) for p in pairs]))
    tree, done = _mutate_tree(rng, tree, ("NaN", "-Infinity"))
    return _to_json(tree).encode("utf-8", "surrogatepass"), done


def mutate_toml(rng: random.Random, content: bytes) -> Mutated:
    """Alter a key or a value of a TOML text, or add a line that is hard to parse."""
    if rng.random() < 0.25:
        name, line = rng.choice(_TOML_LINES)
        return content + b"\n" + line.encode() + b"\n", f"{name} added"
    tree, done = _mutate_tree(rng, _to_pairs(tomllib.loads(content.decode())), ("nan", "-inf"))
    lines = "\n".join(f"{path} = {text}" for path, text in _to_toml(tree, ()))
    return lines.encode("utf-8", "replace"), done


def mutate_npz(rng: random.Random, content: bytes) -> Mutated:
    """Alter a member of an `.npz` file: its header, its type, its shape, its values, its name."""
    members = _members(content)
    place = rng.randrange(len(members))
    if any(name == "header.npy" for name, _ in members) and rng.random() < 0.4:
        place = next(n for n, (name, _) in enumerate(members) if name == "header.npy")
    name, member = members[place]
    kind = rng.choice(_NPZ_KINDS)
    compression = zipfile.ZIP_STORED
    if kind == "text" and name == "header.npy":
        text, done = mutate_json(rng, np.load(io.BytesIO(member)).tobytes())
        members[place] = (name, npy(np.frombuffer(text, np.uint8)))
    elif kind in ("text", "header"):
        members[place], done = _hostile_header(rng, name, member)
    elif kind == "absent":
        del members[place]
        done = f"{name} left out"
    elif kind == "twice":
        members.insert(rng.randrange(len(members) + 1), (name, member))
        done = f"{name} twice"
    elif kind == "name":
        new = rng.choice((*HOSTILE_STRINGS[3:], name[:-4], name + "/x.npy", "fixed/x/weights.npy"))
        members[place] = (new.replace("\x00", "")[:5000] or "x", member)
        done = f"{name} renamed {new[:20]!r}"
    elif kind == "foreign":
        members.append((rng.choice(("x.npy", "readme.txt", "x/")), rng.randbytes(9)))
        done = f"{members[-1][0]} added"
    elif kind == "compressed":
        compression = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        if rng.random() < 0.3:
            members[place] = (name, npy(np.zeros(10**6, np.uint8)))
        done = f"compressed by {compression}"
    elif kind == "damaged":
        changed, done = mutate_bytes(rng, member)
        members[place] = (name, changed)
        done = f"{name}: {done}"
    else:
        array, done = _mutate_array(rng, np.load(io.BytesIO(member)), kind)
        members[place] = (name, npy(array))
        done = f"{name}: {done}"
    return _zip(members, compression), done


def mutate_integers(rng: random.Random, content: bytes) -> Mutated:
    """Alter integers of a quantized network; most of them still fit its formats and each other."""
    members = dict(_members(content))
    header = json.loads(np.load(io.BytesIO(members["header.npy"])).tobytes())
    done = []
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        entry = rng.choice(header["layers"])
        arrays = {
            key: np.load(io.BytesIO(members[f"fixed/{entry['name']}/{key}.npy"])).astype(np.int64)
            for key in ("weights", "bias", "shifts", "table")
            if f"fixed/{entry['name']}/{key}.npy" in members
        }
        done.append(f"{entry['name']}: {_other_integers(rng, entry, arrays)}")
        for key, array in arrays.items():
            members[f"fixed/{entry['name']}/{key}.npy"] = npy(array)
    text = json.dumps(header).encode()
    members["header.npy"] = npy(np.frombuffer(text, np.uint8))
    return _zip(list(members.items())), "; ".join(done)


def rename_in_npz(rng: random.Random, content: bytes) -> Mutated:
    """Rename the network or a layer everywhere in a file of a network."""
    members = dict(_members(content))
    header = json.loads(np.load(io.BytesIO(members["header.npy"])).tobytes())
    old = rng.choice(
        [header["graph"]["name"], *(each["name"] for each in header["graph"]["layers"])]
    )
    new = rng.choice(HOSTILE_NAMES if rng.random() < 0.9 else HOSTILE_STRINGS)
    text = json.dumps(_renamed(header, old, new)).encode()
    renamed = {
        "/".join(new if part == old else part for part in name.split("/")): member
        for name, member in members.items()
    }
    renamed["header.npy"] = npy(np.frombuffer(text, np.uint8))
    return _zip(list(renamed.items())), f"{old!r} renamed {new[:40]!r}"


def mutate_idx(rng: random.Random, content: bytes) -> Mutated:
    """Alter the magic number, the sizes or the values of an IDX file."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, content)
    data = bytearray(content)
    if rng.random() < 0.3:
        data[rng.randrange(4)] = rng.choice((0, 1, 2, 3, 4, 8, 9, 14, 255))
        return bytes(data), f"magic {bytes(data[:4]).hex()}"
    dimensions = data[3]
    place = rng.randrange(dimensions)
    size = rng.choice((0, 1, 2, 2**16, 2**31 - 1, 2**31, 2**32 - 1))
    data[4 + 4 * place : 8 + 4 * place] = struct.pack(">I", size)
    return bytes(data), f"size {place} is {size}"


def mutate_gzip(rng: random.Random, content: bytes) -> Mutated:
    """Damage a gzip file or the file in it, or compress a huge file."""
    kind = rng.randrange(4)
    if kind == 0:
        return mutate_bytes(rng, content)
    if kind == 1:
        return content + gzip.compress(b"more", mtime=0), "a second stream"
    if kind == 2:
        # Streams of a file follow each other.
        return content + _compressed_zeros() * rng.choice((1, 200)), "zeros after it"
    changed, done = mutate_idx(rng, gzip.decompress(content))
    return gzip.compress(changed, mtime=0), done


@functools.cache
def _compressed_zeros() -> bytes:
    return gzip.compress(bytes(10**7), mtime=0)


def mutate_verilog(rng: random.Random, content: bytes) -> Mutated:
    """Alter a line, a number or a word of Verilog, or add one that runs or reads something."""
    lines = content.decode().splitlines()
    place = rng.randrange(len(lines))
    kind = rng.choice(("line", "twice", "number", "word", "task", "task", "bytes"))
    if kind == "bytes":
        return mutate_bytes(rng, content)
    if kind == "line":
        done = f"line {place + 1} left out"
        del lines[place]
    elif kind == "twice":
        done = f"line {place + 1} twice"
        lines.insert(place, lines[place])
    elif kind == "task":
        name, line = rng.choice(_VERILOG_LINES)
        modules = [n for n, text in enumerate(lines) if text.startswith("module ")]
        ends = next(n for n in range(rng.choice(modules), len(lines)) if ";" in lines[n])
        lines.insert(ends + 1, line)
        done = f"{name} after line {ends + 1}"
    else:
        pattern = r"\d+" if kind == "number" else r"[A-Za-z_]\w*"
        places = [n for n, text in enumerate(lines) if re.search(pattern, text)]
        place = rng.choice(places)
        new = rng.choice(HOSTILE_NUMBERS[:10] if kind == "number" else HOSTILE_NAMES[:60])
        lines[place] = re.sub(pattern, new, lines[place], count=1)
        done = f"{kind} {new[:20]!r} in line {place + 1}"
    return ("\n".join(lines) + "\n").encode(), done


def mutate_onnx(rng: random.Random, content: bytes) -> Mutated:
    """A node, a constant, an attribute, a name, a shape or a version of an ONNX model altered."""
    from onnx import ModelProto

    model = ModelProto.FromString(content)
    kind = rng.choice(("node", "attribute", "wire", "constant", "shape", "message", "text", "text"))
    node = rng.choice(model.graph.node)
    if kind == "node":
        done = rng.choice(("absent", "twice", "moved", "operator", "domain"))
        if done == "absent":
            model.graph.node.remove(node)
        elif done == "twice":
            model.graph.node.add().CopyFrom(node)
        elif done == "moved":
            moved = list(model.graph.node)
            rng.shuffle(moved)
            del model.graph.node[:]
            model.graph.node.extend(moved)
        elif done == "operator":
            node.op_type = rng.choice((*_OPERATORS, *HOSTILE_STRINGS))
        else:
            node.domain = rng.choice(("ai.onnx.ml", "com.example", *HOSTILE_STRINGS))
        done = f"node {done}"
    elif kind == "wire":
        names = [name for each in model.graph.node for name in (*each.input, *each.output)]
        wires = rng.choice((node.input, node.output))
        wires[rng.randrange(len(wires))] = rng.choice((*names, "", "absent"))
        done = f"{node.op_type} wired {list(wires)}"
    elif kind == "constant":
        done = _mutate_constant(rng, rng.choice(model.graph.initializer))
    elif kind == "shape":
        dims = model.graph.input[0].type.tensor_type.shape.dim
        place = rng.randrange(len(dims))
        dims[place].dim_value = rng.choice((0, -1, 1, 3, 4, 2**16, 2**31, 2**62))
        done = f"size {place} is {dims[place].dim_value}"
    elif kind == "attribute":
        attributes = [each for part in model.graph.node for each in part.attribute]
        done = _mutate_attribute(rng, rng.choice(attributes))
    elif kind == "message":
        model.opset_import[0].version = rng.choice((-1, 0, 1, 6, 99, 2**62))
        model.ir_version = rng.choice((0, 3, 8, 99, 2**62))
        done = f"opset {model.opset_import[0].version}, IR {model.ir_version}"
    else:
        new = rng.choice((*HOSTILE_STRINGS, *HOSTILE_NAMES))
        old = rng.choice([each.name for each in model.graph.node] + [model.graph.name])
        for each in (model.graph, *model.graph.node):
            each.name = new if each.name == old else each.name
        for part in model.graph.node:
            for names in (part.input, part.output):
                names[:] = [new if name == old else name for name in names]
        done = f"{old!r} named {new[:20]!r}"
    return model.SerializeToString(), done


def _mutate_constant(rng: random.Random, tensor: Any) -> str:
    from onnx import numpy_helper

    kind = rng.choice(("dims", "type", "location", "values", "values"))
    if kind == "dims":
        place = rng.randrange(len(tensor.dims))
        tensor.dims[place] = rng.choice((0, -1, 1, 2**31, 2**62))
    elif kind == "type":
        tensor.data_type = rng.randrange(20)
    elif kind == "location":
        tensor.data_location = 1
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", rng.choice(("/etc/passwd", "../x", "d.npz", ""))
    else:
        array, kind = _mutate_array(rng, numpy_helper.to_array(tensor), "values")
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return f"constant {tensor.name}: {kind}"


def _mutate_attribute(rng: random.Random, attribute: Any) -> str:
    new = rng.choice((0, -1, 1, 2, 3, 7, 2**16, 2**31, 2**62, -(2**63)))
    kind = rng.choice(("value", "value", "name", "type", "empty"))
    if kind == "name":
        attribute.name = rng.choice(("dilations", "group", "auto_pad", "ceil_mode", "x", ""))
    elif kind == "type":
        attribute.type = rng.randrange(15)
    elif kind == "empty":
        del attribute.ints[:]
    elif attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = new
    else:
        attribute.i = new
    return f"attribute {attribute.name}: {kind} {new}"


def npy(array: NDArray[Any]) -> bytes:
    """The bytes of an `.npy` file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "trained": (mutate_npz, mutate_npz, mutate_npz, rename_in_npz, mutate_bytes),
    "quantized": (mutate_npz, mutate_npz, mutate_integers, rename_in_npz, mutate_bytes),
    "images": (mutate_npz, mutate_npz, mutate_bytes),
    "idx": (mutate_idx,),
    "gzip": (mutate_gzip,),
    "onnx": (mutate_onnx, mutate_onnx, mutate_onnx, mutate_bytes),
    "toml": (mutate_toml, mutate_toml, mutate_toml, mutate_toml, mutate_bytes),
    "json": (mutate_json, mutate_json, mutate_json, mutate_json, mutate_json, mutate_bytes),
    "verilog": (mutate_verilog,),
    "text": (mutate_bytes,),
}
"""What is done to files of each kind."""

_NPZ_KINDS = (
    *("text", "text", "header", "type", "shape", "values", "values", "name", "absent", "twice"),
    *("foreign", "compressed", "damaged"),
)

_OPERATORS = (
    *"Conv Gemm MatMul Add Mul Sub Div Relu Tanh Sigmoid Softmax MaxPool AveragePool".split(),
    *"Reshape Transpose BatchNormalization Clip Pad Concat Split Loop If Constant Cast".split(),
    *"GlobalAveragePool Dropout LeakyRelu QuantizeLinear ConvTranspose Identity Flatten".split(),
)

_DESCRIPTIONS = (
    *("'|O'", "'>i4'", "'<U4'", "'|V8'", "'<M8[s]'", "'<c8'", "'|b1'", "'<f2'", "'<f8'", "'<i8'"),
    *("[('a', '<i4')]", "'x'", "1", "None", "'<i99'", "'|S1'", "'" + "i" * 1000 + "'"),
)

_SHAPES = (
    *("(True,)", "()", "(0,)", "(-1,)", "(2.0,)", "('a',)", "((1,),)", "None", "5", "[5]"),
    *(f"({2**62},)", f"({2**64},)", f"({2**40}, {2**40})", f"(0, {2**62})", "(1,) * 9"),
    *("(1,)" * 20, "(" + "1, " * 65 + ")", f"({'9' * 5000},)"),
)

_TOML_LINES = (
    ("a key of very many parts", ".".join("a" * MANY) + " = 1"),
    ("a deep list", "x = " + "[" * MANY + "]" * MANY),
    ("a deep table", "x = " + "{a=" * 900 + "1" + "}" * 900),
    ("a table of tables", "[[layers]]\nname = 1"),
    ("a date", "x = 1979-05-27T07:32:00Z"),
    ("an endless text", 'x = """' + "y" * 1000),
    ("a key of escape codes", '"\\u001b[31m" = 1'),
    ("a line break in a key", '"a\\nb" = 1'),
    ("layers twice", "layers = 1"),
    ("an empty key", '"" = 1'),
    ("a large integer", "x = 1" + "0" * 5000),
    ("very many keys", "\n".join(f"k{n} = 1" for n in range(MANY))),
)

_VERILOG_LINES = (
    ("a system call", 'initial $system("touch ran-a-program");'),
    ("a C++ statement", 'initial $c("system(\\"touch ran-a-program\\");");'),
    ("a file opened", 'integer f; initial f = $fopen("/tmp/x-fuzz", "r");'),
    ("an end", "initial $finish;"),
    ("an endless loop", "initial forever begin end"),
    ("an include", '`include "/etc/passwd"'),
    ("a macro", "`define wire reg"),
    ("a very long line", "//" + "x" * 1_000_000),
    ("a wide memory", "reg [1000000:0] large [0:1000000];"),
    ("many messages", 'initial repeat (100000) $display("x");'),
)


def _mutate_tree(rng: random.Random, tree: Any, constants: Sequence[str]) -> tuple[Any, str]:
    slots = list(_slots(tree, ""))
    if not slots or rng.random() < 0.03:
        return Raw(_hostile(rng, "", constants)), "all replaced"
    container, place, path = rng.choice(slots)
    in_object = isinstance(container, Pairs)
    value = container[place][1] if in_object else container[place]

    def put(new: Any) -> None:
        if in_object:
            container[place][1] = new
        else:
            container[place] = new

    kind = rng.choice(("hostile",) * 6 + ("absent", "twice", "key", "many", "list", "deep", "near"))
    if kind == "absent":
        del container[place]
    elif kind == "twice":
        container.insert(place, container[place])
    elif kind == "key" and in_object:
        container[place][0] = rng.choice(HOSTILE_STRINGS)
    elif kind == "many":
        text = _to_json(value)
        put(Raw(rng.choice((_many(text if len(text) < 40 else "0"), _many("[]"), _many_keys()))))
    elif kind == "list":
        put([value])
    elif kind == "deep":
        depth = rng.choice((50, 900, MANY))
        put(Raw("[" * depth + "]" * depth))
    elif kind == "near" and isinstance(value, (int, float)) and not isinstance(value, bool):
        put(rng.choice((value + 1, value - 1, -value, value * 2, float(value))))
    else:
        kind = "hostile"
        text = _hostile(rng, value, constants)
        put(Raw(text))
        return tree, f"{path} is {text[:40]}"
    return tree, f"{path}: {kind}"


def _many(text: str) -> str:
    return f"[{','.join([text] * MANY)}]"


def _many_keys() -> str:
    return "{" + ",".join(f'"k{n}":0' for n in range(MANY)) + "}"


def _hostile(rng: random.Random, value: Any, constants: Sequence[str]) -> str:
    """The text of a value that is hostile; often one of the type that is expected."""
    strings = [json.dumps(each) for each in HOSTILE_STRINGS]
    numbers = [*HOSTILE_NUMBERS, *constants]
    others = ["true", "false", "null", "[]", "{}", '"\\ud800"', "[[[]]]", "[1, 2]", '{"a": 1}']
    draw = rng.random()
    if isinstance(value, str) and draw < 0.6:
        return rng.choice(strings)
    if isinstance(value, (int, float)) and draw < 0.6:
        return rng.choice(numbers)
    return rng.choice([*strings, *numbers, *others])


def _slots(tree: Any, path: str) -> Iterator[tuple[list[Any], int, str]]:
    """The places of a tree that hold a value: container, place, path."""
    if isinstance(tree, Pairs):
        for place, (key, value) in enumerate(tree):
            yield tree, place, f"{path}.{key}"
            yield from _slots(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            yield tree, place, f"{path}.{place}"
            yield from _slots(value, f"{path}.{place}")


def _to_pairs(value: Any) -> Any:
    if isinstance(value, dict):
        return Pairs([[key, _to_pairs(each)] for key, each in value.items()])
    if isinstance(value, list):
        return [_to_pairs(each) for each in value]
    return value


def _to_json(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(k)}:{_to_json(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_to_json, value)) + "]"
    return json.dumps(value)


def _to_toml(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Lines of dotted keys; values are written as JSON, which is nearly TOML."""
    if isinstance(value, Pairs):
        for key, each in value:
            yield from _to_toml(each, (*path, key))
    elif path:
        yield ".".join(json.dumps(key, ensure_ascii=False) for key in path), _to_json(value)
    else:
        yield "x", _to_json(value)


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {new if k == old else k: _renamed(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(each, old, new) for each in value]
    return new if value == old else value


def _members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def _zip(members: Sequence[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, member in members:
            archive.writestr(zipfile.ZipInfo(name), member, compression)
    return buffer.getvalue()


def _hostile_header(rng: random.Random, name: str, member: bytes) -> tuple[tuple[str, bytes], str]:
    """An `.npy` header that is wrong or malformed."""
    array = np.load(io.BytesIO(member))
    descr, fortran, shape = repr(array.dtype.str), "False", repr(array.shape)
    what = rng.choice(("descr", "fortran", "shape", "all", "version"))
    version = b"\x01\x00"
    if what == "descr":
        descr = rng.choice(_DESCRIPTIONS)
    elif what == "fortran":
        fortran = rng.choice(("True", "None", "1", "'x'"))
    elif what == "shape":
        shape = rng.choice((*_SHAPES, f"({array.size},)"))
    elif what == "version":
        version = rng.choice((b"\x02\x00", b"\x03\x00", b"\x00\x00", b"\xff\xff"))
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    if what == "all":
        text = rng.choice(
            ("", "{", "{}", "[]", "(" * 5000, "\x00" * 10, "é", "{'descr'" * 3, "1/0")
        )
    encoded = text.encode("latin-1") + b"\n"
    start = b"\x93NUMPY" + version + struct.pack("<H", min(len(encoded), 65535)) + encoded
    return (name, start + array.tobytes()), f"{name}: {what} {text[:60]}"


def _mutate_array(rng: random.Random, array: NDArray[Any], kind: str) -> tuple[NDArray[Any], str]:
    if kind == "type":
        kinds = ("f2", "f4", "f8", "i1", "u1", "i8", "u8", ">f4", ">i8", "?", "c8", "U3")
        kind = rng.choice(kinds)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return array.astype(kind), f"as {kind}"
    if kind == "shape":
        shape = rng.choice(((-1,), (1, *array.shape), (*array.shape, 1), array.shape[::-1], (0,)))
        if shape == (0,):
            return array[:0].reshape(0) if array.ndim else array.reshape(-1)[:0], "emptied"
        return array.reshape(shape), f"reshaped {shape}"
    changed = array.copy().reshape(-1)
    if not changed.size:
        return array, "the same"
    if array.dtype.kind == "f":
        limits = np.finfo(array.dtype)
        new: float = rng.choice(
            (np.nan, np.inf, -np.inf, limits.max, limits.min, limits.tiny, 0.0, -1.0)
        )
    else:
        info = np.iinfo(array.dtype)
        new = rng.choice((info.min, info.max, 0, 1, max(info.min, -1), 7))
    every = rng.random() < 0.3
    changed[... if every else rng.randrange(changed.size)] = new
    return changed.reshape(array.shape), f"{'all values' if every else 'a value'} {new}"


def _other_integers(
    rng: random.Random, entry: dict[str, Any], arrays: dict[str, NDArray[np.int64]]
) -> str:
    """Change the integers of a layer and its entry in the header, in place."""

    def fill(key: str, low: int, high: int) -> None:
        values = [rng.choice((low, high, 0, rng.randint(low, high))) for _ in arrays[key].flat]
        arrays[key] = np.array(values, np.int64).reshape(arrays[key].shape)

    how = entry["requantization"]
    choices = ["padding"]
    choices += ["weights"] * 2 if "weights" in arrays else []
    choices += ["bias"] if "bias" in arrays else []
    choices += ["modes", "multiplier"] if how else []
    choices += ["table"] if "table" in arrays else []
    what = rng.choice(choices)
    if what == "weights":
        # Where a convolution has no connection, weights stay zero.
        bits = entry["weight_bits"][0] - 1
        absent = arrays["weights"] == 0
        fill("weights", -(1 << bits), (1 << bits) - 1)
        arrays["weights"][absent] = 0
    elif what == "bias":
        most = 1 << rng.randrange(60)
        fill("bias", -most, most)
    elif what == "table":
        low, high = _range(entry["output"])
        fill("table", low, high)
    elif what == "modes":
        how["rounding"] = rng.choice(("floor", "half_up", "half_even"))
        how["overflow"] = rng.choice(("saturate", "wrap"))
        return f"{how['rounding']}, {how['overflow']}"
    elif what == "multiplier":
        how["multiplier"] = rng.choice((2, 3, 116508, 2**16, 2**32))
        fill("shifts", rng.choice((-8, 0)), rng.choice((0, 8, 30, 62)))
    else:
        entry["padding_value"] = rng.choice((0, 1, 5, 127, 255, -1, -128))
    return what


def _range(fmt: dict[str, Any]) -> tuple[int, int]:
    bits, signed = fmt["bits"], fmt["signed"]
    return (-(1 << (bits - 1)) if signed else 0), (1 << (bits - signed)) - 1

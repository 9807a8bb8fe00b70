"""The inputs of a campaign: small valid files, command lines that read them, and mutations.

A case is made from a seed and a number alone, so that each can be repeated.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import io
import os
import random
import shlex
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import typer
from PIL import Image

from systolith.golden.files import idx
from systolith.golden.files.datasets import MNIST
from systolith.golden.network.graph import Dense, Input, MaxPooling, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.scripts.main import app
from tests.fuzz.hostile_changes import (
    HOSTILE_NUMBERS,
    HOSTILE_STRINGS,
    MUTATIONS,
    Mutation,
    mutate_integers,
    rename_in_npz,
)
from tests.hw import small_networks
from tests.scripts import tiny

COMPARE_INTEGERS = "compare-integers"
"""The fuzzer's own command: compares a quantized network in all engines."""

SEPARATE_EVERY = 20
"""One in this many cases runs in a fresh process, as `python -m systolith.scripts.main`."""

USERS_FILE = "rtl/notes.txt"
"""A seed file that no command made, in a folder of hardware."""

OPTION_EVERY = 5
"""One in this many cases alters the next option of all, so that each is altered in turn."""

Special = Literal["folder", "fifo", "absent", "loop", "link", "null", "device", "sparse", "locked"]
Content = bytes | Special

SPECIALS: tuple[Special, ...] = (
    *("folder", "fifo", "absent", "loop", "link", "null", "device", "sparse", "locked"),
)
_SPARSE_BYTES = 2**31
_UNDECODABLE = os.fsdecode(b"\xff")

Files = dict[str, bytes]


@dataclass(frozen=True)
class Template:
    """Valid command lines; the seed files that they name are mutated.

    Parameters
    ----------
    lines
        One command line after another, the next only if this one ends with 0.
    weight
        How often it is chosen, relative to others.
    statuses
        The statuses with which the last of them may end if nothing is mutated.
    altered, mutations
        The file that is mutated, and how; without one, any file or the command line is mutated.
    """

    lines: tuple[str, ...]
    weight: int
    statuses: frozenset[int] = frozenset({0})
    altered: str = ""
    mutations: tuple[Mutation, ...] = ()

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The arguments of each line."""
        return tuple(tuple(shlex.split(line)) for line in self.lines)


@dataclass(frozen=True)
class Case:
    """An input: command lines, and files that differ from the seed files.

    Parameters
    ----------
    seed, number
        The numbers that it is made from.
    kind
        The command and the kind of what was changed, for totals.
    commands
        Arguments, line by line.
    files
        Files that are added to the seed files or replace them.
    changes
        The changes in words.
    separate
        Whether it runs in a process of its own.
    """

    seed: int
    number: int
    kind: str
    commands: tuple[tuple[str, ...], ...]
    files: Mapping[str, Content] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    separate: bool = False

    @property
    def size(self) -> int:
        """Its size, to find the smallest."""
        contents = [each for each in self.files.values() if isinstance(each, bytes)]
        words = [word for line in self.commands for word in line]
        return sum(map(len, [*contents, *words])) + 100 * len(self.changes)


_SWEEP = (
    "sweep n.npz --out swept --data c.npz --test-data d.npz --weight-bits 4 "
    "--activation-bits 4 --preset small --jobs 1"
)

_GENERATE = "generate q.npz --out new"
_GENERATE_PLAN = "generate q.npz --plan plan.toml --out new"
_ON_ICARUS = "simulate new --data d.npz --images 2 --simulator icarus"
_ON_VERILATOR = "simulate new --data d.npz --images 2"
_INTEGERS = (*(mutate_integers,) * 4, *MUTATIONS["quantized"])

TEMPLATES = (
    Template(("describe n.npz",), 3),
    Template(("describe q.npz --json",), 3),
    Template(("evaluate n.npz --data d.npz --images 3 --out o.json",), 4),
    Template(("evaluate q.npz --data d.npz --out o.md",), 4),
    Template(("evaluate q.npz --data t-images-idx3-ubyte --json",), 4),
    Template(("evaluate q.npz --data d.npz --advice --trial-data c.npz --out o.json",), 3),
    Template(("evaluate e.npz --data z-images-idx3-ubyte.gz",), 4),
    Template(("evaluate q.npz --data d.npz --rtl rtl --out o.json",), 8),
    Template(("evaluate q.npz --data d.npz --rtl rtl --out o.html",), 1),
    Template(("quantize n.npz --data c.npz --config settings.toml --out o.npz",), 10),
    Template(("quantize n.npz --data c.npz --weight-bits 4 --calibration entropy --out o.npz",), 3),
    Template(("quantize w.npz --calibration minmax --bias-correction --out o.npz",), 2),
    Template(("import m.onnx --scale 1/255 --out o.npz",), 6),
    Template(("import m.onnx --scale 1/255 --mean 0.5 --std 0.25 --out o.npz",), 2),
    Template(("corpus models --raw --data d.npz --out o.md",), 3),
    Template(("corpus models --scale 1/255 --out o.json --json",), 3),
    Template(("plan q.npz --plan plan.toml --out o.toml",), 8),
    Template(("plan q.npz --preset small --mhz 100",), 3),
    Template(("plan e.npz --max-multipliers 40 --timeline o.svg --json",), 3),
    Template(("plan e.npz --target-cycles 400 --minimize latency",), 3),
    Template(("plan e.npz --max-multipliers 60 --fix C1=4x2 --fix F6=3x5x5",), 3),
    Template(("plan q.npz --plan goal.toml --out o.toml",), 4),
    Template(("generate q.npz --plan plan.toml --out new",), 4),
    Template(("generate q.npz --out rtl",), 4),
    Template(("simulate rtl --data d.npz --images 2 --simulator icarus",), 7),
    Template(("simulate rtl --data d.npz --images 2 --engine bulk --json",), 3),
    Template(("simulate rtl --data d.npz --images 2 --layer conv --stalls 3",), 1),
    Template(("simulate rtl --data d.npz --images 2 --waves",), 1),
    Template(("simulate rtl --data d.npz --images 2 --inject-fault conv",), 1, frozenset({1})),
    Template(("predict q.npz a.png b.jpg --json",), 6),
    Template(("predict rtl a.png --invert",), 2),
    Template(("export q.npz --out o.onnx",), 5),
    Template(("compare float.json fixed.json --out o.md",), 9),
    Template(("compare float.json fixed.json --out o.json --fail-on-drop 1 --json",), 5),
    Template(("compare fixed.json float.json --out o.html",), 1),
    Template((_SWEEP,), 4),
    Template(("train lenet5 --data . --seed 1 --out o.npz",), 1, frozenset({2, 3})),
    Template(("run --network n.npz --data c.npz --images 2 --out new",), 1),
    Template(("run --network absent --images 10001 --out new",), 1, frozenset({2})),
    Template(("synth rtl --target xc7a35t --json",), 1),
    Template(("classify rtl --simulated --data d.npz --images 2 --json",), 1),
    Template(("board rtl --board icepi-zero --baud 50000000",), 1, frozenset({2})),
    Template(("--version",), 1),
    Template((_GENERATE, _ON_VERILATOR), 1, altered="q.npz", mutations=(rename_in_npz,)),
    Template((_GENERATE, _ON_ICARUS), 4, altered="q.npz", mutations=(rename_in_npz,)),
    Template((_GENERATE, _ON_ICARUS), 2, altered="q.npz", mutations=MUTATIONS["quantized"]),
    Template((f"{_GENERATE} --name mine", _ON_ICARUS), 3),
    Template((_GENERATE_PLAN, _ON_ICARUS), 3, altered="plan.toml", mutations=MUTATIONS["toml"]),
    Template((f"{COMPARE_INTEGERS} q.npz",), 5, altered="q.npz", mutations=_INTEGERS),
    Template((f"{COMPARE_INTEGERS} e.npz",), 8, altered="e.npz", mutations=_INTEGERS),
)
"""The command lines and files that are mutated."""

FIRST_COMMANDS = (
    "generate q.npz --out rtl",
    "simulate rtl --data d.npz --images 2",
    "evaluate n.npz --data d.npz --out float.json",
    "evaluate q.npz --data d.npz --out fixed.json",
    "plan q.npz --out plan.toml",
    _SWEEP,
)
"""The command lines that make the other seed files, in the folder of the first."""


def first_files() -> Files:
    """The seed files that no command makes: networks, images and settings, all small."""
    quantized = tiny.quantized()
    every_kind = small_networks.quantized(small_networks.EVERY_KIND)
    contents = {
        "n.npz": quantized.parent.save,
        "q.npz": quantized.save,
        "e.npz": every_kind.save,
        "w.npz": _digits_network().save,
    }
    files: Files = {}
    with tempfile.TemporaryDirectory() as name:
        for file, save in contents.items():
            save(Path(name) / file)
            files[file] = (Path(name) / file).read_bytes()
        path = Path(name) / "d.npz"
        tiny.save_images(path, 18)
        with np.load(path) as data:
            for file, chosen in (("d.npz", slice(6)), ("c.npz", slice(6, None))):
                np.savez(path, **{key: values[chosen] for key, values in data.items()})
                files[file] = path.read_bytes()
    rng = np.random.default_rng(0)
    labels = idx.encode(np.arange(6, dtype=np.uint8) % 3)
    files["t-images-idx3-ubyte"] = idx.encode(rng.integers(0, 256, (6, 5, 4), np.uint8))
    files["t-labels-idx1-ubyte"] = labels
    shape = (6, *every_kind.fixed.network.input.image_shape)
    images = idx.encode(rng.integers(0, 256, shape, np.uint8))
    files["z-images-idx3-ubyte.gz"] = gzip.compress(images, mtime=0)
    files["z-labels-idx1-ubyte.gz"] = gzip.compress(labels, mtime=0)
    if importlib.util.find_spec("onnx") is not None:
        files |= _onnx_models()
    for file, pixels, kind in (("a.png", (5, 4), "PNG"), ("b.jpg", (30, 20, 3), "JPEG")):
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, pixels, np.uint8)).save(content, kind)
        files[file] = content.getvalue()
    files["settings.toml"] = _SETTINGS.encode()
    files["goal.toml"] = _GOAL.encode()
    files[USERS_FILE] = b"of the user\n"
    return files


_SETTINGS = """weight_bits = 6
activation_bits = 5
calibration = "percentile"
percentile = 99.5
rounding = "half_even"
[layers.dense]
weight_bits = 4
bias_correction = true
"""


_GOAL = """[goal]
max_multipliers = 9
minimize = "latency"
[layers.dense]
rows = 2
columns = 3
"""


def _onnx_models() -> Files:
    """Models that take the images of `d.npz`: one alone, and two in a folder, one is refused."""
    from tests.golden.onnx.small_models import model, node, normal

    def chain(pooling: str, last: str) -> bytes:
        nodes = [
            node("Conv", "x w b", "c", kernel_shape=[2, 3], pads=[0, 1, 0, 1]),
            node("Relu", "c", "r"),
            node(pooling, "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", "p", "f", axis=1),
            node("Gemm", "f v", "g", transB=1),
            node(last, "g", "y"),
        ]
        constants = {"w": normal(2, 1, 2, 3), "b": normal(2), "v": normal(3, 8)}
        return model(nodes, constants, ("N", 1, 5, 4))

    return {
        "m.onnx": chain("MaxPool", "Identity"),
        "models/a.onnx": chain("AveragePool", "Sigmoid"),
        "models/b/c.onnx": chain("MaxPool", "Sin"),
    }


def _digits_network() -> TrainedNetwork:
    """A network that takes the digits that ship, with almost nothing but a pooling."""
    network = Network(
        "digits",
        (
            Input(name="input", height=28, width=28, scale=1 / 256),
            MaxPooling(name="pool", inputs=("input",), window=(7, 7)),
            Dense(name="scores", inputs=("pool",), units=10),
        ),
    )
    rng = np.random.default_rng(3)
    arrays = {"scores": {"weights": rng.normal(size=(16, 10)), "bias": rng.normal(size=10)}}
    return TrainedNetwork(network, arrays, MNIST)


def kind_of(path: str) -> str:
    """The kind of a seed file, a key of `MUTATIONS`."""
    name = Path(path).name
    if name in ("n.npz", "w.npz"):
        return "trained"
    if name in ("c.npz", "d.npz"):
        return "images"
    if "-idx" in name:
        return "gzip" if name.endswith(".gz") else "idx"
    suffix = Path(path).suffix
    return {".npz": "quantized", ".v": "verilog"}.get(
        suffix, suffix[1:] if suffix[1:] in MUTATIONS else "text"
    )


def make_case(seed: int, number: int, files: Files, templates: Sequence[Template]) -> Case:
    """The case of this number."""
    rng = random.Random(f"{seed}:{number}")
    if number % OPTION_EVERY == OPTION_EVERY - 1:
        turn = number // OPTION_EVERY % len(every_option())
        return _with_option_in_turn(rng, seed, number, files, templates, every_option()[turn])
    template = rng.choices(templates, [each.weight for each in templates])[0]
    case = Case(seed, number, "", template.commands, separate=number % SEPARATE_EVERY == 0)
    candidates = list(_read(template.commands, files))
    draw = rng.random()
    if template.altered:
        case = _with_mutated_file(rng, case, files, template.altered, template.mutations)
    elif candidates and draw < 0.62:
        name = rng.choice(candidates)
        case = _with_mutated_file(rng, case, files, name, MUTATIONS[kind_of(name)])
    elif candidates and draw < 0.72:
        case = _with_other_file(rng, case, files, candidates)
    else:
        for _ in range(rng.choice((1, 1, 2))):
            case = _with_option(rng, case, files)
        case = replace(case, kind=f"{template.commands[0][0]}: options")
    if case.separate and any("\0" in word for line in case.commands for word in line):
        case = replace(case, separate=False)
    return case


@functools.cache
def every_option() -> list[tuple[str, str, bool]]:
    """Every option of the commands in `TEMPLATES`: command, option, whether it takes a value."""
    commands = dict.fromkeys(template.commands[0][0] for template in TEMPLATES)
    return [(each, *option) for each in commands for option in _options(each)]


def write(files: Mapping[str, Content], folder: Path) -> None:
    """Write files, and special files such as links and pipes, into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            continue  # a folder of seed files is not replaced
        path.unlink(missing_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            _SPECIAL_MAKERS[content](path)


def _make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:  # for root alone
        path.symlink_to("/dev/null")


def _make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(_SPARSE_BYTES)


def _make_locked(path: Path) -> None:
    path.write_bytes(b"locked")
    path.chmod(0)


def _make_link(path: Path) -> None:
    target = path.with_name("linked" + path.suffix)
    target.write_bytes(b"linked")
    path.symlink_to(target.name)


_SPECIAL_MAKERS: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "fifo": os.mkfifo,
    "absent": lambda path: None,
    "loop": lambda path: path.symlink_to(path.name),
    "link": _make_link,
    "null": lambda path: path.symlink_to("/dev/null"),
    "device": _make_device,
    "sparse": _make_sparse,
    "locked": _make_locked,
}


def _read(commands: Sequence[Sequence[str]], files: Files) -> Iterator[str]:
    """The seed files that command lines read."""
    for word in (word for line in commands for word in line):
        if word in files:
            yield word
            if "images-idx3" in word:
                yield word.replace("images-idx3", "labels-idx1")
        yield from (name for name in files if name.startswith(f"{word}/") and name != USERS_FILE)


def _with_mutated_file(
    rng: random.Random,
    case: Case,
    files: Files,
    name: str,
    mutations: Sequence[Mutation],
) -> Case:
    content, change = rng.choice(mutations)(rng, files[name])
    return replace(
        case,
        kind=f"{case.commands[0][0]}: {kind_of(name)}",
        files={name: content},
        changes=(f"{name}: {change}",),
    )


def _with_other_file(
    rng: random.Random, case: Case, files: Files, candidates: Sequence[str]
) -> Case:
    """Replace a file by one of another kind or by a special file, or give it a hostile name."""
    name = rng.choice(candidates)
    command = case.commands[0][0]
    draw = rng.random()
    if draw < 0.4:
        other = rng.choice(sorted(files))
        return replace(
            case,
            kind=f"{command}: swapped files",
            files={name: files[other]},
            changes=(f"{name} is {other}",),
        )
    if draw < 0.75 or "/" in name:
        special = rng.choice(SPECIALS)
        return replace(
            case,
            kind=f"{command}: no file",
            files={name: special},
            changes=(f"{name} is {special}",),
        )
    new = _file_name(rng, name)
    made: dict[str, Content] = {new: files[name]}
    if "images-idx3" in name:
        labels = name.replace("images-idx3", "labels-idx1")
        made[new.replace("images-idx3", "labels-idx1")] = files[labels]
    return replace(
        case,
        kind=f"{command}: file names",
        commands=tuple(
            tuple(new if word == name else word for word in line) for line in case.commands
        ),
        files=made,
        changes=(f"{name} is called {new[:60]!r}",),
    )


def _with_option_in_turn(
    rng: random.Random,
    seed: int,
    number: int,
    files: Files,
    templates: Sequence[Template],
    option: tuple[str, str, bool],
) -> Case:
    command, name, takes_value = option
    commands = rng.choice([each.commands for each in templates if each.commands[0][0] == command])
    line = list(commands[0])
    change = _put(rng, line, name, takes_value, files)
    return Case(seed, number, f"{command}: options", (tuple(line),), {}, (change,))


def _file_name(rng: random.Random, name: str) -> str:
    """A hostile file name with the suffix of this one."""
    text = rng.choice([each for each in HOSTILE_STRINGS if "/" not in each and "\0" not in each])
    return text[:200] + rng.choice(("", "-", _UNDECODABLE)) + name


def _with_option(rng: random.Random, case: Case, files: Files) -> Case:
    """Make an option or an argument hostile, repeat it, drop it, or add an unknown one."""
    line = list(case.commands[0])
    command = line[0]
    options = _options(command)
    kind = rng.choice(("value",) * 6 + ("word", "word", "absent", "twice", "unknown", "out", "out"))
    made: dict[str, Content] = dict(case.files)
    places = [n for n, word in enumerate(line) if n and word.startswith("--")]
    if kind == "out" and (outs := [n for n in places if line[n] in ("--out", "--timeline")]):
        place = rng.choice(outs)
        if place + 1 < len(line):
            suffix = Path(line[place + 1]).suffix
            if rng.random() < 0.6:
                special = rng.choice(SPECIALS)
                made[f"special{suffix}"] = special
                line[place + 1] = f"special{suffix}"
                change = f"{line[place]} is {special}"
            else:
                line[place + 1] = _file_name(rng, f"o{suffix}")
                change = f"{line[place]} is {line[place + 1][:60]!r}"
            return _changed(case, line, made, change)
    if kind == "absent" and len(line) > 1:
        place = rng.randrange(1, len(line))
        change = f"without {line[place]!r}"
        del line[place]
    elif kind == "twice" and len(line) > 1:
        place = rng.randrange(1, len(line))
        line.insert(place, line[place])
        change = f"{line[place]!r} twice"
    elif kind == "unknown":
        line.append(rng.choice(("--unknown", "-x", "--", "-", "--out=", "extra", "--help")))
        change = f"with {line[-1]!r}"
    elif kind == "word" and len(line) > 1:
        place = rng.randrange(1, len(line))
        line[place] = _value(rng, files)
        change = f"argument {place} is {line[place][:60]!r}"
    elif options:
        change = _put(rng, line, *rng.choice(options), files)
    else:
        line.append(_value(rng, files))
        change = f"with {line[-1][:60]!r}"
    return _changed(case, line, made, change)


def _put(rng: random.Random, line: list[str], name: str, takes_value: bool, files: Files) -> str:
    """Give an option of a command line a hostile value, or a flag."""
    if not takes_value:
        line.append(name)
        return name
    value = _value(rng, files)
    if name in line[:-1] and rng.random() < 0.8:
        line[line.index(name) + 1] = value
    elif rng.random() < 0.3:
        line.append(f"{name}={value}")
    else:
        line += [name, value]
    return f"{name} {value[:60]!r}"


def _changed(case: Case, line: list[str], files: dict[str, Content], change: str) -> Case:
    commands = (tuple(line), *case.commands[1:])
    return replace(case, commands=commands, files=files, changes=(*case.changes, change))


@functools.cache
def _options(command: str) -> list[tuple[str, bool]]:
    """The options of a command, and whether they take a value; as on the command line."""
    group = typer.main.get_command(app)
    found = getattr(group, "commands", {}).get(command)
    if found is None:
        found = group if command.startswith("--") else typer.core.TyperCommand(command)
    return [
        (name, not getattr(parameter, "is_flag", False))
        for parameter in found.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    ]


def _value(rng: random.Random, files: Files) -> str:
    """A hostile value for an option or an argument: a number, a text, or a wrong file."""
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice((*HOSTILE_NUMBERS, *_NUMBERS))
    if kind == 1:
        return rng.choice((*(each.replace("\0", "") for each in HOSTILE_STRINGS), *_WORDS))
    return rng.choice((*_PATHS, *sorted(files)))


_NUMBERS = (
    *("nan", "inf", "-inf", "0x10", "1_000", "1e3", "+5", " 5 ", "٣", "²", "1.5", "2", "3", "4"),
    *("8", "10", "99", "1,2", "2,2", "4,4,", ",", "10001", "1e-320"),
)

_WORDS = (
    *("--", "-", "all", "mse", "minmax", "percentile", "entropy", "mse,minmax", "small", "large"),
    *("interval", "latency", "verilator", "icarus", "conv", "dense", "input", "C1", "lenet6"),
    *("tcp://127.0.0.1:1", "tcp://", "x" * 70_000, _UNDECODABLE, "~", "*", "a,b", "$HOME"),
)

_PATHS = (
    *(".", "..", "/dev/null", "/dev/zero", "/dev/full", "/dev/stdin", "/dev/null/o.json"),
    *("/proc/self/mem", "/proc/self/environ", "absent/o.json", "absent.npz", "rtl", "swept"),
    *("o.json", "o.npz", "o.html", "o.md", "o.svg", "o.toml", "o.onnx", ".json", "n.npz/o.md"),
)

import hashlib
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.files.datasets import MNIST, DatasetReference
from systolith.golden.network import graph_json, shipped
from systolith.golden.network.graph import AveragePooling, Convolution, Dense, Input, Network
from systolith.golden.network.trained_network import (
    SCHEMA,
    TrainedNetwork,
    WeightsError,
    load_network,
)

NETWORK = Network(
    "small",
    (
        Input(name="input", height=4, width=4, channels=2),
        Convolution(
            name="C1",
            inputs=("input",),
            kernel=(3, 3),
            out_channels=2,
            connection_table=((0,), (0, 1)),
        ),
        AveragePooling(name="P2", inputs=("C1",)),
        Dense(name="F3", inputs=("P2",), units=3),
    ),
)
Arrays = dict[str, dict[str, np.ndarray]]


def arrays() -> Arrays:
    rng = np.random.default_rng(1)
    result: Arrays = {
        layer.name: {
            name: rng.normal(size=shape).astype(np.float32)
            for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in NETWORK.computing_layers()
    }
    result["C1"]["weights"][:, :, 1, 0] = 0
    return result


def test_a_saved_network_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    trained = TrainedNetwork(NETWORK, arrays())
    path = tmp_path / "small.npz"
    trained.save(path)
    loaded = TrainedNetwork.load(path)
    assert loaded.network == NETWORK
    assert loaded.arrays.keys() == {"C1", "P2", "F3"}
    for layer, given in trained.arrays.items():
        for name, array in given.items():
            np.testing.assert_array_equal(loaded.arrays[layer][name], array, strict=True)
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_digest_depends_on_every_weight() -> None:
    changed = arrays()
    changed["F3"]["bias"][2] = np.nextafter(changed["F3"]["bias"][2], np.float32(9))
    assert TrainedNetwork(NETWORK, changed).sha256 != TrainedNetwork(NETWORK, arrays()).sha256


def test_weights_are_read_only_copies() -> None:
    given = arrays()
    trained = TrainedNetwork(NETWORK, given)
    given["F3"]["bias"][0] = 7
    assert trained.arrays["F3"]["bias"][0] == arrays()["F3"]["bias"][0]
    with pytest.raises(ValueError, match="read-only"):
        trained.arrays["F3"]["bias"][0] = 0


def test_float64_weights_stay_float64() -> None:
    given = arrays()
    given["F3"]["bias"] = given["F3"]["bias"].astype(np.float64)
    trained = TrainedNetwork(NETWORK, given)
    assert trained.arrays["F3"]["bias"].dtype == np.float64
    assert trained.arrays["F3"]["weights"].dtype == np.float32


def put(value: object, layer: str, name: str) -> Callable[[Arrays], None]:
    def change(given: Arrays) -> None:
        given.setdefault(layer, {})[name] = np.asarray(value)

    return change


def poke(value: float, layer: str, name: str, *index: int) -> Callable[[Arrays], None]:
    def change(given: Arrays) -> None:
        given[layer][name][index] = value

    return change


def drop(layer: str, name: str) -> Callable[[Arrays], None]:
    def change(given: Arrays) -> None:
        del given[layer][name]

    return change


MISFITS: list[tuple[Callable[[Arrays], None], str]] = [
    (put(np.ones(3), "F9", "bias"), "arrays of 'F9': network 'small' has no such layer"),
    (put(np.ones(3), "input", "bias"), "arrays of 'input': network 'small' has no such layer"),
    (
        put(np.ones(3), "F3", "scale"),
        "dense 'F3': array 'scale' is unknown: allowed are weights, bias",
    ),
    (
        put(np.ones(3), "P2", "bias"),
        "average_pooling 'P2': array 'bias' is unknown: allowed are none",
    ),
    (drop("F3", "bias"), "dense 'F3': array 'bias' is missing"),
    (lambda given: given.clear(), "convolution 'C1': array 'weights' is missing"),
    (
        put(np.ones(4), "F3", "bias"),
        r"dense 'F3': bias must have the shape \(3,\), not \(4,\)",
    ),
    (
        put(np.ones((3, 2)), "F3", "weights"),
        r"dense 'F3': weights must have the shape \(2, 3\), not \(3, 2\): transpose\(1, 0\) would",
    ),
    (
        put(np.ones(3, np.int64), "F3", "bias"),
        "dense 'F3': bias must be float32 or float64, not int64",
    ),
    (
        poke(1.0, "C1", "weights", 0, 2, 1, 0),
        "convolution 'C1': weights of output map 0 must be zero for the input maps 1, which do not",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *MISFITS,
        (poke(np.nan, "F3", "bias", 1), "dense 'F3': bias has values that are not finite"),
        (poke(np.inf, "C1", "weights", 0, 0, 0, 0), "convolution 'C1': weights has values that"),
        (
            poke(-np.inf, "F3", "weights", 1, 2),
            "dense 'F3': weights has values that are not finite",
        ),
        *(
            (
                put(np.ones(3, dtype), "F3", "bias"),
                f"dense 'F3': bias must be float32 or float64, not {np.dtype(dtype)}",
            )
            for dtype in (np.float16, np.longdouble, np.complex64, np.bool_)
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[Arrays], None], message: str
) -> None:
    given = arrays()
    change(given)
    with pytest.raises(WeightsError, match=message):
        TrainedNetwork(NETWORK, given)


def flat(given: Arrays) -> dict[str, np.ndarray]:
    return {f"{layer}/{name}": a for layer, named in given.items() for name, a in named.items()}


@pytest.mark.parametrize(("change", "message"), MISFITS)
def test_files_with_weights_that_do_not_fit_are_refused(
    change: Callable[[Arrays], None], message: str, tmp_path: Path
) -> None:
    given = arrays()
    change(given)
    path = tmp_path / "bad.npz"
    npz.write(path, SCHEMA, {"graph": graph_json.to_json(NETWORK)}, flat(given))
    with pytest.raises(FileFormatError, match=f"bad.npz: {message}") as caught:
        TrainedNetwork.load(path)
    assert str(caught.value).startswith(str(path))


def write_nan(path: Path) -> None:
    """A file with NaN that another program wrote."""
    given = flat(arrays())
    given["F3/bias"][0] = np.nan
    text = json.dumps({"schema": SCHEMA, "graph": graph_json.to_json(NETWORK)})
    np.savez(path, header=np.frombuffer(text.encode(), np.uint8), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_nan, "array 'F3/bias' has values that are not finite"),
        (
            lambda path: np.savez(path, x=np.ones(3)),
            "is an .npz file of arrays, not a trained network: ",
        ),
        (
            lambda path: np.savez(path, x=np.array([{}]), allow_pickle=True),
            "is an .npz file of arrays, not a trained network: ",
        ),
        (lambda path: path.write_bytes(b"PK\x03\x04"), "not an intact .npz file"),
        (
            lambda path: npz.write(path, "systolith.trained-network/2", {}, {}),
            r"\$\.schema: .*, not 'systolith.trained-network/2', which is another version",
        ),
        (
            lambda path: npz.write(path, SCHEMA, {}, {}),
            r"\$: Object missing required field `graph`",
        ),
        (
            lambda path: npz.write(path, SCHEMA, {"graph": {}}, {}),
            r"\$\.graph: Object missing required field `name`",
        ),
        (
            lambda path: npz.write(
                path, SCHEMA, {"graph": graph_json.to_json(NETWORK)}, {"bias": np.ones(1)}
            ),
            "array 'bias': a name has the form layer/array",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(
    write: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.npz"
    write(path)
    with pytest.raises(FileFormatError, match=f"bad.npz: {message}") as caught:
        TrainedNetwork.load(path)
    assert "\n" not in str(caught.value)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    TrainedNetwork(NETWORK, arrays()).save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=r"small\.npz: "):
            TrainedNetwork.load(path)


@pytest.mark.parametrize("name", shipped.names())
def test_the_networks_that_ship(name: str) -> None:
    trained = load_network(name)
    assert trained.network == shipped.network(name)
    assert all(a.dtype == np.float32 for given in trained.arrays.values() for a in given.values())


def test_the_paper_s_centres_are_the_output_codes() -> None:
    centres = load_network("lenet5").arrays["output"]["weights"]
    np.testing.assert_array_equal(centres, shipped.output_codes())


def test_a_name_or_a_file(tmp_path: Path) -> None:
    TrainedNetwork(NETWORK, arrays()).save(tmp_path / "mine.npz")
    assert load_network(tmp_path / "mine.npz").network == NETWORK
    assert load_network(str(tmp_path / "mine.npz")).network == NETWORK
    with pytest.raises(
        ValueError,
        match="network 'lenet6' is neither a file nor one of lenet5, lenet5-sigmoid, lenet5-relu",
    ):
        load_network("lenet6")
    with pytest.raises(FileFormatError, match="is a folder, not a file"):
        load_network(tmp_path)


def test_a_name_is_that_of_the_network_that_ships_whatever_files_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    TrainedNetwork(NETWORK, arrays()).save(tmp_path / "lenet5")
    assert load_network("lenet5").network == shipped.network("lenet5")
    assert load_network("./lenet5").network == NETWORK


def test_a_network_goes_from_process_to_process() -> None:
    trained = TrainedNetwork(NETWORK, arrays())
    there = pickle.loads(pickle.dumps(trained))  # noqa: S301
    assert there.network == NETWORK
    assert there.sha256 == trained.sha256
    with pytest.raises(ValueError, match="read-only"):
        there.arrays["C1"]["weights"][:] = 0


ORIGIN = DatasetReference("mine", "0a" * 32, 7)


def test_what_a_network_was_trained_on_stays_with_it(tmp_path: Path) -> None:
    trained = TrainedNetwork(NETWORK, arrays(), ORIGIN)
    trained.save(tmp_path / "t.npz")
    for found in (TrainedNetwork.load(tmp_path / "t.npz"), pickle.loads(pickle.dumps(trained))):  # noqa: S301
        assert found.trained_on == ORIGIN
        assert found.sha256 == trained.sha256 != TrainedNetwork(NETWORK, arrays()).sha256


def test_a_file_that_does_not_say_so_is_of_unknown_origin(tmp_path: Path) -> None:
    header = {"graph": graph_json.to_json(NETWORK)}
    flat = {f"{layer}/{name}": a for layer, each in arrays().items() for name, a in each.items()}
    npz.write(tmp_path / "old.npz", SCHEMA, header, flat)
    old = TrainedNetwork.load(tmp_path / "old.npz")
    assert old.trained_on is None
    old.save(tmp_path / "new.npz")
    assert (tmp_path / "new.npz").read_bytes() == (tmp_path / "old.npz").read_bytes()


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"name": "x", "sha256": "AB" * 32, "images": 1}, "sha256 must be 64 hex digits .* 'ABAB"),
        ({"name": "x", "sha256": "ab" * 31, "images": 1}, "sha256 must be 64 hex digits"),
        ({"name": "x", "sha256": "ab" * 32, "images": 0}, r"images must be from 1 to \d+, not 0"),
        ({"name": "x", "sha256": "ab" * 32, "images": 2**54}, "images must be from 1 to"),
        ({"name": "x", "sha256": "ab" * 32}, "missing required field `images`"),
        ({"name": 1, "sha256": "ab" * 32, "images": 1}, r"\$.trained_on.name: .*got `int`"),
        ("mnist", r"Expected `object \| null`"),
    ],
)
def test_other_origins_are_refused(origin: Any, message: str, tmp_path: Path) -> None:
    header, flat = TrainedNetwork(NETWORK, arrays()).contents()
    npz.write(tmp_path / "bad.npz", SCHEMA, {**header, "trained_on": origin}, flat)
    with pytest.raises(FileFormatError, match=rf"bad\.npz: .*{message}"):
        TrainedNetwork.load(tmp_path / "bad.npz")


# As docs/training.md has them: the hashes of the files without the key `trained_on`.
WEIGHTS = {"lenet5": "96a21cf7", "lenet5-sigmoid": "6e056f48", "lenet5-relu": "f9fce54f"}


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_networks_that_ship_were_trained_on_mnist(name: str) -> None:
    trained = load_network(name)
    assert trained.trained_on == MNIST
    assert replace(trained, trained_on=None).sha256.startswith(WEIGHTS[name])


def test_of_several_orders_that_of_pytorch_is_named() -> None:
    """Three channels through a kernel of 3 x 3: any order of the last three would fit."""
    layers = (
        Input(name="x", height=6, width=6, channels=3),
        Convolution(name="C", inputs=("x",), kernel=(3, 3), out_channels=4),
    )
    given = {"C": {"weights": np.zeros((4, 3, 3, 3)), "bias": np.zeros(4)}}
    with pytest.raises(WeightsError, match=r": transpose\(2, 3, 1, 0\) would make it fit$"):
        TrainedNetwork(Network("n", layers), given)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ((4, 2, 3, 5), ": transpose(2, 3, 1, 0) would make it fit"),  # PyTorch
        ((3, 5, 4, 2), ": transpose(0, 1, 3, 2) would make it fit"),
        ((3, 5, 2, 5), ""),
        ((3, 5, 8), ""),
    ],
)
def test_weights_in_another_order_are_refused_with_the_transposition_that_fits(
    given: tuple[int, ...], hint: str
) -> None:
    layers = (
        Input(name="x", height=6, width=6, channels=2),
        Convolution(name="C", inputs=("x",), kernel=(3, 5), out_channels=4),
    )
    weights = np.zeros(given)
    with pytest.raises(WeightsError) as caught:
        TrainedNetwork(Network("n", layers), {"C": {"weights": weights, "bias": np.zeros(4)}})
    assert str(caught.value).endswith(f"must have the shape (3, 5, 2, 4), not {given}{hint}")
    if hint:
        axes = tuple(map(int, re.findall(r"\d", hint)))
        moved = {"weights": weights.transpose(axes), "bias": np.zeros(4)}
        assert TrainedNetwork(Network("n", layers), {"C": moved})

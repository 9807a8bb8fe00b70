"""The file of a quantized network: there and back, and what is refused."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.files.datasets import MNIST, UNNAMED
from systolith.golden.fixed import execution
from systolith.golden.fixed.consistency import FixedNetworkError
from systolith.golden.network.graph import Convolution, Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import SCHEMA, QuantizedNetwork
from systolith.golden.quantization.settings import Settings
from systolith.golden.quantization.value_format import with_accumulator
from tests.golden.quantization.test_agreement import odd_network
from tests.golden.random_networks import random_images, random_quantized

Header = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def lenet5() -> QuantizedNetwork:
    trained = load_network("lenet5")
    images = random_images(np.random.default_rng(0), trained.network, 8)
    return quantize(trained, images, Settings(layers={"C3": {"weight_bits": 4}}))


def assert_same(first: QuantizedNetwork, second: QuantizedNetwork) -> None:
    assert first.fixed.network == second.fixed.network
    assert first.settings == second.settings
    assert first.parent.sha256 == second.parent.sha256
    for one, other in zip(first.fixed.layers, second.fixed.layers, strict=True):
        found_values: dict[str, Any] = vars(other)
        for name, value in vars(one).items():
            found = found_values[name]
            if name == "requantization" and value is not None:
                parts: dict[str, Any] = vars(found)
                for key, part in vars(value).items():
                    assert np.array_equal(part, parts[key])
            elif isinstance(value, np.ndarray):
                assert value.dtype == found.dtype
                assert (value == found).all()
            else:
                assert value == found


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    made, images = random_quantized(seed)
    path = tmp_path_factory.mktemp("q") / "q.npz"
    made.save(path)
    read = QuantizedNetwork.load(path)
    assert_same(made, read)
    assert read.sha256 == made.sha256
    assert (execution.scores(read.fixed, images) == execution.scores(made.fixed, images)).all()


def test_all_that_a_layer_may_have_is_in_the_file(tmp_path: Path) -> None:
    made = odd_network()
    made.save(tmp_path / "q.npz")
    read = QuantizedNetwork.load(tmp_path / "q.npz")
    assert_same(made, read)
    assert read.fixed["A"].factors is not None
    clamp, table = read.fixed["C"].requantization, read.fixed["T"].requantization
    assert clamp is not None and clamp.limits != (None, None)
    assert table is not None and table.table is not None
    assert len({fmt.frac_bits for fmt in read.fixed["C"].weight_formats}) == 2


def test_a_file_may_have_the_name_of_a_network_that_ships(
    lenet5: QuantizedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileFormatError, match="lenet5: no such file; `systolith quantize lenet5 "):
        QuantizedNetwork.load("lenet5")
    lenet5.save("lenet5")
    assert QuantizedNetwork.load("lenet5").sha256 == lenet5.sha256


def test_the_same_network_gives_the_same_bytes(lenet5: QuantizedNetwork, tmp_path: Path) -> None:
    lenet5.save(tmp_path / "a.npz")
    QuantizedNetwork.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    content = (tmp_path / "a.npz").read_bytes()
    assert content == (tmp_path / "b.npz").read_bytes()
    assert len(content) < 400_000


def test_files_that_were_written_before_a_setting_existed_are_read(
    lenet5: QuantizedNetwork, tmp_path: Path
) -> None:
    header, arrays = lenet5.contents()
    for key in ("rounding", "bias_correction"):
        del header["settings"][key]
    npz.write(tmp_path / "old.npz", SCHEMA, header, arrays)
    assert_same(lenet5, QuantizedNetwork.load(tmp_path / "old.npz"))


def test_origin_and_calibration_are_in_the_file(lenet5: QuantizedNetwork, tmp_path: Path) -> None:
    assert lenet5.parent.trained_on == MNIST
    known = lenet5.calibrated_on
    assert known is not None and (known.name, known.images) == (UNNAMED, 8)
    lenet5.save(tmp_path / "q.npz")
    read = QuantizedNetwork.load(tmp_path / "q.npz")
    assert (read.parent.trained_on, read.calibrated_on) == (MNIST, known)

    header, arrays = lenet5.contents()
    del header["trained_on"], header["calibrated_on"]
    npz.write(tmp_path / "old.npz", SCHEMA, header, arrays)
    old = QuantizedNetwork.load(tmp_path / "old.npz")
    assert (old.parent.trained_on, old.calibrated_on) == (None, None)
    old.save(tmp_path / "new.npz")
    assert (tmp_path / "new.npz").read_bytes() == (tmp_path / "old.npz").read_bytes()


def test_numpy_reads_the_integers(lenet5: QuantizedNetwork, tmp_path: Path) -> None:
    lenet5.save(tmp_path / "q.npz")
    with np.load(tmp_path / "q.npz") as file:
        assert (file["fixed/C3/weights"] == lenet5.fixed["C3"].weights).all()
        assert json.loads(file["header"].tobytes())["schema"] == SCHEMA


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        *((127, 1), (128, 2), (-128, 1), (-129, 2)),
        *((2**15 - 1, 2), (2**15, 4), (-(2**15), 2), (-(2**15) - 1, 4)),
        *((2**31 - 1, 4), (2**31, 8), (-(2**31), 4), (-(2**31) - 1, 8)),
    ],
)
def test_integers_are_stored_in_the_fewest_bytes_that_hold_them(
    raw: int, size: int, tmp_path: Path
) -> None:
    network = Network(
        "one",
        (
            Input(name="input", height=1, width=1),
            Dense(name="F", inputs=("input",), units=1),
        ),
    )
    arrays = {"F": {"weights": np.ones((1, 1), np.float32), "bias": np.zeros(1, np.float32)}}
    made = quantize(TrainedNetwork(network, arrays), np.full((1, 1, 1, 1), 9, np.uint8))
    biased = with_accumulator(replace(made.fixed["F"], bias=np.array([raw])))
    made = replace(made, fixed=replace(made.fixed, layers=(biased,)))
    made.save(tmp_path / "q.npz")
    with np.load(tmp_path / "q.npz") as file:
        assert file["fixed/F/bias"].dtype == np.dtype(f"i{size}")
    read = QuantizedNetwork.load(tmp_path / "q.npz").fixed["F"]
    assert read.bias is not None and read.bias.tolist() == [raw]


def test_weight_bits_total(lenet5: QuantizedNetwork) -> None:
    """Weights without biases, by hand: C1 150, S2 6, C3 60 * 25, S4 16, C5 48,000, ..."""
    others = 150 + 6 + 16 + 48_000 + 10_080 + 840
    assert lenet5.weight_bits_total == 8 * others + 4 * 60 * 25


FOUR = {"weight_bits": 4}


def set_header(key: str, value: Any) -> Callable[[Header, Arrays], None]:
    def change(header: Header, arrays: Arrays) -> None:
        header[key] = value

    return change


def set_layer(position: int, key: str, value: Any) -> Callable[[Header, Arrays], None]:
    def change(header: Header, arrays: Arrays) -> None:
        header["layers"][position][key] = value

    return change


def set_how(position: int, key: str, value: Any) -> Callable[[Header, Arrays], None]:
    def change(header: Header, arrays: Arrays) -> None:
        header["layers"][position]["requantization"][key] = value

    return change


def set_array(name: str, change_array: Callable[[Any], Any]) -> Callable[[Header, Arrays], None]:
    def change(header: Header, arrays: Arrays) -> None:
        arrays[name] = np.asarray(change_array(arrays[name].copy()))

    return change


def add_array(name: str, array: Any) -> Callable[[Header, Arrays], None]:
    def change(header: Header, arrays: Arrays) -> None:
        arrays[name] = array

    return change


def drop_array(name: str) -> Callable[[Header, Arrays], None]:
    def change(header: Header, arrays: Arrays) -> None:
        del arrays[name]

    return change


def put(*place: int, value: Any) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.astype(np.int64)
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_header("calibrated_on", {"name": "x"}), "missing required field `sha256`"),
        (set_header("extra", 1), "Object contains unknown field `extra`"),
        (set_header("settings", 3), r"\$\.settings: Expected `object`, got `int`"),
        (set_header("settings", {"weight_bits": 99}), "weight_bits: .* not 99"),
        (set_header("settings", {"layers": {"C9": {}}}), "no layer 'C9'"),
        (set_header("layers", []), "layers must have 7 entries, not 0"),
        (set_header("graph", {}), r"\$\.graph: Object missing required field `name`"),
        (set_layer(0, "name", "C7"), "convolution 'C1': is named 'C7' among the integers"),
        (set_layer(0, "more", 1), r"\$\.layers\[0\]: .*unknown field `more`"),
        (set_layer(0, "padding_value", 256), "'C1': padding value 256 is not of u8.0"),
        (set_layer(0, "padding_value", 0.5), r"\$\.layers\[0\]\.padding_value: .*got `float`"),
        (set_layer(0, "input_shift", 1), "'C1': input shift 1 is not allowed"),
        (set_layer(6, "input_shift", 33), "'output': input shift 33 is not allowed"),
        (set_layer(6, "input_shift", 1), "'output': centres must have 8 fraction bits"),
        (set_layer(0, "weight_bits", [5]), "'C1': weights of channel 0 leave their format s5"),
        (set_layer(0, "weight_bits", [0]), "bits must be from 1 to 62, not 0"),
        (set_layer(0, "weight_bits", 8), r"\$\.layers\[0\]\.weight_bits: .*got `int`"),
        (set_layer(0, "weight_bits", []), "'C1': weight_bits must be a list of one width or none"),
        (set_layer(0, "output", {"bits": 8}), r"\.output: .*required field `frac_bits`"),
        (
            set_layer(0, "output", {"bits": 5, "frac_bits": 7, "signed": True}),
            "'C1': table leaves the output format s5.7",
        ),
        (
            set_layer(6, "output", {"bits": 8, "frac_bits": 14, "signed": True}),
            "'output': scores must be [0-9]+ bits wide, not s8.14",
        ),
        (set_layer(0, "requantization", None), "'C1': has shifts or a table, but no"),
        *(
            (
                add_array(f"fixed/output/{name}", np.zeros(10, np.int8)),
                "'output': has shifts or a table, but no requantization",
            )
            for name in ("shifts", "table")
        ),
        (set_how(0, "multiplier", 0), "'C1': multiplier must be from 1 to"),
        (
            set_how(0, "rounding", "up"),
            r"\[0\]\.requant.*rounding: Invalid enum value 'up'",
        ),
        (set_how(0, "overflow", ["wrap"]), r"\.overflow: Expected `str`, got `array`"),
        (set_how(0, "target", None), r"\.requantization\.target: .*got `null`"),
        (set_array("fixed/C1/weights", lambda a: a[:4]), "'C1': weights must have the shape"),
        (set_array("fixed/C1/weights", put(0, 0, 0, 0, value=200)), "weights of channel 0 leave"),
        (set_array("fixed/C1/weights", lambda a: a * 1.5), "must be of signed integers, not float"),
        (
            set_array("fixed/C1/table", lambda a: abs(a).astype(np.uint8)),
            "'C1/table' must be of signed integers, not uint8",
        ),
        (set_array("fixed/C3/weights", put(0, 0, 5, 0, value=1)), "'C3': weights of output map 0"),
        (set_array("fixed/C1/bias", put(0, value=2**61 - 1)), "'C1': accumulators need 63 bits"),
        (set_array("fixed/C1/bias", lambda a: a[1:]), "'C1': bias must have the shape"),
        (set_array("fixed/C1/shifts", lambda a: a + 1), "'C1': shift of channel 0 does not fit"),
        (set_array("fixed/C1/shifts", lambda a: a + 70), "'C1': shifts must be from -62 to 62"),
        (set_array("fixed/C1/shifts", lambda a: a[1:]), "'C1': shifts must have the shape"),
        (set_array("fixed/C1/table", lambda a: a[1:]), "'C1': table must have the shape"),
        (set_array("fixed/C1/table", put(3, value=128)), "'C1': table leaves the output format"),
        (set_array("fixed/C1/weight_frac_bits", lambda a: a[1:]), "needs 6 weight formats, not 5"),
        (
            set_array("fixed/C1/weight_frac_bits", lambda a: a.astype(int) * 100),
            "frac_bits must be from",
        ),
        (drop_array("fixed/C1/weights"), "'C1': weights must have the shape .* not None"),
        (drop_array("fixed/C1/bias"), "'C1': bias must have the shape .* not None"),
        (drop_array("fixed/C1/table"), "'C1': activation 'tanh' and table do not fit"),
        (drop_array("fixed/C1/shifts"), "'C1': array 'shifts' is missing"),
        (drop_array("float/C1/weights"), "'C1': array 'weights' is missing"),
        (set_header("settings", {"weight_bits": 2}), "'C1': bits of weights: 8, but .* say 2"),
        (
            set_header("settings", {"activation_bits": 4, "table_index_bits": 10}),
            "'C1': bits of values: 8, but .* say 4",
        ),
        (set_header("settings", {"table_index_bits": 9}), "'C1': bits of its table's .* say 9"),
        (set_header("settings", {"rounding": "floor"}), "'C1': rounding: half_up, but .* floor"),
        (set_header("settings", {"granularity": "tensor"}), "'C1': weights have several scales"),
        (set_header("settings", {"layers": {"C3": {"weight_bits": 5}}}), "'C3': bits .* say 5"),
        (
            set_header("settings", {"layers": {"C3": FOUR, "output": {"weight_bits": 2}}}),
            "'output': centres are not of the 2 bits of the settings",
        ),
        (
            set_header("settings", {"layers": {"C3": FOUR, "output": {"weight_bits": 16}}}),
            "'output': centres are not of the 16 bits of the settings",
        ),
        (set_layer(0, "padding_value", 1), "'C1': padding value: 1, but .* say 0"),
        (set_layer(1, "padding_value", 1), "'S2': padding value: 1, but .* say 0"),
        (set_header("settings", {"percentile": 10**400}), "percentile: must be a number"),
        (set_header("settings", {"layers": {"C3": {"weight_bits": [4]}}}), r"\$\.settings"),
    ],
)
def test_what_is_no_quantized_network_is_refused_in_one_line(
    lenet5: QuantizedNetwork,
    tmp_path: Path,
    change: Callable[[Header, Arrays], None],
    message: str,
) -> None:
    header, arrays = lenet5.contents()
    change(header, arrays)
    path = tmp_path / "bad.npz"
    npz.write(path, SCHEMA, header, arrays)
    with pytest.raises(FileFormatError, match=message) as caught:
        QuantizedNetwork.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_unknown_arrays_are_refused(lenet5: QuantizedNetwork, tmp_path: Path) -> None:
    for name in ("fixed/C1/more", "fixed/input/bias", "stray"):
        header, arrays = lenet5.contents()
        npz.write(tmp_path / "bad.npz", SCHEMA, header, {**arrays, name: np.zeros(2, np.int8)})
        with pytest.raises(FileFormatError, match=r"array '.*' is unknown"):
            QuantizedNetwork.load(tmp_path / "bad.npz")


def test_damaged_and_foreign_files_are_refused(lenet5: QuantizedNetwork, tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    lenet5.save(good)
    content = good.read_bytes()
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(content[: len(content) // 2])
    flipped = tmp_path / "flipped.npz"
    flipped.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    pickled = tmp_path / "pickled.npz"
    with zipfile.ZipFile(pickled, "w") as archive:
        archive.writestr("header.npy", pickle.dumps({"schema": SCHEMA}))
    trained = tmp_path / "trained.npz"
    lenet5.parent.save(trained)
    for path in (truncated, flipped, pickled, trained, tmp_path / "missing.npz"):
        with pytest.raises(FileFormatError, match=path.name):
            QuantizedNetwork.load(path)


@settings(max_examples=60)
@given(st.data())
def test_any_change_of_a_byte_is_an_error_or_no_change(
    lenet5: QuantizedNetwork, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("q") / "q.npz"
    lenet5.save(path)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        read = QuantizedNetwork.load(path)
    except FileFormatError:
        return
    assert read.sha256 == lenet5.sha256


def test_parts_that_do_not_belong_together_are_refused(lenet5: QuantizedNetwork) -> None:
    network = lenet5.fixed.network
    renamed = TrainedNetwork(Network("other", network.layers), lenet5.parent.arrays)
    sigmoid = load_network("lenet5-sigmoid")
    alike = TrainedNetwork(Network("lenet5", sigmoid.network.layers), sigmoid.arrays)
    for parent in (renamed, alike):
        with pytest.raises(FixedNetworkError, match="'lenet5' has another graph than its parent"):
            replace(lenet5, parent=parent)
    reversed_layers = replace(lenet5.fixed, layers=lenet5.fixed.layers[::-1])
    with pytest.raises(FixedNetworkError, match=r"layers must be C1, S2, .*, not output, F6"):
        replace(lenet5, fixed=reversed_layers)


def test_an_accumulator_range_that_is_too_narrow_is_refused(lenet5: QuantizedNetwork) -> None:
    first, *rest = lenet5.fixed.layers
    low, high = first.accumulator_range
    narrowed = replace(first, accumulator_range=(low, high - 1))
    with pytest.raises(FixedNetworkError, match="'C1': accumulators range over"):
        replace(lenet5, fixed=replace(lenet5.fixed, layers=(narrowed, *rest)))


def test_padding_must_stand_for_zero(tmp_path: Path) -> None:
    """Of pixels from -0.5 in steps of 1/256, 128 does."""
    network = Network(
        "padded",
        (
            Input(name="input", height=3, width=3, scale=1 / 256, offset=-0.5),
            Convolution(name="C", inputs=("input",), kernel=(2, 2), out_channels=1, padding=(1, 1)),
        ),
    )
    arrays = {"C": {"weights": np.ones((2, 2, 1, 1), np.float32), "bias": np.zeros(1, np.float32)}}
    images = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    made = quantize(TrainedNetwork(network, arrays), images)
    made.save(tmp_path / "q.npz")
    assert QuantizedNetwork.load(tmp_path / "q.npz").fixed["C"].padding_value == 128
    header, content = made.contents()
    header["layers"][0]["padding_value"] = 127
    npz.write(tmp_path / "bad.npz", SCHEMA, header, content)
    with pytest.raises(FileFormatError, match=r"'C': padding value: 127, but .* 128"):
        QuantizedNetwork.load(tmp_path / "bad.npz")

"""Models that nobody should trust: one clear line, and neither time nor memory."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from systolith import golden
from systolith.golden.onnx.model.onnx_reading import MAX_NODES, read_onnx
from tests.golden.onnx.small_models import RAW, constant, model, node, normal

W = {"w": normal(2, 1, 3, 3)}
CONV = [node("Conv", "x w", "y")]


def refused(folder: Path, content: bytes) -> str:
    """The line that refuses a model: without a control character, within limits."""
    path = folder / "model.onnx"
    path.write_bytes(content)
    before = time.process_time()
    with pytest.raises(ValueError, match=r"^\S*model\.onnx: ") as caught:
        golden.import_onnx(path, RAW)
    assert time.process_time() - before < 5
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 400 + len(str(path))
    return text.removeprefix(f"{path}: ")


def with_weights(tensor: onnx.TensorProto) -> bytes:
    """A convolution with weights of a tensor as it is."""
    made = onnx.load_from_string(model(CONV, W))
    tensor.name = "w"
    made.graph.initializer[0].CopyFrom(tensor)
    content: bytes = made.SerializeToString()
    return content


def external(**entries: object) -> bytes:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[2, 1, 3, 3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    return with_weights(tensor)


def chain(operator: str, count: int, **attributes: Any) -> list[onnx.NodeProto]:
    names = ["x", *(f"t{i}" for i in range(1, count)), "y"]
    return [node(operator, names[i], names[i + 1], **attributes) for i in range(count)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: good[: len(good) * 2 // 3],
        lambda good: good[:1],
        lambda good: b"not a model at all",
        lambda good: b"",
        lambda good: good.replace(b"Conv", b"\xff\xfe\xfd\xfc"),
    ],
    ids=["truncated", "one byte", "text", "empty", "no text"],
)
def test_files_that_are_no_models(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    assert "not an" in refused(tmp_path, damage(model(CONV, W)))


def test_a_cycle(tmp_path: Path) -> None:
    nodes = [node("Relu", "y", "z"), node("Relu", "z", "y")]
    assert refused(tmp_path, model(nodes)) == "the graph has a cycle through the node 'y'"


@pytest.mark.parametrize("opset", [5, 29])
def test_operator_sets_that_are_not_known(opset: int, tmp_path: Path) -> None:
    assert f"opset {opset}: read are 6 to 28" in refused(tmp_path, model(CONV, W, opset=opset))


def test_100_000_nodes(tmp_path: Path) -> None:
    assert "has more than 10,000 nodes" in refused(tmp_path, model(chain("Relu", 100_000)))


def test_as_many_nodes_as_are_read(tmp_path: Path) -> None:
    assert "1000 of" in refused(tmp_path, model(chain("Shrink", MAX_NODES)))
    turning = chain("Transpose", MAX_NODES, perm=[0, 1, 3, 2])
    assert "more than 33,554,432 values" in refused(tmp_path, model(turning, {}, (1, 1, 999, 999)))
    convolutions = [
        helper.make_node("Conv", [*each.input, "v"], each.output) for each in chain("Conv", 2000)
    ]
    content = model(convolutions, {"v": normal(1, 1, 1, 1)})
    assert "2,001 layers with its input, at most 1,024 are supported" in refused(tmp_path, content)


def test_a_tensor_of_a_million_million_elements(tmp_path: Path) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[10**6, 10**6])
    assert "1,000,000,000,000 of its shape" in refused(tmp_path, with_weights(tensor))


@pytest.mark.parametrize(
    ("nodes", "constants", "dims"),
    [
        ([node("ConstantOfShape", "s", "w"), *CONV], {"s": [10**6, 10**6]}, (1, 1, 8, 8)),
        ([node("Expand", "x s", "y")], {"s": [10**6, 10**6, 8, 8]}, (1, 1, 8, 8)),
        ([node("Pad", "x s", "y")], {"s": [0, 0, 10**9, 0, 0, 0, 0, 0]}, (1, 1, 8, 8)),
        ([node("Gather", "x s", "y")], {"s": np.zeros((3000, 3000))}, (1, 1, 8, 8)),
        ([node("Add", "s t", "w"), *CONV], {"s": np.ones((10**6, 1)), "t": np.ones(10**6)}, (1, 8)),
        ([node("MatMul", "s s", "w"), *CONV], {"s": np.ones((1000, 1000))}, (1, 1, 8, 8)),
        (CONV, W, (1, 1, 10**6, 10**6)),
        ([node("Conv", "x w", "y", pads=[10**12] * 4)], W, (1, 1, 8, 8)),
        ([node("Conv", "x w", "y", dilations=[10**12] * 2, pads=[10**13] * 4)], W, (1, 1, 8, 8)),
        (
            [node("Conv", "x v", "y", group=60000)],
            {"v": np.ones((60000, 1, 1, 1))},
            (1, 60000, 1, 1),
        ),
    ],
)
def test_tensors_that_grow(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], dims: tuple[int, ...], tmp_path: Path
) -> None:
    arrays = {
        name: constant(values, np.float32 if name in "wvt" else np.int64)
        for name, values in constants.items()
    }
    text = refused(tmp_path, model(nodes, arrays, dims))
    assert "more than" in text or "of 1 nodes cannot be imported" in text
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2**20


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({"location": "../outside.bin"}, "outside the folder"),
        ({"location": "/etc/passwd"}, "outside the folder"),
        ({"location": "link.bin"}, "outside the folder"),
        ({"location": "a\0b"}, "outside the folder"),
        ({"location": "missing.bin"}, "no such file"),
        ({"location": "."}, "not a file"),
        ({}, "not a file"),
        ({"location": "good.bin", "offset": 10**18}, "extend past the 72 bytes"),
        ({"location": "good.bin", "offset": -4, "length": 72}, "extend past the 72 bytes"),
        ({"location": "good.bin", "offset": "x"}, "are not placed"),
        ({"location": "good.bin", "length": 68}, "has 17 values, not the 18"),
    ],
)
def test_data_that_are_elsewhere(where: dict[str, object], reason: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(72))
    (folder / "good.bin").write_bytes(bytes(72))
    os.symlink(tmp_path / "outside.bin", folder / "link.bin")
    assert reason in refused(folder, external(**where))


def test_data_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"1234" + W["w"].tobytes())
    path = tmp_path / "model.onnx"
    path.write_bytes(external(location="weights.bin", offset=4))
    (tmp_path / "other").mkdir()
    assert (read_onnx(path).constants["w"] == W["w"]).all()


@pytest.mark.parametrize("position", ["node", "operator", "attribute", "output", "tensor"])
def test_names_with_escape_codes(position: str, tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;title\x07[bold]\u202e" * 20
    names = dict.fromkeys(("node", "operator", "attribute", "output", "tensor"), "LeakyRelu")
    names[position] = evil
    attributes: dict[str, Any] = {names["attribute"]: 1}
    made = helper.make_node(
        names["operator"], [names["tensor"]], ["y"], names["node"], **attributes
    )
    content = model([made], outputs=["y", "z"] if position == "output" else ["y"])
    refused(tmp_path, content)


@pytest.mark.parametrize("calls", ["itself", "twice", "deep"])
def test_functions_that_never_end(calls: str, tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("d", 1)]
    count = {"itself": 1, "twice": 60, "deep": 3000}[calls]
    functions = []
    for i in range(count):
        inner = f"f{0 if calls == 'itself' else i + 1}"
        body = [node(inner, "a", "b", domain="d")]
        if calls == "twice":
            body.append(node(inner, "b", "c", domain="d"))
        functions.append(
            helper.make_function("d", f"f{i}", ["a"], [body[-1].output[0]], body, opsets)
        )
    made = onnx.load_from_string(model([node("f0", "x", "y", domain="d")]))
    made.functions.extend(functions)
    made.opset_import.append(opsets[1])
    text = refused(tmp_path, made.SerializeToString())
    assert "calls itself" in text or "has more than" in text


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([node("Conv", "z w", "y")], "node 'y' reads 'z', which nothing makes"),
        ([node("Conv", "x w", "q")], "nothing makes the output 'y'"),
        ([node("Relu", "x", "w"), *CONV], "two tensors are named 'w'"),
    ],
)
def test_tensors_that_do_not_fit_together(
    nodes: list[onnx.NodeProto], reason: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, model(nodes, W)) == reason


def changed(**how: Any) -> bytes:
    """The convolution with other fields of the model or its graph."""
    made = onnx.load_from_string(model(CONV, W))
    for name in ("node", "initializer", "sparse_initializer"):
        if name in how:
            getattr(made.graph, name).extend(how[name])
    if "opset_import" in how:
        del made.opset_import[:]
        made.opset_import.extend(how["opset_import"])
    content: bytes = made.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            changed(opset_import=[helper.make_opsetid("own", 1)]),
            "must name one version of ONNX's operators, not 0",
        ),
        (
            changed(opset_import=[helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx", 14)]),
            "must name one version of ONNX's operators, not 2",
        ),
        (
            changed(initializer=[numpy_helper.from_array(W["w"], "w")]),
            "two initializers are named 'w'",
        ),
        (changed(node=[node("Relu", "x", "y")]), "two tensors are named 'y'"),
        (
            changed(sparse_initializer=[onnx.SparseTensorProto()]),
            "has sparse initializers, which are not read",
        ),
        (model([]), "has no nodes: not an ONNX model of a network"),
        (
            model([node("Shape", "x", "s"), node("Cast", "s", "y", to=1)]),
            "output 'y' depends on no input",
        ),
        (
            model([node("Neg", "w", "y")], {"w": constant([1])}),
            "needs one input, the image, not 0: none is read",
        ),
        (
            model(CONV, W, (1, 1, "H", 8)),
            (
                "input 'x': must have a batch and then fixed sizes, not "
                "1 x 1 x ? x 8; onnx.tools.update_model_dims fixes them"
            ),
        ),
        (
            model([node("Relu", "x", "y")], {}, (4,)),
            "input 'x': must have a batch and then fixed sizes, not 4",
        ),
        (
            model(CONV, W, (1, 1, 2048, 2049)),
            "input 'x': 1 x 1 x 2048 x 2049 are more than the 4,194,304 values allowed",
        ),
        (model([node("Identity", "x", "y")]), "no layer is left of its 1 nodes"),
        (
            model([node("Greater", "x w", "y", domain="own.domain")], W),
            "1 of 1 nodes cannot be imported: y (Greater): is none of ONNX's own operators",
        ),
        (
            model([node("Resize", "x", "y", domain="own.domain")]),
            "1 of 1 nodes cannot be imported: y (Resize): nothing makes a map larger",
        ),
    ],
)
def test_a_graph_that_is_none_of_a_network(content: bytes, reason: str, tmp_path: Path) -> None:
    assert refused(tmp_path, content) == reason


def test_two_inputs_are_named(tmp_path: Path) -> None:
    made = onnx.load_from_string(model([node("Add", "x z", "y")]))
    made.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 1, 8, 8]))
    reason = "needs one input, the image, not 2: x, z"
    assert refused(tmp_path, made.SerializeToString()) == reason


def test_only_the_nodes_that_the_output_needs_are_counted_and_each_once(tmp_path: Path) -> None:
    nodes = [node("Pow", "x w", "other"), *CONV, node("Resize", "y", "z")]
    path = tmp_path / "model.onnx"
    path.write_bytes(model([*nodes, node("Elu", "x", "v", beta=1.0, gamma=2.0)], W, outputs="zv"))
    with pytest.raises(golden.RefusedError) as caught:
        golden.import_onnx(path, RAW, "v")
    assert str(caught.value) == f"{path}: 1 of 1 nodes cannot be imported"
    assert [each.attribute for each in caught.value.refusals] == ["beta", "gamma"]
    with pytest.raises(golden.RefusedError, match="1 of 2 nodes cannot be imported: z "):
        golden.import_onnx(path, RAW, "z")


def test_onnx_s_own_domain_has_two_names(tmp_path: Path) -> None:
    made = onnx.load_from_string(model([node("Conv", "x w", "y", domain="ai.onnx")], W))
    made.opset_import[0].domain = "ai.onnx"
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    assert golden.import_onnx(path, RAW).trained.network.output.name == "y"


def test_functions_of_two_domains_may_share_a_name(tmp_path: Path) -> None:
    """As may a function and an operator of ONNX."""
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("a", 1), helper.make_opsetid("b", 1)]
    bodies = {"a": node("Sigmoid", "i", "o"), "b": node("Relu", "i", "o", domain="a")}
    made = onnx.load_from_string(
        model([node("Conv", "x w", "c"), node("Relu", "c", "y", domain="b")], W)
    )
    for domain, body in bodies.items():
        made.functions.append(helper.make_function(domain, "Relu", ["i"], ["o"], [body], opsets))
    made.opset_import.extend(opsets[1:])
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    (layer,) = golden.import_onnx(path, RAW).trained.network.layers[1:]
    assert layer.activation.kind == "sigmoid"


def test_a_node_without_a_name_has_that_of_its_first_output(tmp_path: Path) -> None:
    made = onnx.load_from_string(model([node("Foo", "x", "y")]))
    made.graph.node[0].name = ""
    made.graph.node[0].output.insert(0, "")
    reason = "1 of 1 nodes cannot be imported: y (Foo): no layer computes it"
    assert refused(tmp_path, made.SerializeToString()) == reason


def test_a_model_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("systolith.golden.onnx.model.onnx_reading.MAX_BYTES", 100)
    assert "at most 100 are read" in refused(tmp_path, model(CONV, W))


def test_a_random_byte_here_and_there(tmp_path: Path) -> None:
    good = model([*CONV[:-1], node("Conv", "x w", "a"), node("Softmax", "a", "y")], W)
    rng = np.random.default_rng(0)
    path = tmp_path / "model.onnx"
    for _ in range(500):
        content = bytearray(good)
        for place in rng.integers(0, len(content), 3):
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        # Anything but a ValueError fails the test.
        with contextlib.suppress(ValueError):
            golden.import_onnx(path, RAW)

"""Inputs that are no pixels, from an ONNX model through the commands to RTL in every layer."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from systolith import golden
from systolith.golden.fixed import execution
from systolith.golden.onnx.export import export_onnx
from systolith.scripts.main import main
from tests.golden.onnx.small_models import model, node, normal
from tests.hw.handover.bench_runs import passed, run_bench


def commands(*lines: str) -> None:
    for line in lines:
        assert main(line.split()) == 0, line


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of 4 x 4 x 2 features whose first layer pads, in `net.onnx`."""
    monkeypatch.chdir(tmp_path)
    nodes = [
        node("Conv", "x c", "c1", pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p1", "f"),
        node("Gemm", "f w", "y"),
    ]
    content = model(nodes, {"c": normal(3, 2, 3, 3), "w": normal(12, 4)}, ("N", 2, 4, 4))
    Path("net.onnx").write_bytes(content)


@pytest.mark.parametrize(
    ("fmt", "more", "standing", "width", "simulation"),
    [
        (
            *("u12.4", "--scale 1/64 --mean 0.5 --std 0.25", "0.00390625 - 2"),
            *(16, "--simulator icarus --images 3"),
        ),
        ("s16.13", "", "0.000122070312 + 0", 16, "--engine bulk --stalls 3"),
        ("s3.1", "--mean 0.5", "0.5 - 0.5", 8, "--layer c1 --engine cocotb"),
    ],
)
def test_every_layer_is_exact(
    fmt: str, more: str, standing: str, width: int, simulation: str, imported: None
) -> None:
    """What a raw value stands for is in the data sheet."""
    form = golden.QFormat.parse(fmt)
    rng = np.random.default_rng(1)
    raw = rng.integers(form.min_raw, form.max_raw, (20, 32), endpoint=True)
    lines = (",".join(map(repr, row)) for row in form.dequantize(raw).tolist())
    Path("features.csv").write_text("\n".join(lines), "utf-8")
    commands(
        f"import net.onnx --out net.npz --input-format {fmt} {more}",
        "quantize net.npz --data features.csv --out q.npz",
        "generate q.npz --out rtl --data features.csv",
        f"simulate rtl --data features.csv {simulation}",
    )
    quantized = golden.QuantizedNetwork.load("q.npz")
    source = quantized.fixed.network.input
    assert (source.format, source.border) == (form, 0)
    data = golden.load_dataset("features.csv", source)
    assert (data.labels, data.saturated) == (None, 0)
    assert np.array_equal(data.images.reshape(20, -1), raw)
    if "--layer" not in simulation:
        found = json.loads(Path("rtl/simulation.json").read_text("utf-8"))
        assert found["bit_exact"] and len(found["layers"]) == 3
        assert found["correct"] is found["accuracy"] is None
    verilog = Path("rtl/net.v").read_text("utf-8")
    assert re.search(rf"^  input \[{width - 1}:0\] s_axis_tdata,$", verilog, re.MULTILINE)
    sheet = Path("rtl/datasheet.md").read_text("utf-8")
    assert f"A raw value `p` stands for `p * {standing}`." in sheet
    manifest = json.loads(Path("rtl/manifest.json").read_text("utf-8"))
    assert manifest["input"] == {"lanes": 1, "bits": form.bits, "signed": form.signed}
    # The bench sends random bits above those of the value.
    assert passed(run_bench(Path("rtl"), Path("tools").absolute(), "SEED=1"))


def test_another_engine_takes_the_same_values(imported: None) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    commands("import net.onnx --out net.npz --input-format s12.9")
    trained = golden.load_network("net.npz")
    images = np.random.default_rng(1).integers(-2048, 2048, (8, 4, 4, 2), np.int16)
    quantized = golden.quantize(trained, images)
    session = onnxruntime.InferenceSession(
        export_onnx(quantized), providers=["CPUExecutionProvider"]
    )
    (given,) = session.run(["class"], {"images": images.transpose(0, 3, 1, 2)})
    assert np.array_equal(given, execution.classes(quantized.fixed, images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--input-format s17.3", "must have 1 to 16 bits and from -32 to 32 fraction bits"),
        ("--input-format u0.0", "must have 1 to 16 bits and from -32 to 32 fraction bits"),
        ("--input-format 8.5", "must be s or u, the bits, a point and the fraction bits"),
        ("--input-format s8.40", "from -32 to 32 fraction bits, not 's8.40'"),
        ("--input-format s8.5 --raw", "--raw: has no meaning with --input-format"),
    ],
)
def test_a_format_that_cannot_be_is_refused(
    options: str, message: str, imported: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "net.onnx", "--out", "net.npz", *options.split()]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not os.path.exists("net.npz")

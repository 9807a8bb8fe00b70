"""`make bench`: the speed of the fixed model and of ONNX Runtime's int8 on the same network.

Both run `lenet5-relu` at 8 bits on the test digits, with one thread each, alternately in one
process, so that other work on the machine slows both. The fixed model starts from raw pixels; ONNX
Runtime gets scaled, bordered floats, whose preparation is not timed, in batches of its fastest
size.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset, test_digits, validation_digits
from systolith.golden.files.whole_files import write_whole
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.network.graph import Convolution, Dense, Layer, MaxPooling, Network, Shape
from systolith.golden.network.trained_network import Array, TrainedNetwork, load_network
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.scripts.benchmarks.measuring import processor
from systolith.scripts.console import to_json

if TYPE_CHECKING:
    import onnx
    import onnxruntime

SCHEMA = "systolith.benchmark/1"
NETWORK = "lenet5-relu"
BITS = 8
REQUIRED_RATIO = 1.0

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_BATCHES = (1, 10, 50, 100, 200, 500, 1000)
_OPSET = 17
_IR_VERSION = 9


@dataclass(frozen=True)
class Benchmark:
    """The images a second of both in every round, and their accuracy.

    Parameters
    ----------
    images
        Images in each round.
    onnxruntime_batch
        The batch with which ONNX Runtime was fastest.
    fixed, onnxruntime
        Images a second, one figure a round.
    accuracy
        Fraction right, by `float`, `fixed` and `onnxruntime`.
    machine
        Processor and versions.
    """

    images: int
    onnxruntime_batch: int
    fixed: tuple[float, ...]
    onnxruntime: tuple[float, ...]
    accuracy: dict[str, float]
    machine: dict[str, str]

    @property
    def ratio(self) -> float:
        """The median over the rounds of the fixed model's speed over ONNX Runtime's."""
        return statistics.median(a / b for a, b in zip(self.fixed, self.onnxruntime, strict=True))

    def to_mapping(self) -> dict[str, Any]:
        """The benchmark as the JSON file has it."""
        return {
            "schema": SCHEMA,
            "network": NETWORK,
            "weight_bits": BITS,
            "activation_bits": BITS,
            "images": self.images,
            "ratio": round(self.ratio, 3),
            "images_per_second": {
                "fixed": round(statistics.median(self.fixed)),
                "onnxruntime": round(statistics.median(self.onnxruntime)),
            },
            "accuracy": self.accuracy,
            "rounds": [
                {"fixed": round(a), "onnxruntime": round(b), "ratio": round(a / b, 3)}
                for a, b in zip(self.fixed, self.onnxruntime, strict=True)
            ],
            "onnxruntime_batch": self.onnxruntime_batch,
            "machine": self.machine,
        }

    def to_markdown(self) -> str:
        """A page that says what was measured and how."""
        method = (
            f"`make bench`: both engines classify {self.images:,} test digits with `{NETWORK}` at "
            f"{BITS} bits, with one thread each, alternately, in {len(self.fixed)} rounds. ONNX "
            "Runtime's network is quantized from the same float weights on the same validation "
            "digits; it gets scaled and bordered floats (preparing them is not timed), in batches "
            f"of {self.onnxruntime_batch}, its fastest. The fixed model gets raw pixels."
        )
        result = (
            "The ratio of the speeds, the median over the rounds, is "
            f"**{self.ratio:.2f}**. The float accuracy is {self.accuracy['float']:.4f}."
        )
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        lines = (
            "# Benchmarks",
            method,
            "| | images/s (median) | images/s (best) | accuracy |\n|---|---:|---:|---:|\n"
            + _speed_row("fixed model", self.fixed, self.accuracy["fixed"])
            + _speed_row("ONNX Runtime int8", self.onnxruntime, self.accuracy["onnxruntime"]),
            result,
            f"Machine: {machine}.",
        )
        return "\n\n".join(line.rstrip() for line in lines) + "\n"


def _speed_row(name: str, speeds: Sequence[float], accuracy: float) -> str:
    median = statistics.median(speeds)
    return f"| {name} | {median:,.0f} | {max(speeds):,.0f} | {accuracy:.4f} |\n"


def bench(
    trained: TrainedNetwork, calibration: Dataset, dataset: Dataset, rounds: int
) -> Benchmark:
    """Measure; both networks are made from `trained` on the images of `calibration`."""
    settings = Settings(LayerSettings(weight_bits=BITS, activation_bits=BITS))
    model = FixedModel(quantize(trained, calibration.images, settings).fixed)
    session = int8_session(trained, prepared(trained.network, calibration.images))
    images, floats = dataset.images, prepared(trained.network, dataset.images)

    def probed(size: int) -> float:
        return min(_seconds(lambda: _scores(session, floats[:1000], size)) for _ in range(3))

    batch = min(_BATCHES, key=probed)
    guesses = {
        "float": _scores(float_session(trained), floats, batch).argmax(axis=1),
        "fixed": model.classes(images),
        "onnxruntime": _scores(session, floats, batch).argmax(axis=1),
    }
    seconds: dict[str, list[float]] = {"fixed": [], "onnxruntime": []}
    for _ in range(rounds):
        seconds["fixed"].append(_seconds(lambda: model.classes(images)))
        seconds["onnxruntime"].append(_seconds(lambda: _scores(session, floats, batch)))
    return Benchmark(
        images=len(images),
        onnxruntime_batch=batch,
        fixed=tuple(len(images) / each for each in seconds["fixed"]),
        onnxruntime=tuple(len(images) / each for each in seconds["onnxruntime"]),
        accuracy={name: float(np.mean(guess == dataset.labels)) for name, guess in guesses.items()},
        machine=_machine(),
    )


def prepared(network: Network, images: NDArray[np.integer[Any]]) -> Array:
    """Images as ONNX Runtime takes them: scaled, with their border, channels first."""
    source = network.input
    border = ((0, 0), (0, 0), (source.border,) * 2, (source.border,) * 2)
    pixels = np.pad(images.transpose(0, 3, 1, 2), border, constant_values=source.background)
    return pixels.astype(np.float32) * np.float32(source.scale) + np.float32(source.offset)


def onnx_model(trained: TrainedNetwork) -> onnx.ModelProto:
    """The float network as an ONNX graph, from prepared images to scores.

    Raises
    ------
    ValueError
        A layer is neither convolution, max pooling nor dense, or has another activation than ReLU.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []
    last = "images"
    for layer, source, _ in trained.network.computing_layers():
        operators, arrays = _operators(layer, source, trained)
        names = [f"{layer.name}.{name}" for name in arrays]
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(array), name)
            for name, array in zip(names, arrays.values(), strict=True)
        ]
        for operator, attributes in operators:
            inputs = [last, *names] if operator in ("Conv", "Gemm") else [last]
            last = f"{layer.name}.{operator}"
            nodes.append(helper.make_node(operator, inputs, [last], **attributes))
    shapes = trained.network.shapes()
    height, width, channels = shapes[trained.network.input.name]
    rows, columns, units = shapes[trained.network.output.name]
    flat = isinstance(trained.network.output, Dense)
    scores = [units] if flat else [units, rows, columns]
    graph = helper.make_graph(
        nodes,
        trained.name,
        [
            helper.make_tensor_value_info(
                "images", TensorProto.FLOAT, ["batch", channels, height, width]
            )
        ],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["batch", *scores])],
        constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    onnx.checker.check_model(model)
    return model


def _operators(
    layer: Layer, source: Shape, trained: TrainedNetwork
) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Array]]:
    """The ONNX operators of a layer, and its constants."""
    arrays = dict(trained.arrays[layer.name])
    if layer.activation.kind not in ("none", "relu"):
        raise ValueError(
            f"{layer.type_name} {layer.name!r}: activation {layer.activation.kind!r} is not "
            "benchmarked: allowed are none and relu"
        )
    if isinstance(layer, Convolution):
        operators: list[tuple[str, dict[str, Any]]] = [("Conv", {"pads": list(layer.padding) * 2})]
        arrays["weights"] = arrays["weights"].transpose(3, 2, 0, 1)
    elif isinstance(layer, MaxPooling):
        window = list(layer.window)
        operators = [("MaxPool", {"kernel_shape": window, "strides": window})]
    elif isinstance(layer, Dense):
        operators = [("Flatten", {}), ("Gemm", {})]
        weights = arrays["weights"].reshape(*source, layer.units)
        arrays["weights"] = weights.transpose(2, 0, 1, 3).reshape(-1, layer.units)
    else:
        raise ValueError(f"{layer.type_name} {layer.name!r}: this layer type is not benchmarked")
    if layer.activation.kind == "relu":
        operators.append(("Relu", {}))
    return operators, arrays


def float_session(trained: TrainedNetwork) -> onnxruntime.InferenceSession:
    """ONNX Runtime with the float network, in one thread."""
    return _session(onnx_model(trained).SerializeToString())


def int8_session(trained: TrainedNetwork, calibration: Array) -> onnxruntime.InferenceSession:
    """ONNX Runtime with its own int8 network (QDQ, its defaults), in one thread.

    Parameters
    ----------
    trained
        The float network.
    calibration
        Prepared images, from which ranges are taken.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = _batches(calibration, 100)

        def get_next(self) -> dict[str, Array] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch}

    # It advises on the root logger to prepare the model, although that was done.
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            ready, quantized = f"{folder}/ready.onnx", f"{folder}/int8.onnx"
            # All shapes are known, so the symbolic pass, which needs SymPy, has nothing to add.
            quant_pre_process(onnx_model(trained), ready, skip_symbolic_shape=True)
            quantization.quantize_static(ready, quantized, Reader())
            return _session(Path(quantized).read_bytes())
    finally:
        logging.disable(logging.NOTSET)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _scores(session: onnxruntime.InferenceSession, images: Array, batch: int) -> Array:
    parts = [session.run(None, {"images": part})[0] for part in _batches(images, batch)]
    return np.concatenate(parts)


def _batches(images: Array, size: int) -> Iterator[Array]:
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _machine() -> dict[str, str]:
    import onnxruntime

    return {
        "processor": processor(),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "ONNX Runtime": onnxruntime.__version__,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print and write the results; returns 1 if the model is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds to measure (default: 9)")
    parser.add_argument("--images", type=int, help="the first N digits (default: all)")
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="FILE.json or FILE.md to write"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    if options.rounds < 1:
        parser.error(f"--rounds: must be at least 1, not {options.rounds}")
    digits = test_digits()
    try:
        dataset = digits if options.images is None else digits.take(options.images)
    except ValueError as error:
        parser.error(str(error))
    result = bench(load_network(NETWORK), validation_digits(), dataset, options.rounds)
    print(result.to_markdown(), end="")
    for path in options.out:
        json_text = to_json(result.to_mapping())
        write_whole(path, (json_text if path.suffix == ".json" else result.to_markdown()).encode())
    return 0 if result.ratio >= REQUIRED_RATIO else 1


def _in_one_thread(arguments: Sequence[str]) -> int:
    """Run `main` in a process of its own: BLAS reads its number of threads when it is loaded."""
    command = [sys.executable, "-m", "systolith.scripts.benchmarks.model_speed", *arguments]
    return subprocess.run(command, env={**os.environ, **_ONE_THREAD}, check=False).returncode


if __name__ == "__main__":
    single = all(os.environ.get(name) == value for name, value in _ONE_THREAD.items())
    sys.exit(main() if single else _in_one_thread(sys.argv[1:]))

"""`make bench-growth`: how planning and generating grow with multipliers and with layers.

Times are processor seconds, user and system, of the whole command and its processes, on which other
work of the machine has little effect. The networks are random; one kind has an array of n x n
processing elements, the other has n layers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from systolith.golden.files.whole_files import write_whole
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.folding import Folding, Plan
from systolith.hw.planning.plan_file import plan_to_toml
from systolith.scripts.benchmarks.measuring import command_seconds, machine
from systolith.scripts.console import to_json

SCHEMA = "systolith.growth/1"
SIDES = (8, 16, 24, 32, 48, 64)
LAYERS = (2, 5, 10, 15, 20)
MOST_EXPONENT = 1.1
"""The largest exponent that counts as linear."""

_RELU = Activation("relu")
_CLASSES = Dense(name="scores", inputs=("last",), units=10)

Case = tuple[QuantizedNetwork, Plan]


@dataclass(frozen=True)
class Growth:
    """The processor seconds of a piece of work at several sizes.

    Parameters
    ----------
    work
        The name of the work.
    unit
        The unit of the sizes.
    sizes, seconds
        At least 3 ascending sizes, and the processor seconds of each.
    """

    work: str
    unit: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """The least-squares `k` of `seconds - first ~ (size - first)**k`: 1 is linear.

        The seconds of the smallest size are subtracted because they would hide the growth. A
        difference below a hundredth of a second is noise, and counts as a hundredth.
        """
        more = np.log(np.subtract(self.sizes[1:], self.sizes[0]))
        longer = np.log(np.maximum(np.subtract(self.seconds[1:], self.seconds[0]), 0.01))
        return float(np.polyfit(more, longer, 1)[0])

    def to_mapping(self) -> dict[str, Any]:
        """The growth as the JSON file has it."""
        return {
            "work": self.work,
            "unit": self.unit,
            "exponent": round(self.exponent, 3),
            "points": [
                {"size": size, "cpu_seconds": round(seconds, 2)}
                for size, seconds in zip(self.sizes, self.seconds, strict=True)
            ],
        }

    def to_markdown(self) -> str:
        """A section with a table."""
        rows = "\n".join(
            f"| {size:,} | {seconds:.1f} |"
            for size, seconds in zip(self.sizes, self.seconds, strict=True)
        )
        return (
            f"## `{self.work}` and {self.unit}\n\n| {self.unit} | CPU seconds |\n|---:|---:|\n"
            f"{rows}\n\nExponent: **{self.exponent:.2f}**.\n"
        )


def measure(
    work: str,
    unit: str,
    cases: Sequence[tuple[int, Case]],
    run: Callable[[Case], float],
    rounds: int,
) -> Growth:
    """The growth of `run`, which returns the seconds of a case, over cases with their sizes.

    Each case takes the minimum over the rounds.
    """
    seconds = [[run(case) for _, case in cases] for _ in range(rounds)]
    sizes = tuple(size for size, _ in cases)
    return Growth(work, unit, sizes, tuple(min(each) for each in zip(*seconds, strict=True)))


def generate_seconds(case: Case) -> float:
    """The processor seconds of `systolith generate` with the case's plan."""
    quantized, plan = case
    with tempfile.TemporaryDirectory() as folder:
        network, folding = Path(folder, "network.npz"), Path(folder, "plan.toml")
        quantized.save(network)
        folding.write_text(plan_to_toml(plan), "utf-8")
        return command_seconds(
            "generate", str(network), "--out", str(Path(folder, "out")), "--plan", str(folding)
        )


def plan_seconds(case: Case) -> float:
    """The processor seconds of `systolith plan` with the number of multipliers of the case."""
    quantized, plan = case
    multipliers = sum(folding.rows * folding.columns for folding in plan.values())
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder, "network.npz")
        quantized.save(network)
        return command_seconds("plan", str(network), "--max-multipliers", str(multipliers))


def array_case(side: int) -> Case:
    """A network with a convolution on `side` x `side` processing elements, and one more layer."""
    network = Network(
        f"array-{side}",
        (
            Input(name="input", height=9, width=9),
            Convolution(
                name="wide", inputs=("input",), kernel=(8, 8), out_channels=64, activation=_RELU
            ),
            MaxPooling(name="last", inputs=("wide",), window=(2, 2)),
            _CLASSES,
        ),
    )
    plan = {"wide": Folding(rows=side, columns=side), "last": Folding(), "scores": Folding()}
    return _quantized(network), plan


def layers_case(layers: int) -> Case:
    """A network of `layers` layers; each has 18 processing elements, except the last."""
    names = [f"C{number}" for number in range(1, layers - 1)] + ["last"]
    convolutions: list[Layer] = [
        Convolution(
            name=name,
            inputs=(source,),
            kernel=(3, 3),
            padding=(1, 1),
            out_channels=4,
            activation=_RELU,
        )
        for source, name in zip(["input", *names], names, strict=False)
    ]
    network = Network(
        f"layers-{layers}",
        (Input(name="input", height=8, width=8, channels=4), *convolutions, _CLASSES),
    )
    plan = {name: Folding(rows=9, columns=2) for name in names}
    return _quantized(network), {**plan, "scores": Folding()}


def _quantized(network: Network) -> QuantizedNetwork:
    """The network with random weights, calibrated on random images."""
    rng = np.random.default_rng(0)
    arrays = {
        layer.name: {
            name: rng.normal(0, 0.2, shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    images = rng.integers(0, 256, (20, *network.input.image_shape), np.uint8)
    return quantize(TrainedNetwork(network, arrays), images)


def bench(sides: Sequence[int], layers: Sequence[int], rounds: int) -> list[Growth]:
    """Measure everything."""
    # The last layer has one more multiplier.
    arrays = [(side * side + 1, array_case(side)) for side in sides]
    chains = [(each, layers_case(each)) for each in layers]
    return [
        measure("generate", "multipliers", arrays, generate_seconds, rounds),
        measure("generate", "layers", chains, generate_seconds, rounds),
        measure("plan", "multipliers", arrays, plan_seconds, rounds),
        measure("plan", "layers", chains, plan_seconds, rounds),
    ]


def to_markdown(growths: Sequence[Growth], rounds: int) -> str:
    """A page that says what was measured and how."""
    introduction = (
        "# Growth\n\n`make bench-growth`: user and system seconds of the whole command and of the "
        f"processes that it starts, the minimum of {rounds} rounds, on random networks. The "
        "exponent `k` is fitted to `seconds - first = c * (size - first)**k`; 1 is linear."
    )
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    return "\n\n".join(
        [introduction, *(each.to_markdown().rstrip() for each in growths), f"Machine: {about}.\n"]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the results; returns 1 if something grows too fast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="rounds to measure (default: 2)")
    parser.add_argument(
        "--out", type=Path, action="append", default=[], help="FILE.json or FILE.md to write"
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    if options.rounds < 1:
        parser.error(f"--rounds: must be at least 1, not {options.rounds}")
    growths = bench(SIDES, LAYERS, options.rounds)
    text = to_markdown(growths, options.rounds)
    print(text, end="")
    value = {
        "schema": SCHEMA,
        "rounds": options.rounds,
        "growths": [each.to_mapping() for each in growths],
        "machine": machine(),
    }
    for path in options.out:
        write_whole(path, (to_json(value) if path.suffix == ".json" else text).encode())
    return 0 if all(each.exponent <= MOST_EXPONENT for each in growths) else 1


if __name__ == "__main__":
    sys.exit(main())

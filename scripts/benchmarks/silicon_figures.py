"""`make bench-silicon`: what accelerators take on devices, how fast they are, and the estimates.

The coefficients of `hw.silicon.estimation` are fitted to syntheses of made-up networks, and the
estimates are compared with syntheses of the networks that ship, which the fit has not seen. With
`--place` the networks that ship are placed and routed, too. Everything comes from the cache if it
was done before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy.optimize import nnls

from systolith import golden
from systolith.golden.files.whole_files import write_whole
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.hw.accelerator import CLASSIFIER, FRAME_CHECKER, part_module, unit_part
from systolith.hw.folding import Plan
from systolith.hw.planning.budget import PRESETS, Goal, make_plan
from systolith.hw.silicon.estimation import (
    FEATURES,
    SCHEMA,
    Coefficients,
    FamilyCoefficients,
    coefficients,
    estimate,
    features,
    structures,
)
from systolith.hw.silicon.flow import synthesize_folder
from systolith.hw.silicon.synthesis_report import PartEntry, SynthesisReport
from systolith.hw.silicon.targets import DEVICES, WORDS, Family
from systolith.hw.verilog import artifacts
from systolith.scripts.calibration_split import calibration_images
from systolith.scripts.console import to_json

TARGETS = ("ecp5-85k", "gowin-gw2a18", "xc7a100t")
"""A device of each family that has estimates."""

SEEDS = range(1, 6)

MOST_ERROR = 0.2
"""The largest relative error of an estimate of LUTs, flip-flops or memories."""

_SMALL = 200
"""The fit counts the errors of parts with fewer cells than this as if they had as many."""

_COEFFICIENTS = Path(__file__).parents[2] / "hw" / "silicon" / "coefficients.json"

PLACED = (
    ("lenet5-relu", "medium", "ecp5-85k", "6"),
    ("lenet5", "medium", "ecp5-85k", "6"),
    ("lenet5-relu", "small", "ecp5-25k", "6"),
    ("lenet5", "small", "ecp5-25k", "6"),
    ("lenet5-relu", "medium", "ecp5-85k", "8"),
)
"""Network, preset, target and speed grade of what is placed and routed."""


@dataclass(frozen=True)
class Made:
    """A network that the coefficients are fitted to.

    Parameters
    ----------
    side
        The height and width of its images.
    channels
        The output channels of its two convolutions.
    units
        The units of its dense layer.
    bits
        Bits of weights and feature maps.
    multipliers
        The most multipliers of its plan.
    activation
        The activation of all layers but the last.
    average, radial
        Whether it pools by averages, and whether its last layer is a radial basis layer.
    """

    side: int
    channels: tuple[int, int]
    units: int
    bits: int
    multipliers: int
    activation: str
    average: bool = False
    radial: bool = False

    @property
    def name(self) -> str:
        """A name that says what it is."""
        return f"made-{self.side}-{self.channels[1]}-{self.bits}-{self.multipliers}"


FITTED = (
    Made(12, (4, 6), 20, 8, 20, "relu"),
    Made(16, (6, 10), 40, 8, 60, "relu", average=True),
    Made(20, (4, 12), 60, 6, 100, "tanh", radial=True),
    Made(24, (8, 8), 84, 8, 40, "sigmoid"),
    Made(28, (6, 16), 100, 4, 150, "relu"),
    Made(28, (5, 12), 80, 8, 110, "tanh", average=True),
)


def made_network(made: Made) -> QuantizedNetwork:
    """The quantized network, with random weights."""
    activation = Activation(made.activation)
    pooling = AveragePooling if made.average else MaxPooling
    first, second = made.channels
    last = RadialBasis if made.radial else Dense
    layers: tuple[Layer, ...] = (
        Input(name="input", height=made.side, width=made.side),
        Convolution(
            name="C1",
            inputs=("input",),
            kernel=(5, 5),
            padding=(2, 2),
            out_channels=first,
            activation=activation,
        ),
        pooling(name="S2", inputs=("C1",), window=(2, 2)),
        Convolution(
            name="C3",
            inputs=("S2",),
            kernel=(3, 3),
            out_channels=second,
            activation=activation,
        ),
        Dense(name="F4", inputs=("C3",), units=made.units, activation=activation),
        last(name="output", inputs=("F4",), units=10),
    )
    network = Network(made.name, layers)
    rng = np.random.default_rng(1)
    arrays = {
        layer.name: {
            name: rng.normal(0, 0.2, shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    images = rng.integers(0, 256, (20, made.side, made.side, 1), dtype=np.uint8)
    widths = LayerSettings(weight_bits=made.bits, activation_bits=made.bits)
    return quantize(TrainedNetwork(network, arrays), images, Settings(widths))


def shipped() -> Iterator[tuple[str, QuantizedNetwork, Plan]]:
    """The networks that ship at every preset that fits a device here: name, network and plan."""
    images = calibration_images()
    for name in ("lenet5", "lenet5-relu"):
        quantized = quantize(golden.load_network(name), images)
        for preset in ("small", "medium"):
            yield f"{name} {preset}", quantized, make_plan(quantized.fixed, PRESETS[preset])


@contextmanager
def generated(quantized: QuantizedNetwork, plan: Plan) -> Iterator[Path]:
    """A folder with the hardware of a network with a plan."""
    with tempfile.TemporaryDirectory() as folder:
        rtl = Path(folder) / "rtl"
        artifacts.generate(quantized, rtl, plan)
        yield rtl


def part_entries(report: SynthesisReport, top: str) -> dict[str, PartEntry]:
    """The parts of a report by the names of their modules."""
    frame, classifier, outside = report.parts
    modules = {part_module(top, unit_part(each.name)): each for each in report.layers}
    others = {part_module(top, FRAME_CHECKER): frame, part_module(top, CLASSIFIER): classifier}
    return {**modules, **others, top: outside}


def fit(rows: Sequence[tuple[Sequence[int], int]]) -> dict[str, float]:
    """The coefficients, none below 0, with the least relative errors of sums of features.

    Parameters
    ----------
    rows
        The features of parts, in the order of `FEATURES`, and their count in a synthesis.
    """
    inputs = np.array([each for each, _ in rows], dtype=float)
    counts = np.array([count for _, count in rows], dtype=float)
    weights = 1 / (counts + _SMALL)
    found, _ = nnls(inputs * weights[:, None], counts * weights)
    return {name: round(float(each), 4) for name, each in zip(FEATURES, found, strict=True)}


def fitted(targets: Sequence[str]) -> Coefficients:
    """The coefficients of the families of targets, from syntheses of the networks in `FITTED`.

    Those of other families stay.
    """
    rows: dict[str, list[tuple[Sequence[int], PartEntry]]] = {target: [] for target in targets}
    for made in FITTED:
        quantized = made_network(made)
        plan = make_plan(quantized.fixed, Goal(max_multipliers=made.multipliers))
        parts = structures(quantized.fixed, plan)
        top = next(iter(parts))
        with generated(quantized, plan) as rtl:
            for target in targets:
                print(f"{made.name} on {target}", file=sys.stderr, flush=True)
                entries = part_entries(synthesize_folder(rtl, target), top)
                for name, part in parts.items():
                    found = features(part, DEVICES[target].family).features
                    rows[target].append(([found.get(each, 0) for each in FEATURES], entries[name]))
    families = {
        DEVICES[target].family.name: fit_family(DEVICES[target].family, seen)
        for target, seen in rows.items()
    }
    return Coefficients(SCHEMA, {**coefficients().families, **families})


def fit_family(
    family: Family, rows: Sequence[tuple[Sequence[int], PartEntry]]
) -> FamilyCoefficients:
    """The coefficients of a family, from features of parts and what they took."""

    def carry_luts(entry: PartEntry) -> int:
        memories = entry.occupied.distributed_memories * family.luts_of_distributed_memory
        return entry.occupied.luts - entry.luts - memories

    return FamilyCoefficients(
        fit([(inputs, entry.luts) for inputs, entry in rows]),
        fit([(inputs, carry_luts(entry)) for inputs, entry in rows]),
        fit([(inputs, entry.flip_flops) for inputs, entry in rows]),
    )


def validated(targets: Sequence[str]) -> list[dict[str, Any]]:
    """Estimates beside syntheses, of the networks that ship."""
    found = []
    for name, quantized, plan in shipped():
        parts = structures(quantized.fixed, plan)
        with generated(quantized, plan) as rtl:
            for target in targets:
                print(f"{name} on {target}", file=sys.stderr, flush=True)
                both = {
                    "estimate": asdict(estimate(parts, DEVICES[target]).occupied),
                    "real": asdict(synthesize_folder(rtl, target).occupied),
                }
                found.append({"design": name, "target": target, **both})
    return found


def error(about: int, real: int) -> float:
    """The relative error of an estimate."""
    return (about - real) / max(real, 1)


def placed() -> list[dict[str, Any]]:
    """The clocks of the networks that ship."""
    plans = {name: (quantized, plan) for name, quantized, plan in shipped()}
    found = []
    for name, preset, target, grade in PLACED:
        print(f"{name} {preset} on {target}, grade {grade}", file=sys.stderr, flush=True)
        with generated(*plans[f"{name} {preset}"]) as rtl:
            report = synthesize_folder(rtl, target, grade, SEEDS)
        found.append({"design": f"{name} {preset}", **msgspec.to_builtins(report)})
    return found


def to_markdown(document: Mapping[str, Any]) -> str:
    """The page of the figures."""
    lines = [
        "# Silicon: figures\n",
        "Made by `make bench-silicon`; [synthesis.md](synthesis.md) says what the figures mean.\n",
        "## Estimates beside syntheses\n",
        "The coefficients were fitted to other, made-up networks.\n",
        "| design | target | resource | estimate | synthesis | error |",
        "|---|---|---|---:|---:|---:|",
    ]
    for row in document["estimates"]:
        for key, word in WORDS.items():
            about, real = row["estimate"][key], row["real"][key]
            off = f"{error(about, real):+.1%}"
            start = f"| {row['design']} | {row['target']} | {word}"
            lines.append(f"{start} | {about:,} | {real:,} | {off} |")
    if document["placements"]:
        lines += [
            "\n## After routing\n",
            "| design | device | grade | MHz, median | MHz, best | LUTs | images/s | latency |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
        ]
    for each in document["placements"]:
        lines.append(
            f"| {each['design']} | {each['part']} | {each['grade']} | {each['clock_mhz']:.1f} "
            f"| {each['best_clock_mhz']:.1f} | {each['occupied']['luts']:,} "
            f"| {each['images_per_second']:,.0f} | {each['latency_us']:.1f} us |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, validate and, if asked, place; returns 1 if an estimate is too far off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", action="store_true", help="place and route, for hours")
    parser.add_argument("--targets", nargs="+", default=TARGETS, choices=TARGETS)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args(arguments)
    write_whole(_COEFFICIENTS, to_json(msgspec.to_builtins(fitted(options.targets))).encode())
    coefficients.cache_clear()
    document: dict[str, Any] = {
        "schema": "systolith.silicon/1",
        "estimates": validated(options.targets),
        "placements": placed() if options.place else [],
    }
    write_whole(options.out / "silicon.json", to_json(document).encode())
    write_whole(options.out / "silicon.md", to_markdown(document).encode())
    worst = max(
        abs(error(row["estimate"][key], row["real"][key]))
        for row in document["estimates"]
        for key in WORDS
    )
    print(f"largest error of an estimate: {worst:.1%}")
    return int(worst > MOST_ERROR)


if __name__ == "__main__":
    sys.exit(main())

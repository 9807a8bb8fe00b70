"""The report of a simulation, as data, and its file `simulation.json`.

`sim.simulate` returns one; the commands print it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from systolith.golden.files import json_files
from systolith.golden.files.json_files import Count
from systolith.golden.reports.html_table import html_table
from systolith.hw.streams.result_layout import ResultKind
from systolith.sim.record.junit import Case, junit
from systolith.sim.record.scoreboard import LayerResult
from systolith.sim.simulators.installed import Engine, Simulator
from systolith.sim.timing import Timing

SCHEMA = "systolith.simulation/1"
"""The schema of the file."""

FILE_NAME = "simulation.json"
"""The name of the file, in the folder of the hardware."""

LOG_NAME = "simulation.log"
"""The name of the file with the simulator's output, in the same folder."""

JUNIT_NAME = "results.xml"
"""The name of the file with a test case for each layer, in the same folder."""

_MAX_BYTES = 1 << 26


class _LayerOutcome(msgspec.Struct, frozen=True):
    mismatches: Count


class Outcome(msgspec.Struct, frozen=True):
    """The part of a simulation report that accuracy reports quote, and what it is about."""

    quantized_sha256: str
    bit_exact: bool
    images: Count
    layers: tuple[_LayerOutcome, ...]
    layer: str | None = None
    violations: tuple[Any, ...] = ()
    plan_sha256: str = ""
    verilog_sha256: str = ""
    simulator: str = ""
    engine_images: dict[str, Count] = {}

    @property
    def agrees(self) -> bool:
        """Whether it says of the whole network what its own counts say."""
        wrong = self.violations or any(layer.mismatches for layer in self.layers)
        return self.layer is None and self.images > 0 and self.bit_exact == (not wrong)


def load_outcome(folder: str | os.PathLike[str]) -> Outcome:
    """The outcome in the simulation report of a folder of hardware.

    Raises
    ------
    FileFormatError
        There is none, or it is damaged or of another version.
    """
    return json_files.read(Path(folder) / FILE_NAME, Outcome, SCHEMA, _MAX_BYTES)


@dataclass(frozen=True)
class SimulationReport:
    """The result of a simulation.

    Parameters
    ----------
    network
        The network's name.
    quantized_sha256
        The hash of its quantized file, in hex.
    plan_sha256, verilog_sha256
        The hashes of the files of the plan and of the Verilog in the folder.
    as_generated
        Whether this Verilog is the one that the folder's manifest describes.
    dataset
        `name`, `split`, `sha256` and number of `images` of the data set of the images.
    simulator
        Its name.
    engines
        The number of images that each engine simulated, by its name, in order.
    layer
        The layer whose unit was simulated alone, or None.
    stalls
        The seed of random pauses, or None.
    fault
        The fault that was injected, or None.
    images
        The number of images that went in.
    result
        What the hardware puts out: `class`, or `scores`.
    classes
        The class of each image by the hardware; -1 if no result came out. Empty if it puts out
        scores, and for a layer alone.
    correct
        The number of images whose class is that of their label; None if there are no classes.
    interval_cycles
        Clock cycles between the last two of the first `sim.timing.MEASURED_IMAGES` results, source
        and sink never pausing; None if fewer than two results were measured.
    latency_cycles
        Clock cycles from the first pixel taken to the first result offered, likewise.
    layers
        Every layer that was compared, in order.
    layer_timings
        The cycles of each layer, likewise, by name; empty if none were measured.
    deviations
        One line for each figure of these cycles that is not that of the manifest, which predicts
        them; None if too few images were measured.
    waves_image
        The image whose waveform was written, or None.
    violations
        Stream rules that were broken, results that do not follow from the last layer's values,
        images without a result; empty if there are none.
    kept
        The files with the simulator's output and with a test case for each layer; empty if they
        were not written.
    """

    network: str
    quantized_sha256: str
    plan_sha256: str
    verilog_sha256: str
    as_generated: bool
    dataset: dict[str, Any]
    simulator: Simulator
    engines: dict[Engine, int]
    layer: str | None
    stalls: int | None
    fault: str | None
    images: int
    result: ResultKind
    classes: tuple[int, ...]
    correct: int | None
    interval_cycles: int | None
    latency_cycles: int | None
    layers: tuple[LayerResult, ...]
    layer_timings: dict[str, Timing]
    deviations: tuple[str, ...] | None
    waves_image: int | None
    violations: tuple[str, ...]
    kept: tuple[Path, ...] = ()

    @property
    def engine(self) -> str:
        """The engine, or `both`."""
        return next(iter(self.engines)) if len(self.engines) == 1 else "both"

    @property
    def bit_exact(self) -> bool:
        """Whether no value differs and there is no violation."""
        return not self.violations and not any(layer.mismatches for layer in self.layers)

    @property
    def as_predicted(self) -> bool | None:
        """Whether all cycles are those of the manifest; None if too few images were measured."""
        return None if self.deviations is None else not self.deviations

    @property
    def accuracy(self) -> float | None:
        """The share of images with the class of their label; None without classes or labels."""
        return None if self.correct is None else self.correct / self.images

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each layer that differs, in order, then the violations and deviations.

        The check has passed if there are none.
        """
        layers = (str(layer) for layer in self.layers if layer.mismatches)
        return (*layers, *self.violations, *(self.deviations or ()))

    def to_json(self) -> bytes:
        """The bytes of the file."""
        content = {
            "schema": SCHEMA,
            "network": self.network,
            "quantized_sha256": self.quantized_sha256,
            "plan_sha256": self.plan_sha256,
            "verilog_sha256": self.verilog_sha256,
            "as_generated": self.as_generated,
            "dataset": self.dataset,
            "simulator": self.simulator,
            "engine": self.engine,
            "engine_images": self.engines,
            "layer": self.layer,
            "stalls": self.stalls,
            "images": self.images,
            "bit_exact": self.bit_exact,
            "result": self.result,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval_cycles": self.interval_cycles,
            "latency_cycles": self.latency_cycles,
            "as_predicted": self.as_predicted,
            "deviations": self.deviations,
            "layers": [self._layer(layer) for layer in self.layers],
            "violations": self.violations,
        }
        return json.dumps(content, indent=2).encode() + b"\n"

    def to_junit(self) -> bytes:
        """The bytes of a JUnit file: a test case for each layer, the streams and the cycles."""
        suite = f"{self.network} on {self.simulator} by {' and '.join(self.engines)}"
        cases = [Case(each.name, str(each) if each.mismatches else None) for each in self.layers]
        cases.append(Case("streams and results", "; ".join(self.violations) or None))
        if self.deviations is not None:
            cases.append(Case("cycles as predicted", "; ".join(self.deviations) or None))
        return junit(suite, cases)

    def _repr_html_(self) -> str:
        verdict = "every value equal" if self.bit_exact else "; ".join(self.failures)
        caption = f"{self.network}, {self.images:,} images on {self.simulator}: {verdict}"
        rows = [(layer.name, f"{layer.values:,}", f"{layer.mismatches:,}") for layer in self.layers]
        return html_table(("layer", "values compared", "mismatches"), rows, 1, caption)

    def _layer(self, layer: LayerResult) -> dict[str, Any]:
        timing = self.layer_timings.get(layer.name)
        cycles = asdict(timing) if timing else {"interval_cycles": None, "latency_cycles": None}
        return asdict(layer) | cycles

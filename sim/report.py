"""The result of a simulation as data: `simulation.json`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from systolith.golden.files import json_files
from systolith.sim.record.scoreboard import LayerResult
from systolith.sim.simulators.installed import Simulator
from systolith.sim.timing import Timing

SCHEMA = "systolith.simulation/1"
"""The schema of a report."""

FILE_NAME = "simulation.json"
"""What it is called in the folder of the hardware."""

_MAX_BYTES = 1 << 26


class Outcome(msgspec.Struct, frozen=True):
    """The part of a simulation report that accuracy reports quote."""

    quantized_sha256: str
    bit_exact: bool


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
    """What a simulation found.

    Parameters
    ----------
    network
        The network's name.
    quantized_sha256
        Of its quantized file, in hex.
    dataset
        `name`, `split`, `sha256` and number of `images` of the data that the images are from.
    simulator
        Which one.
    layer
        The layer whose unit was simulated alone, or None.
    stalls
        The seed of random pauses, or None.
    fault
        The fault that was put into the hardware on purpose, or None.
    images
        Images that went in.
    classes
        The class of each, as the hardware gave it; -1 if it gave none; empty of a layer alone.
    correct
        Images of the class that their label says; None of a layer alone.
    interval_cycles
        Clock cycles between the last two of the first `sim.timing.MEASURED_IMAGES` results, source
        and sink always ready; None where no two results came so.
    latency_cycles
        Clock cycles from the first pixel taken to the first result offered, likewise.
    layers
        Every layer that was compared, in order.
    layer_timings
        The cycles of each layer of the network, likewise, by name; empty where none were measured.
    as_predicted
        Whether these cycles are those of the manifest; None where too few images passed.
    waves_image
        The image whose waveform was written, or None.
    violations
        Rules of streams that were broken, results that are not the scores' winner, images that
        did not come out; empty if all is well.
    """

    network: str
    quantized_sha256: str
    dataset: dict[str, Any]
    simulator: Simulator
    layer: str | None
    stalls: int | None
    fault: str | None
    images: int
    classes: tuple[int, ...]
    correct: int | None
    interval_cycles: int | None
    latency_cycles: int | None
    layers: tuple[LayerResult, ...]
    layer_timings: dict[str, Timing]
    as_predicted: bool | None
    waves_image: int | None
    violations: tuple[str, ...]

    @property
    def bit_exact(self) -> bool:
        """Whether nothing differed and nothing was broken."""
        return not self.violations and not any(layer.mismatches for layer in self.layers)

    @property
    def accuracy(self) -> float | None:
        """The share of images of the class that their label says; None of a layer alone."""
        return None if self.correct is None else self.correct / self.images

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, a line each: the layers that differ, in order, then the violations."""
        layers = (str(layer) for layer in self.layers if layer.mismatches)
        return (*layers, *self.violations)

    def to_json(self) -> bytes:
        """The bytes of the file."""
        content = {
            "schema": SCHEMA,
            "network": self.network,
            "quantized_sha256": self.quantized_sha256,
            "dataset": self.dataset,
            "simulator": self.simulator,
            "layer": self.layer,
            "stalls": self.stalls,
            "images": self.images,
            "bit_exact": self.bit_exact,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval_cycles": self.interval_cycles,
            "latency_cycles": self.latency_cycles,
            "as_predicted": self.as_predicted,
            "layers": [self._layer(layer) for layer in self.layers],
            "violations": self.violations,
        }
        return json.dumps(content, indent=2).encode() + b"\n"

    def _layer(self, layer: LayerResult) -> dict[str, Any]:
        timing = self.layer_timings.get(layer.name)
        cycles = asdict(timing) if timing else {"interval_cycles": None, "latency_cycles": None}
        return asdict(layer) | cycles

"""The classes of images by generated hardware, every layer compared with the fixed-point model.

`simulate` reports on a data set and writes its report; here, images need no labels, and nothing is
written.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from systolith.golden.qformat import RawImages
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import tapped_network

if TYPE_CHECKING:
    from systolith.hw.verilog.artifacts import Artifacts


@dataclass(frozen=True)
class Classification:
    """What hardware made of some images.

    Parameters
    ----------
    classes
        The class of each image by the hardware; -1 if no result came out. Empty if it puts out
        scores.
    failures
        One line for each layer that differs from the fixed-point model, then for results and stream
        rules; none if every value is equal.
    """

    classes: tuple[int, ...]
    failures: tuple[str, ...]


def classify(built: Artifacts, images: RawImages) -> Classification:
    """Simulate images on the hardware of a folder, on Verilator.

    Parameters
    ----------
    built
        The content of the folder (`hw.verilog.artifacts.load`).
    images
        The images, `(images, height, width, channels)`, as the network takes them.

    Raises
    ------
    MissingToolError
        Verilator or the C++ compiler is not installed.
    SimulationError
        The simulator could not be built or died.
    """
    fixed = built.quantized.fixed
    network = tapped_network(fixed, built.manifest, built.verilog)
    check = Check(fixed, images, [layer.name for layer in fixed.layers], built.manifest.result)
    with closing(simulate_bulk(network, images, None)) as batches:
        for _ in check.take(batches):
            pass
    layers = (str(layer) for layer in check.layer_results() if layer.mismatches)
    return Classification(tuple(check.classes.tolist()), (*layers, *check.violations()))

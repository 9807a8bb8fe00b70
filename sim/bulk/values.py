"""The simulated values of every layer for a few images.

The pages of reports show them next to those of the model.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from systolith.golden.qformat import RawImages
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.record.taps import tapped_network


def simulated_values(
    folder: str | os.PathLike[str], images: RawImages
) -> dict[str, NDArray[np.int64]]:
    """The raw values of every layer, simulated on Verilator; memory grows with the images.

    Parameters
    ----------
    folder
        A folder that `hw.generate` wrote.
    images
        Raw values `(images, height, width, channels)`.

    Returns
    -------
    dict
        For each layer, by name, shape `(images, height, width, channels)`.

    Raises
    ------
    FileFormatError
        The folder holds no hardware, or damaged files.
    MissingToolError, SimulationError
        A tool is not installed, or the simulator could not be built or died.
    """
    from systolith.hw.verilog import (
        artifacts,  # imports Amaranth, which benches inside simulators do without
    )

    built = artifacts.load(folder)
    fixed = built.quantized.fixed
    network = tapped_network(fixed, built.manifest, built.verilog)
    batches = sorted(simulate_bulk(network, images, stalls=None), key=lambda batch: batch.first)
    records = np.concatenate([batch.records for batch in batches])
    return {
        layer.name: records[layer.name].reshape(len(images), *layer.output_shape).astype(np.int64)
        for layer in fixed.layers
    }

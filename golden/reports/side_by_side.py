"""The values of the float and of the fixed network for the same images, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.network import float_model
from systolith.golden.network.affine import affines
from systolith.golden.network.trained_network import Array
from systolith.golden.qformat import RawImages
from systolith.golden.quantization.quantized_network import QuantizedNetwork


@dataclass(frozen=True, eq=False)
class LayerValues:
    """A layer's values in both networks.

    Parameters
    ----------
    name
        The layer's.
    real
        The float network's values, `(images, height, width, channels)`.
    held
        The real numbers for which the fixed network's values stand, in the same shape.
    format
        The fixed network's format.
    step, offset
        A raw value stands for `raw * step + offset`.
    """

    name: str
    real: Array
    held: NDArray[np.float64]
    format: QFormat
    step: float
    offset: float

    @property
    def ends(self) -> tuple[float, float]:
        """The real numbers for which the least and the greatest raw value stand."""
        low, high = self.format.min_raw, self.format.max_raw
        return low * self.step + self.offset, high * self.step + self.offset


def side_by_side(quantized: QuantizedNetwork, images: RawImages) -> Iterator[LayerValues]:
    """The values of every layer for some images; memory grows with the number of images.

    Parameters
    ----------
    quantized
        The fixed network, and its float parent.
    images
        Raw values `(images, height, width, channels)`.

    Raises
    ------
    ValueError
        The images have another shape or type.
    """
    fixed = quantized.fixed
    standing = affines(fixed.network)
    outputs = FixedModel(fixed).run(images).outputs
    for name, _, real in float_model.intermediates(quantized.parent, images):
        if name in outputs:
            fmt, affine = fixed[name].output_format, standing[name]
            step = affine.gain * fmt.step
            held = outputs[name].astype(np.float64)
            held *= step
            held += affine.offset
            yield LayerValues(name, real, held, fmt, step, affine.offset)

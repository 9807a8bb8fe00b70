"""A layer before it has integers, with all that their choice depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.affine import Affine, pre_activation
from systolith.golden.network.graph import Activation, Layer, RadialBasis
from systolith.golden.quantization.format_choice import choose_frac_bits
from systolith.golden.quantization.methods import PERCENTILE, Function
from systolith.golden.quantization.observation import Observed
from systolith.golden.quantization.settings import LayerSettings

Reals = NDArray[np.float64]
Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One layer of a trained network, to be quantized.

    Parameters
    ----------
    base
        The layer with its shapes, its input format and its padding, and no integers yet.
    source
        What the fixed-point values of its input stand for.
    arrays
        Trained weights and bias.
    settings
        The choices for this layer.
    observed
        Its values before the activation, in real numbers.
    last
        Whether it is the last layer of the network.
    following
        The next layer as a function of this layer's real values, if errors count after it: if its
        activation is a table.
    """

    base: FixedLayer
    source: Affine
    arrays: Mapping[str, Reals]
    settings: LayerSettings
    observed: Observed
    last: bool
    following: Function | None

    @property
    def layer(self) -> Layer:
        """The layer of the graph."""
        return self.base.layer

    @property
    def activation(self) -> Activation:
        """The layer's activation."""
        return self.layer.activation

    @property
    def gives_scores(self) -> bool:
        """Whether its accumulators are the network's scores, and not requantized."""
        return self.last and self.activation.is_identity

    @property
    def signed(self) -> bool:
        """Whether its values need a signed format."""
        return self.activation.function.signed and not isinstance(self.layer, RadialBasis)

    @property
    def gain(self) -> float:
        """The real number that a 1 before the activation stands for."""
        return pre_activation(self.layer, self.source).gain

    @property
    def sums(self) -> Observed:
        """The values before the activation without their gain: what accumulators stand for."""
        return self.observed.map(lambda values: values / np.float64(self.gain))

    def function(self, sums: Values) -> Values:
        """The activation of sums, without its amplitude."""
        return self._of_argument(self.activation.function.function, sums)

    def of_sums(self, sums: Values) -> Values:
        """The activation of sums, as a multiple of the gain: what requantized sums stand for."""
        function = self.activation.function
        if function.limits is None:
            # None and a rectifier do not depend on the gain.
            return function.function(sums)
        return function.function(self.gain * sums) / self.gain

    def derivative(self, sums: Values) -> Values:
        """The derivative of the activation at sums, up to a constant factor."""
        return self._of_argument(self.activation.function.derivative, sums)

    def choose(
        self, values: Observed, bits: int, signed: bool, through: Function | None = None
    ) -> int | None:
        """The `frac_bits` for values of a feature map, by the layer's calibration method."""
        percentile = self.settings.percentile
        return choose_frac_bits(
            values.values,
            bits,
            signed,
            self.settings.calibration,
            through=through,
            ends=values.ends,
            percentile=PERCENTILE if percentile is None else percentile,
        )

    def _of_argument(self, function: Callable[[Values], Values], sums: Values) -> Values:
        return function(self.activation.slope * self.gain * sums)

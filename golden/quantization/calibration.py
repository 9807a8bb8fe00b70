"""From a trained network to integers: formats chosen on calibration images, weights rounded.

Scales are powers of two: one for a feature map, one for an output channel or a layer of weights.
The graph's other scales (the input's, amplitudes of activations) are folded into the weights of the
next layer that has weights; see `affine`. An amplitude of the last layer is left out, and the
scores are then proportional to the real ones.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from systolith.golden.files.datasets import UNNAMED
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network import float_model
from systolith.golden.network.affine import affines
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.qformat import RawImages
from systolith.golden.quantization.bias_correction import with_corrected_bias
from systolith.golden.quantization.float_layer import FloatLayer
from systolith.golden.quantization.layer_input import with_input
from systolith.golden.quantization.layer_integers import with_integers
from systolith.golden.quantization.observation import CalibrationError, Observations, observe
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import Settings
from systolith.golden.quantization.value_format import with_accumulator


def quantize(
    trained: TrainedNetwork,
    calibration_images: RawImages,
    settings: Settings | None = None,
    name: str = UNNAMED,
) -> QuantizedNetwork:
    """Make the fixed-point twin of a trained network.

    Parameters
    ----------
    trained
        The network.
    calibration_images
        Raw values `(images, height, width, channels)`, on which the formats of feature maps are
        chosen; never those that the network is evaluated on. Ranges are those of all images;
        squared errors are summed over an even sample of them that gives about a million values a
        layer.
    settings
        Widths and methods; 8 bits and least squared error by default.
    name
        Of the calibration images, for the file of the network.

    Raises
    ------
    SettingsError
        The settings name a layer that does not exist, or a key that has no effect on it.
    CalibrationError
        A layer cannot be quantized; its name and why.
    ValueError
        There are no images, or they are not of the network's shape.
    """
    settings = settings or Settings()
    settings.check(trained.network)
    return quantize_observed(observe(trained, calibration_images, name), settings)


def quantize_observed(
    observations: Observations, settings: Settings, like: QuantizedNetwork | None = None
) -> QuantizedNetwork:
    """Make the fixed-point twin of a network that was observed: the same as `quantize` makes.

    Parameters
    ----------
    observations
        The network, and its values on the calibration images.
    settings
        Widths and methods.
    like
        The same network with other settings, made of the same observations. Layers on which the
        difference of the settings has no effect are taken over from it, which saves time.

    Raises
    ------
    SettingsError, CalibrationError
        As `quantize`.
    ValueError
        `like` is of another network, or of other calibration images.
    """
    trained, network = observations.trained, observations.trained.network
    settings.check(network)
    if like is not None and (
        like.parent is not trained or like.calibrated_on != observations.calibrated_on
    ):
        raise ValueError(f"network {like.name!r}: is not made of these observations")
    standing = affines(network)
    layers: list[FixedLayer] = []
    followers = [*network.layers[2:], None]
    for (layer, _, shape), follower in zip(network.computing_layers(), followers, strict=True):
        if like is not None and _is_unchanged(layers, settings, like):
            layers.append(like.fixed.layers[len(layers)])
            continue
        source = standing[layer.inputs[0]]
        following = None
        if follower is not None and follower.activation.is_table:
            following = partial(float_model.apply, trained, follower.name)
        given = FloatLayer(
            base=with_input(network, layer, shape, layers[-1] if layers else None, source),
            source=source,
            arrays={k: v.astype(np.float64) for k, v in trained.arrays[layer.name].items()},
            settings=settings.of(layer.name),
            observed=observations.layers[layer.name],
            last=follower is None,
            following=following,
        )
        try:
            made = with_integers(given)
            if given.settings.bias_correction and "bias" in given.arrays:
                made = _bias_corrected(observations, layers, given, made)
            layers.append(with_accumulator(made))
        except (ValueError, OverflowError) as error:
            raise CalibrationError(f"{layer.type_name} {layer.name!r}: {error}") from None
    fixed = FixedNetwork(network, tuple(layers))
    return QuantizedNetwork(fixed, trained, settings, observations.calibrated_on)


def _is_unchanged(before: list[FixedLayer], settings: Settings, like: QuantizedNetwork) -> bool:
    """Whether the layer after these is that of `like`: its settings and its input are.

    Its integers depend on the format of its input, and corrected biases on its values, too.
    """
    others = like.fixed.layers
    name = others[len(before)].name
    own = settings.of(name)
    if own != like.settings.of(name):
        return False
    if own.bias_correction:
        return all(layer is other for layer, other in zip(before, others, strict=False))
    return not before or before[-1].output_format == others[len(before) - 1].output_format


def _bias_corrected(
    observations: Observations, before: list[FixedLayer], given: FloatLayer, made: FixedLayer
) -> FixedLayer:
    sums = given.sums
    return with_corrected_bias(
        observations.trained.network,
        before,
        made,
        observations.images[:: sums.every],
        sums.values,
        given.derivative(sums.values),
    )

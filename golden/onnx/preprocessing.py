"""How a network's input is computed from raw values, which no ONNX file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.qformat import PIXELS, QFormat, RawImages


@dataclass(frozen=True)
class Preprocessing:
    """The network's input is `(value * scale - mean) / std`; each is one number, or one a channel.

    That is what `ToTensor` (`scale=1/255`) and `Normalize(mean, std)` of torchvision do. The value
    is that of a raw value of `format`, by default a pixel. Without arguments, pixels from 0 to 255
    are the input.

    Raises
    ------
    ValueError
        A number is not finite, or a scale or a standard deviation is not above 0.
    """

    scale: tuple[float, ...] = (1.0,)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    format: QFormat = PIXELS

    def __post_init__(self) -> None:
        for name in ("scale", "mean", "std"):
            values = getattr(self, name)
            if not values or not np.isfinite(values).all():
                raise ValueError(f"preprocessing: {name} must be finite numbers, not {values}")
            if name != "mean" and min(values) <= 0:
                raise ValueError(f"preprocessing: {name} must be above 0, not {min(values)}")

    @property
    def is_raw(self) -> bool:
        """Whether pixels are taken as they are."""
        return self == Preprocessing()

    def fits(self, channels: int) -> bool:
        """Whether there is one number, or one for each of so many channels."""
        return {len(self.scale), len(self.mean), len(self.std)} <= {1, channels}

    def affine(self, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gain and offset of each channel: the input is `gain * value + offset`.

        Raises
        ------
        ValueError
            There is neither one number nor one a channel, or float32 cannot hold the input.
        """
        spread = []
        for name in ("scale", "mean", "std"):
            values = getattr(self, name)
            if len(values) not in (1, channels):
                raise ValueError(
                    f"preprocessing: {name} must be 1 number or {channels}, one a channel, "
                    f"not {len(values)}"
                )
            spread.append(np.broadcast_to(np.array(values, np.float64), channels))
        scale, mean, std = spread
        with np.errstate(over="ignore", under="ignore"):
            gain, offset = scale / std, (0.0 - mean) / std
            step, most = self.format.step, max(self.format.max_raw, -self.format.min_raw)
            largest = (most * step * gain + np.abs(offset)).max()
        limits = np.finfo(np.float32)
        if not (limits.tiny <= step * gain.min() and largest <= limits.max):
            value = "pixel" if self.format == PIXELS else "value"
            raise ValueError(
                f"preprocessing: ({value} * scale - mean) / std must be within float32's range: "
                f"a step of {value}s is {step * gain.min():.3g}, the largest input up to "
                f"{largest:.3g}"
            )
        return gain, offset

    def apply(self, images: RawImages) -> NDArray[Any]:
        """The network's input for images `(batch, height, width, channels)`, float64."""
        gain, offset = self.affine(images.shape[-1])
        return self.format.dequantize(images) * gain + offset

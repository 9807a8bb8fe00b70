"""Whether images are raw values that a network takes: checked wherever one computes with them."""

from __future__ import annotations

from systolith.golden.network.graph import Network
from systolith.golden.qformat import RawImages, first_outside


def check_raw_images(network: Network, images: RawImages) -> None:
    """Refuse images of another type or shape than a network takes, and values out of its range.

    Raises
    ------
    ValueError
        Names the network, what was given and what it takes; for a value, its place.
    """
    fmt, shape = network.input.format, network.input.image_shape
    if images.dtype != fmt.raw_type or images.shape[1:] != shape:
        raise ValueError(
            f"network {network.name!r}: images must be {fmt.raw_type} of {shape}, "
            f"not {images.dtype} of {' x '.join(map(str, images.shape[1:])) or 'no shape'}"
        )
    found = first_outside(images, fmt)
    if found is not None:
        raise ValueError(f"network {network.name!r} takes {fmt}: {found}")

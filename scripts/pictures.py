"""Pictures as images of a network: decoded with care, scaled to its input, and told how."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from systolith.golden.files.picture_decoding import decode_picture
from systolith.golden.qformat import PIXELS

if TYPE_CHECKING:
    from systolith.golden.network.graph import Input


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, and the image that was made of it.

    Parameters
    ----------
    path
        Its file.
    size
        Its width and height, upright.
    mode
        The mode of its pixels, by Pillow's names, such as `L` or `RGB`.
    scaled
        The width and height to which it was scaled; the rest of the image is background.
    image
        uint8 of the shape (height, width, channels) that the network takes.
    steps
        What was done, in words.
    """

    path: Path
    size: tuple[int, int]
    mode: str
    scaled: tuple[int, int]
    image: NDArray[np.uint8]
    steps: tuple[str, ...]


def read_picture(path: str | os.PathLike[str], network: Input, invert: bool) -> Picture:
    """Read a picture as an image of a network.

    It is scaled as a whole, its aspect ratio kept, to the largest size that fits the input, and
    stands in the middle; around it are pixels of the input's background.

    Parameters
    ----------
    path
        The picture.
    network
        The network's input, of one or three channels.
    invert
        Whether the pixels of the picture are subtracted from 255, as for dark digits on white.

    Raises
    ------
    FileFormatError
        The picture cannot be read (`decode_picture`).
    ValueError
        The network has another number of channels, or takes no pixels.
    """
    if network.format != PIXELS:
        raise ValueError(
            f"{path}: a picture has pixels, and the network takes {network.format}: give a .csv or "
            ".npz file"
        )
    wanted = {1: "L", 3: "RGB"}.get(network.channels)
    if wanted is None:
        raise ValueError(
            f"input {network.name!r}: pictures have 1 or 3 channels, the network takes "
            f"{network.channels}"
        )
    upright, mode, done = decode_picture(path)
    steps = list(done)
    if wanted == "L" and np.ptp(np.asarray(upright.convert("RGB")), axis=-1).any():
        steps.append("converted from colour to grey")
    elif wanted == "RGB" and upright.mode == "L":
        steps.append("grey as colour")
    pixels = upright.convert(wanted)
    if invert:
        pixels = ImageOps.invert(pixels)
    steps.append("inverted" if invert else "not inverted")

    room = network.width, network.height
    factor = min(room[0] / upright.width, room[1] / upright.height)
    scaled = max(1, round(upright.width * factor)), max(1, round(upright.height * factor))
    if scaled != upright.size:
        pixels = pixels.resize(scaled, Image.Resampling.BILINEAR)
        steps.append(f"scaled from {_size(upright.size)} to {_size(scaled)}, aspect ratio kept")
    image = np.full(network.image_shape, network.background, np.uint8)
    left, top = (room[0] - scaled[0]) // 2, (room[1] - scaled[1]) // 2
    image[top : top + scaled[1], left : left + scaled[0]] = np.asarray(pixels).reshape(
        scaled[1], scaled[0], -1
    )
    steps.append("not cropped")
    if scaled != room:
        steps.append(f"on a background of {network.background} to fill {_size(room)}")
    return Picture(Path(path), upright.size, mode, scaled, image, tuple(steps))


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"

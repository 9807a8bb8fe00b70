"""Pictures as images of a network: decoded with care, scaled to its input, and told how."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign
from systolith.golden.files.whole_files import read_whole

if TYPE_CHECKING:
    from systolith.golden.network.graph import Input

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP")
"""The formats that are read, by Pillow's names; PPM includes PGM."""

MAX_BYTES = 2**26
"""The largest file that is read, in bytes."""

MAX_SIDE = 16384
MAX_PIXELS = 2**26
"""The largest picture that is decoded."""

_GREY, _COLOUR = ("1", "L"), ("P", "RGB")
_WITH_ALPHA = ("LA", "PA", "RGBA")

# What decoders raise for damaged pictures in addition to their own error, an OSError.
_DAMAGED = (
    *(OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError, TypeError),
    *(AttributeError, struct.error, zlib.error),
)


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
        There is no such file, or it is no picture, damaged, too large, of several frames, partly
        transparent, or of more than 8 bits.
    ValueError
        The network has another number of channels.
    """
    wanted = {1: "L", 3: "RGB"}.get(network.channels)
    if wanted is None:
        raise ValueError(
            f"input {network.name!r}: pictures have 1 or 3 channels, the network takes "
            f"{network.channels}"
        )
    content = read_whole(path, MAX_BYTES)
    try:
        with warnings.catch_warnings(action="ignore"):
            upright, mode, steps = _decoded(content)
    except FileFormatError as error:
        raise FileFormatError(f"{os.fspath(path)}: {error}") from None
    except Image.DecompressionBombError:
        raise FileFormatError(
            f"{os.fspath(path)}: has too many pixels, at most {MAX_PIXELS} are read"
        ) from None
    except UnidentifiedImageError:
        reason = FileFormatError(f"is no picture of {', '.join(FORMATS)}")
        raise foreign.refusal(path, content, foreign.PICTURE, reason) from None
    except _DAMAGED as error:
        raise FileFormatError(f"{os.fspath(path)}: not an intact picture ({error})") from None
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


def _decoded(content: bytes) -> tuple[Image.Image, str, list[str]]:
    """The picture upright, grey or in colour, its mode in the file, and what was done to it."""
    steps = []
    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        width, height = picture.size
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise FileFormatError(
                f"has {_size(picture.size)} pixels, at most {MAX_SIDE} a side and {MAX_PIXELS} "
                "in all are read"
            )
        # Photos of telephones (MPO) have previews and the like after the picture.
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
        if frames != 1:
            raise FileFormatError(f"has {frames} frames, one is read")
        mode = picture.mode
        plain: Image.Image = picture
        if mode in _WITH_ALPHA or "transparency" in picture.info:
            plain = picture.convert("RGBA")
            if plain.getchannel("A").getextrema() != (255, 255):
                raise FileFormatError(
                    "has transparent pixels, whose colour is not known: give it a background first"
                )
        elif mode not in (*_GREY, *_COLOUR):
            raise FileFormatError(
                f"has pixels of the mode {mode}: grey or RGB of 8 bits are read, convert it first"
            )
        upright = ImageOps.exif_transpose(plain.convert("L" if mode in (*_GREY, "LA") else "RGB"))
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            steps.append("turned upright as its EXIF data say")
        return upright, mode, steps


_ORIENTATION = 0x0112


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"

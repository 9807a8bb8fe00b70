"""Decoding pictures with care: what is damaged, hostile or unclear is refused in one line."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from typing import NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign
from systolith.golden.files.whole_files import read_whole

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


class Decoded(NamedTuple):
    """A picture that was decoded.

    Parameters
    ----------
    upright
        Its pixels, of Pillow's mode `L` (grey) or `RGB`.
    mode
        The mode of its file, by Pillow's names.
    steps
        What was done to it, in words.
    """

    upright: Image.Image
    mode: str
    steps: tuple[str, ...]


def decode_picture(path: str | os.PathLike[str]) -> Decoded:
    """Read a picture.

    Raises
    ------
    FileFormatError
        There is no such file, or it is no picture, damaged, too large, of several frames, partly
        transparent, or of more than 8 bits.
    """
    content = read_whole(path, MAX_BYTES)
    try:
        with warnings.catch_warnings(action="ignore"):
            return _decoded(content)
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


def _decoded(content: bytes) -> Decoded:
    """The picture upright, grey or in colour, its mode in the file, and what was done to it."""
    steps = []
    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        width, height = picture.size
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise FileFormatError(
                f"has {width} x {height} pixels, at most {MAX_SIDE} a side and {MAX_PIXELS} "
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
        return Decoded(upright, mode, tuple(steps))


_ORIENTATION = 0x0112

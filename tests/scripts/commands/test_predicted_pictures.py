"""Pictures as images of a network: what is done to them, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from systolith.golden.errors import FileFormatError
from systolith.golden.network.graph import Input
from systolith.scripts.pictures import read_picture

GREY = Input(name="input", height=6, width=8, background=7)
COLOUR = Input(name="input", height=6, width=8, channels=3)
PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def save(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "pgm", "gif"])
def test_a_picture_of_the_right_size_is_not_changed(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(PIXELS))
    found = read_picture(path, GREY, invert=False)
    assert np.array_equal(found.image[..., 0], PIXELS)
    assert found.steps == ("not inverted", "not cropped")
    inverted = read_picture(path, GREY, invert=True)
    assert np.array_equal(inverted.image[..., 0], 255 - PIXELS)
    assert inverted.steps == ("inverted", "not cropped")


def test_a_picture_is_scaled_whole_and_stands_on_the_background(tmp_path: Path) -> None:
    picture = np.zeros((40, 20), np.uint8)
    picture[20:] = 200
    path = save(tmp_path / "a.png", Image.fromarray(picture))
    found = read_picture(path, GREY, invert=False)
    # 20 x 40 in 8 x 6: 3 x 6, with 2 and 3 columns around it.
    assert found.scaled == (3, 6)
    assert (found.image[:, [0, 1, 5, 6, 7]] == 7).all()
    assert found.image[[0, 1, 4, 5], 3, 0].tolist() == [0, 0, 200, 200]
    assert found.steps[1:] == (
        "scaled from 20 x 40 to 3 x 6, aspect ratio kept",
        "not cropped",
        "on a background of 7 to fill 8 x 6",
    )
    small = save(tmp_path / "b.png", Image.fromarray(np.full((3, 4), 9, np.uint8)))
    assert (read_picture(small, GREY, invert=False).image == 9).all()
    thin = save(tmp_path / "c.png", Image.fromarray(np.full((900, 1), 9, np.uint8)))
    assert read_picture(thin, GREY, invert=False).scaled == (1, 6)


def test_colour_and_grey(tmp_path: Path) -> None:
    red = save(tmp_path / "red.png", Image.new("RGB", (8, 6), (255, 0, 0)))
    found = read_picture(red, GREY, invert=False)
    assert (found.image == 76).all() and found.steps[0] == "converted from colour to grey"
    found = read_picture(red, COLOUR, invert=False)
    assert (found.image == [255, 0, 0]).all() and found.steps == ("not inverted", "not cropped")
    grey = save(tmp_path / "grey.png", Image.fromarray(PIXELS))
    found = read_picture(grey, COLOUR, invert=False)
    assert (found.image == PIXELS[..., np.newaxis]).all() and found.steps[0] == "grey as colour"
    palette = save(tmp_path / "p.png", Image.new("RGB", (8, 6), (255, 0, 0)).quantize(4))
    assert (read_picture(palette, COLOUR, invert=False).image == [255, 0, 0]).all()
    opaque = save(tmp_path / "o.png", Image.new("RGBA", (8, 6), (255, 0, 0, 255)))
    assert (read_picture(opaque, COLOUR, invert=False).image == [255, 0, 0]).all()
    with pytest.raises(ValueError, match="pictures have 1 or 3 channels, the network takes 2"):
        read_picture(red, Input(name="input", height=6, width=8, channels=2), invert=False)


def test_a_photo_is_set_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = Image.fromarray(np.rot90(PIXELS))
    path = save(tmp_path / "a.png", turned, exif=exif)
    found = read_picture(path, GREY, invert=False)
    assert np.array_equal(found.image[..., 0], PIXELS)
    assert found.size == (8, 6) and found.steps[0] == "turned upright as its EXIF data say"


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def huge(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def png(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is an empty file, not a picture"),
        (b"rows = 1", "is no picture of PNG, JPEG, BMP, GIF, PPM, WEBP"),
        (b"\x80\x04pickle", "is a Python pickle, such as a PyTorch file, not a picture"),
        (png(Image.fromarray(PIXELS))[:50], "not an intact picture"),
        (huge(20_000, 10), "has 20000 x 10 pixels, at most 16384 a side"),
        (huge(16_000, 6_000), "has 16000 x 6000 pixels, at most 16384 a side"),
        (huge(60_000, 60_000), "has too many pixels"),
        (huge(0, 5), "not an intact picture|is no picture|is a PNG picture"),
        (png(Image.new("RGBA", (8, 6), (1, 2, 3, 9))), "has transparent pixels"),
        (png(Image.new("I;16", (8, 6))), "has pixels of the mode I;16: grey or RGB of 8 bits"),
        (
            png(Image.new("L", (8, 6)), save_all=True, append_images=[Image.new("L", (8, 6), 9)]),
            "has 2 frames, one is read",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"a\.png: .*({message})") as refusal:
        read_picture(path, GREY, invert=False)
    assert "\n" not in str(refusal.value)


@given(st.binary(max_size=40), st.integers(0, 200), st.sampled_from(["PNG", "JPEG", "BMP", "GIF"]))
def test_damaged_pictures_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int, kind: str
) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind)
    content = bytearray(file.getvalue())
    content[place : place + len(noise)] = noise
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        found = read_picture(path, GREY, invert=False)
    except FileFormatError as error:
        outcome = str(error)
    else:
        outcome = f"{path}: {found.image.shape}"
    assert outcome.startswith(f"{path}: ") and "\n" not in outcome

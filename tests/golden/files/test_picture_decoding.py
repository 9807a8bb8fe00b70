"""Pictures of every format, mode and orientation: their pixels, or what is refused."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from systolith.golden.errors import FileFormatError
from systolith.golden.files import picture_decoding
from systolith.golden.files.picture_decoding import decode_picture

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
OPAQUE = np.full((4, 6), 255, np.uint8)


def decoded(folder: Path, picture: Image.Image, kind: str = "PNG", **options: Any) -> Any:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    (folder / "picture").write_bytes(file.getvalue())
    return decode_picture(folder / "picture")


UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}
"""The picture of stored pixels, by the EXIF standard's orientation."""


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_every_orientation_is_turned_upright_and_said_so(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decoded(tmp_path, Image.fromarray(GREY), exif=exif)
    assert np.array_equal(np.asarray(found.upright), UPRIGHT[orientation](GREY))
    assert found.steps == (("turned upright as its EXIF data say",) * (orientation != 1))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM", "WEBP"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_formats_without_loss_give_every_pixel(
    pixels: NDArray[np.uint8], kind: str, tmp_path: Path
) -> None:
    if kind == "GIF" and pixels.ndim == 3:
        pixels = pixels // 255 * 255
    options = {"lossless": True, "quality": 100} if kind == "WEBP" else {}
    found = decoded(tmp_path, Image.fromarray(pixels), kind, **options)
    made = np.asarray(found.upright)
    grey = kind in ("GIF", "WEBP") and pixels.ndim == 2
    assert np.array_equal(made, np.stack([pixels] * 3, axis=-1) if grey else pixels)
    assert found.steps == ()


def test_a_jpeg_picture_is_nearly_what_was_written(tmp_path: Path) -> None:
    found = decoded(tmp_path, Image.new("RGB", (6, 4), (200, 100, 50)), "JPEG", quality=100)
    assert np.abs(np.asarray(found.upright).astype(int) - [200, 100, 50]).max() <= 3
    # Telephones put previews after the picture.
    first, second = Image.new("L", (6, 4), 90), Image.new("L", (2, 2), 10)
    found = decoded(tmp_path, first, "MPO", save_all=True, append_images=[second])
    assert found.upright.size == (6, 4)
    assert abs(int(np.asarray(found.upright).mean()) - 90) <= 2


@pytest.mark.parametrize(
    ("mode", "upright"),
    [("1", "L"), ("L", "L"), ("LA", "L"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGB")],
)
def test_modes_become_grey_or_colour_and_that_of_the_file_is_known(
    mode: str, upright: str, tmp_path: Path
) -> None:
    found = decoded(tmp_path, Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode))
    assert (found.mode, found.upright.mode) == (mode, upright)
    assert (np.asarray(found.upright) == 255).all()


def test_what_is_opaque_keeps_its_colours(tmp_path: Path) -> None:
    for pixels, mode in ((COLOUR, "RGBA"), (GREY, "LA")):
        picture = Image.fromarray(pixels)
        picture.putalpha(Image.fromarray(OPAQUE))
        found = decoded(tmp_path, picture)
        assert found.mode == mode
        assert np.array_equal(np.asarray(found.upright), pixels)


def partly(alpha: int) -> Image.Image:
    """A picture with one pixel that is not opaque."""
    picture = Image.fromarray(COLOUR)
    values = OPAQUE.copy()
    values[3, 5] = alpha
    picture.putalpha(Image.fromarray(values))
    return picture


TRANSPARENT = "has transparent pixels, whose colour is not known: give it a background first"


@pytest.mark.parametrize(
    ("picture", "kind", "options", "reason"),
    [
        (partly(254), "PNG", {}, TRANSPARENT),
        (partly(0), "WEBP", {"lossless": True}, TRANSPARENT),
        (Image.fromarray(GREY), "PNG", {"transparency": 230}, TRANSPARENT),
        (
            Image.new("CMYK", (6, 4)),
            "JPEG",
            {},
            "has pixels of the mode CMYK: grey or RGB of 8 bits are read, convert it first",
        ),
        (
            Image.new("I;16", (6, 4)),
            "PNG",
            {},
            "has pixels of the mode I;16: grey or RGB of 8 bits are read, convert it first",
        ),
        (
            Image.fromarray(GREY),
            "GIF",
            {"save_all": True, "append_images": [Image.fromarray(GREY + 1), Image.fromarray(GREY)]},
            "has 3 frames, one is read",
        ),
        (
            Image.fromarray(GREY),
            "TIFF",
            {},
            (
                "is a TIFF picture, not a picture: systolith predict "
                "reads PNG, JPEG, BMP, GIF, PPM, PGM and WebP"
            ),
        ),
    ],
)
def test_what_is_unclear_is_refused(
    picture: Image.Image, kind: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError) as caught:
        decoded(tmp_path, picture, kind, **options)
    assert str(caught.value) == f"{tmp_path / 'picture'}: {reason}"


def test_too_large_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.fromarray(GREY)
    for side, pixels, is_read in ((6, 24, True), (5, 24, False), (6, 23, False)):
        monkeypatch.setattr(picture_decoding, "MAX_SIDE", side)
        monkeypatch.setattr(picture_decoding, "MAX_PIXELS", pixels)
        for turned, size in (
            (picture, "6 x 4"),
            (picture.transpose(Image.Transpose.ROTATE_90), "4 x 6"),
        ):
            if is_read:
                decoded(tmp_path, turned)
                continue
            reason = f"has {size} pixels, at most {side} a side and {pixels} in all are read"
            with pytest.raises(FileFormatError, match=f": {reason}$"):
                decoded(tmp_path, turned)


def test_a_damaged_picture_is_refused_by_its_name(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue()[:60])
    with pytest.raises(
        FileFormatError, match=rf"^{re.escape(str(tmp_path))}/a\.png: not an intact"
    ):
        decode_picture(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"rows = 1")
    message = r"a\.png: is no picture of PNG, JPEG, BMP, GIF, PPM, WEBP$"
    with pytest.raises(FileFormatError, match=message):
        decode_picture(tmp_path / "a.png")

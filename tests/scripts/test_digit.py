from __future__ import annotations

import numpy as np

from systolith.scripts.digit import draw


def test_without_colour_it_is_shades() -> None:
    image = np.array([[0, 255, 0], [0, 255, 255], [255, 0, 128]], np.uint8)
    assert draw(image, colour=False).plain == " @=\n= :"


def test_with_colour_each_half_block_is_two_pixels() -> None:
    image = np.array([[1, 2], [3, 4]], np.uint8)
    text = draw(image, colour=True)
    assert text.plain == "▀▀"
    assert [str(span.style) for span in text.spans] == [
        "rgb(1,1,1) on rgb(3,3,3)",
        "rgb(2,2,2) on rgb(4,4,4)",
    ]

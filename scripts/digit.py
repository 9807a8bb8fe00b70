"""A digit drawn in the terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

_SHADES = " .:-=+*#%@"


def draw(image: NDArray[np.uint8], colour: bool) -> Text:
    """An image of shape `(height, width)`: one line of text shows two rows of pixels.

    With colour, each character is a half block whose halves show two pixels. Without colour, it is
    a character as dark as their mean.
    """
    height, width = image.shape
    rows = np.zeros((height + height % 2, width), np.uint8)
    rows[:height] = image
    pairs = rows.reshape(-1, 2, width)
    lines = []
    for upper, lower in pairs:
        line = Text()
        for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
            if colour:
                line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
            else:
                line.append(_SHADES[(top + bottom) * len(_SHADES) // (2 * 256)])
        lines.append(line)
    return Text("\n").join(lines)

"""The errors of activation functions in fixed point, on all inputs from -3.5 to 3.5.

`python -m tests.golden.quantization.activation_errors` writes the table of docs/arithmetic.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from systolith import golden
from systolith.golden.qformat import QFormat

DOCUMENT = Path(__file__).parents[3] / "docs" / "arithmetic.md"
WIDTHS = (4, 6, 8)
FUNCTIONS: dict[str, tuple[float, ...]] = {
    "relu": (),
    "clip": (0.0, 3.0),
    "tanh": (),
    "sigmoid": (),
    "softplus": (),
    "softsign": (),
    "erf": (),
    "leaky_relu": (0.1,),
    "elu": (1.0,),
    "selu": (1.6732632, 1.050701),
    "hard_sigmoid": (0.2, 0.5),
    "hard_swish": (),
    "gelu": (),
    "mish": (),
    "swish": (1.0,),
    "exp": (),
    "abs": (),
}
"""The functions of the table, with their parameters."""

_FORMAT = QFormat(12, 9, signed=True)

INPUTS = np.arange(-3.5 / _FORMAT.step, 3.5 / _FORMAT.step + 1).astype(_FORMAT.raw_type)
"""All of them, as raw values of steps of 2**-9."""


@dataclass(frozen=True)
class Error:
    """The largest difference of a layer's values from the function, and the step of the values."""

    largest: float
    step: float


def error(kind: str, bits: int) -> Error:
    """The error of a layer that passes every input to an activation, its values of `bits` bits."""
    activation = golden.Activation(kind, parameters=FUNCTIONS[kind])
    network = golden.Network(
        kind,
        (
            golden.Input(name="input", height=1, width=1, scale=1.0, format=_FORMAT),
            golden.Dense(name="f", inputs=("input",), units=1, activation=activation),
            golden.Dense(name="last", inputs=("f",), units=1),
        ),
    )
    one = {"weights": np.ones((1, 1)), "bias": np.zeros(1)}
    trained = golden.TrainedNetwork(network, {"f": one, "last": one})
    images = INPUTS.reshape(-1, 1, 1, 1)
    settings = golden.Settings.from_mapping({"activation_bits": bits, "calibration": "minmax"})
    quantized = golden.quantize(trained, images, settings)
    step = quantized.fixed["f"].output_format.step
    found = golden.fixed_maps(quantized, images)["f"] * step
    return Error(float(np.abs(found - golden.float_maps(trained, images)["f"]).max()), step)


def table() -> str:
    """The errors of all functions, as Markdown."""
    lines = ["| function | 4 bits | 6 bits | 8 bits |", "|---|---|---|---|"]
    for kind, parameters in FUNCTIONS.items():
        name = f"`{kind}`" + "".join(f" {each:.4g}" for each in parameters)
        cells = [_cell(error(kind, bits)) for bits in WIDTHS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(found: Error) -> str:
    return f"{found.largest:.4f} ({found.largest / found.step:.2f} of {found.step:g})"


def document(text: str) -> str:
    """The document with the table as it is now."""
    lines = text.splitlines(keepends=True)
    header = next(n for n, line in enumerate(lines) if line.startswith("| function | 4 bits |"))
    end = next(n for n in range(header, len(lines)) if not lines[n].startswith("|"))
    return "".join([*lines[:header], table(), *lines[end:]])


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text()))

"""The formats of a layer as reports and manifests have them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from systolith.golden.fixed.arithmetic import MAX_BITS, MAX_FRAC_BITS, QFormat
from systolith.golden.fixed.integers import FixedLayer

_FracBits = Annotated[int, Meta(ge=-MAX_FRAC_BITS, le=MAX_FRAC_BITS)]


class FormatEntry(msgspec.Struct, frozen=True):
    """A fixed-point format; with one `frac_bits` for each channel where they differ."""

    bits: Annotated[int, Meta(ge=1, le=MAX_BITS)]
    frac_bits: _FracBits | Annotated[tuple[_FracBits, ...], Meta(min_length=1)]
    signed: bool

    def __str__(self) -> str:
        fractions = (self.frac_bits,) if isinstance(self.frac_bits, int) else self.frac_bits
        low, high = min(fractions), max(fractions)
        return str(QFormat(self.bits, low, self.signed)) + (f"..{high}" if low != high else "")


def layer_formats(layer: FixedLayer) -> dict[str, FormatEntry]:
    """The formats of a layer: `input`, `output`, and its `weights` and table `index`, if any."""
    formats = {"input": _entry(layer.input_format)}
    if layer.weight_formats:
        formats["weights"] = _entry(*layer.weight_formats)
    if layer.requantization is not None and layer.requantization.table is not None:
        formats["index"] = _entry(layer.requantization.target)
    formats["output"] = _entry(layer.output_format)
    return formats


def _entry(*formats: QFormat) -> FormatEntry:
    fractions = tuple(fmt.frac_bits for fmt in formats)
    same = len(set(fractions)) == 1
    return FormatEntry(formats[0].bits, fractions[0] if same else fractions, formats[0].signed)

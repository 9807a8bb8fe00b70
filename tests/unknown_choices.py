"""Choices that no place knows: each place must refuse them."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import Any

import pytest

from systolith.golden.network.activations import ACTIVATIONS
from systolith.golden.network.graph import Activation


class _MoreForms(Enum):
    PIECEWISE = auto()


def piecewise_activation(monkeypatch: pytest.MonkeyPatch) -> Activation:
    """A new activation of a new fixed form."""
    form: Any = _MoreForms.PIECEWISE
    monkeypatch.setitem(ACTIVATIONS, "softclip", replace(ACTIVATIONS["tanh"], fixed_form=form))
    return Activation("softclip")


def has_no(what: str) -> str:
    """The error of a place for this activation, as a pattern."""
    return (
        f"activation 'softclip': its fixed form, PIECEWISE, has no {what}: "
        "allowed are IDENTITY, RECTIFIER, CLAMP, TABLE"
    )

# amaranth: UnusedElaboratable=no
"""One processing element's accumulation, for every input, weight and partial sum."""

from __future__ import annotations

import pytest
from amaranth.hdl import signed, unsigned

from systolith.hw.systolic.processing_element import ProcessingElement
from tests.formal.processing_element import ProcessingElementClaims
from tests.formal.prover import check

pytestmark = pytest.mark.formal

U3, U4, S2, S3, S4 = unsigned(3), unsigned(4), signed(2), signed(3), signed(4)
S9 = signed(9)

ELEMENTS = {
    "unsigned-by-signed": ProcessingElement(U4, S4, S9, S9),
    "signed-by-signed": ProcessingElement(S4, S4, S9, S9),
    "signed-by-unsigned": ProcessingElement(S3, U4, S9, S9),
    "unsigned": ProcessingElement(U4, U4, unsigned(9), unsigned(9)),
    "one-bit": ProcessingElement(unsigned(1), signed(2), S9, S9),
    "wider-sum": ProcessingElement(S4, S4, signed(5), S9),
    "narrow-sum": ProcessingElement(S4, S4, signed(5), signed(5)),
    "squares": ProcessingElement(S3, S3, S9, S9, "squared_difference"),
    "squares-of-shifted": ProcessingElement(S2, S4, S9, S9, "squared_difference", 1),
    "squares-of-unsigned": ProcessingElement(
        U3, S3, unsigned(9), unsigned(9), "squared_difference"
    ),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_accumulation(name: str) -> None:
    """For ever: an induction over one cycle more than the element has registers."""
    claims = ProcessingElementClaims(ELEMENTS[name])
    assert check(claims, depth=claims.element.latency + 2, mode="prove").holds


class Wrong(ProcessingElement):
    """Its ports have signs; inside, one of them has none."""

    def __init__(self, port: str, operation: str) -> None:
        super().__init__(S3, S3, S4, S9, operation)  # type: ignore[arg-type]
        self.port = port

    def elaborate(self, platform: object) -> object:
        outer = getattr(self, self.port)
        setattr(self, self.port, outer.as_unsigned())
        m = super().elaborate(platform)
        setattr(self, self.port, outer)
        return m


@pytest.mark.parametrize("operation", ["multiply", "squared_difference"])
@pytest.mark.parametrize("port", ["x", "weight", "psum_in"])
def test_a_missing_sign_is_refuted(port: str, operation: str) -> None:
    element = Wrong(port, operation)
    outcome = check(ProcessingElementClaims(element), depth=element.latency + 2, mode="prove")
    assert not outcome.holds

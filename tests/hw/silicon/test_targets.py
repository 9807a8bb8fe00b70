from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from systolith.hw.silicon.targets import (
    DEVICES,
    Capacity,
    find_device,
    misfit,
    multiplier_sizes,
    placer_of,
)
from systolith.hw.silicon.tools import ToolError
from systolith.hw.verilog.netlist import TARGETS as FAMILIES
from systolith.scripts.options import TARGETS


def test_options_have_the_names_of_all_devices() -> None:
    assert tuple(DEVICES) == TARGETS
    assert {device.family.name for device in DEVICES.values()} == set(FAMILIES)


@pytest.mark.parametrize(
    ("target", "cells", "occupied"),
    [
        # A carry cell of ECP5 has two LUTs, and a distributed memory six.
        (
            "ecp5-25k",
            {"LUT4": 5, "CCU2C": 3, "TRELLIS_FF": 7, "TRELLIS_DPR16X4": 2, "MULT18X18D": 1},
            (23, 7, 1, 0, 2),
        ),
        ("ice40-up5k", {"SB_LUT4": 5, "SB_CARRY": 3, "SB_DFFESR": 2}, (5, 2, 0, 0, 0)),
        # Two multipliers of 9 x 9 share one of 18 x 18.
        ("gowin-gw2a18", {"LUT3": 1, "ALU": 2, "MULT9X9": 3, "RAM16SDP4": 1}, (7, 0, 2, 0, 1)),
        # A block of 36 Kbit counts as two, and a RAM32M has four LUTs.
        (
            "xc7z020",
            {"LUT6": 2, "CARRY4": 9, "RAMB36E1": 1, "RAMB18E1": 1, "RAM32M": 2, "SRL16E": 1},
            (11, 0, 0, 3, 9),
        ),
    ],
)
def test_what_cells_occupy(target: str, cells: dict[str, int], occupied: tuple[int, ...]) -> None:
    assert find_device(target).family.occupied(cells) == Capacity(*occupied)


def test_small_multiplications_share_a_multiplier_of_gowin() -> None:
    assert find_device("gowin-gw1n9").most_multipliers == 40
    assert find_device("ecp5-25k").most_multipliers == 28
    family = find_device("gowin-gw1n9").family
    sizes = multiplier_sizes({"MULT9X9": 3, "MULT36X36": 1, "LUT4": 7}, family)
    assert sizes == "3 MULT9X9 (1/2 each), 1 MULT36X36 (4 each)"
    assert multiplier_sizes({"MULT18X18": 3}, family) == ""


def test_the_luts_of_a_distributed_memory() -> None:
    families = {device.family.name: device.family for device in DEVICES.values()}
    luts = {name: each.luts_of_distributed_memory for name, each in families.items()}
    assert luts == {"ecp5": 6, "ice40": 0, "gowin": 4, "xc7": 1}


def test_cells_are_counted_by_kind() -> None:
    counts = find_device("ecp5-25k").family.counted({"LUT4": 5, "CCU2C": 3, "PFUMX": 9})
    assert counts["luts"] == 5 and counts["carries"] == 3 and sum(counts.values()) == 8


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_not_mapped_is_an_error(target: str) -> None:
    with pytest.raises(ToolError, match=r"has the cell '\$mul', which is unknown"):
        find_device(target).family.occupied({"$mul": 1})


def test_what_does_not_fit_is_told_with_how_much() -> None:
    device = DEVICES["ecp5-25k"]
    has = device.capacity
    assert misfit(has, device) == ()
    assert misfit(replace(has, multipliers=30), device) == ("30 multipliers of 28 (2 too many)",)
    assert len(misfit(Capacity(*(each + 1 for each in asdict(has).values())), device)) == 5
    xc7 = DEVICES["xc7a35t"]
    assert misfit(replace(xc7.capacity, distributed_memories=6401), xc7) == (
        "6,401 LUTs for distributed memories of 6,400 (1 too many)",
    )


def test_refusals() -> None:
    with pytest.raises(ValueError, match="target 'ecp5': allowed are ecp5-25k, "):
        find_device("ecp5")
    with pytest.raises(ValueError, match="target xc7z020: is for synthesis alone"):
        placer_of(find_device("xc7z020"))

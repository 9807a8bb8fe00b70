from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from systolith.hw.errors import MisfitError
from systolith.hw.silicon.targets import (
    DEVICES,
    Capacity,
    find_device,
    misfit,
    multiplier_sizes,
    placer_of,
    require_room,
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


@pytest.mark.parametrize(
    ("target", "part", "has", "bits"),
    [
        # Look-up tables, flip-flops, multipliers, block and distributed memories, by the data
        # sheets; what blocks of 18 Kbit (4 Kbit) and look-up tables of 16 bits (64) store.
        ("ecp5-25k", "LFE5U-25F", (24_288, 24_288, 28, 56, 3_036), 56 * 18_432 + 24_288 * 16),
        ("ecp5-45k", "LFE5U-45F", (43_848, 43_848, 72, 108, 5_481), 108 * 18_432 + 43_848 * 16),
        ("ecp5-85k", "LFE5U-85F", (83_640, 83_640, 156, 208, 10_455), 208 * 18_432 + 83_640 * 16),
        ("ice40-up5k", "iCE40UP5K", (5_280, 5_280, 8, 30, 0), 30 * 4_096 + 5_280 * 16),
        ("gowin-gw1n9", "GW1NR-LV9", (8_640, 6_480, 20, 26, 270), 26 * 18_432 + 8_640 * 16),
        ("gowin-gw2a18", "GW2A-LV18", (20_736, 15_552, 48, 46, 648), 46 * 18_432 + 20_736 * 16),
        ("xc7z020", "XC7Z020", (53_200, 106_400, 220, 280, 17_400), 280 * 18_432 + 53_200 * 64),
        ("xc7a35t", "XC7A35T", (20_800, 41_600, 90, 100, 6_400), 100 * 18_432 + 20_800 * 64),
        ("xc7a100t", "XC7A100T", (63_400, 126_800, 240, 270, 19_000), 270 * 18_432 + 63_400 * 64),
    ],
)
def test_a_device_has_what_its_data_sheet_says(
    target: str, part: str, has: tuple[int, ...], bits: int
) -> None:
    device = find_device(target)
    assert (device.name, device.capacity, device.memory_bits) == (target, Capacity(*has), bits)
    assert device.part.startswith(part)
    require_room("net", bits, device)
    with pytest.raises(MisfitError) as refused:
        require_room("net", bits + 1_234, device)
    assert str(refused.value) == (
        f"net does not fit {device.part} with any plan: its weights have {bits + 1_234:,} bits, "
        f"1,234 more than all block memories and LUTs of the device store ({bits:,}); it needs "
        "fewer bits a weight, or fewer weights"
    )


def test_placers_choose_the_device_and_the_slowest_grade_by_default() -> None:
    for size in ("25", "45", "85"):
        placer = placer_of(find_device(f"ecp5-{size}k"))
        assert placer.arguments[:5] == (f"--{size}k", "--package", "CABGA381", "--speed", "{grade}")
        assert placer.grades == ("6", "7", "8")
    for target, family in (("gowin-gw1n9", "GW1N-9C"), ("gowin-gw2a18", "GW2A-18")):
        device = find_device(target)
        placer = placer_of(device)
        assert placer.arguments[:4] == ("--device", device.part, "--vopt", f"family={family}")
        assert f"-family {family[:4].lower()} " in device.family.options
        assert placer.grades == ()


def test_cells_of_one_multiplier_each_need_no_words() -> None:
    family = find_device("gowin-gw2a18").family
    assert multiplier_sizes({"MULT18X18": 3, "MULT9X9": 1_200}, family) == (
        "3 MULT18X18 (1 each), 1,200 MULT9X9 (1/2 each)"
    )
    assert multiplier_sizes({"LUT4": 3}, family) == ""

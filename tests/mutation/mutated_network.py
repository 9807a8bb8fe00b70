# amaranth: UnusedElaboratable=no
"""A network with mutants in its hardware, and the checks that may detect each of them.

`campaign` uses it. The parts of the accelerator (the unit of each layer, the frame checker, the
classifier) are mutated separately; each mutant is simulated in its part alone and in the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import rtlil
from amaranth.lib import wiring
from numpy.typing import NDArray

from systolith.golden.fixed.integers import Integers
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.accelerator import (
    CLASSIFIER,
    FRAME_CHECKER,
    Accelerator,
    part_module,
    stream_signal,
    unit_part,
)
from systolith.hw.build_cache import cached, content_key
from systolith.hw.folding import Plan
from systolith.hw.streams.module_boundary import FlatModule, ModuleInstance
from systolith.hw.units.classify import Classifier
from systolith.hw.units.frame import FrameChecker
from systolith.hw.verilog.manifest import Manifest, describe, file_names
from systolith.hw.verilog.writer import accelerator_modules, part_rtlil
from systolith.sim.bench.paces import modelled, random_paces
from systolith.sim.bench.unit_bench import (
    BenchedUnit,
    Pace,
    beat_format,
    measure_unit,
    run_unit_bench,
)
from systolith.sim.bench.unit_reference import layer_values, many_frames, random_frames
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.errors import SimulationError
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import STREAM_PORTS, TappedNetwork, network_in
from systolith.sim.simulate import deviations
from systolith.sim.simulators.builds import Design
from systolith.sim.timing import Stopwatch
from tests.mutation.mutation import (
    OWN_KINDS,
    SELECT,
    Mutation,
    Netlist,
    mutate_command,
    parse_mutations,
    select_width,
)
from tests.mutation.netlist_editor import join_select, show, with_own_mutations
from tests.mutation.part_benches import (
    ClassifierBench,
    FrameBench,
    class_values,
    frame_lengths,
    frame_values,
    random_scores,
)
from tests.yowasp import full_yosys_version, run_full_yosys

Modules = dict[str, Netlist]

UNIT_CHECKS = ("unit values", "unit cycles")
"""Of a unit alone: its values and stream rules under stalls; the cycle of every handshake."""

NETWORK_CHECKS = ("network values", "network cycles")
"""Of the network: the values of every layer, the results, and the rules of every stream; cycles."""

_BENCH = "part_bench"
_PATIENCE = 2_000
_FRAMES = 2
_MANY_FRAMES = 400
_CLASSES = 24
_NETWORK_STALLS = (1, 2)
# Without the first opt_clean, registers with constant bits and two names are conflicts for Yosys.
_NETLIST = """
read_rtlil design.il
proc
flatten {parts}
delete * {modules}
opt_clean
opt -full
memory_collect
opt_clean
delete */t:$scopeinfo
write_json design.json
"""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network before it is mutated, and its stimuli.

    Parameters
    ----------
    quantized, plan
        The network.
    images
        The input of the whole network, `(images, height, width, channels)`; at least
        `MEASURED_IMAGES`.
    seed
        Of the random input of its parts.
    """

    quantized: QuantizedNetwork
    plan: Plan
    images: NDArray[np.uint8]
    seed: int

    @cached_property
    def accelerator(self) -> Accelerator:
        """The hardware."""
        return Accelerator(self.quantized.fixed, self.plan)

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the hardware."""
        modules = accelerator_modules(self.accelerator)
        files = file_names(self.quantized.name, None)
        return describe(self.quantized, self.accelerator, modules, files)

    @cached_property
    def modules(self) -> Modules:
        """The netlists of the parts, by name, and of the top module, without mutations."""
        top, parts = self.accelerator.name, self.accelerator.parts
        modules = {
            part_module(top, each): name for name, each in zip(self.parts, parts, strict=True)
        }
        found = netlists(dict(part_rtlil(self.accelerator)), list(modules))
        for cell in found[top]["cells"].values():
            cell["type"] = modules.get(cell["type"], cell["type"])
        return {modules.get(name, name): netlist for name, netlist in found.items()}

    @property
    def parts(self) -> list[str]:
        """The names of the parts that can be mutated: the layers', and two more."""
        return [FRAME_CHECKER, *self.accelerator.units, CLASSIFIER]

    def component(self, part: str) -> Any:
        """A part as an Amaranth component."""
        name = unit_part(part) if part in self.accelerator.units else part
        return self.accelerator.parts[name]


def netlists(modules: Mapping[str, str], parts: Sequence[str]) -> Modules:
    """The netlists of modules given as RTLIL, by name; each of `parts` is flattened."""
    text = "\n".join(modules.values())
    script = _NETLIST.format(
        parts=" ".join(parts), modules=" ".join(f"{module} %d" for module in modules)
    )

    def build(folder: Path) -> None:
        (folder / "design.il").write_text(text, "utf-8")
        run_full_yosys(script, folder)

    path = cached(content_key(full_yosys_version(), script, text), "design.json", build)
    found: Modules = json.loads(path.read_text("utf-8"))["modules"]
    return found


def random_mutations(subject: Subject, part: str, count: int, seed: int) -> list[Mutation]:
    """Choose `count` of the faults that Yosys can put into a part."""
    text = json.dumps({"modules": {part: subject.modules[part]}})
    # Those of clocks are dropped, so that more are needed.
    script = f"read_json design.json\nmutate -list {2 * count} -seed {seed} -o mutations\n"

    def build(folder: Path) -> None:
        (folder / "design.json").write_text(text, "utf-8")
        run_full_yosys(script, folder)

    path = cached(content_key(full_yosys_version(), script, text), "mutations", build)
    return list(parse_mutations(path.read_text("utf-8")))[:count]


class MutatedNetwork:
    """A network with all its mutants in one design; an input port chooses one of them.

    Parameters
    ----------
    subject
        The network.
    mutations
        The mutations; a mutant's number is its position, counted from 1, and 0 is no mutant.
    """

    def __init__(self, subject: Subject, mutations: Sequence[Mutation]) -> None:
        self.subject = subject
        self.mutations = tuple(mutations)
        self.width = select_width(mutations)
        self._modules = {
            part: with_own_mutations(part, subject.modules[part], mutations, self.width)
            for part in subject.parts
        }
        self._units: dict[str, _PartBench] = {}

    @cached_property
    def key(self) -> str:
        """A hash of the hardware with its mutants, and of the images."""
        commands = [command for part in self._modules for command in self.commands(part)]
        top = self.subject.modules[self.subject.accelerator.name]
        text = json.dumps([top, self._modules, commands])
        return content_key(text, self.subject.images.tobytes(), str(self.subject.seed))

    @cached_property
    def network(self) -> TappedNetwork:
        """The whole network, with taps of its streams."""
        accelerator, fixed = self.subject.accelerator, self.subject.quantized.fixed
        top = self.subject.modules[accelerator.name]
        names = [fixed.network.input.name, *accelerator.units]
        taps = {f"tap_{n}_{s}": stream_signal(n, s) for n in names for s in STREAM_PORTS}
        top = join_select(show(top, taps), self._modules, self.width)
        design = self._design(accelerator.name, {accelerator.name: top, **self._modules})
        return network_in(design, fixed, self.subject.manifest)

    def unit(self, part: str) -> _PartBench:
        """A part alone, with its stimuli."""
        if part not in self._units:
            self._units[part] = self._unit(part)
        return self._units[part]

    def unit_failure(self, number: int, part: str) -> tuple[str, str] | None:
        """The check of `UNIT_CHECKS` that detects a mutant in its part, and its message."""
        case = self.unit(part)
        unit = replace(case.unit, constants={SELECT: number})
        try:
            run_unit_bench(
                unit,
                case.frames,
                case.expected,
                simulator="verilator",
                seed=self.subject.seed,
                name=part,
                patience=_PATIENCE,
            ).require_passed()
            for frames, expected, paces in case.measured:
                cycles = measure_unit(
                    unit,
                    frames,
                    expected,
                    paces,
                    simulator="verilator",
                    name=part,
                    patience=_PATIENCE,
                )
                for pace, found in zip(paces, cycles, strict=True):
                    if modelled(self.subject.component(part), pace) != found:
                        return UNIT_CHECKS[1], "not the cycles of the model"
        except AssertionError as error:
            return UNIT_CHECKS[0], str(error)
        except SimulationError as error:
            return UNIT_CHECKS[0], _loop_message(error)
        return None

    def network_failure(self, number: int) -> tuple[str, str] | None:
        """The check of `NETWORK_CHECKS` that detects a mutant in the network, and its message."""
        network = replace(self.network, constants={SELECT: number}, patience=_PATIENCE)
        fixed, images = self.subject.quantized.fixed, self.subject.images
        layers = [layer.name for layer in fixed.layers]
        predicted = True
        for stalls in (None, *_NETWORK_STALLS):
            check = Check(fixed, images, layers, self.subject.manifest.result)
            stopwatch = Stopwatch(network)
            try:
                with closing(simulate_bulk(network, images, stalls, processes=1)) as batches:
                    for _ in check.take(stopwatch.watch(batches)):
                        pass
            except SimulationError as error:
                return NETWORK_CHECKS[0], _loop_message(error)
            wrong = [str(result) for result in check.layer_results() if result.mismatches]
            wrong += check.violations()
            if wrong:
                return NETWORK_CHECKS[0], wrong[0]
            if stalls is None:
                predicted = deviations(self.subject.manifest, stopwatch.timeline) == ()
        return None if predicted else (NETWORK_CHECKS[1], "not the cycles of the model")

    def unit_netlist(self, part: str) -> Netlist:
        """A part with the port `SELECT` and its mutations of `OWN_KINDS`."""
        return self._modules[part]

    def commands(self, part: str) -> list[str]:
        """The Yosys commands that add the other mutations to a part."""
        return [
            mutate_command(mutation, number, self.width)
            for number, mutation in enumerate(self.mutations, 1)
            if mutation.unit == part and mutation.kind not in OWN_KINDS
        ]

    def _unit(self, part: str) -> _PartBench:
        """The bench of a part, and its stimuli."""
        fixed, seed = self.subject.quantized.fixed, self.subject.seed
        component = self.subject.component(part)
        place = ModuleInstance(component, part)
        if isinstance(component, FrameChecker):
            source = fixed.network.input
            lengths = frame_lengths(component.beats, seed)
            pixels = [frame_values(source, lengths, seed + frame) for frame in range(_FRAMES)]
            frames, expected = (np.stack(each)[:, None, None] for each in zip(*pixels, strict=True))
            return self._around(
                part, FrameBench(place, component.beats), frames, expected, has_last=False
            )
        if isinstance(component, Classifier):
            frames = random_scores(fixed, _CLASSES, seed)
            expected = class_values(fixed, frames)
            case = self._around(part, ClassifierBench(place), frames, expected)
            paces = random_paces(seed, frames.size // component.beat.lanes, len(expected))
            return replace(case, measured=((frames, expected, paces),))
        design = self._design(part, {part: self._modules[part]})
        unit = BenchedUnit(design, beat_format(component, "i"), beat_format(component, "o"))
        layer = fixed[part]
        lanes_in, lanes_out = unit.input.lanes, unit.output.lanes
        frames = random_frames(layer, seed, lanes_out)
        many = many_frames(layer, _MANY_FRAMES, seed)
        expected, more = layer_values(layer, frames), layer_values(layer, many)
        paces = random_paces(seed, frames.size // lanes_in, expected.size // lanes_out)
        at_once = Pace([0] * (many.size // lanes_in), [0] * (more.size // lanes_out))
        measured = ((frames, expected, paces), (many, more, [at_once]))
        return _PartBench(unit, frames, expected, measured)

    def _around(
        self,
        part: str,
        bench: wiring.Component,
        frames: Integers,
        expected: Integers,
        has_last: bool = True,
    ) -> _PartBench:
        """The bench of a part inside a component that gives it streams of values."""
        around = {_BENCH: rtlil.convert(FlatModule(bench), name=_BENCH, emit_src=False)}
        top = join_select(netlists(around, [])[_BENCH], [part], self.width)
        design = self._design(_BENCH, {_BENCH: top, part: self._modules[part]})
        sink = replace(beat_format(bench, "o"), has_last=has_last)
        return _PartBench(BenchedUnit(design, beat_format(bench, "i"), sink), frames, expected)

    def _design(self, top: str, modules: Modules) -> Design:
        """Modules with their mutations, as Verilog."""
        text = json.dumps({"modules": modules})
        commands = [command for part in modules for command in self.commands(part)]
        script = "\n".join(
            [
                "read_json design.json",
                *commands,
                f"hierarchy -top {top}",
                "write_verilog -noattr -simple-lhs design.v",
                "",
            ]
        )

        def build(folder: Path) -> None:
            (folder / "design.json").write_text(text, "utf-8")
            run_full_yosys(script, folder)

        path = cached(content_key(full_yosys_version(), script, text), "design.v", build)
        return Design(top, path.read_text("utf-8"), tuple(modules[top]["ports"]))


@dataclass(frozen=True, eq=False)
class _PartBench:
    """A part alone, and its stimuli.

    Parameters
    ----------
    unit
        The part in its bench.
    frames, expected
        Its input and the output expected.
    measured
        Input, expected output, and the paces at which its cycles are compared with the model.
    """

    unit: BenchedUnit
    frames: Integers
    expected: Integers
    measured: tuple[tuple[Integers, Integers, list[Pace]], ...] = ()


def _loop_message(error: SimulationError) -> str:
    """The message of a simulator that a combinational loop stops; other errors are raised."""
    if "converge" not in str(error):
        raise error
    return str(error)

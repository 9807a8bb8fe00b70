"""The systolic core: an array, its weights and its accumulators, which run a schedule."""

from __future__ import annotations

from collections.abc import Collection
from itertools import accumulate, count, cycle
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.errors import UnitError
from systolith.hw.streams import counting
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.systolic.accumulator import (
    ColumnAccumulators,
    RoutedAccumulators,
    banks_needed,
    control_lead,
    cycles_to_finished,
    drain_latency,
)
from systolith.hw.systolic.array import ArrayShapes, SystolicArray, array_latency
from systolith.hw.systolic.processing_element import Operation
from systolith.hw.systolic.schedule import Schedule, reduction_weights
from systolith.hw.systolic.weight_memory import WeightMemory, read_latency

_OPERATIONS: dict[type[graph.Layer], Operation] = {
    graph.Convolution: "multiply",
    graph.Dense: "multiply",
    graph.RadialBasis: "squared_difference",
}


class _Group(NamedTuple):
    """A group of outputs in the cycle model (`Schedule.groups`).

    Parameters
    ----------
    folds
        The steps of each of its chunks.
    ends
        For each chunk, the last of its steps, counted from the group's first step.
    beats
        Beats of its accumulators.
    """

    folds: tuple[int, ...]
    ends: list[int]
    beats: int


class SystolicCore(Component):
    """Multiplies chunks of windows by the weights of a layer; sends the accumulators of windows.

    Convolution, dense and radial basis units have it between the source of their chunks and their
    requantizer, which adds the bias. It holds the array, the weights and the accumulators.

    Once a step is issued, it never stalls. Backpressure acts on issue alone: the last chunk of a
    group of outputs (`Schedule.groups`: a window, or a fold of it) starts only when a bank of
    accumulators is free for its finished sums. There are enough banks that the array never stalls
    with a sink that is always ready, unless the drain is slower than the array. The initiation
    interval of windows is `max(steps, outputs / lanes)` cycles.

    Cycles:

    - A step is issued in the first cycle after the step before in which its chunk is offered and,
      for the first step of a group's last chunk, a bank is free. A chunk is taken with its last
      step.
    - Let the first step of a group's last chunk be issued in cycle `t`. The group's first beat is
      read from the accumulators in cycle `t + latency + cycles_to_finished + 1`, or in the cycle
      after the last beat of the group before, whichever is later. `latency` is that of weights and
      array together.
    - A beat is offered `drain_latency` cycles after it was read. That number of beats is on its way
      at most: the next one can be read in the cycle in which the first of them is taken.
    - A group occupies its bank from the first step of its last chunk to the cycle in which its last
      beat is read.

    Parameters
    ----------
    layer
        A convolution, dense or radial basis layer.
    schedule
        Its steps.
    lanes
        Accumulators a beat; divides `schedule.max_lanes`.

    Members
    -------
    i : In(stream)
        For every window, the chunks of the schedule's steps in order, row 0 in the lowest bits. In
        the order "inputs" each chunk comes once, and is taken with the last of its folds; in the
        order "outputs" all chunks come once for each fold, and one is taken a step.
    o : Out(beat_stream(signed(layer.accumulator_bits), lanes))
        Accumulators, wrapped to their width; `last` with the final beat of a frame.

    Attributes
    ----------
    multipliers
        Physical multipliers.

    Raises
    ------
    GraphError
        Another type of layer.
    UnitError
        A number of lanes that the schedule does not allow.
    """

    def __init__(self, layer: FixedLayer, schedule: Schedule, lanes: int) -> None:
        if lanes < 1 or schedule.max_lanes % lanes:
            what = "outputs" if schedule.sparse else "columns and outputs"
            raise UnitError(
                layer, f"lanes must divide {schedule.max_lanes} (as its {what} do), not {lanes}"
            )
        self.layer = layer
        self.schedule = schedule
        self.lanes = lanes
        self.operation = layer.layer.entry(_OPERATIONS, "operation on an array")
        self.multipliers = schedule.rows * schedule.columns
        steps = schedule.step_count
        self._weight_latency = read_latency(steps, steps * self.multipliers)
        self.latency = self._weight_latency + array_latency(schedule.rows, self.operation)
        self.banks = banks_needed(schedule, lanes, self.latency)
        self.windows = layer.output_shape.height * layer.output_shape.width
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(schedule.rows * layer.input_format.bits))),
                "o": Out(beat_stream(signed(layer.accumulator_bits), lanes)),
            }
        )

    def _groups(self) -> list[_Group]:
        """The groups of a window, for the cycle model."""
        schedule = self.schedule
        chunks = len(schedule.folds) // len(schedule.groups)
        groups = []
        for number, outputs in enumerate(schedule.groups):
            folds = schedule.folds[number * chunks : (number + 1) * chunks]
            ends = [end - 1 for end in accumulate(folds)]
            groups.append(_Group(folds, ends, outputs // self.lanes))
        return groups

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        i_available, i_taken, o_taken = i.available, i.taken, o.taken
        to_finished = self.latency + cycles_to_finished(self.schedule, self.lanes)
        on_the_way = drain_latency(self.schedule)
        # For each group, when it was finished, its beats, and the number of its last beat.
        finished: list[tuple[int, int, int]] = []
        step = last_beat = last_read = -1
        # `freed` is the group whose bank the next one takes; below 0, a bank not used before.
        for freed, (folds, ends, beats) in zip(
            count(-self.banks), cycle(self._groups()), strict=False
        ):
            while len(i_available) == len(i_taken):
                yield i.source
            start = i_available[len(i_taken)]
            if start <= step:
                start = step + 1
            last_chunk = len(i_taken) + len(folds) - 1
            if last_chunk < len(i_available) and i_available[last_chunk] <= start:
                # All chunks have arrived: no step waits for one.
                i_taken.extend([start + end for end in ends[:-1]])
                step = start + ends[-1] - folds[-1]
            else:
                for steps in folds[:-1]:
                    while len(i_available) == len(i_taken):
                        yield i.source
                    start = max(step + 1, i_available[len(i_taken)])
                    step = start + steps - 1
                    i_taken.append(step)
                while len(i_available) == len(i_taken):
                    yield i.source
                step = max(step, i_available[len(i_taken)] - 1)
            if freed >= 0:
                # Its last beat was read when the first of the beats on their way was taken.
                end, its_beats, before = finished[freed]
                before -= on_the_way
                while len(o_taken) <= before:
                    yield o.sink
                last_read = max(end, last_read) + its_beats
                if before >= 0:
                    last_read = max(last_read, o_taken[before])
                step = max(step, last_read)
            step += folds[-1]
            i_taken.append(step)
            last_beat += beats
            end = step - folds[-1] + 1 + to_finished
            finished.append((end, beats, last_beat))
            o.available.extend([end + 1 + on_the_way] * beats)
            yield o.sink

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        memory, array, accumulators = self._add_parts(m)
        issue = self._issue_steps(m, memory.step, accumulators.released)
        self._delay_inputs(m, issue, array, accumulators)
        return m

    def _add_parts(
        self, m: Module
    ) -> tuple[WeightMemory, SystolicArray, ColumnAccumulators | RoutedAccumulators]:
        """The weights, the array and the accumulators: weights go to the array, its sums on."""
        layer, schedule = self.layer, self.schedule
        weights = schedule.weights(reduction_weights(layer))
        shapes = ArrayShapes.fitting(weights, layer.input_format, self.operation, layer.input_shift)
        m.submodules.weights = memory = WeightMemory(weights, shapes.weight.width)
        m.submodules.array = array = SystolicArray(
            schedule.rows, schedule.columns, shapes, self.operation, layer.input_shift
        )
        kind = RoutedAccumulators if schedule.sparse else ColumnAccumulators
        m.submodules.accumulators = accumulators = kind(
            schedule,
            shapes.psums[-1],
            layer.accumulator_bits,
            lanes=self.lanes,
            banks=self.banks,
            windows=self.windows,
        )
        wiring.connect(m, accumulators.o, wiring.flipped(self.o))
        for number in range(schedule.rows + schedule.columns - 1):
            name = f"diagonal_{number}"
            m.d.comb += getattr(array, name).eq(getattr(memory, name))
        for column in range(schedule.columns):
            name = f"psum_{column}"
            m.d.comb += getattr(accumulators, name).eq(getattr(array, name))
        return memory, array, accumulators

    def _issue_steps(self, m: Module, memory_step: Value, released: Value) -> Signal:
        """Count steps and free banks, and take chunks; whether a step is issued in this cycle.

        What the next cycle needs to know of its step is in registers, a bit each.
        """
        schedule = self.schedule
        step = Signal(range(schedule.step_count))
        group_step = step
        if len(schedule.groups) > 1:
            group_step = Signal(range(schedule.group_steps))
        claims, claims_next = self._marked(
            group_step, schedule.group_steps, [schedule.group_steps - schedule.folds[-1]]
        )
        free = Signal(range(self.banks + 1), init=self.banks)
        free_next = Signal.like(free)
        blocked = Signal()
        issue = Signal()
        m.d.comb += [
            issue.eq(self.i.valid & ~blocked),
            self.i.ready.eq(~blocked & self._last_fold(m, step, issue)),
            free_next.eq(free - (issue & claims) + released),
            memory_step.eq(step),
        ]
        with m.If(issue):
            counting.count(m, step, schedule.step_count)
            if group_step is not step:
                counting.count(m, group_step, schedule.group_steps)
            m.d.sync += claims.eq(claims_next)
        m.d.sync += [
            free.eq(free_next),
            blocked.eq(Mux(issue, claims_next, claims) & (free_next == 0)),
        ]
        return issue

    def _last_fold(self, m: Module, step: Signal, issue: Signal) -> Value:
        """Whether the step is the last of its chunk."""
        folds = self.schedule.folds
        if len(set(folds)) == 1:
            fold = Signal(range(folds[0]))
            with m.If(issue):
                counting.count(m, fold, folds[0])
            ends, ends_next = self._marked(fold, folds[0], [folds[0] - 1])
        else:
            lasts = [end - 1 for end in accumulate(folds)]
            ends, ends_next = self._marked(step, len(self.schedule.steps), lasts)
        with m.If(issue):
            m.d.sync += ends.eq(ends_next)
        return ends

    @staticmethod
    def _marked(counter: Signal, length: int, marked: Collection[int]) -> tuple[Signal, Value]:
        """A register for whether a counter has one of some values, and its value after a step."""
        now = Signal(init=0 in marked)
        ahead = {(value - 1) % length for value in marked}
        if len(ahead) == 1:
            return now, counter == ahead.pop()
        return now, Const(sum(1 << value for value in ahead), length).bit_select(counter, 1)

    def _delay_inputs(
        self,
        m: Module,
        issue: Value,
        array: SystolicArray,
        accumulators: ColumnAccumulators | RoutedAccumulators,
    ) -> None:
        """Delay inputs until their weights are read, and `issue` until their sum is in column 0."""
        inputs: Value = self.i.payload
        for stage in range(self._weight_latency):
            waiting = Signal(len(inputs), name=f"x_after_{stage + 1}", reset_less=True)
            m.d.sync += waiting.eq(inputs)
            inputs = waiting
        wavefront = Signal(self.latency - control_lead(self.schedule))
        m.d.sync += wavefront.eq(Cat(issue, wavefront))
        m.d.comb += [array.x.eq(inputs), accumulators.valid.eq(wavefront[-1])]

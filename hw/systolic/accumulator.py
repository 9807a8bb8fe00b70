"""The accumulators of an array: they add the sums of the steps up to the sums of whole windows."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.counting import count
from systolith.hw.streams.formats import element
from systolith.hw.systolic.drain import Drain
from systolith.hw.systolic.schedule import Schedule


def banks_needed(schedule: Schedule, lanes: int, latency: int) -> int:
    """The smallest number of banks with which the array never stalls, the sink always ready.

    If the drain is slower than the array, it is the smallest number with which the drain never
    waits.

    Parameters
    ----------
    schedule
        The steps of a window.
    lanes
        Sums a beat.
    latency
        Cycles from the issue of a step to its sum in column 0.
    """
    beats = [outputs // lanes for outputs in schedule.groups]
    steps = schedule.group_steps
    finished = steps - schedule.folds[-1] + latency + cycles_to_finished(schedule, lanes)
    # All groups but the last, which may have fewer beats than steps, keep this pace of array and
    # drain. For the time that the last one needs more, all but the first may have to begin earlier.
    pace = max(steps, beats[0])
    interval = max(schedule.step_count, sum(beats))
    slack = interval - schedule.step_count
    begun = [min(group * pace, group * steps + slack) for group in range(len(beats))]
    # A group occupies its bank from its first step to the read of its last beat.
    freed = [group * pace + finished + 1 + beats[group] for group in range(len(beats))]
    # When each group begins: the occupied banks, of its frame and of all frames before.
    return max(
        sum(-(-(free - begin) // interval) for free in freed) - (len(beats) - 1 - group)
        for group, begin in enumerate(begun)
    )


def cycles_to_finished(schedule: Schedule, lanes: int) -> int:
    """Cycles from the first fold of a group's last chunk in column 0 to the drain's `finished`."""
    if schedule.sparse:
        return schedule.folds[-1] - 1 + schedule.columns
    return _first_drainable(schedule, lanes)


def _first_drainable(schedule: Schedule, lanes: int) -> int:
    """The column whose first final sum lets the drain start.

    The wavefront finishes a column a cycle, and the drain reads `lanes` columns a cycle. It must
    not read the last columns before they are finished.
    """
    return schedule.columns - schedule.columns // lanes


class Accumulator(wiring.Component):
    """A small memory of sums; adds a partial sum to one of them every cycle.

    Latency: a sum can be read in the cycle after its last `psum`.

    Parameters
    ----------
    psum
        The shape of a partial sum.
    sum_shape
        The shape of a sum. Higher bits are dropped.
    depth
        The number of sums.

    Members
    -------
    enable
        Add `psum` in this cycle.
    first
        The sum starts with `psum`, whatever it was before.
    address
        The sum that `psum` is added to.
    psum
        The partial sum.
    read_address, value
        The sum that is read, and its value in the same cycle.
    """

    def __init__(self, psum: Shape, sum_shape: Shape, depth: int) -> None:
        self.depth = depth
        super().__init__(
            {
                "enable": In(1),
                "first": In(1),
                "address": In(range(depth)),
                "psum": In(psum),
                "read_address": In(range(depth)),
                "value": Out(sum_shape),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        sum_shape = self.value.shape()
        m.submodules.sums = sums = Memory(shape=sum_shape, depth=self.depth, init=[])
        write = sums.write_port()
        growing = sums.read_port(domain="comb")
        finished = sums.read_port(domain="comb")
        m.d.comb += [
            growing.addr.eq(self.address),
            write.addr.eq(self.address),
            write.data.eq(Mux(self.first, 0, growing.data) + self.psum),
            write.en.eq(self.enable),
            finished.addr.eq(self.read_address),
            self.value.eq(finished.data),
        ]
        return m


class _Accumulators(wiring.Component):
    """The accumulators of an array, and their drain: what the two kinds have in common.

    Parameters
    ----------
    schedule
        The steps of a window.
    psum
        The shape of a column's sum.
    bits
        Bits of an accumulator.
    lanes
        Sums a beat; divides `schedule.max_lanes`.
    banks
        The number of groups (`Schedule.groups`) that can be stored.
    windows
        Windows a frame; 1 if the outputs of a window are finished in several groups.

    Members
    -------
    valid
        The sum of a step is in column 0; that of column `c` follows `c` cycles later. The first
        step after reset is the first of a window, and all steps follow in order.
    psum_0, psum_1, ...
        The sums of the columns.
    released
        A bank is free from the next cycle on.
    o
        The accumulators of each window, channels ascending.
    """

    def __init__(
        self, schedule: Schedule, psum: Shape, bits: int, *, lanes: int, banks: int, windows: int
    ) -> None:
        self.schedule = schedule
        self.psum_shape = psum
        self.sum_shape = signed(bits)
        self.lanes = lanes
        self.banks = banks
        self.windows = windows
        super().__init__(
            {
                "valid": In(1),
                **{f"psum_{column}": In(psum) for column in range(schedule.columns)},
                "released": Out(1),
                "o": Out(beat_stream(self.sum_shape, lanes)),
            }
        )

    def _add_drain(self, m: Module, sources: int, slots: int) -> Drain:
        groups = self.schedule.groups
        m.submodules.drain = drain = Drain(
            sources=sources,
            slots=slots,
            banks=self.banks,
            sum_shape=self.sum_shape,
            lanes=self.lanes,
            beats=groups[0] // self.lanes,
            final_beats=groups[-1] // self.lanes,
            groups=self.windows * len(groups),
        )
        m.d.comb += self.released.eq(drain.released)
        wiring.connect(m, drain.o, wiring.flipped(self.o))
        return drain


class ColumnAccumulators(_Accumulators):
    """One accumulator a column, with a sum for each fold of a group: for dense connections.

    The control signals of a step travel from column to column with the wavefront. The first beat of
    a group is read `_first_drainable + 1` cycles after the `valid` of the first step of its last
    chunk, or after the last beat of the group before.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        schedule = self.schedule
        chunks, folds = len(schedule.chunks), schedule.folds[0]
        drain = self._add_drain(m, sources=schedule.columns, slots=folds)
        chunk = Signal(range(chunks))
        slot = Signal(range(folds))
        bank = Signal(range(self.banks))
        with m.If(self.valid):
            count(m, slot, folds)
            with m.If(slot == folds - 1):
                count(m, chunk, chunks)
                with m.If(chunk == chunks - 1):
                    count(m, bank, self.banks)

        address_bits = ceil_log2(folds) + ceil_log2(self.banks)
        enable = Signal(name="enable_0")
        first = Signal(name="first_0")
        final = Signal(name="final_0")
        address = Signal(address_bits, name="address_0")
        m.d.comb += [
            enable.eq(self.valid),
            first.eq(chunk == 0),
            final.eq(self.valid & (chunk == chunks - 1) & (slot == 0)),
            address.eq(Cat(slot, bank)),
        ]
        depth = ((self.banks - 1) << ceil_log2(folds)) + folds
        for column in range(schedule.columns):
            if column == _first_drainable(schedule, self.lanes):
                m.d.comb += drain.finished.eq(final)
            accumulator = Accumulator(self.psum_shape, self.sum_shape, depth)
            m.submodules[f"accumulator_{column}"] = accumulator
            m.d.comb += [
                accumulator.enable.eq(enable),
                accumulator.first.eq(first),
                accumulator.address.eq(address),
                accumulator.psum.eq(getattr(self, f"psum_{column}")),
                accumulator.read_address.eq(Cat(drain.slot, drain.bank)),
                getattr(drain, f"value_{column}").eq(accumulator.value),
            ]
            if column + 1 < schedule.columns:
                enable = _later(m, enable, f"enable_{column + 1}")
                if chunks > 1:
                    first = _later(m, first, f"first_{column + 1}", reset_less=True)
                final = _later(m, final, f"final_{column + 1}")
                address = _later(m, address, f"address_{column + 1}", reset_less=True)
        return m


class RoutedAccumulators(_Accumulators):
    """One accumulator an output: for layers with a connection table.

    The sums of a step are gathered from all columns. Then each accumulator selects the sum of the
    column that computes its output in this step, if there is one.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        schedule = self.schedule
        steps, columns = schedule.step_count, schedule.columns
        drain = self._add_drain(m, sources=schedule.outputs, slots=1)

        gathered: Value = self.psum_0
        arrived = self.valid
        for column in range(1, columns):
            complete = _later(m, gathered, f"gathered_{column}", reset_less=True)
            gathered = Cat(complete, getattr(self, f"psum_{column}"))
            arrived = _later(m, arrived, f"arrived_{column}")

        step = Signal(range(steps))
        bank = Signal(range(self.banks))
        last = arrived & (step == steps - 1)
        with m.If(arrived):
            count(m, step, steps)
        with m.If(last):
            count(m, bank, self.banks)
        target_bank = _later(m, bank, "target_bank", reset_less=True)
        m.d.comb += drain.finished.eq(_later(m, last, "finished"))

        layout, routes = self._routes()
        m.submodules.routes = memory = Memory(shape=layout, depth=steps, init=routes)
        port = memory.read_port(domain="comb")
        m.d.comb += port.addr.eq(step)
        for output, serving in enumerate(schedule.serving_columns):
            route = port.data[f"output_{output}"]
            routed = Signal(self.psum_shape, name=f"routed_{output}", reset_less=True)
            enable = _later(m, arrived & route.enable, f"enable_{output}")
            first = _later(m, route.first, f"first_{output}", reset_less=True)
            with m.Switch(route.source):
                for source, column in enumerate(serving):
                    with m.Case(source) if source + 1 < len(serving) else m.Default():
                        m.d.sync += routed.eq(element(gathered, column, self.psum_shape))
            accumulator = Accumulator(self.psum_shape, self.sum_shape, self.banks)
            m.submodules[f"accumulator_{output}"] = accumulator
            m.d.comb += [
                accumulator.enable.eq(enable),
                accumulator.first.eq(first),
                accumulator.address.eq(target_bank),
                accumulator.psum.eq(routed),
                accumulator.read_address.eq(drain.bank),
                getattr(drain, f"value_{output}").eq(accumulator.value),
            ]
        return m

    def _routes(self) -> tuple[data.StructLayout, list[dict[str, dict[str, int]]]]:
        """For each step and output: whether a column computes it, and which of its columns."""
        schedule = self.schedule
        layout = data.StructLayout(
            {
                f"output_{output}": data.StructLayout(
                    {"enable": 1, "first": 1, "source": unsigned(ceil_log2(len(serving)))}
                )
                for output, serving in enumerate(schedule.serving_columns)
            }
        )
        started: set[int] = set()
        routes = []
        for step in schedule.steps:
            route = {}
            for column, output in enumerate(step.outputs):
                if output is not None:
                    route[f"output_{output}"] = {
                        "enable": 1,
                        "first": int(output not in started),
                        "source": schedule.serving_columns[output].index(column),
                    }
                    started.add(output)
            routes.append(route)
        return layout, routes


def _later(m: Module, value: Value, name: str, *, reset_less: bool = False) -> Signal:
    """A register with the value of the cycle before."""
    register = Signal(len(value), name=name, reset_less=reset_less)
    m.d.sync += register.eq(value)
    return register

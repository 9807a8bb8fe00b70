"""The accumulators of an array: they add the sums of the steps up to the sums of whole windows.

Sums that still grow are apart from those that are finished: a memory has one port to write and one
to read. Few growing sums are in a ring of registers. Many are in a memory, whose reads take two
cycles: they begin before the partial sum arrives, and the same sum must not come again too soon.
"""

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

_READ = 2
"""Cycles from the address of a growing sum in a memory to the sum: the memory's register, and one
more behind it."""

_MANY = _READ + 2
"""From this number of growing sums on, they are in a memory: a sum is written `_READ + 1` cycles
after its address was read, and can be read again in the cycle after that."""


def many_sums(schedule: Schedule) -> bool:
    """Whether each accumulator of a schedule has many growing sums, in a memory."""
    return not schedule.sparse and schedule.folds[0] >= _MANY


def control_lead(schedule: Schedule) -> int:
    """Cycles by which `valid` of the accumulators comes before the sum of its step in column 0."""
    return _READ if many_sums(schedule) else 0


def drain_latency(schedule: Schedule) -> int:
    """Cycles from the read of a beat of finished sums until it is offered."""
    return 2 if many_sums(schedule) else 1


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
    # A group occupies its bank from the first step of its last chunk to the read of its last beat.
    occupied = latency + cycles_to_finished(schedule, lanes) + 1
    # All groups but the last, which may have fewer beats than steps, keep this pace of array and
    # drain. For the time that the last one needs more, all but the first may have to begin earlier.
    pace = max(steps, beats[0])
    interval = max(schedule.step_count, sum(beats))
    slack = interval - schedule.step_count
    begun = [min(group * pace, group * steps + slack) for group in range(len(beats))]
    freed = [group * pace + occupied + beats[group] for group in range(len(beats))]
    # When each group's last chunk begins: the occupied banks, of its frame and of all before.
    return max(
        sum(-(-(free - begin) // interval) for free in freed) - (len(beats) - 1 - group)
        for group, begin in enumerate(begun)
    )


def cycles_to_finished(schedule: Schedule, lanes: int) -> int:
    """Cycles from the first fold of a group's last chunk in column 0 to the drain's `finished`."""
    if schedule.sparse:
        return schedule.folds[-1] - 1 + schedule.columns
    return _first_drainable(schedule, lanes) + many_sums(schedule)


def _first_drainable(schedule: Schedule, lanes: int) -> int:
    """The column whose first final sum lets the drain start.

    The wavefront finishes a column a cycle, and the drain reads `lanes` columns a cycle. It must
    not read the last columns before they are finished.
    """
    return schedule.columns - schedule.columns // lanes


class Accumulator(wiring.Component):
    """Adds partial sums to `sums` growing sums in turn, and stores those that are finished.

    Latency: a finished sum can be read in the cycle after its last `psum`, and its value comes in
    the same cycle. With many sums, each takes a cycle more.

    Parameters
    ----------
    psum
        The shape of a partial sum.
    sum_shape
        The shape of a sum. Higher bits are dropped.
    sums
        The number of growing sums.
    depth
        The number of finished sums.
    many
        Whether the growing sums are in a memory; `sums` is at least 4 then.

    Members
    -------
    enable
        Add a partial sum to the next of the growing sums.
    first
        That sum starts with the partial sum, whatever it was before.
    final
        That sum is finished then.
    slot
        The number of that sum; they come in order.
    address
        Where it is stored, if it is finished.
    psum
        The partial sum: in the same cycle, or with many sums two cycles later.
    read
        Read in this cycle; with few sums they are read in every cycle.
    read_address, value
        The finished sum that is read, and its value.
    """

    def __init__(self, psum: Shape, sum_shape: Shape, *, sums: int, depth: int, many: bool) -> None:
        self.sums = sums
        self.depth = depth
        self.many = many
        super().__init__(
            {
                "enable": In(1),
                "first": In(1),
                "final": In(1),
                "slot": In(range(sums)),
                "address": In(range(depth)),
                "psum": In(psum),
                "read": In(1),
                "read_address": In(range(depth)),
                "value": Out(sum_shape),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.finished = finished = Memory(
            shape=self.value.shape(), depth=self.depth, init=[]
        )
        write = finished.write_port()
        if self.many:
            port = finished.read_port()
            m.d.comb += port.en.eq(self.read)
            self._add_to_many(m, write)
        else:
            port = finished.read_port(domain="comb")
            self._add_to_few(m, write)
        m.d.comb += [port.addr.eq(self.read_address), self.value.eq(port.data)]
        return m

    def _add_to_few(self, m: Module, write: Any) -> None:
        """A ring of registers: each sum comes to its end when its partial sum does."""
        shape = self.value.shape()
        ring = [Signal(shape, name=f"sum_{at}", reset_less=True) for at in range(self.sums)]
        total = Signal(shape)
        m.d.comb += [
            total.eq(Mux(self.first, 0, ring[-1]) + self.psum),
            write.data.eq(total),
            write.addr.eq(self.address),
            write.en.eq(self.enable & self.final),
        ]
        with m.If(self.enable):
            m.d.sync += [into.eq(sum_) for into, sum_ in zip(ring, [total, *ring], strict=False)]

    def _add_to_many(self, m: Module, write: Any) -> None:
        """A memory: a sum is read, and written when the partial sum was added to it."""
        shape = self.value.shape()
        m.submodules.growing = growing = Memory(shape=shape, depth=self.sums, init=[])
        read, write_back = growing.read_port(), growing.write_port()
        fetched = Signal(shape, reset_less=True)
        total = Signal(shape, reset_less=True)
        enable, final = self.enable, self.final
        first, slot, address = self.first, self.slot, self.address
        for stage in range(1, _READ + 2):
            enable = _later(m, enable, f"enable_{stage}")
            final = _later(m, final, f"final_{stage}", reset_less=True)
            slot = _later(m, slot, f"slot_{stage}", reset_less=True)
            address = _later(m, address, f"address_{stage}", reset_less=True)
            if stage < _READ:
                first = _later(m, first, f"first_{stage}", reset_less=True)
        m.d.comb += [
            read.addr.eq(self.slot),
            write_back.addr.eq(slot),
            write_back.data.eq(total),
            write_back.en.eq(enable),
            write.addr.eq(address),
            write.data.eq(total),
            write.en.eq(enable & final),
        ]
        m.d.sync += [fetched.eq(Mux(first, 0, read.data)), total.eq(fetched + self.psum)]


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
        The sum of a step is in column 0, now or `control_lead` cycles later; that of column `c`
        follows `c` cycles after that. The first step after reset is the first of a window, and all
        steps follow in order.
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
            latency=drain_latency(self.schedule),
        )
        m.d.comb += self.released.eq(drain.released)
        wiring.connect(m, drain.o, wiring.flipped(self.o))
        return drain


class ColumnAccumulators(_Accumulators):
    """One accumulator a column, with a sum for each fold of a group: for dense connections.

    The control signals of a step travel from column to column with the wavefront. The first beat of
    a group is read `cycles_to_finished + 1` cycles after the sum of the first step of its last
    chunk is in column 0, or after the last beat of the group before.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        schedule = self.schedule
        many = many_sums(schedule)
        chunks, folds = len(schedule.chunks), schedule.folds[0]
        drain = self._add_drain(m, sources=schedule.columns, slots=folds)
        chunk = Signal(range(chunks))
        slot = Signal(range(folds), name="slot_0")
        bank = Signal(range(self.banks))
        with m.If(self.valid):
            count(m, slot, folds)
            with m.If(slot == folds - 1):
                count(m, chunk, chunks)
                with m.If(chunk == chunks - 1):
                    count(m, bank, self.banks)

        enable = Signal(name="enable_0")
        first = Signal(name="first_0")
        final = Signal(name="final_0")
        step: Value = Cat(slot, bank)
        m.d.comb += [
            enable.eq(self.valid),
            first.eq(chunk == 0),
            final.eq(chunk == chunks - 1),
        ]
        slot_bits = len(slot)
        depth = ((self.banks - 1) << slot_bits) + folds
        for column in range(schedule.columns):
            if column == _first_drainable(schedule, self.lanes):
                finished: Value = enable & final & (step[:slot_bits] == 0)
                for stage in range(control_lead(schedule) + many):
                    finished = _later(m, finished, f"finished_{stage}")
                m.d.comb += drain.finished.eq(finished)
            accumulator = Accumulator(
                self.psum_shape, self.sum_shape, sums=folds, depth=depth, many=many
            )
            m.submodules[f"accumulator_{column}"] = accumulator
            m.d.comb += [
                accumulator.enable.eq(enable),
                accumulator.first.eq(first),
                accumulator.final.eq(final),
                accumulator.slot.eq(step[:slot_bits]),
                accumulator.address.eq(step),
                accumulator.psum.eq(getattr(self, f"psum_{column}")),
                accumulator.read.eq(drain.read),
                accumulator.read_address.eq(Cat(drain.slot, drain.bank)),
                getattr(drain, f"value_{column}").eq(accumulator.value),
            ]
            if column + 1 < schedule.columns:
                enable = _later(m, enable, f"enable_{column + 1}")
                if chunks > 1:
                    first = _later(m, first, f"first_{column + 1}", reset_less=True)
                    final = _later(m, final, f"final_{column + 1}", reset_less=True)
                step = _later(m, step, f"step_{column + 1}", reset_less=True)
        return m


class RoutedAccumulators(_Accumulators):
    """One accumulator an output: for layers with a connection table.

    The sums of a step are gathered from all columns. Then each accumulator selects the sum of the
    column that computes its output in this step, or 0 if there is none. All begin with the first
    step of a window, and are finished with its last.
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
        routed_first = _later(m, arrived & (step == 0), "routed_first", reset_less=True)
        routed_last = _later(m, last, "routed_last")
        routed_bank = _later(m, bank, "routed_bank", reset_less=True)
        m.d.comb += drain.finished.eq(routed_last)

        layout, routes = self._routes()
        m.submodules.routes = memory = Memory(shape=layout, depth=steps, init=routes)
        port = memory.read_port(domain="comb")
        m.d.comb += port.addr.eq(step)
        for output, serving in enumerate(schedule.serving_columns):
            route = port.data[f"output_{output}"]
            routed = Signal(self.psum_shape, name=f"routed_{output}", reset_less=True)
            with m.If(~(arrived & route.enable)):
                m.d.sync += routed.eq(0)
            with m.Else(), m.Switch(route.source):
                for source, column in enumerate(serving):
                    with m.Case(source) if source + 1 < len(serving) else m.Default():
                        m.d.sync += routed.eq(element(gathered, column, self.psum_shape))
            accumulator = Accumulator(
                self.psum_shape, self.sum_shape, sums=1, depth=self.banks, many=False
            )
            m.submodules[f"accumulator_{output}"] = accumulator
            m.d.comb += [
                accumulator.enable.eq(1),
                accumulator.first.eq(routed_first),
                accumulator.final.eq(routed_last),
                accumulator.address.eq(routed_bank),
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
                    {"enable": 1, "source": unsigned(ceil_log2(len(serving)))}
                )
                for output, serving in enumerate(schedule.serving_columns)
            }
        )
        routes = []
        for step in schedule.steps:
            route = {}
            for column, output in enumerate(step.outputs):
                if output is not None:
                    route[f"output_{output}"] = {
                        "enable": 1,
                        "source": schedule.serving_columns[output].index(column),
                    }
            routes.append(route)
        return layout, routes


def _later(m: Module, value: Value, name: str, *, reset_less: bool = False) -> Signal:
    """A register with the value of the cycle before."""
    register = Signal(len(value), name=name, reset_less=reset_less)
    m.d.sync += register.eq(value)
    return register

"""Trials of other widths on all processors: `evaluate` and benchmarks use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

from systolith.golden.quantization.trials import Change, Trial, TrialBench, one_after_another
from systolith.scripts.sweeping.workers import local_workers, processors

_numbers = count()


@dataclass(frozen=True)
class _Sent:
    """A bench that is sent with every group of trials: the copies have the same number."""

    number: int
    bench: TrialBench = field(compare=False)


def on_all_processors(bench: TrialBench) -> Iterator[list[Trial]]:
    """The trials of each group, in order: the same as `one_after_another` makes.

    Raises
    ------
    ChildProcessError
        A process died.
    """
    groups = bench.groups
    processes = min(processors(), len(groups))
    if processes < 2:
        yield from one_after_another(bench)
        return
    sent = _Sent(next(_numbers), bench)
    try:
        with local_workers(processes) as workers:
            futures = [workers.executor.submit(_run, sent, group) for group in groups]
            for future in futures:
                yield future.result()
    except ChildProcessError:
        raise ChildProcessError("a process that tried widths died") from None


def _run(sent: _Sent, group: Sequence[Change]) -> list[Trial]:
    return _first_copy(sent).run(group)


@lru_cache(maxsize=1)
def _first_copy(sent: _Sent) -> TrialBench:
    """The bench as this process got it first: it has observed its network already."""
    return sent.bench

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from typing import Any

import pytest

from systolith.hw.errors import MissingToolError
from systolith.scripts.sweeping import workers
from systolith.scripts.sweeping.workers import Workers, dask_workers, local_workers, processors
from tests.scripts.dask_cluster import dask_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with dask_cluster(1) as running:
        yield running


def test_as_many_processors_as_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which may be fewer than the machine has; not every system knows it."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    own = {0: {1, 4, 6}}
    monkeypatch.setattr(os, "sched_getaffinity", own.__getitem__, raising=False)
    assert processors() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processors() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


def test_a_large_argument_is_sent_once_and_each_gets_its_own() -> None:
    sent: list[list[int]] = []

    def share(value: list[int]) -> tuple[str, int]:
        sent.append(value)
        return "sent", len(sent)

    here = Workers(ThreadPoolExecutor(), share)
    one, equal = [1], [1]
    found = [here.shared(each) for each in (one, equal, one, equal)]
    assert found == [("sent", 1), ("sent", 2), ("sent", 1), ("sent", 2)]
    assert [each is one for each in sent] == [True, False]


def test_one_worker_of_another_version_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "program_version", lambda: "1.0")
    workers._require_version(["1.0", "1.0"])
    for found in (["1.0", "0.9", "1.1"], ["1.1", "1.0", "0.9"]):
        with pytest.raises(ChildProcessError, match=r"have systolith 0\.9, 1\.1, and this is 1\.0"):
            workers._require_version(found)


def test_local_workers_compute_elsewhere_and_end() -> None:
    before = multiprocessing.active_children()
    with local_workers(2) as here:
        futures: list[Future[int]] = [here.executor.submit(os.getpid) for _ in range(4)]
        assert os.getpid() not in {future.result() for future in futures}
        assert here.share(futures) is futures
    assert multiprocessing.active_children() == before


def test_a_worker_that_dies_is_one_error() -> None:
    with (
        pytest.raises(
            ChildProcessError, match="a worker process died: finished results are cached"
        ),
        local_workers(1) as here,
    ):
        here.executor.submit(os.kill, here.executor.submit(os.getpid).result(), 9).result()


def test_an_error_ends_workers_at_once() -> None:
    before = multiprocessing.active_children()
    start = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt), local_workers(1) as here:
        here.executor.submit(os.getpid).result()
        here.executor.submit(time.sleep, 60)
        raise KeyboardInterrupt
    assert time.monotonic() - start < 30
    assert multiprocessing.active_children() == before


def test_workers_leave_interrupts_to_their_parent() -> None:
    with local_workers(1) as here:
        pid = here.executor.submit(os.getpid).result()
        os.kill(pid, signal.SIGINT)
        assert here.executor.submit(os.getpid).result() == pid


def test_a_dask_cluster_computes(cluster: Any) -> None:
    with dask_workers(cluster.scheduler_address) as there:
        assert there.executor.submit(len, there.share("abc")).result() == 3
        assert there.executor.submit(os.getpid).result() != os.getpid()


def test_a_dask_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(ConnectionError, match="no scheduler answered"), dask_workers(address):
            pass
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("address", ["", "here", "nonsense://127.0.0.1:1"])
def test_what_is_no_address_of_a_cluster(address: str) -> None:
    with (
        pytest.raises(ValueError, match=f"--dask: '{address}' is not an address"),
        dask_workers(address),
    ):
        pass


def test_workers_of_another_version_are_refused(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "program_version", lambda: "9.9")
    with (
        pytest.raises(ChildProcessError, match=r"workers have systolith .*, and this is 9\.9"),
        dask_workers(cluster.scheduler_address),
    ):
        pass


def test_workers_without_this_program_are_refused(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: str) -> str:  # sent to the worker as it is
        raise metadata.PackageNotFoundError("systolith")

    monkeypatch.setattr(metadata, "version", absent)
    with (
        pytest.raises(ChildProcessError, match=r"a worker lacks something: .*systolith"),
        dask_workers(cluster.scheduler_address),
    ):
        pass


def test_a_worker_is_no_scheduler(cluster: Any) -> None:
    (worker,) = cluster.scheduler_info["workers"]
    with pytest.raises(ValueError, match="is a worker, not a scheduler"), dask_workers(worker):
        pass


def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 1)
    with (
        dask_cluster(0) as empty,
        pytest.raises(ConnectionError, match="had no workers for 1 s"),
        dask_workers(empty.scheduler_address),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"\[dask\]"), dask_workers("tcp://x:1"):
        pass

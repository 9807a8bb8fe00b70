from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from importlib import metadata
from typing import Any

import pytest

from systolith.hw.errors import MissingToolError
from systolith.scripts.sweeping import workers
from systolith.scripts.sweeping.workers import dask_workers, local_workers, processors
from tests.scripts.dask_cluster import dask_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with dask_cluster(1) as running:
        yield running


def test_as_many_processors_as_this_process_may_use() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)


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

"""The processes that run the jobs of a sweep: on this machine, or on a Dask cluster."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from multiprocessing.context import SpawnContext
from typing import Any

from systolith.scripts.sweeping.jobs import program_version

CONNECT_SECONDS = 10
"""Seconds to wait for a Dask scheduler, and then for its first worker."""

_RESUME = "finished results are cached, and the same command continues from there"


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, eq=False)
class Workers:
    """An executor, and a way to send it an argument that many jobs take only once.

    Parameters
    ----------
    executor
        The executor to which jobs are submitted.
    share
        Sends a large argument; its result is then submitted in place of it.
    """

    executor: Executor
    share: Callable[[Any], Any] = _itself
    _sent: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def shared(self, value: Any) -> Any:
        """What is submitted in place of a large argument, which is sent only once."""
        if id(value) not in self._sent:
            # The value is stored too, so that no other gets its id.
            self._sent[id(value)] = value, self.share(value)
        return self._sent[id(value)][1]


def processors() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def local_workers(jobs: int) -> Iterator[Workers]:
    """Processes on this machine; none of them outlives the context or this process.

    Processes are spawned: a program that uses this must do its work under
    `if __name__ == "__main__":`.

    Raises
    ------
    ChildProcessError
        A process died.
    """
    others = multiprocessing.active_children()
    pool = _Pool(jobs, mp_context=SpawnContext(), initializer=_follow_the_parent)
    try:
        yield Workers(pool)
    except BaseException as error:
        # Waiting for their current jobs would take seconds.
        for process in multiprocessing.active_children():
            if process not in others:
                process.kill()
        if isinstance(error, BrokenExecutor):
            raise ChildProcessError(f"a worker process died: {_RESUME}") from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def dask_workers(address: str) -> Iterator[Workers]:
    """The workers of a Dask cluster, which have this program installed.

    Parameters
    ----------
    address
        The scheduler's, such as `tcp://10.0.0.1:8786`.

    Raises
    ------
    MissingToolError
        Dask is not installed.
    ValueError
        The address is not valid.
    ConnectionError
        No scheduler answers there, it has no workers, or the connection was lost.
    ChildProcessError
        Workers lack this program or have another version of it, or a job killed them.
    """
    if importlib.util.find_spec("distributed") is None:
        from systolith.hw.errors import MissingToolError
        from systolith.hw.installation import install_extra

        raise MissingToolError("Dask", "for --dask", install_extra("dask"))
    from distributed import Client
    from distributed.scheduler import KilledWorker

    # The error says what Dask logs about a lost connection.
    logging.disable()
    try:
        _require_scheduler(address)
        with Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:
            try:
                client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            except TimeoutError:
                raise ConnectionError(
                    f"--dask: the scheduler at {address!r} had no workers for {CONNECT_SECONDS} s"
                ) from None
            executor = client.get_executor()
            try:
                _require_version(client.run(metadata.version, "systolith").values())
                # Broadcast, so that every worker has it.
                yield Workers(executor, partial(client.scatter, broadcast=True))
            except CancelledError:
                raise ConnectionError(
                    f"--dask: {address!r} or its workers were lost: {_RESUME}"
                ) from None
            except KilledWorker:
                raise ChildProcessError(f"--dask: a job killed the workers: {_RESUME}") from None
            except ImportError as error:
                raise ChildProcessError(f"--dask: a worker lacks something: {error}") from None
            finally:
                executor.shutdown(wait=False)
    finally:
        logging.disable(logging.NOTSET)


def _require_scheduler(address: str) -> None:
    """Refuse an address at which no scheduler answers; a `Client` takes much longer to give up."""
    from distributed.core import rpc
    from distributed.security import Security

    async def identity() -> Mapping[str, Any]:
        arguments = Security().get_connection_args("client")
        async with rpc(address, timeout=CONNECT_SECONDS, connection_args=arguments) as remote:
            found: Mapping[str, Any] = await remote.identity()
            return found

    try:
        kind = asyncio.run(asyncio.wait_for(identity(), CONNECT_SECONDS))["type"]
    except ValueError as error:
        raise ValueError(f"--dask: {address!r} is not an address: {error}") from None
    except (OSError, TimeoutError):
        raise ConnectionError(
            f"--dask: no scheduler answered at {address!r} within {CONNECT_SECONDS} s"
        ) from None
    if kind != "Scheduler":
        raise ValueError(f"--dask: at {address!r} is a {kind.lower()}, not a scheduler")


def _require_version(found: Iterable[str]) -> None:
    """Refuse workers of other versions of this program."""
    others = sorted(set(found) - {program_version()})
    if others:
        raise ChildProcessError(
            f"--dask: workers have systolith {', '.join(others)}, and this is {program_version()}"
        )


class _Pool(ProcessPoolExecutor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        # Processes start here and inherit the mask: an interrupt or a hang-up of the terminal is
        # handled by this process, which then ends them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_the_parent() -> None:
    """End this process when its parent ends, even if that was killed."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

"""One BLAS thread while a model computes: its matrices are too small to gain from more.

On idle processors more threads take as long. If the processors have other work, the threads wait
for each other and take several times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
# The number of `one_blas_thread` that are entered, in all threads of Python, and the first's limit.
_entered = 0
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread, in a `with` statement or as a decorator of a function.

    The number of threads is one of the process: the first to enter sets it, and the last to leave
    restores it, in any order and in any thread. The first to enter takes some 40 microseconds.
    """
    global _entered, _limit
    with _lock:
        if not _entered:
            _limit = _blas().limit(limits=1)
            # A thread that sets a limit keeps others from doing so until it leaves a context.
            with _blas().limit():
                pass
        _entered += 1
    try:
        yield
    finally:
        with _lock:
            _entered -= 1
            if not _entered:
                with _limit:
                    pass


@cache
def _blas() -> ThreadpoolController:
    """The BLAS of NumPy; to find it takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")

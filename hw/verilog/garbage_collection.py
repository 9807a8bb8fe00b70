"""Garbage collection, switched off where many objects are created and few of them die."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """No garbage collection inside this context.

    Amaranth frees almost none of its objects until it is done, so that searching them for garbage
    takes a third of its time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

"""What our LZ4 writes is unpacked, by a decoder that follows the specification, to what it got."""

from __future__ import annotations

import ctypes
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from tests.sim.bulk.fst_values import unpacked

_SOURCE = """
#include "lz4.h"
#include "zlib.h"
extern "C" int bound(int size) { return LZ4_compressBound(size); }
extern "C" int compress(const char* from, char* to, int size) {
    return LZ4_compress_default(from, to, size, bound(size));
}
extern "C" unsigned long stored(unsigned long size) {
    unsigned long result = compressBound(size);
    return compress2(nullptr, &result, nullptr, size, 9) == Z_OK ? result : 0;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("lz4")
    (folder / "lz4.cpp").write_text(_SOURCE)
    headers = resources.files("systolith.sim.simulators").joinpath("compression")
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"]
    subprocess.run([*command, f"-I{headers}", "lz4.cpp", "-o", "lz4.so"], cwd=folder, check=True)
    return ctypes.CDLL(str(Path(folder, "lz4.so")))


def test_there_and_back(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    runs = [bytes(n) for n in (*range(40), 70, 255, 270, 285, 286, 70_000)]
    dull = [rng.integers(0, 2, n, np.uint8).tobytes() for n in (13, 300, 5_000, 200_000)]
    noise = [rng.integers(0, 256, n, np.uint8).tobytes() for n in (1, 14, 15, 270, 5_000)]
    far = noise[-1] + bytes(66_000) + noise[-1]
    for data in (*runs, *dull, *noise, far, far * 2):
        room = library.bound(len(data))
        buffer = ctypes.create_string_buffer(room)
        size = library.compress(data, buffer, len(data))
        assert 0 < size <= room
        assert unpacked(buffer.raw[:size], len(data)) == data
        # The format ends with at least five literals, which some decoders rely on.
        assert buffer.raw[:size].endswith(data[-5:])
    assert library.compress(runs[-1], ctypes.create_string_buffer(80_000), 70_000) < 300


def test_zlib_never_makes_anything_smaller(library: ctypes.CDLL) -> None:
    assert [library.stored(size) for size in (0, 1, 1000)] == [1, 2, 1001]

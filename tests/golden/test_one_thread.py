"""The number of BLAS threads inside the models, as seen from their kernels, and after them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from systolith import golden
from systolith.golden.fixed import execution
from systolith.golden.fixed.kernels import Kernel, Map
from systolith.golden.network import float_model
from systolith.golden.one_thread import one_blas_thread

_CALLERS = 2


def blas_threads() -> set[int]:
    """The threads of NumPy's BLAS; other tests load SciPy, which has one of its own."""
    found = (each for each in threadpool_info() if each["user_api"] == "blas")
    return {each["num_threads"] for each in found if "scipy.libs" not in each["filepath"]}


@pytest.fixture(autouse=True)
def callers_limit() -> Iterator[None]:
    """More than one thread, whatever the machine has, and no thread that owns the limit."""
    limit = threadpool_limits(_CALLERS, "blas")
    with threadpool_limits():
        pass
    if blas_threads() != {_CALLERS}:
        pytest.skip("the threads of this BLAS cannot be set")
    yield
    with limit:
        pass


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[int]]]:
    """The model and the number of threads of every layer that is computed."""
    seen: list[tuple[str, set[int]]] = []
    pad = Kernel.pad

    def observed_pad(kernel: Kernel, x: Map) -> Map:
        seen.append(("fixed", blas_threads()))
        return pad(kernel, x)

    def observed(compute: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            seen.append(("float", blas_threads()))
            return compute(*arguments)

        return wrapper

    monkeypatch.setattr(Kernel, "pad", observed_pad)
    for kind, compute in float_model._COMPUTE.items():
        monkeypatch.setitem(float_model._COMPUTE, kind, observed(compute))
    return seen


def _quantize() -> golden.QuantizedNetwork:
    settings = golden.Settings(golden.LayerSettings(bias_correction=True))
    images = golden.validation_digits().images[:20]
    return golden.quantize(golden.load_network("lenet5"), images, settings)


@pytest.fixture(scope="module")
def quantized() -> golden.QuantizedNetwork:
    return _quantize()


USES: dict[str, tuple[set[str], Callable[[golden.QuantizedNetwork], object]]] = {
    "quantize": ({"fixed", "float"}, lambda _: _quantize()),
    "evaluate": ({"fixed", "float"}, lambda q: golden.evaluate(q, golden.test_digits(), 20)),
    "run": ({"fixed"}, lambda q: execution.run(q.fixed, golden.test_digits().images[:3])),
    "scores": ({"fixed"}, lambda q: execution.scores(q.fixed, golden.test_digits().images[:3])),
    "float run": (
        {"float"},
        lambda q: float_model.run(q.parent, golden.test_digits().images[:3]),
    ),
    "apply": ({"float"}, lambda q: float_model.apply(q.parent, "F6", np.zeros((3, 1, 1, 120)))),
}


@pytest.mark.parametrize("use", USES)
def test_a_model_computes_with_one_thread(
    use: str, quantized: golden.QuantizedNetwork, inside: list[tuple[str, set[int]]]
) -> None:
    models, call = USES[use]
    call(quantized)
    assert {model for model, _ in inside} == models
    assert all(threads == {1} for _, threads in inside)
    assert blas_threads() == {_CALLERS}


def test_the_caller_has_its_threads_between_layers(quantized: golden.QuantizedNetwork) -> None:
    images = golden.test_digits().images[:3]
    for _ in float_model.intermediates(quantized.parent, images):
        assert blas_threads() == {_CALLERS}


def test_an_error_restores_the_limit(quantized: golden.QuantizedNetwork) -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        execution.run(quantized.fixed, np.zeros((1, 2, 2, 1), np.uint8))
    assert blas_threads() == {_CALLERS}


def test_the_last_of_overlapping_threads_restores_the_limit() -> None:
    first_is_in, second_is_in, first_is_out, second_is_out = (threading.Event() for _ in range(4))

    def first() -> None:
        with one_blas_thread():
            first_is_in.set()
            assert second_is_in.wait(10)
        first_is_out.set()
        assert second_is_out.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(10)
    with one_blas_thread():
        second_is_in.set()
        assert first_is_out.wait(10)
        assert blas_threads() == {1}
    assert blas_threads() == {_CALLERS}
    second_is_out.set()
    thread.join()

"""Needs PyTorch, which is imported where it is used: without it these tests are only collected."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.files import datasets
from systolith.golden.network import float_model, shipped
from systolith.golden.network.activations import ACTIVATIONS
from systolith.golden.network.graph import Activation

pytestmark = pytest.mark.training


@pytest.mark.parametrize("name", shipped.names())
def test_pytorch_computes_what_the_float_model_computes(name: str) -> None:
    import torch

    from systolith.scripts.training import torch_network

    network = shipped.network(name)
    model = torch_network.GraphModule(network)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    images = datasets.validation_digits().images[:20]
    pixels = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)
    with torch.no_grad():
        scores = model(torch_network.input_values(network.input, pixels)).numpy()
    np.testing.assert_allclose(
        float_model.scores(model.trained(), images), scores, rtol=1e-4, atol=1e-3
    )


def test_the_squashing_function_s_gradient() -> None:
    import torch

    from systolith.scripts.training import torch_network

    x = torch.linspace(-3, 3, 50, dtype=torch.float64, requires_grad=True)
    activation = shipped.network("lenet5")["C1"].activation
    assert torch.autograd.gradcheck(lambda x: torch_network.activate(activation, x), x)


def test_every_activation_is_that_of_the_float_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from systolith.scripts.training import torch_network

    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    for name in ACTIVATIONS:
        activation = Activation(name)
        if activation.is_table:
            activation = Activation(name, amplitude=1.5, slope=0.5)
        found = torch_network.activate(activation, x).numpy()
        np.testing.assert_allclose(found, activation(x.numpy()), rtol=1e-12, atol=1e-12)
    monkeypatch.setitem(ACTIVATIONS, "swish", ACTIVATIONS["tanh"])
    with pytest.raises(ValueError, match="activation 'swish' cannot be trained: allowed are none"):
        torch_network.activate(Activation("swish"), x)

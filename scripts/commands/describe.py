"""`systolith describe`: the layer table of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from systolith.scripts.console import print_json, print_table, to_json
from systolith.scripts.options import JsonOption, NetworkArgument

if TYPE_CHECKING:
    from systolith.golden.network.graph import Network

SCHEMA = "systolith.description/1"

_COUNTS = ("parameters", "connections", "macs", "scalings")


def describe(network: NetworkArgument, json: JsonOption = False) -> None:
    """Print the layers of a network: shapes, parameters, connections, MACs.

    Everything is counted from the graph, as in the LeNet-5 paper. MACs are
    multiply-accumulates; scalings are multiplications by the coefficient of a
    sub-sampling layer.

    [bold]Examples[/bold]

    systolith describe lenet5
    systolith describe lenet5-relu --json
    """
    from systolith import golden

    loaded = golden.load(network)
    graph = loaded.parent.network if isinstance(loaded, golden.QuantizedNetwork) else loaded.network
    description = described(graph)
    if json:
        print_json(to_json(description))
        return
    rows = [
        (
            layer["name"],
            f"{layer['type']} {layer['form']}".rstrip(),
            " x ".join(map(str, layer["output_shape"])),
            *(f"{layer[count]:,}" for count in _COUNTS),
        )
        for layer in description["layers"]
    ]
    totals = ("total", "", "", *(f"{description['totals'][count]:,}" for count in _COUNTS))
    print_table(
        description["network"],
        ("layer", "type", "output", "parameters", "connections", "MACs", "scalings"),
        rows,
        left=2,
        footer=totals,
    )


def described(network: Network) -> dict[str, Any]:
    """The document that `describe --json` prints."""
    shapes = network.shapes()
    layers = []
    for layer in network.layers:
        source = shapes[layer.inputs[0]] if layer.inputs else network.input.image_shape
        layers.append(
            {
                "name": layer.name,
                "type": layer.type_name,
                "form": layer.form,
                "output_shape": list(shapes[layer.name]),
                "parameters": layer.parameters(source),
                "connections": layer.connections(source),
                "macs": layer.macs(source),
                "scalings": layer.scalings(source),
            }
        )
    return {
        "schema": SCHEMA,
        "network": network.name,
        "layers": layers,
        "totals": {count: sum(layer[count] for layer in layers) for count in _COUNTS},
    }

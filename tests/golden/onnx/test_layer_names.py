"""Names of layers and networks, made of the names that exporters write."""

from __future__ import annotations

import pytest

from systolith.golden.onnx.layer_names import LayerNames, network_name

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("wanted", "operator", "name"),
    [
        ("/features/features.0/Conv", "Conv", "features_0"),
        ("/net/net.0/Conv", "Conv", "net_0"),
        ("/net/other.0/Conv", "Conv", "net_other_0"),
        ("/a/b/Relu", "Conv", "a_b_Relu"),
        ("Conv", "Conv", "Conv"),
        ("", "Conv", "dense"),
        ("//", "Conv", "dense"),
        ("7.1", "Conv", "dense_7_1"),
        ("__a..b__", "Conv", "a_b"),
        # The last 40 characters.
        ((LETTERS + LETTERS)[:40], "Conv", (LETTERS + LETTERS)[:40]),
        (f"x{LETTERS}{LETTERS}"[:41], "Conv", (LETTERS + LETTERS)[:40]),
        (f"x_{LETTERS}.{LETTERS}", "Conv", f"{LETTERS[13:]}_{LETTERS}"),
    ],
)
def test_a_name_is_the_end_of_the_path_as_an_identifier(
    wanted: str, operator: str, name: str
) -> None:
    assert LayerNames().take(wanted, operator, "dense") == name


def test_every_layer_has_a_name_of_its_own() -> None:
    names = LayerNames()
    assert [names.take(each, "Conv", "conv") for each in ("a", "a", "a_2", "a", "input")] == [
        *("a", "a_2", "a_2_2", "a_3", "input_2"),
    ]


def test_a_network_is_named_after_its_file() -> None:
    assert network_name("my net (1)") == "my-net-1"
    assert network_name("???") == "network"
    assert network_name("a_b-c") == "a_b-c"
    assert network_name("x" * 61) == "x" * 60

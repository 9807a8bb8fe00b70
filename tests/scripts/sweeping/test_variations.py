from __future__ import annotations

from typing import Any

import pytest

from systolith import golden
from systolith.scripts.sweeping.variations import (
    MOST_POINTS,
    Variation,
    combinations,
    counted,
    flat,
    parse_variations,
    shown_value,
    varied_keys,
    words_of,
)

NETWORKS = {name: golden.load_network(name).network for name in ("lenet5", "lenet5-relu")}
BITS = Variation("weight_bits", (8, 4))


def made(*given: str, networks: tuple[str, ...] = ("lenet5",)) -> list[golden.Settings]:
    return combinations(
        [BITS, *parse_variations(given)], {name: NETWORKS[name] for name in networks}
    )


def test_every_combination_once() -> None:
    settings = made("bias_correction=true,false", "layers.C3.weight_bits=3,4,5")
    assert len(settings) == 2 * 2 * 3
    assert [each.default.weight_bits for each in settings] == [8] * 6 + [4] * 6
    found = {
        (s.default.weight_bits, s.default.bias_correction, s.of("C3").weight_bits) for s in settings
    }
    assert found == {(w, b, c) for w in (8, 4) for b in (True, False) for c in (3, 4, 5)}


def test_a_layer_may_have_several_settings_of_its_own() -> None:
    given = ("layers.C3.weight_bits=3,4", "layers.C1.rounding=floor", "layers.C3.activation_bits=5")
    found = [(s.of("C3").weight_bits, s.of("C3").activation_bits) for s in made(*given)]
    assert found == 2 * [(3, 5), (4, 5)]
    assert {s.of("C1").rounding for s in made(*given)} == {"floor"}


def test_values_are_those_of_a_settings_file() -> None:
    given = ("rounding=floor", "table_index_bits=6, 8", "layers.C1.calibration=minmax")
    found = {each.key: each.values for each in parse_variations(given)}
    assert found == {
        "rounding": ("floor",),
        "table_index_bits": (6, 8),
        "layers.C1.calibration": ("minmax",),
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["rounding"], "--vary: must be KEY=V,V..., not 'rounding'"),
        (["rounding="], "--vary rounding: must be one of floor, half_up, half_even, not ''"),
        (["round=floor"], "--vary round: no such key: allowed are weight_bits"),
        (["weight_bits=3"], "--vary weight_bits: has an option of its own, --weight-bits"),
        (["bias_correction=1"], "--vary bias_correction: must be true or false, not 1"),
        (["bias_correction=True"], "--vary bias_correction: must be true or false, not 'True'"),
        (["bias_correction=true,true"], "--vary bias_correction: true is there twice"),
        (["rounding=floor", "rounding=half_up"], "--vary rounding: is there twice"),
        (["layers.C3.weight_bits=1"], "--vary layers.C3.weight_bits: must be a whole number"),
        (["layers.C3=4"], "--vary layers.C3: no such key"),
        (["percentile=nan"], "--vary percentile: must be a number from 50 to 100, not nan"),
    ],
)
def test_keys_and_values_that_are_not_allowed(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        parse_variations(given)


def test_settings_that_change_nothing_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^--vary table_index_bits: changes nothing in network 'lenet5-relu'"
    ):
        made("table_index_bits=6,8", networks=("lenet5", "lenet5-relu"))
    layers = [layer.name for layer in NETWORKS["lenet5"].layers[1:]]
    own = [f"layers.{name}.weight_bits=3" for name in layers]
    with pytest.raises(ValueError, match=r"^--weight-bits: changes nothing in network 'lenet5'"):
        made(*own)
    assert len(made(*own[:-1])) == 2
    # One width for all layers is what those have that are not named; here none.
    one = combinations(
        [Variation("weight_bits", (8,)), *parse_variations(own)], {"lenet5": NETWORKS["lenet5"]}
    )
    assert [each.of(layers[0]).weight_bits for each in one] == [3]


def test_the_number_of_points_has_a_limit() -> None:
    bits = [Variation("weight_bits", tuple(range(2, 17))), Variation("activation_bits", (8, 7, 6))]
    more = parse_variations(["layers.C1.weight_bits=2,3,4,5", "layers.C3.weight_bits=2,3,4,5,6,7"])
    with pytest.raises(ValueError, match=rf"^1,080 points: at most {MOST_POINTS:,} can be swept"):
        combinations([*bits, *more], {"lenet5": NETWORKS["lenet5"]})
    assert counted(bits, 2) == "90 points: 2 networks x 15 of weight_bits x 3 of activation_bits"
    assert counted([BITS], 1) == "2 points: 2 of weight_bits"
    assert counted([Variation("weight_bits", (8,))], 1) == "1 point"
    thousand = [Variation("weight_bits", tuple(range(2, 12)))]
    thousand.append(Variation("activation_bits", tuple(range(2, 12))))
    thousand += parse_variations(["layers.C1.weight_bits=2,3,4,5,6,7,8,9,10,11"])
    assert len(combinations(thousand, {"lenet5": NETWORKS["lenet5"]})) == 1000
    with pytest.raises(ValueError, match=r"^2,000 points: at most 1,000 can be swept at once"):
        combinations(thousand, NETWORKS)


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"bias_correction": True}, "bias"),
        ({"table_index_bits": 6}, "index6"),
        ({"percentile": 99.5}, "p99.5"),
        ({"granularity": "tensor"}, "tensor"),
        ({"rounding": "half_even"}, "half_even"),
        ({"layers": {"C3": {"weight_bits": 3}}}, "C3-w3"),
        ({"layers": {"C3": {"activation_bits": 5}}}, "C3-a5"),
        ({"layers": {"C3": {"bias_correction": False}}}, "C3-no-bias"),
        ({"layers": {"C3": {"calibration": "minmax"}}}, "C3-minmax"),
        ({"layers": {"C3": {"weight_bits": 3, "rounding": "floor"}}}, "C3-w3 C3-floor"),
        # Defaults set nothing apart.
        ({"bias_correction": False, "rounding": "half_up", "granularity": "channel"}, ""),
    ],
)
def test_every_setting_has_a_short_word(setting: dict[str, Any], word: str) -> None:
    settings = {"weight_bits": 8, "activation_bits": 6, "calibration": "mse", **setting}
    assert list(words_of(settings, 1)) == ["w8-a6", *word.split()]
    assert list(words_of(settings, 2)) == ["w8-a6", "mse", *word.split()]
    layers = setting.get("layers", {})
    keys = [f"layers.{name}.{key}" for name, own in layers.items() for key in own]
    assert varied_keys([settings]) == (keys or (list(setting) if word else []))


@pytest.mark.parametrize(
    ("key", "layer"),
    [
        ("weight_bits", None),
        ("layers.C3.weight_bits", ("C3", "weight_bits")),
        ("layers.a.b.rounding", ("a.b", "rounding")),
        ("layers.C3", None),
        ("layer.C3.rounding", None),
    ],
)
def test_the_layer_of_a_key(key: str, layer: tuple[str, str] | None) -> None:
    assert Variation(key, ()).layer == layer


def test_a_value_s_word_is_that_of_a_settings_file() -> None:
    settings = {"bias_correction": True, "percentile": 99.5, "layers": {"C3": {"weight_bits": 3}}}
    keys = ("bias_correction", "percentile", "layers.C3.weight_bits", "rounding")
    assert [shown_value(settings, key) for key in keys] == ["true", "99.5", "3", ""]
    assert flat(settings) == {
        "bias_correction": True,
        "percentile": 99.5,
        "layers.C3.weight_bits": 3,
    }


def test_what_sets_points_apart() -> None:
    given = ("bias_correction=true", "rounding=floor", "layers.C3.weight_bits=3")
    mapping = made(*given)[0].to_mapping()
    assert list(words_of(mapping, 2)) == ["w8-a8", "mse", "floor", "bias", "C3-w3"]
    assert list(words_of(made()[0].to_mapping(), 1)) == ["w8-a8"]
    plain = golden.Settings().to_mapping()
    assert varied_keys([plain, mapping]) == ["rounding", "bias_correction", "layers.C3.weight_bits"]
    assert varied_keys([plain]) == []

"""A graph as JSON, in the header of network files; reading is strict and names what it refuses.

The keys of a layer are the fields of its dataclass in `graph`: a new layer type or a new field
needs no change here. A field of `graph.LEFT_OUT_BY_DEFAULT` is left out where it has its
default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import Field, fields, is_dataclass
from functools import cache, reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from msgspec import Meta, Raw, Struct, defstruct, structs

from systolith.golden.errors import FileFormatError
from systolith.golden.files import json_files
from systolith.golden.network.graph import (
    LAYER_TYPES,
    LEFT_OUT_BY_DEFAULT,
    MAY_BE_NEGATIVE,
    GraphError,
    Layer,
    Network,
)
from systolith.golden.qformat import QFormat

MAX_LAYERS = 1024
"""The longest graph that is read."""

MAX_SIZE = 65536
"""The largest size (of a map, of a kernel, in channels) that is read."""

_NOTATION = 16  # characters of a format, at most


def to_json(network: Network) -> dict[str, Any]:
    """The graph as objects that JSON can hold.

    Raises
    ------
    GraphError
        It has more layers or larger sizes than are read again.
    """
    if len(network.layers) > MAX_LAYERS:
        raise GraphError(
            f"network {network.name!r}: has {len(network.layers):,} layers with its input, at most "
            f"{MAX_LAYERS:,} are supported"
        )
    for layer in network.layers:
        for field in fields(layer):
            value = getattr(layer, field.name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, int) and abs(each) > MAX_SIZE:
                    layer.fail(f"{field.name} is {each:,}, at most {MAX_SIZE:,} is supported")
    layers = [{"type": layer.type_name, **_value_to_json(layer)} for layer in network.layers]
    return {"name": network.name, "layers": layers}


def from_json(text: bytes | Raw) -> Network:
    """The graph whose `to_json` a JSON text holds.

    Raises
    ------
    GraphError
        A layer type or a key is unknown, a key is missing, a value is of the wrong type or too
        large, or the graph cannot be.
    """
    try:
        graph = json_files.decode_part(text, _graph_record(), "$.graph")
    except FileFormatError as error:
        raise GraphError(str(error)) from None
    return Network(graph.name, tuple(_layers_from_records(graph.layers)))


def _value_to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_value_to_json(item) for item in value]
    if isinstance(value, QFormat):
        return str(value)
    if is_dataclass(value):
        entries = [(field, getattr(value, field.name)) for field in fields(value)]
        return {
            field.name: _value_to_json(entry)
            for field, entry in entries
            if field.metadata != LEFT_OUT_BY_DEFAULT or entry != field.default
        }
    return value


@cache
def _graph_record() -> Any:
    """The struct of a graph."""
    layer = reduce(or_, (_record(cls, name) for name, cls in LAYER_TYPES.items()))
    limits = Meta(min_length=1, max_length=MAX_LAYERS)
    layers: Any = GenericAlias(tuple, (layer, ...))
    return defstruct(
        "Graph",
        [("name", str), ("layers", Annotated[layers, limits])],
        forbid_unknown_fields=True,
    )


@cache
def _record(cls: type, type_name: str | None = None) -> Any:
    """A struct with the fields of a dataclass, which must be there unless they may be left out."""
    hints = get_type_hints(cls)
    return defstruct(
        cls.__name__,
        [_entry(field, hints[field.name]) for field in fields(cls)],
        kw_only=True,
        tag=type_name,
        tag_field="type" if type_name else None,
        forbid_unknown_fields=True,
    )


def _entry(field: Field[Any], hint: Any) -> tuple[Any, ...]:
    """A field of a struct, as `defstruct` takes it."""
    if field.metadata == LEFT_OUT_BY_DEFAULT:
        # Texts stand for formats, also among the values of a record.
        default = str(field.default) if isinstance(field.default, QFormat) else field.default
        return field.name, _limited(hint), default
    if field.metadata == MAY_BE_NEGATIVE:
        return field.name, Annotated[int, Meta(ge=-MAX_SIZE, le=MAX_SIZE)]
    return field.name, _limited(hint)


def _limited(hint: Any) -> Any:
    """A type with limits for its integers, and with structs instead of dataclasses."""
    if hint is QFormat:
        return Annotated[str, Meta(max_length=_NOTATION)]
    if hint is int:
        return Annotated[int, Meta(ge=0, le=MAX_SIZE)]
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint)
    if get_origin(hint) is tuple:
        return GenericAlias(tuple, tuple(map(_limited, get_args(hint))))
    if isinstance(hint, UnionType):
        return reduce(or_, map(_limited, get_args(hint)))
    return hint


def _layers_from_records(records: Iterable[Struct]) -> Iterator[Layer]:
    for position, record in enumerate(records):
        layer_type = LAYER_TYPES[str(record.__struct_config__.tag)]
        try:
            yield _from_record(layer_type, record)
        except GraphError as error:
            raise GraphError(f"$.graph.layers[{position}]: {error}") from None


def _from_record(cls: type, record: Struct) -> Any:
    hints = get_type_hints(cls)
    return cls(
        **{name: _made(hints[name], value) for name, value in structs.asdict(record).items()}
    )


def _made(hint: Any, value: Any) -> Any:
    """The value of a field of a dataclass, from that of a struct."""
    if hint is QFormat:
        try:
            return QFormat.parse(value)
        except ValueError as error:
            raise GraphError(str(error)) from None
    return _from_record(hint, value) if isinstance(value, Struct) else value

"""JSON objects read key by key: what is missing or of a wrong type is named by its path."""

from __future__ import annotations

from typing import Any

from systolith.golden.errors import FileFormatError


class JsonReader:
    """The keys of a JSON object, by type; `path` says where it stands."""

    def __init__(self, entries: Any, path: str) -> None:
        if not isinstance(entries, dict):
            raise FileFormatError(f"{path.rstrip('.')}: must be an object, not {shown(entries)}")
        self._entries: dict[str, Any] = entries
        self.path = path

    @property
    def keys(self) -> list[str]:
        return list(self._entries)

    def value(self, key: str, types: tuple[type, ...]) -> Any:
        if key not in self._entries:
            raise FileFormatError(f"key {self.path + key!r} is missing")
        value = self._entries[key]
        # A bool is an int to Python, but not to JSON.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise FileFormatError(f"key {self.path + key!r} cannot be {shown(value)}")
        return value

    def reader(self, key: str) -> JsonReader:
        return JsonReader(self.value(key, (dict,)), f"{self.path}{key}.")

    def optional(self, key: str) -> JsonReader | None:
        """The object under a key, if the key is there and not null."""
        if self._entries.get(key) is None:
            return None
        return self.reader(key)

    def readers(self, key: str) -> list[JsonReader]:
        """The objects in the list under a key."""
        entries = self.value(key, (list,))
        return [JsonReader(each, f"{self.path}{key}.{n}.") for n, each in enumerate(entries)]

    def string(self, key: str) -> str:
        value: str = self.value(key, (str,))
        return value

    def number(self, key: str) -> float:
        return float(self.value(key, (int, float)))

    def count(self, key: str) -> int:
        value: int = self.value(key, (int,))
        if value < 0:
            raise FileFormatError(f"key {self.path + key!r} cannot be {value}")
        return value

    def counts(self, key: str) -> tuple[int, ...]:
        values = self.value(key, (list,))
        for value in values:
            if type(value) is not int or value < 0:
                raise FileFormatError(f"key {self.path + key!r} cannot have {shown(value)}")
        return tuple(values)


def shown(value: object) -> str:
    """What was given, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

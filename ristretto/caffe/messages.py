"""From protobuf messages to `Fields`: the border that protobuf does not cross."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ristretto.net.fields import Fields


class MessageValues(Mapping[str, Any]):
    """The fields of a message, read when asked for: a LayerParameter has sixty nested messages, a layer wants two."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self._fields = message.DESCRIPTOR.fields_by_name

    def __getitem__(self, name: str) -> Any:
        field = self._fields[name]
        value = getattr(self._message, name)
        if is_repeated(field):
            return tuple(_plain(field, item) for item in value)
        return _plain(field, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def _plain(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return as_fields(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return value


def as_fields(message: Any) -> Fields:
    """Give a message as plain data, defaults filled in."""
    return Fields(MessageValues(message), frozenset(field.name for field, _ in message.ListFields()))


def is_repeated(field: Any) -> bool:
    """Whether a field may stand more than once, from its descriptor."""
    # protobuf 7 has no `label` any more, protobuf 5 no `is_repeated` yet.
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)

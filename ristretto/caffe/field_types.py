"""What the schema says of a field, in the few words that reading text needs."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

from ristretto.caffe.messages import is_repeated


class FieldType:
    """A field of a message.

    Parameters
    ----------
    descriptor : protobuf's FieldDescriptor

    Attributes
    ----------
    name : str
    repeated : bool
    is_block, is_text, is_real : bool
        Whether it takes a block in braces, a text in quotes, a floating-point number.
    """

    def __init__(self, descriptor: Any) -> None:
        self.name: str = descriptor.name
        self.repeated = is_repeated(descriptor)
        self.is_block = descriptor.message_type is not None
        self.is_text = descriptor.type in (descriptor.TYPE_STRING, descriptor.TYPE_BYTES)
        self.is_real = descriptor.type in (descriptor.TYPE_FLOAT, descriptor.TYPE_DOUBLE)
        self._descriptor = descriptor

    @cached_property
    def fields(self) -> dict[str, FieldType]:
        """The fields of a block, by name."""
        return field_types(self._descriptor.message_type)

    @property
    def wants(self) -> str:
        """What its value may be, for an error."""
        own = self._descriptor
        if self.is_block:
            return "a block in braces"
        if self.is_text:
            return "a text in quotes"
        if self.is_real:
            return "a number"
        if own.enum_type is not None:
            return f"one of {', '.join(value.name for value in own.enum_type.values)}"
        if own.type == own.TYPE_BOOL:
            return "true or false"
        bits = 32 if own.type in (own.TYPE_INT32, own.TYPE_UINT32) else 64
        if own.type in (own.TYPE_UINT32, own.TYPE_UINT64):
            return f"a whole number from 0 to {2**bits - 1}"
        return f"a whole number from {-(2 ** (bits - 1))} to {2 ** (bits - 1) - 1}"


@cache
def field_types(descriptor: Any) -> dict[str, FieldType]:
    """Give the fields of a message, by name, from its descriptor."""
    return {field.name: FieldType(field) for field in descriptor.fields}

"""Fields: what a prototxt says of one message, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ristretto.errors import ModelError


@dataclass(frozen=True)
class Fields:
    """A read-only view of one message of a prototxt, free of protobuf.

    Layers are parsed from this and not from protobuf messages, so that only ``ristretto.caffe`` knows protobuf.

    Parameters
    ----------
    values : mapping of str to object
        Every field of the message: scalars (defaults filled in, enums as their names), nested `Fields`, tuples for
        repeated fields.
    present : frozenset of str
        The fields that the file itself sets.
    """

    values: Mapping[str, Any]
    present: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Whether the file sets this field itself (for a repeated one: at least once)."""
        return name in self.present

    def integer(self, name: str) -> int:
        """Give an integer field."""
        return int(self.values[name])

    def number(self, name: str) -> float:
        """Give a floating-point field."""
        return float(self.values[name])

    def flag(self, name: str) -> bool:
        """Give a bool field."""
        return bool(self.values[name])

    def text(self, name: str) -> str:
        """Give a string field, or the name of an enum's value."""
        return str(self.values[name])

    def message(self, name: str) -> Fields:
        """Give a nested message; all defaults where the file has none."""
        value = self.values[name]
        assert isinstance(value, Fields)
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Give a repeated integer field."""
        return tuple(int(v) for v in self.values[name])

    def numbers(self, name: str) -> tuple[float, ...]:
        """Give a repeated floating-point field."""
        return tuple(float(v) for v in self.values[name])

    def height_width(self, name: str, *, height: str, width: str, default: int | None) -> tuple[int, int]:
        """Give a spatial setting that Caffe spells in two ways.

        Parameters
        ----------
        name : str
            The field for both axes (`kernel_size`, `pad`, `stride`, `dilation`): a scalar, or repeated with one
            value for both axes or one for each.
        height, width : str
            The fields for one axis each (`kernel_h`, `kernel_w`); an empty string where the layer has none.
        default : int or None
            What both are when the file is silent; None when it must not be.

        Returns
        -------
        (int, int)
            Height, then width.
        """
        if height and (self.has(height) or self.has(width)):
            if self.has(name):
                raise ModelError(f"{name} stands beside {height}/{width}", hint=f"keep either {name} or the pair")
            if default is None and not (self.has(height) and self.has(width)):
                raise ModelError(f"{height} and {width} must stand together", hint="set both, or kernel_size")
            return self.integer(height), self.integer(width)
        if not self.has(name):
            if default is None:
                raise ModelError(f"{name} is missing", hint=f"add {name} to the layer")
            return default, default
        value = self.values[name]
        given = tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)
        if len(given) > 2:
            raise ModelError(f"{name} has {len(given)} values; only two spatial axes are supported")
        return given[0], given[-1]

"""The verb `diff`: how two prototxts differ, as nets and not as texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path

from ristretto.caffe.reader import Model, read_model
from ristretto.net import Layer, Net
from ristretto.net.quant import PLACES, Scheme

FLOAT = "float"
"""What a place without a format is called."""
ABSENT = "-"
"""What stands for something that one of the nets lacks."""
TYPE, ROUNDING = "type", "rounding_scheme"
OF_FORMATS = (TYPE, *PLACES, ROUNDING)
"""What of a layer its formats decide on; all else are settings."""
SETTINGS = {
    "bottoms": "bottom",
    "tops": "top",
    "include": "include",
    "exclude": "exclude",
    "params": "param",
    "fillers": "filler",
    "loss_weights": "loss_weight",
    "propagate_down": "propagate_down",
}
"""The settings that every layer has, beside those of its type: the fields of `Layer`, by a prototxt's words."""


@dataclass(frozen=True)
class Change:
    """One thing that differs in a layer that both nets have.

    Parameters
    ----------
    layer : str
        Its name, with a number behind it where several layers of a prototxt have that name.
    what : str
        One of `OF_FORMATS`, else a setting: ``bottom``, ``num_output``, ``include[0].phase`` ...
    before, after : str
        What the nets say, in a few characters.
    """

    layer: str
    what: str
    before: str
    after: str

    @property
    def is_of_formats(self) -> bool:
        """Whether this is a layer's type or format, and no other setting."""
        return self.what in OF_FORMATS

    def __str__(self) -> str:
        return f"{self.layer} {self.what} {self.before} -> {self.after}"


@dataclass(frozen=True)
class Difference:
    """How two nets differ.

    Parameters
    ----------
    changes : tuple of Change
        In the order of the first net.
    only_first, only_second : tuple of str
        Layers that one net alone has.
    reordered : bool
        Whether the layers that both have stand in another order.
    names : tuple of str
        The names of the nets.
    same_text : bool
        Whether the prototxts are the same, character for character.
    """

    changes: tuple[Change, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    reordered: bool
    names: tuple[str, str]
    same_text: bool

    @property
    def same(self) -> bool:
        """Whether the nets are the same, whatever their texts are."""
        same_layers = not (self.changes or self.only_first or self.only_second or self.reordered)
        return same_layers and self.names[0] == self.names[1]


def diff(first: str | Path, second: str | Path) -> Difference:
    """Say how two prototxts differ.

    Both are read as nets, so comments, spacing and the order of fields do not count; nor do a default that is written
    out and a legacy file (V0, V1) beside its upgraded one.

    Parameters
    ----------
    first, second : path
        Prototxts, quantized or not.

    Raises
    ------
    RistrettoError
        When one of them cannot be read.
    """
    return compare(read_model(first), read_model(second))


def compare(first: Model, second: Model) -> Difference:
    """Say how two prototxts differ that are read already."""
    before, after = _by_name(first.net), _by_name(second.net)
    both = [name for name in before if name in after]
    return Difference(
        changes=tuple(change for name in both for change in _changes(name, before[name], after[name])),
        only_first=tuple(name for name in before if name not in after),
        only_second=tuple(name for name in after if name not in before),
        reordered=both != [name for name in after if name in before],
        names=(first.net.name, second.net.name),
        same_text=first.prototxt.text == second.prototxt.text,
    )


def _by_name(net: Net) -> dict[str, Layer]:
    """Give the layers by names of which each is there once: a data layer of TRAIN and one of TEST often share one."""
    counts, seen = Counter(layer.name for layer in net), Counter[str]()
    found = {}
    for layer in net:
        seen[layer.name] += 1
        found[layer.name if counts[layer.name] == 1 else f"{layer.name} ({seen[layer.name]})"] = layer
    return found


def _changes(name: str, first: Layer, second: Layer) -> Iterator[Change]:
    before, after = _said(first), _said(second)
    for what in dict.fromkeys([*before, *after]):
        old, new = before.get(what, ABSENT), after.get(what, ABSENT)
        if old != new:
            yield Change(name, what, old, new)


def _said(layer: Layer) -> dict[str, str]:
    """Give all that a prototxt says of a layer, by names; formats first."""
    said = {TYPE: layer.type}
    for place in PLACES:
        fmt = getattr(layer.quant, place) if layer.quant else None
        said[place] = FLOAT if fmt is None else fmt.describe()
    said[ROUNDING] = (layer.quant.scheme if layer.quant else Scheme.NEAREST).value
    for field in fields(layer.op):
        said |= dict(_flat(field.name, getattr(layer.op, field.name)))
    for what, name in SETTINGS.items():
        said |= dict(_flat(name, getattr(layer, what)))
    return said


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Give a value as short texts, what lies within it by a name of its own."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _flat(f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        for number, item in enumerate(value):
            yield from _flat(f"{name}[{number}]", item)
    else:
        yield name, _text(value)


def _text(value: object) -> str:
    match value:
        case None:
            return ABSENT
        case Enum():
            return str(value.value)
        case Mapping():
            return ", ".join(f"{key}: {_text(item)}" for key, item in sorted(value.items())) or ABSENT
        case tuple():
            return ", ".join(map(_text, value)) or ABSENT
        case frozenset():
            return ", ".join(sorted(map(_text, value))) or ABSENT
        case _:
            return str(value)

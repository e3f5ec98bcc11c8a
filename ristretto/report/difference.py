"""How two nets differ, as a table for a terminal, as lines and as plain data."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ristretto.api import Change, Difference
from ristretto.report import kinds


def shown(found: Difference) -> RenderableType:
    """Give a table of what changed within layers, and lines on the rest."""
    parts: list[RenderableType] = []
    if found.changes:
        table = Table(box=box.SIMPLE, pad_edge=False)
        for index, column in enumerate(("layer", "what", "before", "after")):
            table.add_column(column, justify="left" if index < 2 else "right", overflow="fold")
        for change in found.changes:
            # As texts: a name may hold what rich takes for its own markup.
            table.add_row(*map(Text, (change.layer, change.what, change.before, change.after)))
        parts.append(table)
    parts += [Text(line) for line in others(found)]
    return Group(*parts)


def others(found: Difference) -> list[str]:
    """Say what of a difference is no change within a layer, a line for each."""
    lines = [f"layer only in the first: {name}" for name in found.only_first]
    lines += [f"layer only in the second: {name}" for name in found.only_second]
    if found.reordered:
        lines.append("the layers stand in another order")
    if found.names[0] != found.names[1]:
        lines.append(f"the net's name: {found.names[0] or 'none'} -> {found.names[1] or 'none'}")
    if found.same and found.same_text:
        lines.append("the prototxts are the same")
    elif found.same:
        lines.append(
            "the nets are the same; only the text differs: comments, spacing, the order of fields, or fields that "
            "nothing here reads"
        )
    return lines


def lines(found: Difference) -> list[str]:
    """Give all of a difference, a line for each thing."""
    return [*map(str, found.changes), *others(found)]


def plain(found: Difference) -> dict[str, Any]:
    """Give a difference as plain data."""
    return {
        **kinds.head(kinds.DIFFERENCE),
        "same": found.same,
        "same_text": found.same_text,
        "names": list(found.names),
        "formats": [_change(change) for change in found.changes if change.is_of_formats],
        "settings": [_change(change) for change in found.changes if not change.is_of_formats],
        "only_first": list(found.only_first),
        "only_second": list(found.only_second),
        "reordered": found.reordered,
    }


def _change(change: Change) -> dict[str, str]:
    return vars(change).copy()

"""docs/reference.md: what there is of everything that has several kinds, from the tuples that list them."""

import inspect
import re
from collections.abc import Iterable

from ristretto.execute import EXECUTORS
from ristretto.export import EXPORTERS
from ristretto.formats import EMULATIONS, FORMATS
from ristretto.layers import LAYERS
from ristretto.layers.unsupported import UNSUPPORTED
from ristretto.net import Op
from ristretto.search import COSTS, MODES, PRESETS

PATH = "docs/reference.md"
SOURCE = "the tuples that list layer types, formats and the rest"
HEAD = """# What there is

`scripts/gen-docs` writes this page from the tuples that the program goes through itself. The words are the classes'
own.

"""


def page() -> str:
    """Give the whole page."""
    formatted = sum(1 for op in LAYERS if op.quantized_type)
    return HEAD + "\n".join(
        [
            "## Layer types",
            "",
            f"{len(LAYERS)} types are read and run, {formatted} of them with formats of their own; the others pass "
            "numbers on as they get them, in float. A type that is missing is [a file and a line](add-a-layer.md).",
            "",
            *table(("type", "what it does", "settings", "quantized as"), map(layer, LAYERS)),
            "Known, and left out:",
            "",
            *table(("type", "why", "what to do"), ((n, u.reason, u.hint) for n, u in UNSUPPORTED.items())),
            "## Number formats",
            "",
            "[Number formats](number-formats.md) has the whole story.",
            "",
            *table(("format", "what it is"), ((f.name, first_line(f)) for f in FORMATS)),
            "## Trimming modes",
            "",
            *table(("`--trimming_mode`", "what it is"), ((n, first_line(type(m))) for n, m in MODES.items())),
            "## Presets",
            "",
            *table(("`--preset`", "what it is"), ((n, first_line(type(p))) for n, p in PRESETS.items())),
            "## Costs",
            "",
            *table(("`--minimize`", "what it counts"), ((n, first_line(c)) for n, c in COSTS.items())),
            "## Executors",
            "",
            *table(("`--executor`", "what it is"), ((n, first_line(e)) for n, e in EXECUTORS.items())),
            "## Emulations",
            "",
            *table(("`--emulate`", "value"), ((n, f"`{a}`") for n, a in EMULATIONS.items())),
            "## Exports",
            "",
            *table(("`--format`", "what it gives"), ((n, e.summary) for n, e in EXPORTERS.items())),
        ]
    )


def layer(op: type[Op]) -> tuple[str, ...]:
    """Give a layer type's row."""
    blocks = re.findall(r"``(\w+_param)``", op.parse.__doc__ or "")
    return op.type, first_line(op), ", ".join(f"`{block}`" for block in dict.fromkeys(blocks)), op.quantized_type


def first_line(kind: type) -> str:
    """Give what a class says of itself: its docstring's first paragraph, as Markdown."""
    text = (inspect.getdoc(kind) or "").split("\n\n")[0]
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|").rstrip(".")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Give a table, and an empty line behind it."""
    head = list(head)
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return [lines[0], "|" + "---|" * len(head), *lines[1:], ""]

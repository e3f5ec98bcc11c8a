"""``c-header``: words and shifts as C99 headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ristretto.export.literals import literal
from ristretto.export.manifest import Place
from ristretto.export.table import Table
from ristretto.export.word_files import WordFiles, Written
from ristretto.export.word_layers import WordLayer
from ristretto.formats import FixedPoint
from ristretto.net.quant import PLACES

FOLDER = "layers/"
"""Of their own, so that a layer's name never stands in the way of a header of the system."""
UMBRELLA = "net.h"
COLUMNS = 16
"""Numbers on a line."""
LEGEND = """\
/* Of each layer, as manifest.json explains:
 *   accumulator = (sum of input * weight) << PRODUCT_SHIFT, plus bias << BIAS_SHIFT
 *   output = accumulator >> OUT_SHIFT (to the left where it is negative), rounded, held to OUT_MIN .. OUT_MAX */

"""


class CHeader(WordFiles):
    """A header for each layer, with its words as arrays and its shifts as constants, and one that includes them all.

    They need nothing but ``<stdint.h>``. Golden vectors stand in an archive of numpy: they are too long for a compiler.
    """

    name = "c-header"
    summary = "weights and shifts as C99 headers"

    def write(self, layers: Sequence[WordLayer]) -> Written:
        """Give the headers."""
        files = {f"{FOLDER}{each.stem}.h": _header(each) for each in layers}
        includes = LEGEND + "".join(f'#include "{FOLDER}{each.stem}.h"\n' for each in layers)
        places = {
            table.key: (Place(f"{FOLDER}{table.stem}.h", "c", array_name(table)),)
            for each in layers
            for table in each.tables
        }
        return Written({UMBRELLA: _guarded("NET", includes), **files}, places)


def array_name(table: Table) -> str:
    """Give what a table is called in C."""
    return f"{table.stem}_{table.name}"


def constants(each: WordLayer) -> Mapping[str, int]:
    """Give a layer's constants: widths, shifts in bits, ends in codes, and how it walks its input.

    No name is the end of another one: else those of two layers might be the same.
    """
    named: dict[str, int] = {}
    for place, prefix in zip(PLACES, ("IN", "OUT", "WEIGHT"), strict=True):
        fmt = each.format(place)
        named[f"{prefix}_BITS"] = fmt.word_bits
        if isinstance(fmt, FixedPoint):
            named[f"{prefix}_FL"] = fmt.fl
    if (path := each.path) is not None:
        named |= {
            "PRODUCT_BITS": path.product_bits,
            "PRODUCT_SHIFT": path.lift,
            "BIAS_FL": path.bias_fl,
            "BIAS_SHIFT": path.bias_shift,
            "ACCUMULATOR_BITS": path.accumulator_bits,
            "ACCUMULATOR_FL": path.fl,
            "OUT_SHIFT": path.out_shift,
            "OUT_MIN": path.layer_out.low_code,
            "OUT_MAX": path.layer_out.high_code,
        }
    if (walk := each.walk) is not None:
        named["GROUPS"] = walk.groups
        for prefix, shape in (("IN", walk.in_shape), ("OUT", walk.out_shape)):
            named |= dict(zip((f"{prefix}_CHANNELS", f"{prefix}_HEIGHT", f"{prefix}_WIDTH"), shape, strict=True))
        for prefix in ("kernel", "stride", "pad", "dilation", "spread"):
            pair = getattr(walk, prefix)
            named |= dict(zip((f"{prefix.upper()}_HEIGHT", f"{prefix.upper()}_WIDTH"), pair, strict=True))
    return named


def _header(each: WordLayer) -> bytes:
    lines = [f"#define {each.stem.upper()}_{name} {_constant(value)}" for name, value in constants(each).items()]
    for table in each.tables:
        element = f"{table.container.name}_t"
        numbers = [literal(word, table.bits, signed=table.is_signed) for word in table.words.reshape(-1).tolist()]
        rows = [", ".join(numbers[at : at + COLUMNS]) for at in range(0, len(numbers), COLUMNS)]
        lines += ["", f"/* {table.caption} */", f"static const {element} {array_name(table)}[{len(numbers)}] = {{"]
        lines += ["    " + ",\n    ".join(rows), "};"]
    return _guarded(each.stem.upper(), "#include <stdint.h>\n\n" + "\n".join(lines) + "\n")


def _guarded(name: str, text: str) -> bytes:
    guard = f"RISTRETTO_{name}_H"
    return f"#ifndef {guard}\n#define {guard}\n\n{text}\n#endif\n".encode()


def _constant(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"

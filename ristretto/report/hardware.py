"""What a net asks of hardware: on a terminal, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ristretto.formats import Format
from ristretto.hardware import Grid, MacPath, Realisability, Stage
from ristretto.hardware.grid import bits_for
from ristretto.hardware.observe import Observed, Seen
from ristretto.hardware.realisability import LayerNeeds
from ristretto.net.quant import PLACES
from ristretto.report import kinds
from ristretto.report.plain import of_format

BYTE = 8
LEGEND = (
    "input: bits of a word; in shift: from the grid of what is read to the input's. product: bits. worst, seen: bits "
    "of the accumulator, for any input and for the pictures run. lift: of products to the bias. bias: left shift to "
    "the accumulator. out: right shift to the output, with rounding. A shift to the other side is negative. Below: "
    "numbers that lay beyond the ends of their format, and codes that no number had."
)


def table(result: Realisability) -> RenderableType:
    """Give the tables: the data path, what saturates, what lies between, and what needs more than shifts."""
    parts: list[RenderableType] = [Text(_headline(result)), _data_path(result), Text(LEGEND), _numbers(result)]
    parts.append(_memory_table(result))
    if result.between:
        parts += [Text("Where layers meet, divide or trim"), _between(result)]
    if result.extra_shifts:
        parts.append(Text("Shifts beside those of outputs (`ristretto quantize --hardware` leaves those to biases)"))
        parts += [Text(f"  {line}") for line in result.extra_shifts]
    if result.obstacles:
        parts.append(Text("What needs more than shifts"))
        for name, obstacle in result.obstacles:
            parts.append(Text(f"  layer '{name}': {obstacle.reason}\n    {obstacle.advice}"))
    else:
        parts.append(Text("Integers and shifts do for the whole data path."))
    if result.host:
        parts.append(Text(f"Beside the data path: {', '.join(result.host)}"))
    return Group(*parts, Text(_totals(result)))


def _headline(result: Realisability) -> str:
    halves = "to the even code" if result.datapath.arithmetic.half_even else "away from zero"
    seen = f"observed on {result.pictures:,} pictures of {result.source}" if result.batches else "nothing observed"
    return f"{result.datapath.net.name or 'net'}, {seen}; halves go {halves}"


def _totals(result: Realisability) -> str:
    return (
        f"total: {result.macs:,} multiply-accumulates for a picture; products of up to {result.widest_product} bits, "
        f"accumulators of up to {result.widest_accumulator} bits\n"
        f"memory: weights {_memory(result.weight_bits)}; activations {_memory(result.activation_bits)} for a picture, "
        f"at most {_memory(result.working_bits)} read and written by one layer"
    )


def _data_path(result: Realisability) -> Table:
    found = _table(
        "layer",
        "MACs",
        "input",
        "in shift",
        "weights",
        "product",
        "worst",
        "seen",
        "fl",
        "lift",
        "bias",
        "out",
        "output",
    )
    for layer in result.layers:
        quant, path = layer.quant, layer.path
        layer_in, layer_out, params = (_format(getattr(quant, place, None)) for place in PLACES)
        shift = "" if layer.in_shift is None else str(layer.in_shift)
        cells = ["", "", "", "", "", "", ""]
        if path:
            real = layer.stage.products is not None
            bias = "real" if real else "" if path.bias is None else str(path.bias_shift)
            cells = [str(path.product_bits), str(path.accumulator_bits), _seen_bits(layer.observed), str(path.fl)]
            cells += [str(path.lift or ""), bias, str(path.out_shift)]
        found.add_row(layer.name, f"{layer.macs:,}", layer_in, shift, params, *cells, layer_out)
    return found


def _numbers(result: Realisability) -> Table:
    found = _table(*("layer", "saturated: in", "weights", "bias", "out"), *("never used: in", "weights", "out"))
    for layer in result.layers:
        seen_in = layer.observed.layer_in if layer.observed else None
        seen_out = layer.observed.layer_out if layer.observed else None
        found.add_row(
            layer.name,
            *(_saturated(seen) for seen in (seen_in, layer.weights, layer.bias, seen_out)),
            *(_never(seen) for seen in (seen_in, layer.weights, seen_out)),
        )
    return found


def _memory_table(result: Realisability) -> Table:
    found = _table("layer", "weights: bits", "bytes", "input: bits", "bytes", "output: bits", "bytes")
    for layer in result.layers:
        sizes = (layer.weight_bits, layer.in_bits, layer.out_bits)
        found.add_row(layer.name, *(f"{number:,}" for size in sizes for number in (size, _bytes(size))))
    return found


def _between(result: Realisability) -> Table:
    found = _table("layer", "type", "bottoms: fl", "left shifts", "right shift", "top: fl", "bits")
    for stage in result.between:
        work = stage.work
        found.add_row(
            stage.layer.name,
            stage.layer.type,
            ", ".join("real" if grid is None else str(grid.fl) for grid in stage.bottoms),
            ", ".join(map(str, work.alignment)) if work and len(work.alignment) > 1 else "",
            str(work.right_shift or "") if work else "",
            ", ".join("real" if grid is None else str(grid.fl) for grid in stage.tops[:1]),
            ", ".join(str(grid.bits) for grid in stage.tops[:1] if grid),
        )
    return found


def _table(*columns: str) -> Table:
    found = Table(box=box.SIMPLE, pad_edge=False)
    for index, column in enumerate(columns):
        found.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    return found


def _format(fmt: Format | None) -> str:
    return "float" if fmt is None else fmt.describe()


def _seen_bits(observed: Observed | None) -> str:
    return "?" if observed is None else str(bits_for(observed.low, observed.high))


def _saturated(seen: Seen | None) -> str:
    if seen is None:
        return ""
    return f"{seen.saturated:,} ({100 * seen.saturated / seen.numbers:.2g}%)" if seen.saturated else "0"


def _never(seen: Seen | None) -> str:
    return "" if seen is None else "?" if seen.never is None else f"{seen.never:,}/{seen.codes:,}"


def _bytes(bits: int) -> int:
    return -(-bits // BYTE)


def _memory(bits: int) -> str:
    return f"{bits:,} bits ({_bytes(bits):,} bytes)"


def plain(result: Realisability) -> dict[str, Any]:
    """Give all of it as plain data: widths and memory in bits (and bytes), codes and totals as integers."""
    return {
        **kinds.head(kinds.HARDWARE),
        "net": result.datapath.net.name,
        "round_halves": "even" if result.datapath.arithmetic.half_even else "away",
        "realisable": not result.obstacles,
        "observed": {"batches": result.batches, "pictures": result.pictures, "source": result.source},
        "layers": [_layer(layer) for layer in result.layers],
        "between": [_stage(stage) for stage in result.between],
        "extra_shifts": list(result.extra_shifts),
        "obstacles": [{"layer": name, **vars(obstacle)} for name, obstacle in result.obstacles],
        "host": list(result.host),
        "totals": {
            "macs": result.macs,
            "widest_product_bits": result.widest_product,
            "widest_accumulator_bits": result.widest_accumulator,
            "weights": _size(result.weight_bits),
            "activations_written": _size(result.activation_bits),
            "activations_at_once": _size(result.working_bits),
        },
    }


def _size(bits: int) -> dict[str, int]:
    return {"bits": bits, "bytes": _bytes(bits)}


def _layer(layer: LayerNeeds) -> dict[str, Any]:
    quant, observed = layer.quant, layer.observed
    places = {"layer_in": None, "params": None, "layer_out": None} if quant is None else vars(quant)
    return {
        "name": layer.name,
        "type": layer.stage.layer.type,
        "formats": {place: of_format(places[place]) for place in ("layer_in", "params", "layer_out")},
        "in_shift": layer.in_shift,
        "reads": _grid(layer.stage.trim_in.source if layer.stage.trim_in else None),
        "path": None if layer.path is None else _path(layer.path, observed, real=layer.stage.products is not None),
        "saturated": {
            "layer_in": _counts(observed.layer_in if observed else None),
            "weights": _counts(layer.weights),
            "bias": _counts(layer.bias),
            "layer_out": _counts(observed.layer_out if observed else None),
        },
        "macs": layer.macs,
        "memory": {
            "weights": _size(layer.weight_bits),
            "layer_in": _size(layer.in_bits),
            "layer_out": _size(layer.out_bits),
        },
    }


def _path(path: MacPath, observed: Observed | None, *, real: bool) -> dict[str, Any]:
    return {
        "product_bits": path.product_bits,
        "products_are_shifts": path.shifts_only,
        "accumulator_fl": path.fl,
        "worst": _interval(path.low, path.high),
        "observed": None if observed is None else _interval(observed.low, observed.high),
        "product_left_shift": path.lift,
        "bias": "real" if real else "none" if path.bias is None else "codes",
        "bias_left_shift": path.bias_shift,
        "out_right_shift": path.out_shift,
    }


def _interval(low: int, high: int) -> dict[str, int]:
    return {"low": low, "high": high, "bits": bits_for(low, high)}


def _counts(seen: Seen | None) -> dict[str, int | None] | None:
    return None if seen is None else {**vars(seen), "never_used": seen.never}


def _grid(grid: Grid | None) -> dict[str, int] | None:
    return None if grid is None else {**vars(grid), "bits": grid.bits}


def _stage(stage: Stage) -> dict[str, Any]:
    work = stage.work
    return {
        "name": stage.layer.name,
        "type": stage.layer.type,
        "bottoms": _grids(stage.bottoms),
        "tops": _grids(stage.tops),
        "left_shifts": list(work.alignment) if work else [],
        "right_shift": work.right_shift if work else 0,
        "trims": [
            {"blob": trim.blob, "format": of_format(trim.format), "right_shift": trim.shift}
            for trim in (stage.trim_in, stage.trim_out)
            if trim
        ],
    }


def _grids(grids: Sequence[Grid | None]) -> list[dict[str, int] | None]:
    return [_grid(grid) for grid in grids]

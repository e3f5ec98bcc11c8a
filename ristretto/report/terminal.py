"""Results as tables for a terminal."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ristretto.api import Info, Inspection, Quantized, UpgradedFile
from ristretto.execute import Scores
from ristretto.formats import Format
from ristretto.net import Part, Shape
from ristretto.report import evidence, layers
from ristretto.search import ALL_PARTS, LAYERS, MODES, Score, SearchResult, Trial
from ristretto.search.criteria import AUTO

PART_NAMES = {
    Part.CONV_PARAMS.value: "CONV weights",
    Part.FC_PARAMS.value: "FC weights",
    Part.ACTIVATIONS.value: "layer outputs",
    ALL_PARTS: "all three",
    LAYERS: "every layer",
}
"""What the original tool calls the parts."""

UNWRAPPED = 100_000
"""The width of what is piped, in characters: a line of a log, and a path in it, stays whole."""


def quantized(result: Quantized) -> RenderableType:
    """Give the summary of a search: baseline, trials, widths chosen, final accuracy, formats."""
    search = result.result
    weighed = evidence.is_weighed(search)
    columns = ("change, 95 %", "holds") if weighed else ("within margin",)
    trials = _table("part", "bits", *layers.columns(search), search.score_blob, "by argmax", *columns)
    in_float = [layers.figure(search.layered.price({}))] if search.layered else []
    trials.add_row("baseline, float", "32", *in_float, *_score(search.decided.baseline))
    part = ""
    for trial in search.trials:
        if trial.part != part:
            trials.add_section()
            part = trial.part
        name, widths = PART_NAMES[trial.part], [shown_bits(trial), *layers.cells(search, trial)]
        change = [evidence.interval(trial.difference)] if weighed else []
        trials.add_row(name, *widths, *_score(trial.score), *change, evidence.outcome(trial))
    formats = _table("layer", "type", "input", "weights", "output")
    for name, quant in search.spec.layers.items():
        layer = result.net[name]
        formats.add_row(name, layer.type, *(describe(f) for f in (quant.layer_in, quant.params, quant.layer_out)))
    chosen = ", ".join(f"{width}-bit {PART_NAMES[part.value]}" for part, width in search.bits.items())
    if search.layered is not None:
        chosen = f"{layers.chosen(search)}\n{layers.closing(search.layered, search.widths)}"
    verdict = "The margin holds" if search.within_margin else "The margin is MISSED"
    closing = Text(
        f"{MODES[search.spec.trimming_mode].title}: {chosen}\n"
        f"{search.score_blob}: {search.score.value:.4f}, {_change(search)} the float net's "
        f"{search.baseline.value:.4f}. {verdict} ({evidence.margin(search)}).{evidence.closing(search)}"
    )
    legend = [Text(evidence.legend(search))] if weighed else []
    return Group(trials, *legend, Text(f"Formats{chosen_by(result.formats_by)} ({_legend(search)})"), formats, closing)


def shown_bits(trial: Trial) -> str:
    """Give the widths of a trial in a few characters: those of parts, or the ranges of those that layers have."""
    return "/".join(str(width) for width in trial.bits.values()) or layers.span(trial.widths)


def chosen_by(formats_by: str | None) -> str:
    """Say what formats were chosen by, where a user asked for it."""
    return "" if formats_by in (None, AUTO) else f", by {str(formats_by).replace('_', ' ')}"


def _legend(search: SearchResult) -> str:
    """Say how the formats that were chosen are written in a table."""
    places = (fmt for q in search.spec.layers.values() for fmt in (q.layer_in, q.params, q.layer_out))
    return ", ".join(dict.fromkeys(fmt.legend for fmt in places if fmt))


def _change(search: SearchResult) -> str:
    """Say how far a score has moved: an accuracy in percentage points, a loss in hundredths."""
    rise = 100 * (search.score.value - search.baseline.value)
    return f"{abs(rise):.2f} {evidence.unit(search)} {'above' if rise > 0 else 'below'}"


def scores(result: Scores) -> RenderableType:
    """Give every output blob's mean, a line for each number, as ``caffe test`` does."""
    lines = []
    for blob, mean in result.outputs.items():
        lines += [f"{blob} = {value:.6g}" for value in mean.reshape(-1)]
        beside = [(name, figure) for name, figure in result.companions.items() if name.rpartition("_")[0] == blob]
        lines += [f"{name} = {figure:.6g}" for name, figure in beside]
    return Text("\n".join(lines))


def inspection(result: Inspection) -> RenderableType:
    """Give the layers of a net, with totals."""
    table = _table("layer", "type", "top shapes", "parameters", "MACs", "input", "weights", "output")
    for row in result.layers:
        shapes = "?" if row.shapes is None else " ".join(_shape(shape) for shape in row.shapes)
        quant = row.quant
        places = (quant.layer_in, quant.params, quant.layer_out) if quant else (None, None, None)
        formats = [describe(fmt) if quant else "" for fmt in places]
        table.add_row(row.name, row.type, shapes, _count(row.parameters), _count(row.macs), *formats)
    table.add_section()
    table.add_row(
        "total", "", "", _sum([row.parameters for row in result.layers]), _sum([row.macs for row in result.layers])
    )
    title = Text(f"{result.name or 'net'}, {result.phase.value} phase")
    return Group(title, table, *(Text(note) for note in result.notes))


def upgraded(result: UpgradedFile) -> RenderableType:
    """Give what was upgraded in a file, a line for each kind of change."""
    if not result.changes:
        return Text(f"nothing to upgrade: this {result.kind} is in today's format")
    table = _table("what is new", "layers")
    for change in result.changes:
        table.add_row(change.what, _count(len(change.layers)))
    return Group(Text(f"{result.kind}, {result.version} format"), table)


def info(result: Info) -> RenderableType:
    """Give versions, tiers, threads, and what of the kernels is cached."""
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    why = "RISTRETTO_TIER asks for it" if result.forced else "the fastest that this machine runs"
    tiers = _table("tier", "vectors", "needs", "here")
    for row in result.tiers:
        here = "in use" if row.name == result.tier else "runs" if row.runs else f"lacks {' '.join(row.lacks)}"
        tiers.add_row(row.name, f"{row.bits} bits", " ".join(row.needs), here)
    cache = result.cache
    kept = f"{cache.compiled} of {cache.wanted} kernels are compiled for this tier, version and processor"
    lines = [
        f"threads: {result.threads}, one for each core that this process may use",
        f"kernels: {kept}",
        f"cache: {cache.folder} ({cache.files} files, {cache.size / 1e6:.1f} MB)"
        if cache.folder
        else "cache: none, as numba finds no folder that it can write to; NUMBA_CACHE_DIR names one",
    ]
    head = [versions, f"tier: {result.tier}, {why}"]
    return Group(
        *(Text(line, overflow="fold") for line in head), tiers, *(Text(line, overflow="fold") for line in lines)
    )


def describe(fmt: Format | None) -> str:
    """Give a format in a few characters."""
    return "float" if fmt is None else fmt.describe()


def console(*, stderr: bool = False) -> Console:
    """Give a console that neither guesses at numbers nor wraps what is piped."""
    plain = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not plain.is_terminal:
        plain.width = UNWRAPPED
    return plain


def as_text(shown: RenderableType) -> str:
    """Give what a console would print, without colours."""
    written = io.StringIO()
    Console(file=written, width=UNWRAPPED, highlight=False, markup=False, emoji=False).print(shown)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    return table


def _score(score: Score) -> tuple[str, str]:
    return f"{score.value:.4f}", "" if score.argmax is None else f"{score.argmax:.4f}"


def _shape(shape: Shape) -> str:
    return "x".join(str(length) for length in shape) or "scalar"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}" if number else ""


def _sum(numbers: list[int | None]) -> str:
    return "?" if None in numbers else f"{sum(n for n in numbers if n):,}"

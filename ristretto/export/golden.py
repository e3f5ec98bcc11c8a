"""Golden vectors: what goes into each layer of words, what it adds up, and what comes out, for some pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import DataError, ModelError, in_layer
from ristretto.execute import Executor, IntegerExecutor
from ristretto.execute.lower import lower, trimmed_blobs
from ristretto.export.base import Subject
from ristretto.export.sums import rounded, totals
from ristretto.export.table import TWOS_COMPLEMENT, WIDEST_WORD, Table
from ristretto.export.word_layers import WordLayer
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.net.op import Array

BINARY64 = "binary64"
"""The packing of sums that have no grid: double precision of IEEE 754."""
AXES = {2: ("picture", "channel"), 4: ("picture", "channel", "row", "column")}

Batch = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Golden:
    """Golden vectors.

    Parameters
    ----------
    pictures : int
        How many pictures they are of.
    tables : tuple of Table
        Inputs, accumulators and outputs of each layer, in net order.
    notes : tuple of str
        What the user should know of them.
    """

    pictures: int
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def golden_vectors(subject: Subject, layers: Sequence[WordLayer]) -> Golden:
    """Run the net on the subject's pictures, and give what each layer reads and makes as words.

    Inputs and outputs are those of the integer executor; accumulators are added up anew, exactly.

    Parameters
    ----------
    subject : Subject
        With pictures.
    layers : sequence of WordLayer

    Raises
    ------
    DataError
        When there are no pictures.
    ModelError
        When a layer meets numbers that it cannot work on.
    """
    executor, batches = _prepared(subject)
    by_name = {each.layer.name: each for each in layers}
    # By layer and by what they hold, the words of each batch.
    found: dict[str, dict[str, list[Array]]] = {name: {} for name in by_name}
    differing = dict.fromkeys(by_name, 0)
    for batch in batches:
        for name, reads, makes in _seen(executor, batch, by_name):
            words, differs = _words(by_name[name], reads, makes, subject.arithmetic)
            differing[name] += differs
            for what, array in words.items():
                # As short as files hold them: those of many pictures are a lot.
                found[name].setdefault(what, []).append(_table(by_name[name], what, array).array)
        subject.advance()
    tables = [
        _table(each, what, np.concatenate(arrays))
        for name, each in by_name.items()
        for what, arrays in found[name].items()
    ]
    pictures = sum(len(next(iter(batch.values()))) for batch in batches)
    return Golden(pictures, tuple(tables), tuple(_notes(layers, differing)))


def _prepared(subject: Subject) -> tuple[Executor, list[Batch]]:
    """Give what runs the net, and what it is run on: one picture at a time, as all at once take a lot of memory."""
    pictures = subject.pictures
    counts = {len(array) for array in (pictures or {}).values()}
    if not pictures or 0 in counts:
        raise DataError("there are no pictures for golden vectors")
    if len(counts) == 1:
        (count,) = counts
        singles: list[Batch] = [{blob: array[at : at + 1] for blob, array in pictures.items()} for at in range(count)]
        try:
            return _executor(subject, singles[0]), singles
        except ModelError:
            # A net may be made for batches of one size; where that is not the reason, the error comes again.
            pass
    return _executor(subject, pictures), [pictures]


def _executor(subject: Subject, batch: Batch) -> Executor:
    keep = {f"{layer.name}.top{index}" for layer in subject.net for index in range(len(layer.tops))}
    inputs = {blob: array.shape for blob, array in batch.items()}
    return IntegerExecutor(subject.net, inputs, keep=keep, arithmetic=subject.arithmetic)


def _seen(executor: Executor, batch: Batch, wanted: Mapping[str, object]) -> Iterator[tuple[str, Array, Array]]:
    """Give what the wanted layers read and make, in real units: each blob as it stands when they run.

    The executor keeps what a blob holds right behind a layer; the layers that read it then trim it in place.
    """
    kept = executor.run(batch).kept
    blobs: dict[str, Array] = {}
    for layer in executor.net.data_layers:
        blobs |= {top: np.asarray(batch[top], np.float32) for top in layer.tops}
    for lowered in lower(executor.net, executor.arithmetic):
        layer = lowered.layer
        if trim := lowered.first_trim:
            blobs[layer.bottoms[0]] = trim.trim(blobs[layer.bottoms[0]], executor.arithmetic)
        reads = [blobs[bottom] for bottom in layer.bottoms]
        if all(f"{layer.name}.top{index}" in executor.keep for index in range(len(layer.tops))):
            blobs |= {top: kept[f"{layer.name}.top{index}"] for index, top in enumerate(layer.tops)}
        else:
            # A copy that the executor has put in, where blobs share memory in Caffe.
            blobs |= dict(zip(layer.tops, layer.op.forward(reads, ()), strict=True))
        if layer.name in wanted:
            yield layer.name, reads[0], blobs[layer.tops[0]]


def _words(each: WordLayer, reads: Array, makes: Array, arithmetic: Arithmetic) -> tuple[dict[str, Array], int]:
    """Give a layer's words by what they hold, and how many outputs are not what its accumulators round to."""
    layer_in, layer_out, path = each.format("layer_in"), each.format("layer_out"), each.path
    with in_layer(each.layer.name, "golden vectors"):
        inputs, outputs = layer_in.encode(reads, arithmetic), layer_out.encode(makes, arithmetic)
    words = {"inputs": layer_in.pack(inputs)}
    differs = 0
    if path is not None and path.accumulator_bits <= WIDEST_WORD:
        words["accumulators"] = totals(path, inputs)
        differs = int((rounded(path, words["accumulators"], arithmetic) != outputs).sum())
    elif path is None and each.walk is not None:
        blobs = [blob.astype(np.float64) for blob in trimmed_blobs(each.layer, arithmetic)]
        (sums,) = each.layer.op.forward([reads.astype(np.float64)], blobs)
        words["accumulators"] = np.ascontiguousarray(sums, np.float64).view(np.uint64)
    return words | {"outputs": layer_out.pack(outputs)}, differs


def _table(each: WordLayer, what: str, words: Array) -> Table:
    """Give the table of what a layer's words hold."""
    axes = AXES.get(words.ndim) or tuple(f"axis_{index}" for index in range(words.ndim))
    if what == "accumulators":
        if each.path is None:
            return Table(each.stem, what, words, axes, WIDEST_WORD, BINARY64)
        return Table(each.stem, what, words, axes, each.path.accumulator_bits, TWOS_COMPLEMENT, each.path.fl)
    fmt = each.format("layer_in" if what == "inputs" else "layer_out")
    fl = fmt.fl if isinstance(fmt, FixedPoint) else None
    return Table(each.stem, what, words, axes, fmt.word_bits, fmt.packing, fl)


def _notes(layers: Sequence[WordLayer], differing: Mapping[str, int]) -> Iterator[str]:
    for each in layers:
        name = each.layer.name
        if each.path is not None and each.path.accumulator_bits > WIDEST_WORD:
            yield (
                f"layer '{name}': its accumulators, of {each.path.accumulator_bits} bits, are longer than the "
                f"{WIDEST_WORD} that files hold, and are left out"
            )
        if differing[name]:
            yield (
                f"layer '{name}': {differing[name]} outputs are not what its accumulators round to: the executor adds "
                "up in float64, which does not hold sums of these widths"
            )

"""Cut a net in two at a layer, so that many nets that begin alike run their common beginning once.

Executors that compute each layer by itself, as `simulate` does and `integer` equals, give the same bits in halves.
onnxruntime, which joins layers, does not: the `float` executor's halves may differ from its whole in the last bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ristretto.execute.values import Run
from ristretto.formats import Arithmetic
from ristretto.layers.input import Input
from ristretto.layers.split import Split
from ristretto.net import Layer, Net, Part, Shape
from ristretto.net.op import Array
from ristretto.passes import SpellOutSharing


@dataclass(frozen=True, eq=False)
class Cut:
    """Two nets that, run one after the other, do what one net does.

    Parameters
    ----------
    head : Net
        All data layers, and the layers before the cut.
    tail : Net
        The layers from the cut on, behind an Input layer for the blobs that they read of the head.
    handed_on : mapping of str to str
        By such a blob of the tail, the output of the head that holds it as it stands at the cut. It is a copy under
        another name where the head itself, or what it spells out, reads the blob: outputs are what nobody reads.
    finished : tuple of str
        Outputs of the whole net that the head makes and the tail leaves alone.
    """

    head: Net
    tail: Net
    handed_on: Mapping[str, str]
    finished: tuple[str, ...]

    def handed(self, head: Run) -> dict[str, Array]:
        """Give the tail's batch from a run of the head."""
        return {blob: head.outputs[output] for blob, output in self.handed_on.items()}

    def joined(self, head: Run, tail: Run) -> Run:
        """Give what the whole net gives, but for values that were to be kept."""
        outputs = {blob: head.outputs[blob] for blob in self.finished} | dict(tail.outputs)
        pictures = {blob: head.pictures[blob] for blob in self.finished if blob in head.pictures}
        companions = {**head.companions, **tail.companions}
        return Run(dict(sorted(outputs.items())), {}, companions, {**pictures, **tail.pictures})


def spelled_out(net: Net, inputs: Mapping[str, Shape], arithmetic: Arithmetic) -> Net:
    """Give a net as executors see it, with every copy spelled out; a net must be that before it is cut."""
    return SpellOutSharing(net.shapes(inputs), arithmetic)(net)


def cut(net: Net, place: int, inputs: Mapping[str, Shape]) -> Cut:
    """Cut a net before a layer.

    Parameters
    ----------
    net : Net
        Of one phase, spelled out: in the halves alone nobody sees which blobs share memory across the cut.
    place : int
        The first layer of the tail, counted in ``net.layers``.
    inputs : mapping of str to shape
        The shapes of the data layers' tops for one batch.
    """
    head = [layer for i, layer in enumerate(net.layers) if i < place or layer.op.is_data]
    tail = [layer for layer in net.layers[place:] if not layer.op.is_data]
    read = sorted(_read(tail))
    # What is changed in place may be read once more, for other names of its memory.
    in_place = {top for layer in head for top in layer.tops if top in layer.bottoms}
    ends = set(replace(net, layers=tuple(head)).outputs) - in_place
    taken = {top for layer in net for top in layer.tops} | {layer.name for layer in net}
    handed_on = {blob: blob if blob in ends else _free(f"{blob} at the cut", taken) for blob in read}
    copies = [Layer(name, Split(1), (blob,), (name,)) for blob, name in handed_on.items() if name != blob]
    shapes = net.shapes(inputs)
    # As they are at the cut: a layer in place may give its blob another shape later.
    shape = {top: size for layer in head for top, size in zip(layer.tops, shapes[layer.name], strict=False)}
    source = Layer(_free("head", taken), Input(tuple(shape[blob] for blob in read)), (), tuple(read))
    changed = {top for layer in tail for top in layer.tops}
    return Cut(
        head=replace(net, layers=(*head, *copies)),
        tail=replace(net, layers=(source, *tail)),
        handed_on=handed_on,
        finished=tuple(blob for blob in net.outputs if blob not in changed),
    )


def _read(layers: Sequence[Layer]) -> set[str]:
    """Give the blobs that layers read of others; what a copy overwrites, they make themselves."""
    read: set[str] = set()
    made: set[str] = set()
    for layer in layers:
        read.update(blob for blob in layer.bottoms if blob not in made)
        made.update(layer.tops)
    return read


def _free(name: str, taken: set[str]) -> str:
    """Give a name that no blob and no layer has yet."""
    while name in taken:
        name += "'"
    return name


def place_of_last_part(net: Net) -> int:
    """Give the place of the first layer of that part of a net which begins last; 0 where there are no two parts.

    Parts get widths of their own, so all nets that condense this one alone have the layers before it in common.
    """
    starts: dict[Part, int] = {}
    for place, layer in enumerate(net.layers):
        if layer.op.part is not None:
            starts.setdefault(layer.op.part, place)
    return max(starts.values()) if len(starts) > 1 else 0


def begins_alike(net: Net, other: Net, place: int) -> bool:
    """Whether two nets compute the same up to a layer: with the same numbers, in the same formats."""
    pairs = zip(net.layers[:place], other.layers[:place], strict=False)
    return min(len(net.layers), len(other.layers)) >= place and all(_same(one, two) for one, two in pairs)


def _same(one: Layer, other: Layer) -> bool:
    return one is other or (
        (one.name, one.op, one.bottoms, one.tops, one.quant)
        == (other.name, other.op, other.bottoms, other.tops, other.quant)
        and len(one.blobs) == len(other.blobs)
        and all(a is b for a, b in zip(one.blobs, other.blobs, strict=True))
    )

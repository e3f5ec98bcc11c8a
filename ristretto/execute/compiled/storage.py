"""How values are stored: as bytes, as 16-bit codes, or as float32; and where in the arena."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ristretto.execute.compiled.graph import WIDEST_CODE, Graph, Multiply, Node, Value
from ristretto.execute.compiled.signs import never_negative
from ristretto.kernels.cpu import TIER
from ristretto.kernels.multiply import SCRATCH
from ristretto.kernels.response import size_of_scratch
from ristretto.kernels.rows import BYTES, REALS, ROWS, SHORTS, SIZES
from ristretto.net.form import Pointwise, Response, Stack

BYTE_BITS = 8
ALIGNMENT = 64
SLACK = 1 << 16
"""Bytes behind the last buffer that a tile may read, and multiplies by zero."""


@dataclass(eq=False)
class Buffer:
    """Memory of pictures: pixel by pixel, with a rim of zeros.

    Parameters
    ----------
    shape : (channels, height, width)
        Without the rim.
    storage : int
        `BYTES`, `SHORTS` or `REALS`.
    rim : (down, across)
        Pixels of the rim on each side.
    spread : (down, across)
        Distance of the pixels within the picture; what lies between is zero.
    across : bool
        Whether it holds all pictures of a run, instead of one at a time.
    """

    shape: tuple[int, int, int]
    storage: int
    rim: tuple[int, int] = (0, 0)
    spread: tuple[int, int] = (1, 1)
    across: bool = False
    offset: int = 0
    first: int = -1
    last: int = -1
    born: int = -1

    @property
    def spread_shape(self) -> tuple[int, int]:
        """Height and width with the rim, and with what lies between the pixels."""
        height, width = (
            (size - 1) * spread + 1 + 2 * rim
            for size, spread, rim in zip(self.shape[1:], self.spread, self.rim, strict=True)
        )
        return height, width

    @property
    def pixel(self) -> int:
        """Bytes of a pixel."""
        return self.shape[0] * SIZES[self.storage]

    @property
    def line(self) -> int:
        """Bytes of a line, its rim included."""
        return self.spread_shape[1] * self.pixel

    @property
    def image(self) -> int:
        """Bytes of a picture, rounded up."""
        return -(-self.spread_shape[0] * self.line // ALIGNMENT) * ALIGNMENT

    @property
    def inside(self) -> int:
        """Bytes from the buffer's start to the picture's first pixel."""
        return self.rim[0] * self.line + self.rim[1] * self.pixel

    @property
    def needs_zeros(self) -> bool:
        """Whether there is anything that must be filled with zeros."""
        return any(self.rim) or self.spread != (1, 1)


@dataclass(eq=False)
class Layout:
    """Where every value stands.

    Parameters
    ----------
    places : dict of Value to (Buffer, int)
        The buffer, and the value's first channel in it.
    phases : list of list of Node
        Nodes in the order in which they run; those of a phase one picture after the other, or, where they work
        `across`, on all pictures at once.
    """

    places: dict[Value, tuple[Buffer, int]] = field(default_factory=dict)
    phases: list[list[Node]] = field(default_factory=list)

    @property
    def buffers(self) -> list[Buffer]:
        """Every buffer once."""
        return list(dict.fromkeys(buffer for buffer, _ in self.places.values()))

    @property
    def row(self) -> int:
        """Numbers in the longest row of scratch that a job needs."""
        rows = [value.shape[0] * value.shape[2] for value in self.places]
        for node in (node for phase in self.phases for node in phase):
            if isinstance(node.work, Response):
                shape = node.inputs[0].shape
                rows.append(size_of_scratch(shape, node.work.reach(shape), within=node.work.within))
        return -(-(max(rows, default=0) + ALIGNMENT) // ALIGNMENT) * ALIGNMENT

    def size(self, pictures: int) -> int:
        """Give the bytes of an arena for so many pictures, and place the buffers in it."""
        end = allocate(self.buffers, SCRATCH + ROWS * self.row * SIZES[REALS], pictures)
        return -(-(end + SLACK) // ALIGNMENT) * ALIGNMENT


def lay_out(graph: Graph) -> Layout:
    """Decide how and where values are stored; adds moves to the graph where two neighbours need it otherwise."""
    for node in list(graph.nodes):
        work = node.work
        if isinstance(work, Multiply) and work.geometry.spread != (1, 1):
            # Zeros stand between the pixels of a deconvolution's input: nobody else could read it.
            graph.insert_before(node, node.inputs[0], real=work.codes is None)
    choose_reals(graph)
    storages = choose_storages(graph)
    layout = Layout(phases=phases_of(graph))
    _place(graph, layout, storages)
    _set_rims(graph, layout)
    _set_lifetimes(layout)
    return layout


def choose_reals(graph: Graph) -> None:
    """Decide which values are stored as float32: those without codes, and those next to sums in float32."""
    for node in list(graph.nodes):
        for value in dict.fromkeys(node.inputs):
            if value.real != _wants_real(node, value):
                graph.insert_before(node, value, real=not value.real)
        if node.output:
            node.output.real = _makes_real(graph, node, node.output)


def _wants_real(node: Node, value: Value) -> bool:
    """Whether a node reads a value as float32; as it is, where it does not matter."""
    if isinstance(node.work, Multiply):
        return node.work.codes is None
    if isinstance(node.work, Pointwise):
        return False
    if node.passes_on:
        assert node.output
        # What is passed on is stored as it comes, so all of it must come alike.
        coded = all(not x.real and x.fmt == node.output.fmt for x in node.inputs) and not node.trims
        return not coded
    return value.real


def _makes_real(graph: Graph, node: Node, value: Value) -> bool:
    if isinstance(node.work, Multiply):
        return node.work.codes is None
    if node.passes_on:
        return all(x.real for x in node.inputs)
    if value.fmt is None or value.fmt.bw > WIDEST_CODE:
        return True
    return any(_leads_to_reals(graph, reader) for reader in graph.readers(value))


def _leads_to_reals(graph: Graph, node: Node) -> bool:
    """Whether a node, or what it passes its numbers on to, sums up in float32."""
    if isinstance(node.work, Multiply):
        return node.work.codes is None
    if node.passes_on and node.output:
        return any(_leads_to_reals(graph, reader) for reader in graph.readers(node.output))
    return False


def choose_storages(graph: Graph) -> dict[Value, int]:
    """Give the storage of every value: bytes where all that read it can, and the tier multiplies such bytes."""
    storages: dict[Value, int] = {}
    unsigned = never_negative(graph)
    for node in graph.nodes:
        if node.output:
            value = node.output
            storable = TIER.takes_negative_bytes or (TIER.multiplies_bytes and value in unsigned)
            narrow = storable and value.fmt and value.fmt.bw <= BYTE_BITS
            storages[value] = REALS if value.real else BYTES if narrow else SHORTS
    for node in graph.nodes:
        work = node.work
        if isinstance(work, Multiply) and work.codes and work.codes.bits > BYTE_BITS:
            storages[node.inputs[0]] = SHORTS
    # What is passed on is stored alike before and behind; wide wins.
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            if node.passes_on and node.output:
                linked = [*node.inputs, node.output]
                widest = max(storages[value] for value in linked)
                for value in linked:
                    changed |= storages[value] != widest
                    storages[value] = widest
    # Pairs make pairs while sums are in registers; bytes only once they are stored.
    for node in graph.nodes:
        of_pairs = isinstance(node.work, Multiply) and storages[node.inputs[0]] == SHORTS
        if of_pairs and node.output and storages[node.output] == BYTES:
            storages |= dict.fromkeys(_passed_on(graph, node.output), SHORTS)
    return storages


def _passed_on(graph: Graph, value: Value) -> list[Value]:
    """Give a value and all that it is passed on as; none where it is stacked, joined or multiplied with others."""
    found = [value]
    for place in found:
        for reader in graph.readers(place):
            if isinstance(reader.work, Multiply) or (reader.passes_on and len(reader.inputs) > 1):
                return []
            if reader.passes_on and reader.output:
                found.append(reader.output)
    return found


def phases_of(graph: Graph) -> list[list[Node]]:
    """Order the nodes so that as few blobs as possible must be kept for all pictures."""
    levels: dict[Node, int] = {}
    makers = {node.output: node for node in graph.nodes if node.output}
    for node in graph.nodes:
        across = works_across(node)
        before = [levels[makers[value]] for value in node.inputs]
        level = max(before, default=0)
        # Even levels work picture by picture, odd ones across all of them.
        levels[node] = level + (level % 2 != across)
    phases: list[list[Node]] = []
    for level in sorted(set(levels.values())):
        phases.append([node for node in graph.nodes if levels[node] == level])
    return phases


def works_across(node: Node) -> bool:
    """Whether a node takes all pictures at once."""
    return isinstance(node.work, Multiply) and node.work.across


def _place(graph: Graph, layout: Layout, storages: dict[Value, int]) -> None:
    """Give every value a buffer; what is stacked is made where it will stand."""
    stacks = [node for node in graph.nodes if isinstance(node.work, Stack)]
    for node in reversed(stacks):
        assert node.output
        buffer, channel = layout.places.setdefault(node.output, (Buffer(node.output.shape, storages[node.output]), 0))
        for value in node.inputs:
            # A blob that stands in two stacks is copied into the second.
            layout.places.setdefault(value, (buffer, channel))
            channel += value.shape[0]
    for value, storage in storages.items():
        layout.places.setdefault(value, (Buffer(value.shape, storage), 0))


def _set_rims(graph: Graph, layout: Layout) -> None:
    for node in graph.nodes:
        if isinstance(node.work, Multiply):
            plain = node.work.geometry.plain
            buffer, _ = layout.places[node.inputs[0]]
            if node.work.geometry.spread != (1, 1):
                buffer.spread = node.work.geometry.spread
            down, across = (max(a, b) for a, b in zip(buffer.rim, plain.pad, strict=True))
            buffer.rim = (down, across)


def _set_lifetimes(layout: Layout) -> None:
    """Note from which node to which each buffer is in use; one for all pictures, from phase to phase."""
    step = 0
    ends: dict[Buffer, int] = {}
    starts: list[int] = []
    for number, phase in enumerate(layout.phases):
        starts.append(step)
        for node in phase:
            for value in (*node.inputs, *([node.output] if node.output else [])):
                buffer, _ = layout.places[value]
                if buffer.first < 0:
                    buffer.first, buffer.born = step, number
                buffer.across |= buffer.born != number or works_across(node)
                buffer.last, ends[buffer] = step, number
            step += 1
    starts.append(step)
    for buffer, end in ends.items():
        if buffer.across:
            buffer.first, buffer.last = starts[buffer.born], starts[end + 1] - 1


def allocate(buffers: Iterable[Buffer], start: int, pictures: int) -> int:
    """Place buffers so that those which live at the same time do not overlap; give the end."""

    def size(buffer: Buffer) -> int:
        return buffer.image * (pictures if buffer.across else 1)

    placed: list[Buffer] = []
    end = start = -(-start // ALIGNMENT) * ALIGNMENT
    for buffer in sorted(buffers, key=lambda buffer: (-size(buffer), buffer.first)):
        offset = start
        neighbours = [other for other in placed if other.first <= buffer.last and buffer.first <= other.last]
        for other in sorted(neighbours, key=lambda other: other.offset):
            if offset + size(buffer) <= other.offset:
                break
            offset = max(offset, other.offset + size(other))
        buffer.offset = offset
        end = max(end, offset + size(buffer))
        placed.append(buffer)
    return end

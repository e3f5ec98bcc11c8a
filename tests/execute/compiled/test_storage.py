"""Where values stand while a program runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.execute import IntegerExecutor
from ristretto.execute.compiled import ProgramStep
from ristretto.execute.compiled.fuse import fuse
from ristretto.execute.compiled.graph import Multiply, Node
from ristretto.execute.compiled.storage import Buffer, Layout, lay_out
from ristretto.execute.values import State
from ristretto.formats import EXACT, FixedPoint
from ristretto.kernels.cpu import TIER
from ristretto.kernels.rows import BYTES, REALS, SHORTS
from ristretto.layers import Concat, Convolution, Deconvolution, Eltwise, InnerProduct, Pooling, ReLU, Sigmoid
from ristretto.net import Net
from tests.execute.compiled.programs import E, Program, made_by
from tests.execute.nets import nets, partial_quants, values, whole_quants

LONG = FixedPoint(12, 6)
POOLING = Pooling("MAX", (2, 2), (2, 2))
NARROW = BYTES if TIER.takes_negative_bytes else SHORTS
UNSIGNED = BYTES if TIER.multiplies_bytes else SHORTS
"""How codes of 8 bits are stored, of which some are negative or none."""


def laid_out(program: Program, *wanted: str) -> tuple[Layout, dict[str, Buffer]]:
    """Fuse a program and lay it out; give the buffers of its layers' tops, too."""
    graph = program.graph(*wanted)
    fuse(graph)
    layout = lay_out(graph)
    names = {node.layer.name for node in graph.nodes if node.layer}
    buffers = {}
    for name in names:
        output = made_by(graph, name).output
        assert output is not None
        buffers[name] = layout.places[output][0]
    return layout, buffers


def programs(net: Net, **options: object) -> Iterator[ProgramStep]:
    executor = IntegerExecutor(net, {}, **options)
    yield from (step for step in executor.steps if isinstance(step, ProgramStep))


def moments(layout: Layout) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Give every node with when it runs: the phase, and its place within it."""
    for number, phase in enumerate(layout.phases):
        for index, node in enumerate(phase):
            yield (number, index), node


def lives(layout: Layout) -> dict[Buffer, tuple[tuple[int, int], tuple[int, int]]]:
    """Give from when to when each buffer holds something, worked out anew from who makes and reads what.

    A phase runs picture by picture. What lives in one phase lives from node to node, once for each picture; what lives
    longer is there while the whole of each phase runs, for all pictures.
    """
    used: dict[Buffer, list[tuple[int, int]]] = {}
    for (number, index), node in moments(layout):
        for value in (*node.inputs, *filter(None, [node.output])):
            used.setdefault(layout.places[value][0], []).append((number, index))
    found = {}
    for buffer, times in used.items():
        first, last = min(times), max(times)
        if buffer.across:
            first, last = (first[0], -1), (last[0], 1 << 30)
        else:
            assert first[0] == last[0], "a buffer of one picture that two phases use"
        found[buffer] = (first, last)
    return found


def check_layout(layout: Layout, pictures: int, size: int) -> None:
    """Nothing that lives at the same time overlaps, and all of it lies within the arena."""

    def end(buffer: Buffer) -> int:
        return buffer.offset + buffer.image * (pictures if buffer.across else 1)

    alive = lives(layout)
    assert set(alive) == set(layout.buffers)
    for buffer in alive:
        assert buffer.offset % 64 == 0
        assert end(buffer) <= size
        channels, height, width = buffer.shape
        assert buffer.image >= (height + 2 * buffer.rim[0]) * (width + 2 * buffer.rim[1]) * channels << buffer.storage
    for (a, (born, died)), (b, (first, last)) in combinations(alive.items(), 2):
        if max(born, first) <= min(died, last):
            assert end(a) <= b.offset or end(b) <= a.offset
    for _, node in moments(layout):
        if isinstance(node.work, Multiply) and node.work.across:
            assert all(layout.places[value][0].across for value in (*node.inputs, *filter(None, [node.output])))


@given(nets(quants=st.one_of(whole_quants(16), partial_quants(32)), longest=9), st.booleans(), st.integers(1, 3))
@settings(max_examples=150)
def test_what_lives_at_the_same_time_never_overlaps(job, keep: bool, threads: int) -> None:
    net, _ = job
    for step in programs(net, keep=values(net) if keep else [], threads=threads):
        check_layout(step.emitter.layout, step.at_once, step.arena_size)


@given(nets(quants=st.one_of(whole_quants(16), partial_quants(32))), st.sampled_from((0xFF, 0x7F, 0x80)))
@settings(max_examples=100)
def test_what_an_earlier_run_left_behind_is_never_read(job, garbage: int) -> None:
    """Rims are filled anew, tails are not read: an arena full of NaN and of extreme codes gives the same numbers."""
    net, batch = job
    executor = IntegerExecutor(net, {})
    state = State({"data": batch["data"]})
    for step in executor.steps:
        if not isinstance(step, ProgramStep):
            step.run(state)
            continue
        before = dict(state.blobs)
        step.run(state)
        arena = step.arenas.get_nowait()
        arena[:] = garbage
        step.arenas.put(arena)
        again = State(before)
        step.run(again)
        for blob in step.outputs:
            np.testing.assert_array_equal(again.blobs[blob], state.blobs[blob])


def test_blobs_that_a_concat_joins_are_made_in_their_places() -> None:
    program = Program().conv("data", "a", outputs=5).conv("data", "b", outputs=7).conv("data", "c")
    program.add(Concat(), "a", "b", top="ab").add(Concat(), "c", "ab", top="all")
    layout, buffers = laid_out(program.conv("all", "d"), "d")
    places = {node.layer.name: layout.places[node.output] for _, node in moments(layout) if node.layer and node.output}
    assert [places[name][0] is buffers["all"] for name in ("a", "b", "c", "ab")] == [True] * 4
    assert {name: places[name][1] for name in ("c", "a", "b", "ab")} == {"c": 0, "a": 3, "b": 8, "ab": 3}
    assert buffers["all"].shape == (15, 4, 5)


def joined_thrice() -> Program:
    program = Program().conv("data", "a").conv("data", "b", weight=5)
    return program.add(Concat(), "a", "b", top="ab").add(Concat(), "b", "a", top="ba").add(Concat(), "a", "a", top="aa")


def test_a_blob_that_several_concats_join_is_copied_into_all_but_one() -> None:
    _, buffers = laid_out(joined_thrice(), "ab", "ba", "aa")
    joined = {buffers["ab"], buffers["ba"], buffers["aa"]}
    assert len(joined) == 3
    assert {buffers["a"], buffers["b"]} < joined
    step = ProgramStep(joined_thrice().builder, ["ab", "ba", "aa"], EXACT)
    state = State({"data": np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5) / 16 - 3})
    step.run(state)
    ab, ba, aa = (state.blobs[name] for name in ("ab", "ba", "aa"))
    assert len(np.unique(ab)) > 10
    assert (ab[:, :3] != ab[:, 3:]).all()
    np.testing.assert_array_equal(ba, np.concatenate([ab[:, 3:], ab[:, :3]], axis=1))
    np.testing.assert_array_equal(aa, np.concatenate([ab[:, :3], ab[:, :3]], axis=1))


def test_a_rim_is_as_wide_as_the_widest_reader_needs() -> None:
    program = Program().conv("data", "a").conv("a", "b", pad=1).conv("a", "c").add(POOL, "a", top="p")
    _, buffers = laid_out(program, "b", "c", "p")
    assert {name: buffers[name].rim for name in "abcp"} == {"a": (1, 1), "b": (0, 0), "c": (0, 0), "p": (0, 0)}
    assert buffers["a"].spread_shape == (6, 7)


POOL = Pooling("MAX", (2, 2), (2, 2))


def test_a_deconvolution_reads_a_copy_with_zeros_between_its_pixels() -> None:
    program = Program().conv("data", "a")
    program.add(Deconvolution(2, (4, 4), (2, 2), (1, 1)), "a", top="d")
    layout, buffers = laid_out(program, "d", "a")
    (value,) = next(node.inputs for _, node in moments(layout) if node.layer and node.layer.name == "d")
    buffer, _ = layout.places[value]
    assert (buffer.spread, buffer.rim, buffer.spread_shape) == ((2, 2), (2, 2), (11, 13))
    assert buffer is not buffers["a"]


def test_the_rim_of_stored_bytes_holds_the_code_of_zero() -> None:
    """With any offset: a convolution of ones over zeros is zero at the rim, as everywhere."""
    program = Program((1, 3, 4, 5)).conv("data", "a", pad=1)
    step = ProgramStep(program.builder, ["a"], EXACT)
    for value, corner in ((0.0, 0.0), (1.0, 4 * 3 / 16)):
        state = State({"data": np.full((1, 3, 4, 5), value, np.float32)})
        step.run(state)
        assert (state.blobs["a"][:, :, 0, 0] == corner).all()


@pytest.mark.parametrize(
    ("program", "storages"),
    [
        (Program().conv("data", "a").conv("a", "b"), {"a": NARROW, "b": NARROW}),
        # What pairs make is stored as pairs, until bytes are multiplied again or it is joined with others.
        (Program().conv("data", "a").conv("a", "b", bits=9), {"a": SHORTS, "b": SHORTS}),
        (
            Program().conv("data", "a", bits=9).add(POOLING, "a", top="p").add(Sigmoid(), "p", top="b"),
            {"a": SHORTS, "p": SHORTS},
        ),
        (
            Program().conv("data", "a", bits=9).add(POOLING, "a", top="p").conv("p", "b"),
            {"a": NARROW, "p": NARROW, "b": NARROW},
        ),
        (
            Program().conv("data", "a", bits=9).conv("data", "b").add(Concat(), "a", "b", top="c"),
            {"a": NARROW, "b": NARROW, "c": NARROW},
        ),
        (Program().conv("data", "a").add(ReLU(), "a", top="r").conv("r", "b"), {"a": UNSIGNED, "b": NARROW}),
        # Joined with what may be negative, it is stored as that.
        (
            Program()
            .conv("data", "a")
            .add(ReLU(), "a", top="r")
            .conv("data", "b")
            .add(Concat(), "r", "b", top="c")
            .conv("c", "d"),
            {"a": NARROW, "b": NARROW, "c": NARROW},
        ),
        (Program().conv("data", "a", E, LONG).conv("a", "b", LONG), {"a": SHORTS, "b": SHORTS}),
        (Program().conv("data", "a").add(Convolution(2, (1, 1)), "a", top="b"), {"a": NARROW, "b": REALS}),
        (Program().conv("data", "a").add(Sigmoid(), "a", top="b"), {"a": NARROW, "b": REALS}),
        (Program().conv("data", "a").add(Sigmoid(), "a", top="b").conv("b", "c"), {"b": NARROW}),
        (Program().conv("data", "a").add(Eltwise(), "a", "a", top="b").conv("b", "c"), {"a": NARROW, "b": NARROW}),
        # What is joined is stored alike: bytes only where all can be.
        (
            Program()
            .conv("data", "a")
            .conv("data", "b", E, LONG)
            .add(Concat(), "a", "b", top="c")
            .conv("c", "d", LONG),
            {"a": SHORTS, "b": SHORTS, "c": SHORTS},
        ),
    ],
)
def test_numbers_are_stored_as_short_as_their_readers_allow(program: Program, storages: dict[str, int]) -> None:
    _, buffers = laid_out(program, list(program.shapes)[-1])
    assert {name: buffers[name].storage for name in storages} == storages


def arena(pictures: int, threads: int = 1, *, inner_product: bool = False) -> int:
    """Give the size of a program's arena, bytes."""
    program = Program((pictures, 3, 8, 8)).conv("data", "a", outputs=16, pad=1).add(POOL, "a", top="p")
    program.conv("p", "b", outputs=16, pad=1)
    if inner_product:
        program.add(InnerProduct(10), "b", top="c")
    return ProgramStep(program.builder, [list(program.shapes)[-1]], EXACT, threads).arena_size


def test_an_arena_has_room_for_one_picture() -> None:
    assert len({arena(pictures) for pictures in (1, 2, 64, 65, 1000)}) == 1


def test_only_what_inner_products_read_and_make_is_there_for_all_pictures() -> None:
    """Here 16x4x4 float32 in, 10 out, each rounded up to lines of the cache; and never for more than 64 pictures."""
    sizes = {n: arena(n, inner_product=True) for n in (1, 2, 3, 64, 65, 1000)}
    assert sizes[3] - sizes[2] <= 16 * 4 * 4 * 4 + 64
    assert sizes[64] - sizes[1] <= 63 * (16 * 4 * 4 * 4 + 64)
    assert sizes[64] == sizes[65] == sizes[1000]


@pytest.mark.parametrize(("classes", "at_once"), [(None, 4), (2, 4), (40, 16)])
def test_a_share_is_cut_in_pieces_where_that_reads_few_weights_anew(classes: int | None, at_once: int) -> None:
    """Of 32 pictures each thread has 16, in four pieces; but where the inner product's weights weigh more."""
    program = Program((32, 3, 8, 8)).conv("data", "a", outputs=64, pad=1).conv("a", "b", outputs=64, pad=1)
    if classes:
        program.add(InnerProduct(classes), "b", top="c")
    assert ProgramStep(program.builder, [list(program.shapes)[-1]], EXACT, 2).at_once == at_once
    assert ProgramStep(program.builder, [], EXACT, 1).at_once == 32


def test_threads_share_the_pictures() -> None:
    assert arena(8, 4, inner_product=True) == arena(2, inner_product=True)

"""Random quantized nets with every kind of operation that a program knows, and many programs compiled at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ristretto.errors import ModelError
from ristretto.export.base import Subject
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint, PowerOfTwo
from ristretto.layers import LRN, Concat, Input, Permute, Reshape, ShuffleChannel, Slice, Tile, Upsample
from ristretto.net import Layer, LayerQuant, Net
from ristretto.net import Phase as NetPhase
from tests.execute.nets import WIDEST, Builder, Kinds, formats, whole_quants
from tests.export.programs import Program, build, sources, write

Job = tuple[Net, dict[str, np.ndarray], Arithmetic]


def power_quants() -> st.SearchStrategy[LayerQuant]:
    """Powers of two between activations of up to 16 bits."""
    powers = st.tuples(st.integers(-12, 4), st.integers(0, 10)).map(lambda pair: PowerOfTwo(pair[0], sum(pair)))
    return st.builds(LayerQuant, formats(16), formats(16), powers)


def narrow_quants() -> st.SearchStrategy[LayerQuant]:
    """Up to 8 bits, radix points close together: where few numbers saturate and much is exact."""
    fmt = st.builds(FixedPoint, st.integers(2, 8), st.integers(1, 5))
    return st.builds(LayerQuant, fmt, fmt, fmt)


@st.composite
def coded_nets(draw: st.DrawFn) -> Job:
    """Give a net that begins with a convolution on codes, a batch for it, and where halves go."""
    quants = st.one_of(whole_quants(16), power_quants(), narrow_quants())
    made = Builder(draw, quants, np.random.default_rng(draw(st.integers(0, 999))), draw(st.integers(0, 3)) == 0)
    size = draw(st.one_of(*[st.tuples(st.integers(2, 5), st.integers(2, 5))] * 3, st.just((1, 1))))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *size)
    made.layers.append(Layer("data", Input((shape,)), (), ("data",)))
    made.shapes["data"] = shape
    made.conv("data")
    on_pictures, on_any = kinds(made)
    for _ in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from((*on_pictures, *on_any, "conv", "conv")))
        blobs = [blob for blob in made.shapes if blob != "data"]
        if kind in on_any:
            on_any[kind](draw(st.sampled_from(blobs)))
        elif pictures := [blob for blob in blobs if len(made.shapes[blob]) == 4]:
            on_pictures[kind](draw(st.sampled_from(pictures)))
    if draw(st.booleans()):
        made.conv(draw(st.sampled_from(made.pictures())))
    net = Net("random", tuple(made.layers)).for_phase(NetPhase.TEST)
    return net, {"data": made.numbers(shape)}, draw(st.sampled_from((EXACT, HALF_EVEN)))


def kinds(made: Builder) -> tuple[Kinds, Kinds]:
    """Give what adds a layer to a picture, and to any blob."""
    draw, shapes, add = made.draw, made.shapes, made.add

    def if_small(blob: str, op: Callable[[], object]) -> None:
        if max(shapes[blob][1:]) <= WIDEST:
            op()

    def axis() -> int:
        return draw(st.sampled_from((1, 2, 3)))

    def groups(blob: str) -> int:
        return draw(st.sampled_from([g for g in (1, 2, 3) if shapes[blob][1] % g == 0]))

    def response(blob: str) -> None:
        add(LRN(draw(st.sampled_from((1, 3, 5))), alpha=0.5, within_channel=draw(st.booleans())), (blob,))

    def cut(blob: str) -> None:
        if min(shapes[blob][1:]) > 1:
            add(Slice(2, axis(), (1,)), (blob,))

    on_pictures: Kinds = {
        **made.on_pictures(),
        "lrn": response,
        "permute": lambda blob: add(Permute((0, axis())), (blob,)),
        "slice": cut,
        "tile": lambda blob: if_small(blob, lambda: add(Tile(2, axis()), (blob,))),
        "shuffle": lambda blob: add(ShuffleChannel(groups(blob)), (blob,)),
        "upsample": lambda blob: if_small(blob, lambda: add(Upsample((2, 1)), (blob,))),
        "twice": lambda blob: if_small(blob, lambda: add(Concat(axis()), (blob, blob))),
    }
    on_any: Kinds = {**made.on_any(), "reshape": lambda blob: add(Reshape((0, -1, 1)), (blob,))}
    return on_pictures, on_any


def drawn(count: int, strategy: st.SearchStrategy[Job]) -> list[Job]:
    """Give so many nets at once: hypothesis alone would have each compiled before it draws the next."""
    jobs: list[Job] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        deadline=None,
    )
    @given(strategy)
    def collect(job: Job) -> None:
        jobs.append(job)

    collect()
    return jobs


@dataclass(frozen=True, eq=False)
class Made:
    """A net whose program is compiled."""

    subject: Subject
    batch: dict[str, np.ndarray]
    program: Program


def compiled_at_once(jobs: Sequence[Job], folder: Path) -> tuple[list[Made], list[ModelError]]:
    """Compile many programs into one, which is told by its name which of them to be; give also why some cannot be."""
    made: list[Made] = []
    refused: list[ModelError] = []
    for half_even in (False, True):
        inside, own = folder / f"even{half_even:d}", []
        for net, batch, arithmetic in jobs:
            if arithmetic.half_even != half_even:
                continue
            subject, name = Subject(net, {}, arithmetic=arithmetic), f"n{len(own)}"
            try:
                files, manifest = sources(subject, name)
            except ModelError as error:
                refused.append(error)
                continue
            write(files, inside / name)
            common = {
                file: content for file, content in files.items() if file not in _OWN and not file.startswith(name)
            }
            if "power.c" in common or not (inside / "power.c").exists():
                write(common, inside)
            parts = "".join(f'#include "{name}/{part}"\n' for part in (f"{name}.c", "weights.c", "main.c"))
            write({f"all_{name}.c": f"#define main {name}_main\n{parts}".encode()}, inside)
            own.append(Made(subject, batch, Program(inside / name / "net", manifest)))
        if own:
            _link(own, inside)
        made += own
    return made, refused


_OWN = ("weights.h", "weights.c", "main.c", "Makefile", "README.md")


def _link(own: Sequence[Made], inside: Path) -> None:
    names = [each.program.path.parent.name for each in own]
    lines = [*(f"int {name}_main(int count, char **arguments);" for name in names), "#include <string.h>"]
    lines += ["int main(int count, char **arguments)", "{"]
    lines += [f'    if (strstr(arguments[0], "/{name}/")) return {name}_main(count, arguments);' for name in names]
    write({"driver.c": "\n".join([*lines, "    return 3;", "}", ""]).encode()}, inside)
    build(inside, sorted(path.name for path in inside.glob("*.c")), "-O0")
    for each in own:
        each.program.path.symlink_to(inside / "net")

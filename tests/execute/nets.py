"""Random small nets of every kind of wiring, for properties that must hold in all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from ristretto.formats import FixedPoint, MiniFloat, PowerOfTwo
from ristretto.layers import LRN, Concat, Convolution, Dropout, InnerProduct, Input, Pooling, ReLU, Softmax
from ristretto.net import Layer, LayerQuant, Net, Op, Phase, Shape

EXACT = ("conv", "conv", "relu", "max", "concat", "dropout")
"""Layers that compute exactly on numbers of a grid."""
ALL = (*EXACT, "slope", "ave", "lrn")


def formats(widest: int) -> st.SearchStrategy[FixedPoint]:
    """Fixed-point formats, some with a radix point far outside of the word."""
    lengths = st.one_of(st.integers(-3, 10), st.integers(-12, 24))
    return st.builds(FixedPoint, st.integers(1, widest), lengths)


def whole_quants(widest: int) -> st.SearchStrategy[LayerQuant]:
    """All three places have a format."""
    fmt = formats(widest)
    return st.builds(LayerQuant, fmt, fmt, fmt)


def partial_quants(widest: int) -> st.SearchStrategy[LayerQuant | None]:
    """Places may be left in float, and layers altogether."""
    fmt = st.one_of(st.none(), formats(widest))
    return st.one_of(st.none(), st.builds(LayerQuant, fmt, fmt, fmt))


def other_quants() -> st.SearchStrategy[LayerQuant]:
    """Minifloat in all three places, or power-of-two weights between fixed-point activations."""
    short = st.builds(MiniFloat, st.integers(2, 5), st.integers(0, 4)).map(lambda fmt: LayerQuant(fmt, fmt, fmt))
    powers = st.tuples(st.integers(-12, 4), st.integers(0, 10)).map(lambda t: PowerOfTwo(t[0], t[0] + t[1]))
    return st.one_of(short, st.builds(LayerQuant, formats(16), formats(20), powers))


@dataclass
class Builder:
    """A net under construction: its layers so far, and the pictures that the next one may read."""

    draw: st.DrawFn
    quants: st.SearchStrategy[LayerQuant | None]
    rng: np.random.Generator
    coarse: bool
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def add(self, op: Op, bottoms: tuple[str, ...], *, in_place: bool = False) -> str:
        """Add a layer; give its top."""
        name = f"{op.type.lower()}{len(self.layers)}"
        top = bottoms[0] if in_place else name
        shapes = [self.shapes[blob] for blob in bottoms]
        blobs = tuple(self.numbers(shape) for shape in op.blob_shapes(shapes))
        quant = self.draw(self.quants) if op.part else None
        self.layers.append(Layer(name, op, bottoms, (top,), blobs, quant=quant))
        self.shapes[top] = op.infer(shapes)[0]
        return top

    def numbers(self, shape: Shape) -> np.ndarray:
        """Give random numbers of a random size; every other one lies on a coarse grid, where ties are.

        Where all are coarse, they are few multiples of one half: float32 sums of their products are exact.
        """
        if self.coarse:
            return self.rng.integers(-4, 5, shape).astype(np.float32) / 2
        size = 2.0 ** self.draw(st.integers(-4, 4))
        x = self.rng.normal(0, size, shape)
        grid = size / 8
        return np.where(self.rng.random(shape) < 0.5, x, np.round(x / grid) * grid).astype(np.float32)

    def pictures(self) -> list[str]:
        """Give the blobs with four axes."""
        return [blob for blob, shape in self.shapes.items() if len(shape) == 4]

    def conv(self, blob: str) -> None:
        """Add a convolution of any geometry that goes."""
        channels, *size = self.shapes[blob][1:]
        group = self.draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
        pair = st.tuples(*(st.integers(1, min(3, s)) for s in size))
        self.add(
            Convolution(
                num_output=group * self.draw(st.integers(1, 2)),
                kernel=self.draw(pair),
                stride=self.draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
                pad=self.draw(st.tuples(st.integers(0, 1), st.integers(0, 1))),
                group=group,
                bias_term=self.draw(st.booleans()),
            ),
            (blob,),
        )

    def pool(self, blob: str, method: str) -> None:
        """Add a pooling layer."""
        side = min(2, *self.shapes[blob][2:])
        self.add(Pooling(method, (side, side), (side, side)), (blob,))

    def concat(self, blob: str) -> None:
        """Join a blob with another that fits, itself if need be."""
        fits = [b for b in self.pictures() if self.shapes[b][2:] == self.shapes[blob][2:]]
        self.add(Concat(), (blob, self.draw(st.sampled_from(fits))))


@st.composite
def nets(
    draw: st.DrawFn,
    kinds: tuple[str, ...] = ALL,
    quants: st.SearchStrategy[LayerQuant | None] | None = None,
    longest: int = 6,
    coarse: bool = False,
) -> tuple[Net, dict[str, np.ndarray]]:
    """Give a net of the TEST phase with weights, and a batch for it."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    build = Builder(draw, whole_quants(16) if quants is None else quants, rng, coarse)
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(2, 5)), draw(st.integers(2, 5)))
    build.layers.append(Layer("data", Input((shape,)), (), ("data",)))
    build.shapes["data"] = shape
    add: dict[str, Callable[[str], object]] = {
        "conv": build.conv,
        "relu": lambda blob: build.add(ReLU(), (blob,), in_place=draw(st.booleans())),
        "slope": lambda blob: build.add(ReLU(0.1), (blob,), in_place=draw(st.booleans())),
        "max": lambda blob: build.pool(blob, "MAX"),
        "ave": lambda blob: build.pool(blob, "AVE"),
        "lrn": lambda blob: build.add(LRN(3, alpha=0.5), (blob,)),
        "dropout": lambda blob: build.add(Dropout(), (blob,), in_place=True),
        "concat": build.concat,
    }
    for _ in range(draw(st.integers(1, longest))):
        # Any blob so far: often one that others have read, trimmed or changed in place before.
        add[draw(st.sampled_from(kinds))](draw(st.sampled_from(build.pictures())))
    if draw(st.booleans()):
        flat = build.add(InnerProduct(draw(st.integers(1, 5))), (draw(st.sampled_from(build.pictures())),))
        if "lrn" in kinds and draw(st.booleans()):
            build.add(Softmax(), (flat,))
    net = Net("random", tuple(build.layers)).for_phase(Phase.TEST)
    return net, {"data": build.numbers(shape)}


def values(net: Net) -> list[str]:
    """Name every value that a run of a net can keep."""
    return [f"{layer.name}.top{i}" for layer in net for i in range(len(layer.tops))]

"""Random small nets of every kind of wiring, for properties that must hold in all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from ristretto.formats import FixedPoint, MiniFloat, PowerOfTwo
from ristretto.layers import (
    BNLL,
    ELU,
    LRN,
    AbsVal,
    Axpy,
    BatchNorm,
    Bias,
    Clip,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    Dropout,
    Eltwise,
    Flatten,
    InnerProduct,
    Input,
    Normalize,
    Permute,
    Pooling,
    Power,
    PReLU,
    ReLU,
    ReLU6,
    Scale,
    ShuffleChannel,
    Sigmoid,
    Slice,
    Softmax,
    Split,
    Swish,
    TanH,
    Threshold,
)
from ristretto.layers.coverage import Coverage
from ristretto.net import Layer, LayerQuant, Net, Op, Phase, Shape

EXACT = ("conv", "conv", "relu", "max", "concat", "dropout")
"""Layers that compute exactly on numbers of a grid."""
ALL = (
    *(*EXACT, "conv", "depthwise", "deconv", "ip"),
    *(
        "slope",
        "prelu",
        "relu6",
        "clip",
        "function",
        "join",
        "join",
        "ave",
        "lrn",
        "split",
        "flatten",
        "permute",
        "affine",
        "softmax",
        "normalize",
        "slice",
        "shuffle",
        "gate",
        "crop",
    ),
)
"""Every form that a compiled program knows, and a layer that it does not know."""

FUNCTIONS: tuple[Op, ...] = (
    *(AbsVal(), BNLL(), ELU(0.5), Power(1.0, 0.75, -0.5), Power(2.0, 0.25, 1.0)),
    *(Sigmoid(), Swish(1.5), TanH(), Threshold(0.25), Scale(bias_term=True), Scale(), Bias()),
)
"""Functions of one number, or of one and its channel, with a result for every one: an Exp soon runs out of float32."""
AFFINE: tuple[Op, ...] = (
    *(BatchNorm(use_global_stats=True), Scale(bias_term=True), Scale(), Bias()),
    *(Power(1.0, 0.5, -0.25), Scale(Coverage(1, 0)), Bias(Coverage(1, -1))),
)
WIDEST = 14
"""Pixels of a picture that may still grow."""
Kinds = dict[str, Callable[[str], object]]
"""What adds a layer of each kind to a blob."""


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

    def add(self, op: Op, bottoms: tuple[str, ...], *, in_place: bool = False, positive: bool = False) -> str:
        """Add a layer, with `positive` weights if need be; give its top."""
        name = f"{op.type.lower()}{len(self.layers)}"
        top = bottoms[0] if in_place else name
        shapes = [self.shapes[blob] for blob in bottoms]
        blobs = tuple(self.numbers(shape) for shape in op.blob_shapes(shapes))
        blobs = tuple(np.abs(blob) + np.float32(0.5) for blob in blobs) if positive else blobs
        quant = self.draw(self.quants) if op.part else None
        made = op.infer(shapes)
        tops = (top, *(f"{name}.{index}" for index in range(1, len(made))))
        self.layers.append(Layer(name, op, bottoms, tops, blobs, quant=quant))
        self.shapes |= dict(zip(tops, made, strict=True))
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

    def any_place(self, op: Op, blob: str) -> None:
        """Add a layer that may work in place."""
        self.add(op, (blob,), in_place=self.draw(st.booleans()))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        """Draw two integers, down and across."""
        return self.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    def conv(self, blob: str) -> None:
        """Add a convolution of any geometry that goes."""
        channels, *size = self.shapes[blob][1:]
        group = self.draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
        kernel = self.draw(st.tuples(*(st.integers(1, min(3, s)) for s in size)))
        pad = self.pair(0, 1)
        fits = all((k - 1) * 2 < s + 2 * p for k, s, p in zip(kernel, size, pad, strict=True))
        self.add(
            Convolution(
                num_output=group * self.draw(st.sampled_from((1, 2, 5, 17))),
                kernel=kernel,
                stride=self.pair(1, 2),
                pad=pad,
                dilation=self.pair(1, 2) if fits else (1, 1),
                group=group,
                bias_term=self.draw(st.booleans()),
            ),
            (blob,),
        )

    def depthwise(self, blob: str) -> None:
        """Add a convolution in which every channel has a group of its own, with one output or several."""
        channels, *size = self.shapes[blob][1:]
        kernel = self.draw(st.tuples(*(st.integers(1, min(3, s)) for s in size)))
        outputs = channels * self.draw(st.sampled_from((1, 1, 2)))
        pad, bias = self.pair(0, 1), self.draw(st.booleans())
        self.add(Convolution(outputs, kernel, self.pair(1, 2), pad, group=channels, bias_term=bias), (blob,))

    def deconv(self, blob: str) -> None:
        """Add a deconvolution, whose pad may cut off more than its kernel reaches beyond the picture."""
        channels, *size = self.shapes[blob][1:]
        if max(size) > WIDEST:
            return
        group = self.draw(st.sampled_from([g for g in (1, channels) if channels % g == 0]))
        kernel, stride, dilation = self.pair(1, 4), self.pair(1, 3), self.pair(1, 2)
        whole = [(s - 1) * t + d * (k - 1) + 1 for s, t, k, d in zip(size, stride, kernel, dilation, strict=True)]
        pad = self.draw(st.tuples(*(st.integers(0, min(2, (extent - 1) // 2)) for extent in whole)))
        outputs = group * self.draw(st.integers(1, 3))
        bias = self.draw(st.booleans())
        self.add(Deconvolution(outputs, kernel, stride, pad, dilation, group, bias), (blob,))

    def pool(self, blob: str, method: str) -> None:
        """Add a pooling layer; windows may overlap and reach beyond the picture, and none is empty."""
        size = self.shapes[blob][2:]
        if self.draw(st.booleans()):
            side = min(2, *size)
            self.add(Pooling(method, (side, side), (side, side)), (blob,))
            return
        kernel = self.draw(st.tuples(*(st.integers(1, min(4, s)) for s in size)))
        stride = self.draw(st.tuples(*(st.integers(1, k) for k in kernel)))
        pad = self.draw(st.tuples(*(st.integers(0, k - 1) for k in kernel)))
        self.add(Pooling(method, kernel, stride, pad, round_up=self.draw(st.booleans())), (blob,))

    def others(self, blob: str, like: Callable[[Shape], Shape]) -> tuple[str, ...]:
        """Give one or two blobs that are alike in what counts, the blob itself among them."""
        fits = [b for b, shape in self.shapes.items() if like(shape) == like(self.shapes[blob])]
        return tuple(self.draw(st.lists(st.sampled_from(fits), min_size=1, max_size=2)))

    def concat(self, blob: str) -> None:
        """Join a blob with others that fit, itself if need be."""
        self.add(Concat(), (blob, *self.others(blob, lambda shape: (shape[0], len(shape), *shape[2:]))))

    def join(self, blob: str) -> None:
        """Add, multiply or compare blobs number by number."""
        blobs = (blob, *self.others(blob, lambda shape: shape))
        operation = self.draw(st.sampled_from(("SUM", "SUM", "MAX", "PROD")))
        factors = st.tuples(*[st.sampled_from((1.0, -1.0, 0.5, 0.3))] * len(blobs))
        self.add(Eltwise(operation, self.draw(st.just(()) | factors) if operation == "SUM" else ()), blobs)

    def affine(self, blob: str) -> None:
        """Multiply and add by channel, one layer after the other; others may read what stands between."""
        last = Scale(Coverage(1 - len(self.shapes[blob]), 1))
        for op in self.draw(st.lists(st.sampled_from((*AFFINE, last)), min_size=1, max_size=3)):
            blob = self.add(op, (blob,), in_place=self.draw(st.booleans()), positive=isinstance(op, BatchNorm))

    def gate(self, blob: str) -> None:
        """Multiply pictures by numbers for each channel, as squeeze and excitation do."""
        shape = self.shapes[blob]
        factors = self.add(Pooling("AVE", global_pooling=True), (blob,))
        if self.draw(st.booleans()):
            factors = self.add(InnerProduct(shape[1]), (factors,))
        if self.draw(st.booleans()):
            factors = self.add(Sigmoid(), (factors,), in_place=True)
        if len(self.shapes[factors]) == 2 and self.draw(st.booleans()):
            self.add(Scale(Coverage(axis=0)), (blob, factors))
        else:
            self.add(Axpy(), (factors, blob, *self.others(blob, lambda shape: shape)[:1]))

    def slice(self, blob: str) -> None:
        """Cut a blob along its channels."""
        channels = self.shapes[blob][1]
        if channels > 1:
            points = self.draw(st.lists(st.integers(1, channels - 1), min_size=1, max_size=3, unique=True))
            self.add(Slice(len(points) + 1, points=tuple(sorted(points))), (blob,))

    def crop(self, blob: str) -> None:
        """Cut a picture to the size that a pooling makes of it."""
        shape = self.shapes[blob]
        smaller = self.add(Pooling("MAX", (1, 1), self.pair(1, 2)), (blob,))
        room = [a - b for a, b in zip(shape[2:], self.shapes[smaller][2:], strict=True)]
        self.add(Crop(2, self.draw(st.tuples(*(st.integers(0, size) for size in room)))), (blob, smaller))

    def shuffle(self, blob: str) -> None:
        """Deal channels out among groups."""
        channels = self.shapes[blob][1]
        group = self.draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        self.add(ShuffleChannel(group), (blob,))

    def clip(self, blob: str) -> None:
        """Add a clip, whose ends lie on a coarse grid, on a fine one or on none."""
        low, high = sorted(self.draw(st.tuples(*[st.sampled_from((-2.0, -0.7, -0.125, 0.0, 0.3, 1.0, 2.5))] * 2)))
        self.any_place(Clip(low, high), blob)

    def on_pictures(self) -> Kinds:
        """Give what adds a layer to a picture."""
        return {
            "conv": self.conv,
            "depthwise": self.depthwise,
            "deconv": self.deconv,
            "max": lambda blob: self.pool(blob, "MAX"),
            "ave": lambda blob: self.pool(blob, "AVE"),
            "lrn": lambda blob: self.add(self.normalization(), (blob,)),
            "gate": self.gate,
            "crop": self.crop,
            "flatten": lambda blob: self.add(Flatten(), (blob,)),
            "permute": lambda blob: self.add(Permute((0, 1, 3, 2)), (blob,)),
        }

    def normalization(self) -> LRN:
        """Draw an LRN, within each channel or across them."""
        size, within = self.draw(st.sampled_from((1, 3, 5, 7))), self.draw(st.booleans())
        return LRN(size, alpha=0.5, within_channel=within)

    def on_any(self) -> Kinds:
        """Give what adds a layer to any blob."""
        return {
            "ip": lambda blob: self.add(InnerProduct(self.draw(st.sampled_from((1, 2, 5, 18)))), (blob,)),
            "relu": lambda blob: self.any_place(ReLU(), blob),
            "slope": lambda blob: self.any_place(ReLU(0.1), blob),
            "prelu": lambda blob: self.any_place(PReLU(self.draw(st.booleans())), blob),
            "relu6": lambda blob: self.any_place(ReLU6(), blob),
            "clip": self.clip,
            "affine": self.affine,
            "normalize": lambda blob: self.any_place(Normalize(False, self.draw(st.booleans()), 0.5), blob),
            "softmax": lambda blob: self.any_place(Softmax(), blob),
            "function": lambda blob: self.any_place(self.draw(st.sampled_from(FUNCTIONS)), blob),
            "dropout": lambda blob: self.add(Dropout(), (blob,), in_place=True),
            "split": lambda blob: self.add(Split(2), (blob,)),
            "join": self.join,
            "slice": self.slice,
            "shuffle": self.shuffle,
            "concat": self.concat,
        }


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
    # Pictures of one pixel are multiplied all at once.
    size = draw(st.one_of(*[st.tuples(st.integers(2, 5), st.integers(2, 5))] * 3, st.just((1, 1))))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *size)
    build.layers.append(Layer("data", Input((shape,)), (), ("data",)))
    build.shapes["data"] = shape
    on_pictures, on_any = build.on_pictures(), build.on_any()
    for _ in range(draw(st.integers(1, longest))):
        # Any blob so far: often one that others have read, trimmed or changed in place before.
        kind = draw(st.sampled_from(kinds))
        if kind in on_pictures:
            on_pictures[kind](draw(st.sampled_from(build.pictures())))
        else:
            on_any[kind](draw(st.sampled_from(list(build.shapes))))
    if draw(st.booleans()):
        flat = build.add(InnerProduct(draw(st.integers(1, 5))), (draw(st.sampled_from(build.pictures())),))
        if "lrn" in kinds and draw(st.booleans()):
            build.add(Softmax(), (flat,))
    net = Net("random", tuple(build.layers)).for_phase(Phase.TEST)
    return net, {"data": build.numbers(shape)}


def values(net: Net) -> list[str]:
    """Name every value that a run of a net can keep."""
    return [f"{layer.name}.top{i}" for layer in net for i in range(len(layer.tops))]

"""Functions: what each ONNX operation that a layer may name is in torch.

A function takes the node's inputs in order and its attributes by name, with ONNX's defaults (opset 17), and only those
that a layer of ours gives. Floats have the type in which the net computes, whatever a Cast to float says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ristretto.errors import ModelError
from ristretto.finetune.windows import average_pool, max_pool, max_pool_with_places, pad
from ristretto.layers.labels import check_labels
from ristretto.net.op import FLOAT32, INT64

Draw = Callable[[Sequence[int]], Tensor]
"""From a shape to random numbers of [0, 1)."""


@dataclass(frozen=True, eq=False)
class Run:
    """What functions may ask for beside their inputs.

    Parameters
    ----------
    dtype : torch.dtype
        In which the net computes: float32, or float64 in tests.
    device : torch.device
    draw : callable
    """

    dtype: torch.dtype
    device: torch.device
    draw: Draw


@dataclass(frozen=True)
class Function:
    """An ONNX operation.

    Parameters
    ----------
    compute : callable
        From inputs and attributes to the output, or to a tuple of outputs.
    settings : tuple of int
        Inputs that are read as Python numbers or lists of them when the net is built: shapes, axes and the like.
    takes_run : bool
        Whether it takes a `Run` before its inputs.
    compute_all : callable or None
        What gives all outputs, where a node names more than one and `compute` gives the first.
    """

    compute: Callable[..., Any]
    settings: tuple[int, ...] = ()
    takes_run: bool = False
    compute_all: Callable[..., Any] | None = None


def _sum_of(terms: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Give a reduction that adds up what `terms` makes of numbers."""

    def compute(x: Tensor, given: Sequence[int] = (), *, axes: Sequence[int] = (), keepdims: int = 1) -> Tensor:
        places = tuple(given or axes) or tuple(range(x.ndim))
        return terms(x).sum(places, keepdim=bool(keepdims)) if places else terms(x)

    return compute


def _mean(x: Tensor, *, axes: Sequence[int] = (), keepdims: int = 1) -> Tensor:
    places = tuple(axes) or tuple(range(x.ndim))
    return x.mean(places, keepdim=bool(keepdims)) if places else x


def _sqrt(x: Tensor) -> Tensor:
    """Give the root; at zero, where its slope is infinite, no gradient: a channel of one value has none in Caffe."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), x.detach().sqrt())


def _larger(one: Tensor, other: Tensor) -> Tensor:
    """Give the larger numbers; of equal ones the second takes the gradient, as in Caffe's Eltwise."""
    return torch.where(one > other, one, other)


def _max(*inputs: Tensor) -> Tensor:
    """Give the largest; beyond the first two, an equal number does not take the gradient away, as in Caffe."""
    first, *rest = inputs
    if not rest:
        return first
    return reduce(lambda most, other: _larger(other, most), rest[1:], _larger(first, rest[0]))


def _elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.elu(x, alpha)


def _softplus(x: Tensor) -> Tensor:
    """Give ``log(1 + exp(x))``; from 40 on that is x itself, even in float64."""
    return functional.softplus(x, threshold=40)


def _cast(run: Run, x: Tensor, *, to: int) -> Tensor:
    if to not in (FLOAT32, INT64):
        raise ModelError(f"a Cast to ONNX's type {to} is not known")
    return x.to(run.dtype if to == FLOAT32 else torch.int64)


def _dropout(run: Run, x: Tensor, ratio: float, training: bool) -> Tensor:
    if not training:
        return x
    return x * (run.draw(x.shape) >= ratio) * (1 / (1 - ratio))


def _zeros(run: Run, shape: Sequence[int]) -> Tensor:
    return torch.zeros(tuple(shape), dtype=run.dtype, device=run.device)


def _conv(x: Tensor, weights: Tensor, bias: Tensor | None = None, **walk: Any) -> Tensor:
    top, left, bottom, right = walk["pads"]
    assert (top, left) == (bottom, right), "Caffe pads both sides alike"
    return functional.conv2d(x, weights, bias, walk["strides"], (top, left), walk["dilations"], walk["group"])


def _conv_transpose(x: Tensor, weights: Tensor, bias: Tensor | None = None, **walk: Any) -> Tensor:
    strides, dilations, group = walk["strides"], walk["dilations"], walk["group"]
    padding = tuple(walk["pads"][:2])
    return functional.conv_transpose2d(x, weights, bias, strides, padding, 0, group, dilations)


def _gemm(x: Tensor, weights: Tensor, bias: Tensor | None = None, *, transB: int = 0) -> Tensor:
    return functional.linear(x, weights if transB else weights.T, bias)


def _batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Normalize; in training by the batch's own statistics, which come behind, mixed with those before."""
    if not training_mode:
        return torch.batch_norm(x, scale, bias, mean, variance, False, 0.0, epsilon, False)
    own, spread = torch.zeros_like(mean), torch.zeros_like(variance)
    y = torch.batch_norm(x, scale, bias, own, spread, True, 1.0, epsilon, False)
    # What torch keeps is unbiased; of a single number it is nothing at all.
    count = x.numel() // x.shape[1]
    spread = spread * ((count - 1) / count) if count > 1 else torch.zeros_like(spread)
    return y, momentum * mean + (1 - momentum) * own, momentum * variance + (1 - momentum) * spread


def _lrn(x: Tensor, *, size: int, alpha: float, beta: float, bias: float) -> Tensor:
    """Add up squares over neighbouring channels, no further than there are any."""
    reach = min(size // 2, x.shape[1] - 1)
    squares = functional.pad((x * x).flatten(2), (0, 0, reach, reach))
    total = reduce(torch.add, (squares.narrow(1, offset, x.shape[1]) for offset in range(2 * reach + 1)))
    return x * (bias + (alpha / size) * total.view_as(x)).pow(-beta)


def _slice(
    x: Tensor, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] = (), steps: Sequence[int] = ()
) -> Tensor:
    axes, steps = axes or range(len(starts)), steps or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places = range(x.shape[axis])[start:end:step]
        if step == 1:
            x = x.narrow(axis, places.start, len(places))
        else:
            x = x.index_select(axis, torch.tensor(list(places), device=x.device))
    return x


def _resize(
    x: Tensor,
    roi: None = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
    **how: str,
) -> Tensor:
    if how["mode"] == "nearest":
        assert scales is not None, "Upsample gives factors"
        whole = [int(scale) for scale in scales]
        return x.repeat_interleave(whole[2], 2).repeat_interleave(whole[3], 3)
    assert sizes is not None, "Interp gives sizes"
    return functional.interpolate(x, tuple(sizes[2:]), mode="bilinear", align_corners=True)


def _gather(table: Tensor, index: Tensor, *, axis: int = 0) -> Tensor:
    assert axis == 0, "Embed picks rows"
    _check(index, table.shape[0])
    return functional.embedding(index, table)


def _one_hot(labels: Tensor, classes: int, sides: Tensor, *, axis: int = -1) -> Tensor:
    """Give the second side in the place of each label, the first elsewhere."""
    _check(labels, classes)
    places = torch.arange(classes, device=labels.device) == labels.unsqueeze(axis)
    return torch.where(places, sides[1], sides[0])


def _nll_loss(logarithms: Tensor, labels: Tensor, *, reduction: str, ignore_index: int | None = None) -> Tensor:
    classes = logarithms.shape[1]
    if ignore_index is None:
        _check(labels, classes)
        return functional.nll_loss(logarithms, labels, reduction=reduction)
    _check(torch.where(labels == ignore_index, 0, labels), classes)
    return functional.nll_loss(logarithms, labels, ignore_index=ignore_index, reduction=reduction)


def _check(labels: Tensor, classes: int) -> None:
    """Raise a ModelError for a label beyond the classes: on a GPU torch would end the whole process."""
    if not labels.is_meta:
        check_labels(labels.cpu().numpy(), classes)


def _top_k(x: Tensor, count: Sequence[int], *, axis: int = -1) -> tuple[Tensor, Tensor]:
    """Give the greatest numbers, of equal ones the earlier first."""
    values, places = x.sort(stable=True, dim=axis, descending=True)
    return values.narrow(axis, 0, count[0]), places.narrow(axis, 0, count[0])


def _softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return torch.softmax(x, axis)


def _log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return torch.log_softmax(x, axis)


FUNCTIONS: Mapping[str, Function] = {
    "Abs": Function(torch.abs),
    "Add": Function(torch.add),
    "AveragePool": Function(average_pool),
    "BatchNormalization": Function(_batch_norm),
    "Cast": Function(_cast, takes_run=True),
    "Clip": Function(torch.clip, settings=(1, 2)),
    "Concat": Function(lambda *inputs, axis: torch.cat(inputs, axis)),
    "ConstantOfShape": Function(_zeros, settings=(0,), takes_run=True),
    "Conv": Function(_conv),
    "ConvTranspose": Function(_conv_transpose),
    "Div": Function(torch.div),
    "Dropout": Function(_dropout, settings=(1, 2), takes_run=True),
    "Elu": Function(_elu),
    "Equal": Function(torch.eq),
    "Exp": Function(torch.exp),
    "Expand": Function(lambda x, shape: x.expand(tuple(shape)), settings=(1,)),
    "Flatten": Function(lambda x, axis=1: x.reshape(math.prod(x.shape[:axis]), -1)),
    "Gather": Function(_gather),
    "Gemm": Function(_gemm),
    "Greater": Function(torch.gt),
    "Identity": Function(lambda x: x),
    "LRN": Function(_lrn),
    "LeakyRelu": Function(lambda x, alpha=0.01: functional.leaky_relu(x, alpha)),
    "Less": Function(torch.lt),
    "Log": Function(torch.log),
    "LogSoftmax": Function(_log_softmax),
    "Max": Function(_max),
    "MaxPool": Function(max_pool, compute_all=max_pool_with_places),
    "Mod": Function(torch.remainder),
    "Mul": Function(torch.mul),
    "NegativeLogLikelihoodLoss": Function(_nll_loss),
    "Not": Function(torch.logical_not),
    "OneHot": Function(_one_hot, settings=(1,)),
    "PRelu": Function(lambda x, slopes: torch.where(x > 0, x, slopes * x)),
    "Pad": Function(pad, settings=(1, 2)),
    "Pow": Function(torch.pow, settings=(1,)),
    "Reciprocal": Function(torch.reciprocal),
    "ReduceL1": Function(_sum_of(torch.abs)),
    "ReduceMean": Function(_mean),
    "ReduceSum": Function(_sum_of(lambda x: x), settings=(1,)),
    "ReduceSumSquare": Function(_sum_of(torch.square)),
    "Relu": Function(torch.relu),
    "Reshape": Function(lambda x, shape, allowzero=0: x.reshape(tuple(shape)), settings=(1,)),
    "Resize": Function(_resize, settings=(1, 2, 3)),
    "ScatterElements": Function(lambda x, places, values, axis=0: x.scatter(axis, places, values)),
    "Sigmoid": Function(torch.sigmoid),
    "Slice": Function(_slice, settings=(1, 2, 3, 4)),
    "Softmax": Function(_softmax),
    "Softplus": Function(_softplus),
    "Split": Function(lambda x, lengths, axis=0: torch.split(x, lengths, axis), settings=(1,)),
    "Sqrt": Function(_sqrt),
    "Sub": Function(torch.sub),
    "Sum": Function(lambda *inputs: reduce(torch.add, inputs)),
    "Tanh": Function(torch.tanh),
    "Tile": Function(lambda x, repeats: x.repeat(tuple(repeats)), settings=(1,)),
    "TopK": Function(_top_k, settings=(1,)),
    "Transpose": Function(lambda x, perm: x.permute(perm)),
    "Where": Function(torch.where),
}
"""By ONNX's name."""

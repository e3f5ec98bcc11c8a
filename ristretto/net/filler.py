"""Filler: how a blob's numbers are made before there are trained ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import ModelError
from ristretto.net.fields import Fields

Shape = tuple[int, ...]
Blob = NDArray[np.float32]


@dataclass(frozen=True)
class Filler:
    """Caffe's ``FillerParameter``.

    Which fields count depends on `type`: `value` for ``constant``, `min` and `max` for ``uniform``, `mean` and `std`
    (and `sparse`) for ``gaussian``, `variance_norm` for ``xavier`` and ``msra``, none for ``positive_unitball`` and
    ``bilinear``.
    """

    type: str = "constant"
    value: float = 0.0
    min: float = 0.0
    max: float = 1.0
    mean: float = 0.0
    std: float = 1.0
    sparse: int = -1
    variance_norm: str = "FAN_IN"

    @classmethod
    def parse(cls, fields: Fields) -> Filler:
        """Read a ``FillerParameter``."""
        return cls(
            type=fields.text("type"),
            value=fields.number("value"),
            min=fields.number("min"),
            max=fields.number("max"),
            mean=fields.number("mean"),
            std=fields.number("std"),
            sparse=fields.integer("sparse"),
            variance_norm=fields.text("variance_norm"),
        )

    @classmethod
    def of(cls, param: Fields, name: str, default: float = 0.0) -> Filler:
        """Read the filler of that name from a layer's settings; without one, the layer type's constant."""
        return cls.parse(param.message(name)) if param.has(name) else cls(value=default)

    def fill(self, shape: Shape, rng: np.random.Generator) -> Blob:
        """Make the numbers of a blob.

        Parameters
        ----------
        shape : tuple of int
            The blob's: as a rule outputs first, then inputs, then the kernel.
        rng : Generator
            What random numbers are drawn from.

        Returns
        -------
        float32 array of that shape

        Raises
        ------
        ModelError
            When Caffe has no such filler, or the filler cannot take this shape or these settings.

        Examples
        --------
        >>> Filler("bilinear").fill((1, 1, 3, 3), np.random.default_rng(1))
        array([[[[0.25, 0.5 , 0.25],
                 [0.5 , 1.  , 0.5 ],
                 [0.25, 0.5 , 0.25]]]], dtype=float32)
        """
        if self.type not in FILLERS:
            raise ModelError(f"unknown filler '{self.type}'", hint=f"Caffe's fillers: {', '.join(sorted(FILLERS))}")
        if self.sparse != -1 and self.type != "gaussian":
            raise ModelError(f"sparse stands in a {self.type} filler", hint="only gaussian knows it")
        return FILLERS[self.type](self, shape, rng)

    def fan(self, shape: Shape) -> float:
        """Give the number of terms that the variance is divided by, as Caffe counts them.

        Inputs are all numbers of one output, outputs all numbers of one input: a kernel's area counts in both. Where
        a blob is turned around (a deconvolution's, a transposed inner product's), the two change places.
        """
        count = math.prod(shape)
        fan_in = count // shape[0] if shape else count
        fan_out = count // shape[1] if len(shape) > 1 else count
        return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[self.variance_norm]


def _constant(filler: Filler, shape: Shape, rng: np.random.Generator) -> Blob:
    return np.full(shape, filler.value, np.float32)


def _uniform(filler: Filler, shape: Shape, rng: np.random.Generator) -> Blob:
    if filler.min > filler.max:
        raise ModelError(f"a uniform filler from {filler.min:g} to {filler.max:g}", hint="min must not exceed max")
    return _between(filler.min, filler.max, shape, rng)


def _gaussian(filler: Filler, shape: Shape, rng: np.random.Generator) -> Blob:
    if filler.std < 0 or filler.sparse < -1:
        raise ModelError("a gaussian filler with a negative std or sparse", hint="sparse: -1 stands for all weights")
    numbers = _normal(filler.mean, filler.std, shape, rng)
    if filler.sparse >= 0:
        # So many weights are not 0, in the mean over the outputs. As in Caffe, the share is one of the outputs, not
        # of the inputs.
        share = filler.sparse / shape[0] if shape else 1.0
        if share > 1:
            raise ModelError(f"sparse {filler.sparse} for {shape[0]} outputs", hint="sparse must not exceed num_output")
        numbers *= rng.random(shape, np.float32) < np.float32(share)
    return numbers


def _positive_unitball(filler: Filler, shape: Shape, rng: np.random.Generator) -> Blob:
    rows = _between(0, 1, (*shape[:1], math.prod(shape[1:])), rng)
    rows /= rows.sum(axis=-1, dtype=np.float64, keepdims=True).astype(np.float32)
    return rows.reshape(shape)


def _xavier(filler: Filler, shape: Shape, rng: np.random.Generator) -> Blob:
    reach = math.sqrt(3 / filler.fan(shape))
    return _between(-reach, reach, shape, rng)


def _msra(filler: Filler, shape: Shape, rng: np.random.Generator) -> Blob:
    return _normal(0, math.sqrt(2 / filler.fan(shape)), shape, rng)


def _bilinear(filler: Filler, shape: Shape, rng: np.random.Generator) -> Blob:
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ModelError(f"a bilinear filler for weights of shape {shape}", hint="it needs a square kernel")
    size = shape[3]
    half = (size + 1) // 2
    centre = (size - 1) / (2 * half)
    slope = 1 - np.abs(np.arange(size) / half - centre)
    return np.array(np.broadcast_to(np.outer(slope, slope), shape), np.float32, order="C")


def _between(low: float, high: float, shape: Shape, rng: np.random.Generator) -> Blob:
    numbers: Any = rng.random(shape, np.float32)
    numbers *= np.float32(high - low)
    numbers += np.float32(low)
    return np.asarray(numbers, np.float32)


def _normal(mean: float, std: float, shape: Shape, rng: np.random.Generator) -> Blob:
    numbers: Any = rng.standard_normal(shape, np.float32)
    numbers *= np.float32(std)
    numbers += np.float32(mean)
    return np.asarray(numbers, np.float32)


FILLERS: Mapping[str, Callable[[Filler, Shape, np.random.Generator], Blob]] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
}
"""By Caffe's name; each from settings, shape and generator to a blob."""

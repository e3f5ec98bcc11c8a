"""RadixPoints: the fractional lengths of a net, trained along with its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ristretto.errors import FormatError, ModelError
from ristretto.finetune.trimming import LearnedRadixPoint
from ristretto.net import Net, QuantSpec
from ristretto.net.quant import PARAMS, PLACES
from ristretto.passes import QuantizeLayers

RATE = 0.01
"""How far a threshold goes in one update at most, octaves: Adam's rate for thresholds in Jain et al. 2019."""
DECAYS, DELTA = (0.9, 0.999), 1e-8
"""Adam's decays of the mean gradient and of its square, and what keeps the divisor from 0."""
ARRAYS = ("thresholds", "means", "squares")
"""What `state` holds."""


class RadixPoints:
    """A threshold for each place of a net whose format has a radix point, and the rule that trains it.

    The rule is Adam (Kingma and Ba, 2015), whatever the solver's is: a threshold's gradient is a sum over all numbers
    of a blob, whose size says nothing of how far to go. Arithmetic is Python's own, in double precision.

    Parameters
    ----------
    net : Net
        Of one phase, quantized.

    Raises
    ------
    ModelError
        When no format of the net has a radix point.
    """

    def __init__(self, net: Net) -> None:
        self.places: dict[tuple[str, str], LearnedRadixPoint] = {}
        for layer in net:
            for place in PLACES if layer.quant and not layer.op.trims_inside else ():
                fmt = getattr(layer.quant, place)
                if fmt is not None and fmt.range_exponent is not None:
                    point = LearnedRadixPoint(fmt, everywhere=place == PARAMS)
                    self.places[layer.name, place] = point
        if not self.places:
            raise ModelError(
                f"net '{net.name}' has no radix point to learn", hint="leave out --learn_fl, or quantize it first"
            )
        self.means = [0.0] * len(self.places)
        self.squares = [0.0] * len(self.places)

    def to(self, device: torch.device) -> RadixPoints:
        """Move the thresholds to a device."""
        for point in self.places.values():
            point.to(device)
        return self

    def step(self, iteration: int) -> None:
        """Move all thresholds by their gradients, which are used up.

        Parameters
        ----------
        iteration : int
            How many updates were made before.

        Raises
        ------
        FormatError
            When a gradient is NaN or infinite; nothing has moved then.
        """
        keep, keep_square = DECAYS
        thresholds = [point.log2_threshold for point in self.places.values()]
        gradients = [0.0 if each.grad is None else float(each.grad) for each in thresholds]
        for (layer, place), gradient in zip(self.places, gradients, strict=True):
            if not math.isfinite(gradient):
                raise FormatError(
                    f"layer '{layer}': the gradient of its {place} threshold is {gradient}",
                    hint="lower base_lr, or leave out --learn_fl",
                )
        self.drop_gradients()
        for at, (threshold, gradient) in enumerate(zip(thresholds, gradients, strict=True)):
            self.means[at] = keep * self.means[at] + (1 - keep) * gradient
            self.squares[at] = keep_square * self.squares[at] + (1 - keep_square) * gradient * gradient
            mean = self.means[at] / (1 - keep ** (iteration + 1))
            square = self.squares[at] / (1 - keep_square ** (iteration + 1))
            with torch.no_grad():
                threshold.sub_(RATE * mean / (math.sqrt(square) + DELTA))

    def drop_gradients(self) -> None:
        """Forget the gradients of an update that moves no threshold."""
        for point in self.places.values():
            point.log2_threshold.grad = None

    def applied(self, net: Net) -> Net:
        """Give a net the formats that the thresholds stand for now."""
        quants = {layer.name: layer.quant for layer in net if layer.quant}
        for (layer, place), point in self.places.items():
            if layer in quants:
                formats: dict[str, Any] = {place: point.frozen()}
                quants[layer] = replace(quants[layer], **formats)
        return QuantizeLayers(QuantSpec("", quants))(net)

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Give all that the next updates depend on, by the names of `ARRAYS`."""
        thresholds = [float(point.log2_threshold.detach()) for point in self.places.values()]
        return dict(zip(ARRAYS, map(np.array, (thresholds, self.means, self.squares)), strict=True))

    def restore(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Take up what `state` gave.

        Raises
        ------
        ModelError
            When it is of another net.
        """
        if any(name not in state or state[name].shape != (len(self.places),) for name in ARRAYS):
            raise ModelError(
                f"the radix points of the snapshot are not those of a net with {len(self.places)}",
                hint="go on with the prototxt and the options that the snapshot was made with",
            )
        with torch.no_grad():
            for point, value in zip(self.places.values(), state["thresholds"].tolist(), strict=True):
                point.log2_threshold.fill_(value)
        self.means, self.squares = state["means"].tolist(), state["squares"].tolist()

"""Costs: what a net of given widths takes, in bits, operations or energy; one class each, one entry in `COSTS`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from ristretto.formats.base import FLOAT_BITS
from ristretto.search.widths import Widths
from ristretto.search.workload import LayerWork, Workload

INTEGER_MULTIPLY, INTEGER_ADD = 3.1, 0.1
FLOAT_MULTIPLY, FLOAT_ADD = 3.7, 0.9
"""Energy of one operation on 32 bits, pJ, at 45 nm and 0.9 V: M. Horowitz, "Computing's energy problem (and what we can
do about it)", ISSCC 2014, Figure 1.1.9."""
SRAM_WORD, DRAM_WORD = 100.0, 1300.0
"""Energy of reading 64 bits from an SRAM of 1 MB and from a DRAM (the lower end of its range), pJ: the same figure."""
WORD = 64
"""Bits that those two are for."""


class Cost(ABC):
    """What widths cost, for one picture: a sum over the layers, and over the blobs that they read or make.

    A cost is one subclass here and one entry in `COSTS`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """What the summary calls it."""
    unit: ClassVar[str]

    @abstractmethod
    def layer(self, work: LayerWork, params: int, layer_in: int) -> float:
        """Give what a layer costs.

        Parameters
        ----------
        work : LayerWork
        params, layer_in : int
            The width of its weights and that of its input, bits; 32 stands for float.
        """

    @abstractmethod
    def blob(self, numbers: int, width: int) -> float:
        """Give what a blob of so many numbers costs, beside what the layers that read it do."""

    def total(self, workload: Workload, widths: Widths) -> float:
        """Give what a net costs; a place without a width is in float, and a blob as wide as its widest place."""
        result = 0.0
        for name, work in workload.layers.items():
            own = widths.get(name)
            params, layer_in = (own.params, own.layer_in) if own else (None, None)
            result += self.layer(work, params or FLOAT_BITS, layer_in or FLOAT_BITS)
        for blob in workload.blobs:
            result += self.blob(blob.numbers, max(width_of(widths, place) for place in blob.places))
        return result


def width_of(widths: Widths, place: tuple[str, str]) -> int:
    """Give the width of a layer's place, bits; 32 where it is left in float."""
    layer, kind = place
    found = getattr(widths[layer], kind) if layer in widths else None
    return FLOAT_BITS if found is None else int(found)


class WeightBits(Cost):
    """The memory that weights take: the sum of their widths, biases included."""

    name = "weight_bits"
    title = "weights"
    unit = "bits"

    def layer(self, work: LayerWork, params: int, layer_in: int) -> float:
        """All weights, each of the same width."""
        return work.parameters * params

    def blob(self, numbers: int, width: int) -> float:
        """Nothing."""
        return 0


class ActivationBits(Cost):
    """The numbers that pass between layers: the sum of widths over every blob that a quantized layer reads or makes."""

    name = "activation_bits"
    title = "activations of a picture"
    unit = "bits"

    def layer(self, work: LayerWork, params: int, layer_in: int) -> float:
        """Nothing."""
        return 0

    def blob(self, numbers: int, width: int) -> float:
        """All numbers, each of the same width."""
        return numbers * width


class StoredBits(Cost):
    """Weights and activations together: what decides where another cost does not."""

    name = "stored_bits"
    title = "weights and activations of a picture"
    unit = "bits"

    def layer(self, work: LayerWork, params: int, layer_in: int) -> float:
        """All weights."""
        return work.parameters * params

    def blob(self, numbers: int, width: int) -> float:
        """All numbers."""
        return numbers * width


class MacBits(Cost):
    """Multiply-accumulates, each times the wider of its two words.

    So many bits pass through multipliers that take two words of one width, as those of vector units do.
    """

    name = "mac_bits"
    title = "multiply-accumulates times the wider word"
    unit = "bits"

    def layer(self, work: LayerWork, params: int, layer_in: int) -> float:
        """All products."""
        return work.macs * max(params, layer_in)

    def blob(self, numbers: int, width: int) -> float:
        """Nothing."""
        return 0


class BitOperations(Cost):
    """Multiply-accumulates, each times the width of both words: the BOPs of van Baalen et al., "Bayesian Bits" (2020).

    So many one-bit products make up the products.
    """

    name = "bit_operations"
    title = "bit operations"
    unit = "operations"

    def layer(self, work: LayerWork, params: int, layer_in: int) -> float:
        """All products."""
        return work.macs * params * layer_in

    def blob(self, numbers: int, width: int) -> float:
        """Nothing."""
        return 0


class Energy(Cost):
    """Energy of a simple accelerator, scaled from figures for 32 bits (Horowitz, ISSCC 2014, 45 nm).

    - A multiplier takes energy in proportion to the product of its two widths, as an array of one-bit products does
      (8 bits: 0.19 pJ; the table has 0.2).
    - The adder behind it is as wide as the product, and takes energy in proportion to that.
    - Each weight is read once for a picture, from DRAM.
    - Each blob is written once, and read once by each layer that reads it, in SRAM of 1 MB on the chip.
    - In float, the table's own figures for multiplication and addition of float32 stand in.
    """

    name = "energy"
    title = "energy for a picture"
    unit = "pJ"

    def layer(self, work: LayerWork, params: int, layer_in: int) -> float:
        """Products and sums, and the weights and inputs that are read for them."""
        if max(params, layer_in) >= FLOAT_BITS:
            arithmetic = FLOAT_MULTIPLY + FLOAT_ADD
        else:
            multiply = INTEGER_MULTIPLY * params * layer_in / FLOAT_BITS**2
            arithmetic = multiply + INTEGER_ADD * (params + layer_in) / FLOAT_BITS
        weights = work.parameters * params * DRAM_WORD / WORD
        return work.macs * arithmetic + weights + work.inputs * layer_in * SRAM_WORD / WORD

    def blob(self, numbers: int, width: int) -> float:
        """Give what writing it takes."""
        return numbers * width * SRAM_WORD / WORD


COSTS: Mapping[str, Cost] = {
    cost.name: cost for cost in (WeightBits(), ActivationBits(), MacBits(), BitOperations(), Energy())
}
"""What a search can minimize, by name; the default first."""

"""The integer executor: codes, exact sums, shifts."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.execute.executor import Executor, Step
from ristretto.execute.integer_mac import integer_step
from ristretto.execute.integer_shift import shift_step
from ristretto.execute.lower import lower
from ristretto.execute.simulate import QuantizedStep
from ristretto.execute.trim_step import in_codes
from ristretto.net import Layer


class IntegerExecutor(Executor):
    """Runs quantized layers on integer codes; everything left in float runs in float.

    It gives the same bits as the simulating executor for every net. A layer whose input and weights have up to 16 bits
    runs in integers throughout, with exact sums. Where 53 bits do not hold them, or a word has 17 to 31 bits, it runs
    the simulating executor's own step; with 32 bits, the fork's word for float, both run in float32 (see `lower`).
    Layers between work on codes where that is exact (`Op.forward_codes`), else on real numbers.
    """

    name = "integer"

    def plan(self) -> Sequence[Step]:
        """Integer steps, trimming steps and float segments."""
        return lower(self.net, self.shapes, self.keep, self.arithmetic, quantized=self._quantized, trim=in_codes)

    def _quantized(self, layer: Layer) -> Step:
        bottom = self.net.bottom_shapes(layer, self.shapes)[0]
        return (
            integer_step(layer, bottom, self.arithmetic)
            or shift_step(layer, bottom, self.arithmetic)
            or QuantizedStep(layer, self.arithmetic)
        )

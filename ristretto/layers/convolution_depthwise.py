"""ConvolutionDepthwise: the other name under which forks have a depthwise convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ristretto.layers.depthwise_convolution import DepthwiseConvolution
from ristretto.net.fields import Fields


@dataclass(frozen=True)
class ConvolutionDepthwise(DepthwiseConvolution):
    """A depthwise convolution with one output for each channel, whatever ``group`` says."""

    type = "ConvolutionDepthwise"

    @classmethod
    def parse(cls, fields: Fields) -> ConvolutionDepthwise:
        """Read ``convolution_param``.

        That fork takes both ``num_output`` and ``group`` from the bottom; we need ``num_output`` to be there, as
        nets have it, and check it against the bottom.
        """
        op = super().parse(fields)
        assert isinstance(op, cls)
        return replace(op, group=op.num_output)

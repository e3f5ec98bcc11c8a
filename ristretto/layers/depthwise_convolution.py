"""DepthwiseConvolution: a convolution of each channel by itself, under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ristretto.errors import ModelError
from ristretto.layers.convolution import Convolution
from ristretto.net.fields import Fields
from ristretto.net.op import Geometry, Shape


@dataclass(frozen=True)
class DepthwiseConvolution(Convolution):
    """A convolution with as many groups as channels (MobileNet).

    Some forks have it as a type of its own, for speed; the numbers are those of Convolution with ``group`` set. The
    fork that runs quantized nets knows only ConvolutionRistretto, so that is what a quantized one is written as, with
    ``group`` beside it (`quantized_settings`), and what it is read as again.
    """

    type = "DepthwiseConvolution"
    in_original_search = False

    @classmethod
    def parse(cls, fields: Fields) -> DepthwiseConvolution:
        """Read ``convolution_param``; without ``group``, every output is a group."""
        op = super().parse(fields)
        assert isinstance(op, cls)
        param = fields.message("convolution_param")
        return op if param.has("group") else replace(op, group=op.num_output)

    @property
    def quantized_settings(self) -> Mapping[str, Mapping[str, str]]:
        """The groups, which Convolution's own default would make 1."""
        return {"convolution_param": {"group": str(self.group)}}

    def geometry(self, bottom: Shape) -> Geometry:
        """Give the walk of the window over a picture."""
        if bottom[1:2] != (self.group,):
            raise ModelError(
                f"{self.group} groups for a bottom of shape {bottom}",
                hint=f"{self.type} needs a group for each channel; else the type is Convolution",
            )
        return super().geometry(bottom)

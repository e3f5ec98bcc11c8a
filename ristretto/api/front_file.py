"""FrontFile: a net of a Pareto front, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import Prototxt, encode
from ristretto.caffe.writer import rewritten_text
from ristretto.net import Net
from ristretto.passes import TrimWeights
from ristretto.search.front import FrontNet


@dataclass(frozen=True, eq=False)
class FrontFile:
    """A net of a front as a file.

    Parameters
    ----------
    net : FrontNet
    text : str
        Its prototxt.
    whole : Net
        All phases, with weights and formats.
    """

    net: FrontNet
    text: str
    whole: Net

    @classmethod
    def of(cls, net: FrontNet, prototxt: Prototxt, source: Net, whole: Net) -> FrontFile:
        """Give the file of a net.

        Parameters
        ----------
        net : FrontNet
        prototxt, source : Prototxt, Net
            The source's text, and the net as read from it.
        whole : Net
            The float net that all were condensed from.
        """
        condensed = net.trial.condensed.apply(whole)
        return cls(net, rewritten_text(prototxt, source, condensed), condensed)

    @property
    def has_own_weights(self) -> bool:
        """Whether weights were changed to suit its formats."""
        return bool(self.net.trial.condensed.weights)

    def encoded(self) -> bytes:
        """Give the bytes of its prototxt."""
        return encode(self.text)

    def encoded_weights(self) -> bytes:
        """Give the bytes of a caffemodel with its weights."""
        return encode_weights(TrimWeights()(self.whole))

"""QuantizeLayers: gives layers their formats."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ristretto.errors import ModelError
from ristretto.net import Net, QuantSpec


@dataclass(frozen=True)
class QuantizeLayers:
    """Sets the formats of every layer that the spec names, and takes those of all others away.

    Parameters
    ----------
    spec : QuantSpec
        Formats by layer name; layers of one name in several phases all get them.
    """

    spec: QuantSpec

    def __call__(self, net: Net) -> Net:
        """Give the quantized net; the same one where nothing changes.

        Raises
        ------
        ModelError
            When a named layer has no quantized type, or is not there.
        """
        named = self.spec.layers
        for layer in net:
            if layer.name in named and not layer.op.quantized_type:
                raise ModelError(f"{layer.op.type} has no quantized type", layer=layer.name)
        if missing := sorted(named.keys() - {layer.name for layer in net}):
            raise ModelError(f"net '{net.name}' has no layer '{missing[0]}' to quantize")
        if all(layer.quant == named.get(layer.name) for layer in net):
            return net
        layers = tuple(replace(layer, quant=named.get(layer.name)) for layer in net)
        return replace(net, layers=layers)

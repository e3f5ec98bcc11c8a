"""From a quantized net back to its prototxt: the source text with other layer types and formats."""

from __future__ import annotations

from ristretto.caffe.prototxt import LayerEdit, Prototxt
from ristretto.caffe.quantization import write_quant
from ristretto.net import Net


def quantized_text(prototxt: Prototxt, source: Net, net: Net) -> str:
    """Give the text of a net whose formats have changed.

    Parameters
    ----------
    prototxt : Prototxt
        The source's text.
    source : Net
        The net as read from it.
    net : Net
        The same layers with other formats.

    Returns
    -------
    str
        The source's text in which only layer types and ``quantization_param`` blocks differ.
    """
    was_quantized = {layer.source for layer in source if layer.quant}
    edits = {}
    for layer in net:
        if layer.source < 0:
            continue
        if layer.quant:
            edits[layer.source] = LayerEdit(type=layer.type, quantization=write_quant(layer.quant))
        elif layer.source in was_quantized:
            edits[layer.source] = LayerEdit(type=layer.type, quantization=None)
    return prototxt.rewrite(edits)

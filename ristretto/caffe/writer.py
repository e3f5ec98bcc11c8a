"""From a changed net back to its prototxt: the source text with other layer types and formats, or fewer layers."""

from __future__ import annotations

from collections.abc import Mapping

from ristretto.caffe.prototxt import LayerEdit, Prototxt
from ristretto.caffe.quantization import write_quant
from ristretto.net import Net


def rewritten_text(prototxt: Prototxt, source: Net, net: Net) -> str:
    """Give the text of a net whose formats have changed, or into whose layers others were folded.

    Parameters
    ----------
    prototxt : Prototxt
        The source's text.
    source : Net
        The net as read from it.
    net : Net
        The same layers with other formats, tops or weights; some may be gone.

    Returns
    -------
    str
        The source's text in which only layer types and ``quantization_param`` blocks differ, the settings that a
        quantized type needs where the other did without, tops, biases that have come in, and layers that are gone.
    """
    before = {layer.source: layer for layer in source if layer.source >= 0}
    edits: dict[int, LayerEdit | None] = dict.fromkeys(before)
    for layer in net:
        if layer.source < 0:
            continue
        old = before[layer.source]
        edit = LayerEdit(
            layer.type,
            quantization=write_quant(layer.quant) if layer.quant else None,
            settings=_joined(layer.op.quantized_settings if layer.quant else {}, layer.op.settings_since(old.op)),
            tops=None if layer.tops == old.tops else layer.tops,
        )
        if layer.quant or old.quant or edit.settings or edit.tops:
            edits[layer.source] = edit
        else:
            del edits[layer.source]
    return prototxt.rewrite(edits)


def _joined(*settings: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Join settings by block and field."""
    result: dict[str, dict[str, str]] = {}
    for blocks in settings:
        for block, fields in blocks.items():
            result.setdefault(block, {}).update(fields)
    return result

"""From V0, the format of 2013, to V1: one message for all layer types becomes one for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ristretto.caffe.messages import is_repeated
from ristretto.caffe.schema import message_class
from ristretto.errors import ModelError

PADDING = "padding"
"""A layer type of its own in V0; what reads its top has a `pad` today."""

TYPES: Mapping[str, str] = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}
"""V1's name of every V0 type."""

BLOCKS: Mapping[str, str] = {
    "concat": "concat_param",
    "conv": "convolution_param",
    "data": "data_param",
    "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param",
    "lrn": "lrn_param",
    "pool": "pooling_param",
    "window_data": "window_data_param",
}
"""The block that a type's settings go to."""

_WEIGHTED = ("conv", "innerproduct")
_WINDOWED = ("conv", "pool")
_READING = ("data", "hdf5_data", "images", "window_data")

MOVES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "num_output": ("num_output", _WEIGHTED),
    "biasterm": ("bias_term", _WEIGHTED),
    "weight_filler": ("weight_filler", _WEIGHTED),
    "bias_filler": ("bias_filler", _WEIGHTED),
    "pad": ("pad", _WINDOWED),
    "kernelsize": ("kernel_size", _WINDOWED),
    "group": ("group", ("conv",)),
    "stride": ("stride", _WINDOWED),
    "pool": ("pool", ("pool",)),
    "dropout_ratio": ("dropout_ratio", ("dropout",)),
    "local_size": ("local_size", ("lrn",)),
    "alpha": ("alpha", ("lrn",)),
    "beta": ("beta", ("lrn",)),
    "k": ("k", ("lrn",)),
    "source": ("source", (*_READING, "infogain_loss")),
    "batchsize": ("batch_size", _READING),
    "rand_skip": ("rand_skip", ("data", "images")),
    "shuffle_images": ("shuffle", ("images",)),
    "new_height": ("new_height", ("images",)),
    "new_width": ("new_width", ("images",)),
    "concat_dim": ("concat_dim", ("concat",)),
    "det_fg_threshold": ("fg_threshold", ("window_data",)),
    "det_bg_threshold": ("bg_threshold", ("window_data",)),
    "det_fg_fraction": ("fg_fraction", ("window_data",)),
    "det_context_pad": ("context_pad", ("window_data",)),
    "det_crop_mode": ("crop_mode", ("window_data",)),
}
"""By V0's field: today's name, and the types in whose block it is one."""

TRANSFORMS: Mapping[str, str] = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
"""By V0's field: its name in `transform_param`, for every type."""

_AS_THEY_ARE = ("blobs", "blobs_lr", "weight_decay")


class Layers(NamedTuple):
    """Layers on their way to today's format."""

    layers: list[Any]
    """V1LayerParameter messages."""
    origins: list[int]
    """The place of each in the source."""
    left_out: list[str]
    """What of the source has no place in them, a line each."""
    padded: list[str]
    """The names of the layers that a padding layer was folded into."""


def from_v0(layers: list[Any]) -> Layers:
    """Upgrade the layers of a V0 net.

    Parameters
    ----------
    layers : list of V1LayerParameter
        Each holds a V0LayerParameter.

    Returns
    -------
    Layers
        Fewer than before where there were padding layers.

    Raises
    ------
    ModelError
        When a layer is not in V0, its type is unknown, or a padding layer cannot be folded.
    """
    for layer in layers:
        if not layer.HasField("layer"):
            raise ModelError("V0 and V1 layers stand in one net", layer=layer.name, hint="upgrade them one by one")
    kept, origins, padded = _without_padding(layers)
    upgraded = Layers([], origins, [], padded)
    for layer in kept:
        upgraded.layers.append(_upgrade(layer, upgraded.left_out))
    return upgraded


def _without_padding(layers: list[Any]) -> tuple[list[Any], list[int], list[str]]:
    """Give the layers that pad nothing, each with the pad of the padding layer it reads; and their old places."""
    kept, origins, padded = [], [], []
    makers: dict[str, Any] = {}
    for index, source in enumerate(layers):
        layer = type(source)()
        layer.CopyFrom(source)
        if layer.layer.type != PADDING:
            kept.append(layer)
            origins.append(index)
        for place, blob in enumerate(source.bottom):
            maker = makers.get(blob)
            if maker is None or maker.layer.type != PADDING:
                continue
            _check_padding(maker, source)
            layer.layer.pad = maker.layer.pad
            layer.bottom[place] = maker.bottom[0]
            padded.append(layer.layer.name)
        makers.update(dict.fromkeys(source.top, source))
    return kept, origins, padded


def _check_padding(padding: Any, reader: Any) -> None:
    kind, name = reader.layer.type, padding.layer.name
    if kind not in _WINDOWED:
        raise ModelError(
            f"a padding layer whose top '{reader.layer.name}' of type '{kind}' reads",
            layer=name,
            hint="only convolution and pooling layers have a pad",
        )
    if len(padding.bottom) != 1 or len(padding.top) != 1 or len(reader.bottom) != 1:
        raise ModelError(
            "a padding layer, or the one that reads it, has more than one bottom or top",
            layer=name,
            hint="give each a single blob",
        )


def _upgrade(source: Any, left_out: list[str]) -> Any:
    old, kind = source.layer, source.layer.type
    if kind not in TYPES:
        known = ", ".join(sorted((*TYPES, PADDING)))
        what = f"unknown V0 layer type '{kind}'" if old.HasField("type") else "a V0 layer without a type"
        raise ModelError(what, layer=old.name, hint=f"known types: {known}")
    layer = message_class("V1LayerParameter")(bottom=source.bottom, top=source.top)
    if old.HasField("name"):
        layer.name = old.name
    layer.type = layer.LayerType.Value(TYPES[kind])
    for field, value in old.ListFields():
        if field.name in ("name", "type"):
            continue
        if field.name in _AS_THEY_ARE:
            getattr(layer, field.name).MergeFrom(value)
        elif field.name in TRANSFORMS:
            setattr(layer.transform_param, TRANSFORMS[field.name], value)
        elif field.name == "hdf5_output_param" and kind == "hdf5_output":
            layer.hdf5_output_param.CopyFrom(value)
        elif field.name in MOVES and kind in MOVES[field.name][1]:
            _put(getattr(layer, BLOCKS[kind]), MOVES[field.name][0], value)
        else:
            left_out.append(f"'{field.name}' of layer '{old.name}': a V0 layer of type '{kind}' has no such setting")
    for field, _ in source.ListFields():
        if field.name not in ("bottom", "top", "layer"):
            left_out.append(f"'{field.name}' beside layer '{old.name}': V0 has no such field")
    return layer


def _put(block: Any, name: str, value: Any) -> None:
    field = block.DESCRIPTOR.fields_by_name[name]
    if is_repeated(field):
        getattr(block, name).append(value)
    elif field.message_type is not None:
        getattr(block, name).CopyFrom(value)
    else:
        setattr(block, name, value)

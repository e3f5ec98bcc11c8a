"""From V1, the format of 2014, to today's: types become names, lists of rates become `param` blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ristretto.caffe.schema import message_class

TYPES: Mapping[str, str] = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
"""Today's name of every V1 type."""

PARAMS: Mapping[str, str] = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
"""By V1's list, one entry for each weight blob: the field of today's `param` block."""

DATA_BLOCKS: Mapping[str, str] = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}
"""The blocks that once held what is in `transform_param` today, by V1's type."""

TRANSFORMS = ("scale", "mean_file", "crop_size", "mirror")


def type_name(layer: Any) -> str:
    """Give today's name of a V1 layer's type."""
    return TYPES[layer.LayerType.Name(layer.type)]


def move_transforms(layer: Any) -> bool:
    """Move the transform settings of a data layer's own block to its `transform_param`.

    Parameters
    ----------
    layer : V1LayerParameter
        Changed in place.

    Returns
    -------
    bool
        Whether there were any.
    """
    block = DATA_BLOCKS.get(layer.LayerType.Name(layer.type))
    moved = [field for field in TRANSFORMS if block and getattr(layer, block).HasField(field)]
    for field in moved:
        settings = getattr(layer, str(block))
        setattr(layer.transform_param, field, getattr(settings, field))
        settings.ClearField(field)
    return bool(moved)


def from_v1(layer: Any) -> Any:
    """Upgrade a layer.

    Parameters
    ----------
    layer : V1LayerParameter
        Its transform settings moved already.

    Returns
    -------
    LayerParameter
    """
    upgraded = message_class("LayerParameter")()
    for field, value in layer.ListFields():
        name = field.name
        if name == "type":
            upgraded.type = type_name(layer)
        elif name in PARAMS:
            for index, item in enumerate(value):
                if index == len(upgraded.param):
                    upgraded.param.add()
                setattr(upgraded.param[index], PARAMS[name], item)
        elif name in ("bottom", "top", "include", "exclude", "blobs", "loss_weight"):
            getattr(upgraded, name).MergeFrom(value)
        elif field.message_type is not None:
            getattr(upgraded, name).CopyFrom(value)
        else:
            upgraded.name = value
    return upgraded

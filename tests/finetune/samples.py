"""A few settings of every layer type, with bottoms and weights: what training must do in all of them.

Numbers are such that no kink or tie lies near: a slope can be measured by small steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ristretto.net import Op, Phase
from tests.battery import parse_layer

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Sample:
    """One setting of a layer.

    Parameters
    ----------
    text : str
        The layer in a prototxt.
    shapes : tuple of shapes
        Of its bottoms.
    labels : int
        Whole numbers below this are what the last bottom holds; 0 where it holds reals as the others do.
    positive : bool
        Whether the bottoms are above zero.
    phase : Phase
    """

    text: str
    shapes: Shapes
    labels: int = 0
    positive: bool = False
    phase: Phase = Phase.TRAIN

    @property
    def op(self) -> Op:
        """The operation."""
        return parse_layer(self.text, self.phase)

    def bottoms(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Give float64 bottoms: distinct numbers at least 1e-3 from each other, from zero and from halves."""
        result = []
        for shape in self.shapes:
            count = int(np.prod(shape))
            grid = rng.permutation(count) - count // 2
            x = (grid + rng.uniform(0.2, 0.4, count)) * (5 / max(count, 1))
            result.append(np.abs(x).reshape(shape) + 0.1 if self.positive else x.reshape(shape))
        if self.labels:
            shape = self.shapes[-1]
            result[-1] = rng.integers(0, self.labels, shape).astype(np.float64)
            if self.op.type == "Upsample":
                # Places in a picture, each for one number.
                places = [rng.permutation(self.labels)[: shape[2] * shape[3]] for _ in range(shape[0] * shape[1])]
                result[-1] = np.array(places, np.float64).reshape(shape)
        return result

    def blobs(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Give float64 weights; all above zero, as variances must be."""
        return [rng.uniform(0.3, 1.5, shape) for shape in self.op.blob_shapes(self.shapes)]


PICTURE = ((2, 4, 5, 6),)
ROWS = ((3, 5),)


def _all(type_: str, settings: tuple[str, ...], shapes: Shapes = PICTURE, **rest: object) -> list[Sample]:
    return [Sample(f'type: "{type_}" {text}', shapes, **rest) for text in settings]


def _losses(type_: str, settings: tuple[str, ...], shapes: Shapes, labels: int) -> list[Sample]:
    texts = [
        f"loss_param {{ normalization: {how} {ignored} }} {text}"
        for how in ("VALID", "FULL", "BATCH_SIZE", "NONE")
        for ignored in ("", "ignore_label: 1")
        for text in settings
    ]
    return _all(type_, tuple(texts), shapes, labels=labels)


CONV = "convolution_param {{ num_output: 4 kernel_size: 3 {} }}"
POOL = "pooling_param {{ {} }}"
SAMPLES: tuple[Sample, ...] = (
    *_all("AbsVal", ("",)),
    *_all("Axpy", ("",), ((2, 4), (2, 4, 3, 3), (2, 4, 3, 3))),
    *_all(
        "BatchNorm",
        (
            "",
            "batch_norm_param { eps: 0.1 moving_average_fraction: 0.5 }",
            "batch_norm_param { use_global_stats: true }",
        ),
    ),
    *_all("BatchNorm", ("",), ((7, 4),)),
    *_all("Bias", ("", "bias_param { axis: 2 num_axes: 2 }", "bias_param { num_axes: 0 }")),
    *_all("Bias", ("bias_param { axis: 0 }",), ((2, 4, 3), (2, 4))),
    *_all("BNLL", ("",)),
    *_all("Clip", ("clip_param { min: -0.5 max: 1 }",)),
    *_all("Concat", ("", "concat_param { axis: -1 }"), ((2, 3, 4), (2, 3, 4))),
    *_all(
        "Convolution",
        tuple(
            CONV.format(more)
            for more in ("", "pad: 1 stride: 2", "group: 2 bias_term: false", "dilation: 2 pad_h: 3 pad_w: 2")
        ),
    ),
    *_all("ConvolutionDepthwise", (CONV.format("pad: 1"),)),
    *_all("Crop", ("crop_param { offset: 1 }",), ((2, 4, 5, 6), (2, 4, 3, 4))),
    *_all(
        "Deconvolution",
        tuple(
            CONV.format(more)
            for more in ("", "pad: 1 stride: 2", "group: 2 bias_term: false", "stride: 3 pad: 2 dilation: 2")
        ),
    ),
    *_all("DepthwiseConvolution", (CONV.format("group: 4 stride: 2 pad: 1"),)),
    *_all("Dropout", ("",), phase=Phase.TEST),
    *_all(
        "Eltwise",
        (
            "",
            "eltwise_param { coeff: 0.5 coeff: -2 coeff: 1 }",
            "eltwise_param { operation: PROD }",
            "eltwise_param { operation: MAX }",
        ),
        ((2, 3, 4),) * 3,
    ),
    *_all("ELU", ("", "elu_param { alpha: 0.3 }")),
    *_all("Embed", ("embed_param { input_dim: 6 num_output: 3 }",), ((2, 4),), labels=6),
    *_all("Embed", ("embed_param { input_dim: 6 num_output: 3 bias_term: false }",), ((5,),), labels=6),
    *_all("EuclideanLoss", ("",), ((3, 4), (3, 2, 2))),
    *_all("Exp", ("", "exp_param { base: 2 scale: -0.5 shift: 1 }")),
    *_all("Flatten", ("", "flatten_param { axis: 2 end_axis: 3 }")),
    *_all("HingeLoss", ("", "hinge_loss_param { norm: L2 }"), ((4, 5), (4, 1)), labels=5),
    *_all(
        "InnerProduct",
        tuple(
            f"inner_product_param {{ num_output: 3 {more} }}"
            for more in ("", "transpose: true", "axis: 2", "bias_term: false")
        ),
    ),
    *_all(
        "Interp",
        tuple(
            f"interp_param {{ {text} }}"
            for text in (
                "zoom_factor: 3",
                "shrink_factor: 2",
                "height: 1 width: 9",
                "pad_beg: -1 pad_end: -1 height: 7 width: 8",
            )
        ),
    ),
    *_all("Log", ("log_param { base: 2 scale: 0.5 shift: 0.25 }",), positive=True),
    *_all(
        "LRN",
        (
            "lrn_param { alpha: 0.5 }",
            "lrn_param { local_size: 3 k: 2 alpha: 2 beta: 0.5 }",
            "lrn_param { local_size: 99 }",
            "lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }",
        ),
    ),
    *_all("MVN", ("", "mvn_param { across_channels: true }", "mvn_param { normalize_variance: false }")),
    *_all("Normalize", ("", "norm_param { across_spatial: false channel_shared: false }")),
    *_all("Permute", ("permute_param { order: 0 order: 2 order: 3 order: 1 }",)),
    *_all(
        "Pooling",
        tuple(
            POOL.format(f"pool: {method} {window}")
            for method in ("MAX", "AVE")
            for window in (
                "kernel_size: 2 stride: 2",
                "kernel_size: 3 stride: 2",
                "kernel_size: 3 stride: 2 pad: 1",
                "kernel_h: 2 kernel_w: 4 stride: 1 pad_h: 1 pad_w: 3",
                "kernel_size: 3 stride: 2 pad: 2",
                "kernel_size: 3 stride: 2 round_mode: FLOOR",
                "global_pooling: true",
            )
        ),
    ),
    *_all("Pooling", (POOL.format("kernel_size: 1 stride: 3"),), ((1, 2, 5, 5),)),
    *_all("Pooling", (POOL.format("kernel_size: 3 stride: 2 pool: STOCHASTIC"),), positive=True, phase=Phase.TEST),
    *_all("Power", ("", "power_param { power: 2 scale: 0.5 shift: 1 }", "power_param { scale: 0 shift: 2 power: 3 }")),
    *_all("Power", ("power_param { power: -1.5 shift: 0.5 }",), positive=True),
    *_all("PReLU", ("", "prelu_param { channel_shared: true }")),
    *_all("PriorBox", ("prior_box_param { min_size: 4 aspect_ratio: 2 }",), ((2, 4, 2, 3), (2, 3, 9, 9))),
    *_all(
        "Reduction",
        tuple(
            f"reduction_param {{ operation: {kind} axis: {axis} coeff: 0.5 }}"
            for kind in ("SUM", "ASUM", "SUMSQ", "MEAN")
            for axis in (0, 2)
        ),
    ),
    *_all("ReLU", ("", "relu_param { negative_slope: 0.1 }")),
    *_all("ReLU6", ("",)),
    *_all("Reshape", ("reshape_param { shape { dim: 0 dim: -1 } }",)),
    *_all("Scale", ("", "scale_param { bias_term: true }", "scale_param { axis: 0 num_axes: -1 bias_term: true }")),
    *_all("Scale", ("scale_param { axis: 0 bias_term: true }",), ((2, 4, 3), (2, 4))),
    *_all("ShuffleChannel", ("shuffle_channel_param { group: 2 }",)),
    *_all("Sigmoid", ("",)),
    *_losses("SigmoidCrossEntropyLoss", ("",), ((3, 4), (3, 4)), labels=3),
    *_all("Silence", ("",)),
    *_all("Slice", ('top: "a" top: "b" slice_param { slice_point: 1 }', 'top: "a" top: "b" slice_param { axis: 3 }')),
    *_all("Softmax", ("", "softmax_param { axis: -1 }")),
    *_losses("SoftmaxWithLoss", ("",), ((4, 3), (4,)), labels=3),
    *_losses("SoftmaxWithLoss", ("softmax_param { axis: 2 }",), ((2, 3, 5, 2), (2, 3, 1, 2)), labels=5),
    *_all("Split", ('top: "a" top: "b"',)),
    *_all("Swish", ("", "swish_param { beta: 1.5 }")),
    *_all("TanH", ("",)),
    *_all("Tile", ("tile_param { tiles: 3 }",)),
    *_all("Upsample", ("upsample_param { scale_h: 2 scale_w: 3 }",)),
    *_all("Upsample", ("upsample_param { scale: 2 }",), ((1, 2, 2, 2), (1, 2, 2, 2)), labels=16),
)
"""Of every layer type that has a training form."""

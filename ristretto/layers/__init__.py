"""Layer types: one file each, and one entry in `LAYERS`."""

from ristretto.layers.abs_val import AbsVal
from ristretto.layers.accuracy import Accuracy
from ristretto.layers.arg_max import ArgMax
from ristretto.layers.axpy import Axpy
from ristretto.layers.batch_norm import BatchNorm
from ristretto.layers.bias import Bias
from ristretto.layers.bnll import BNLL
from ristretto.layers.clip import Clip
from ristretto.layers.concat import Concat
from ristretto.layers.convolution import Convolution
from ristretto.layers.convolution_depthwise import ConvolutionDepthwise
from ristretto.layers.crop import Crop
from ristretto.layers.data import Data
from ristretto.layers.deconvolution import Deconvolution
from ristretto.layers.depthwise_convolution import DepthwiseConvolution
from ristretto.layers.detection_output import DetectionOutput
from ristretto.layers.dropout import Dropout
from ristretto.layers.dummy_data import DummyData
from ristretto.layers.eltwise import Eltwise
from ristretto.layers.elu import ELU
from ristretto.layers.embed import Embed
from ristretto.layers.euclidean_loss import EuclideanLoss
from ristretto.layers.exp import Exp
from ristretto.layers.flatten import Flatten
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.layers.hinge_loss import HingeLoss
from ristretto.layers.image_data import ImageData
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.layers.interp import Interp
from ristretto.layers.log import Log
from ristretto.layers.lrn import LRN
from ristretto.layers.memory_data import MemoryData
from ristretto.layers.mvn import MVN
from ristretto.layers.normalize import Normalize
from ristretto.layers.permute import Permute
from ristretto.layers.pooling import Pooling
from ristretto.layers.power import Power
from ristretto.layers.prelu import PReLU
from ristretto.layers.prior_box import PriorBox
from ristretto.layers.reduction import Reduction
from ristretto.layers.relu import ReLU
from ristretto.layers.relu6 import ReLU6
from ristretto.layers.reshape import Reshape
from ristretto.layers.scale import Scale
from ristretto.layers.shuffle_channel import ShuffleChannel
from ristretto.layers.sigmoid import Sigmoid
from ristretto.layers.sigmoid_cross_entropy_loss import SigmoidCrossEntropyLoss
from ristretto.layers.silence import Silence
from ristretto.layers.slice import Slice
from ristretto.layers.softmax import Softmax
from ristretto.layers.softmax_with_loss import SoftmaxWithLoss
from ristretto.layers.split import Split
from ristretto.layers.swish import Swish
from ristretto.layers.tanh import TanH
from ristretto.layers.threshold import Threshold
from ristretto.layers.tile import Tile
from ristretto.layers.upsample import Upsample
from ristretto.net.op import Op

LAYERS: tuple[type[Op], ...] = (
    AbsVal,
    Accuracy,
    ArgMax,
    Axpy,
    BatchNorm,
    Bias,
    BNLL,
    Clip,
    Concat,
    Convolution,
    ConvolutionDepthwise,
    Crop,
    Data,
    Deconvolution,
    DepthwiseConvolution,
    DetectionOutput,
    Dropout,
    DummyData,
    Eltwise,
    ELU,
    Embed,
    EuclideanLoss,
    Exp,
    Flatten,
    HDF5Data,
    HingeLoss,
    ImageData,
    InnerProduct,
    Input,
    Interp,
    Log,
    LRN,
    MemoryData,
    MVN,
    Normalize,
    Permute,
    Pooling,
    Power,
    PReLU,
    PriorBox,
    Reduction,
    ReLU,
    ReLU6,
    Reshape,
    Scale,
    ShuffleChannel,
    Sigmoid,
    SigmoidCrossEntropyLoss,
    Silence,
    Slice,
    Softmax,
    SoftmaxWithLoss,
    Split,
    Swish,
    TanH,
    Threshold,
    Tile,
    Upsample,
)
"""Every layer type; the reader, executors, documentation and tests iterate over this."""

__all__ = ["LAYERS", *(layer.__name__ for layer in LAYERS)]

"""Layer types: one file each, and one entry in `LAYERS`."""

from ristretto.layers.accuracy import Accuracy
from ristretto.layers.concat import Concat
from ristretto.layers.convolution import Convolution
from ristretto.layers.data import Data
from ristretto.layers.dropout import Dropout
from ristretto.layers.inner_product import InnerProduct
from ristretto.layers.input import Input
from ristretto.layers.lrn import LRN
from ristretto.layers.pooling import Pooling
from ristretto.layers.relu import ReLU
from ristretto.layers.softmax import Softmax
from ristretto.layers.softmax_with_loss import SoftmaxWithLoss
from ristretto.net.op import Op

LAYERS: tuple[type[Op], ...] = (
    Accuracy,
    Concat,
    Convolution,
    Data,
    Dropout,
    InnerProduct,
    Input,
    LRN,
    Pooling,
    ReLU,
    Softmax,
    SoftmaxWithLoss,
)
"""Every layer type; the reader, executors, documentation and tests iterate over this."""

__all__ = ["LAYERS", *(layer.__name__ for layer in LAYERS)]  # noqa: PLE0604

"""The verb `fold`."""

from __future__ import annotations

from dataclasses import dataclass

from ristretto.api.loading import ModelSource, WeightsSource, load, pass_on
from ristretto.api.watch import Silent, Watcher
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import encode
from ristretto.caffe.writer import rewritten_text
from ristretto.net import Net
from ristretto.passes import FoldBatchNorm


@dataclass(frozen=True, eq=False)
class Folded:
    """What `fold` gives.

    Parameters
    ----------
    text : str
        The folded prototxt: the source without the layers that were folded.
    net : Net
        All phases, with weights.
    """

    text: str
    net: Net

    def encoded(self) -> bytes:
        """Give the bytes of the folded prototxt."""
        return encode(self.text)

    def encoded_weights(self) -> bytes:
        """Give the bytes of its caffemodel."""
        return encode_weights(self.net)


def fold(model: ModelSource, weights: WeightsSource, *, watcher: Watcher | None = None) -> Folded:
    """Fold BatchNorm, Scale and Bias layers into the weights before them.

    Parameters
    ----------
    model, weights : path, or Model and Net
        Prototxt and caffemodel: files, or what `load` gives.
    watcher : Watcher or None
        Told what was folded, and which layers stay, and why.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the files.
    """
    watcher = watcher or Silent()
    read, whole = load(model, weights)
    pass_on(read, watcher)
    net = fold_net(whole, watcher)
    return Folded(rewritten_text(read.prototxt, read.net, net), net)


def fold_net(net: Net, watcher: Watcher) -> Net:
    """Give the folded net, and tell of what was folded and of layers that stay."""
    plan = FoldBatchNorm().plan(net)
    watcher.note(f"folded {plan.summary} into the weights before them" if plan.folds else "there is nothing to fold")
    for remark in plan.remarks:
        watcher.note(remark)
    return FoldBatchNorm()(net)


def hint_at_folding(net: Net, watcher: Watcher, how: str = "--fold") -> Net:
    """Say how much of a net could be folded, if anything, and how; give the net as it is."""
    plan = FoldBatchNorm().plan(net)
    if plan.folds:
        watcher.note(f"{plan.summary} can be folded into the weights before them: {how}")
    return net

"""The verb `init_weights`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ristretto.api.loading import load, pass_on, undeclared_shapes
from ristretto.api.watch import Silent, Watcher
from ristretto.caffe.caffemodel import encode_weights
from ristretto.net import Net, Phase
from ristretto.passes import InitWeights


@dataclass(frozen=True, eq=False)
class NewWeights:
    """What `init_weights` gives.

    Parameters
    ----------
    net : Net
        Of the TEST phase, with its new weights.
    """

    net: Net

    @property
    def parameters(self) -> int:
        """How many numbers the weights are."""
        return sum(blob.size for layer in self.net for blob in layer.blobs)

    def encoded(self) -> bytes:
        """Give the bytes of a caffemodel."""
        return encode_weights(self.net)


def init_weights(model: str | Path, *, seed: int = 0, watcher: Watcher | None = None) -> NewWeights:
    """Make a net's weights as Caffe does before training, by the fillers in its prototxt.

    Parameters
    ----------
    model : path
        A prototxt. Where its data layers do not declare the shapes of their tops, the data must be there.
    seed : int
        At least 0. One seed gives one net the same weights, and two layers of one name and shape the same ones in any
        net. The random numbers are not Caffe's.
    watcher : Watcher or None
        Told what the user should know.

    Raises
    ------
    RistrettoError
        Whatever is wrong with the prototxt, the data or the fillers.
    """
    watcher = watcher or Silent()
    read, whole = load(model)
    pass_on(read, watcher)
    test = whole.for_phase(Phase.TEST)
    net = InitWeights(seed, undeclared_shapes(read, test, Phase.TEST))(test)
    if bare := [layer.name for layer in net if layer.op.part and layer.blobs and not layer.blobs[0].any()]:
        others = f" and of {len(bare) - 1} more layers" if len(bare) > 1 else ""
        watcher.note(f"the weights of layer '{bare[0]}'{others} are all 0: they have no weight_filler")
    return NewWeights(net)

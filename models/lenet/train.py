"""Train the LeNet beside this file on MNIST, and write its weights.

One seed gives the same weights in every run on one machine with one version of torch; other machines add floats in
another order. The last state is kept, whatever it scores: no choice is made by the digits that it is scored on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from digits import HERE, TEST, Labels, Pictures, among, embedded_digits, read_digits, training_digits
from torch import nn
from torch.nn import functional

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import read_model
from ristretto.errors import RistrettoError
from ristretto.execute import FloatExecutor, score
from ristretto.net import Net, Phase
from ristretto.outputs import Outputs

PROTOTXT = HERE / "train_val.prototxt"
WEIGHTS = HERE / "lenet.caffemodel"

SEED = 1
HELD_OUT = 5000
"""Training digits that are not trained on: the settings below were chosen by these."""
EPOCHS = 16
BATCH = 64
RATE = 0.03
"""Of the first step; it falls along half a cosine to 0."""
MOMENTUM = 0.9
DECAY = 5e-4
"""Of all weights and biases: small numbers need few bits."""
SHIFT = 1
"""Pixels that a digit is moved by at most, in each direction; a new draw each time."""
SCALE = np.float32(0.00390625)


class LeNet(nn.Module):
    """The layers with weights, under the prototxt's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.ip1 = nn.Linear(800, 500)
        self.ip2 = nn.Linear(500, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give the scores (n, 10) of pictures (n, 1, 28, 28) in real units."""
        x = functional.max_pool2d(self.conv1(x), 2)
        x = functional.max_pool2d(self.conv2(x), 2)
        return self.ip2(functional.relu(self.ip1(x.flatten(1))))


def moved(padded: Pictures, chosen: Labels, random: np.random.Generator) -> Pictures:
    """Give the chosen pictures, each moved by a draw of its own."""
    side = np.arange(padded.shape[1] - 2 * SHIFT)
    rows = random.integers(0, 2 * SHIFT + 1, (len(chosen), 1)) + side
    columns = random.integers(0, 2 * SHIFT + 1, (len(chosen), 1)) + side
    return padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]


def train(pictures: Pictures, labels: Labels) -> LeNet:
    """Train by stochastic gradient descent; prints the loss of every epoch."""
    # The number of threads is part of the order in which floats are added. With one, a busy machine costs no waiting.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    model = LeNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    steps = len(pictures) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    padded = np.pad(pictures, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    for epoch in range(EPOCHS):
        order = random.permutation(len(pictures))[: steps * BATCH]
        total = 0.0
        for chosen in order.reshape(steps, BATCH):
            batch = torch.from_numpy(moved(padded, chosen, random)[:, None] * SCALE)
            loss = functional.cross_entropy(model(batch), torch.from_numpy(labels[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {total / steps:.4f}", flush=True)
    return model


def as_net(model: LeNet) -> Net:
    """Give the prototxt's net with the trained weights."""
    blobs = {
        name: (module.weight.detach().numpy(), module.bias.detach().numpy()) for name, module in model.named_children()
    }
    net = read_model(PROTOTXT).net
    return replace(net, layers=tuple(replace(layer, blobs=blobs.get(layer.name, ())) for layer in net))


def accuracy(net: Net, pictures: Pictures, labels: Labels, size: int = 100) -> float:
    """Give the share of digits that the net gets right, by Caffe's rule for ties."""

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(pictures), size):
            part = slice(start, start + size)
            yield {"data": pictures[part, None] * SCALE, "label": labels[part].astype(np.float32)}

    assert len(pictures) % size == 0, "every batch counts the same"
    executor = FloatExecutor(net.for_phase(Phase.TEST), {"data": (size, 1, *pictures.shape[1:]), "label": (size,)})
    return float(score(executor, batches()).outputs["accuracy"])


def run(train_path: Path, test_path: Path) -> None:
    """Read, train, score, write."""
    pictures, labels, left_out = training_digits(train_path)
    print(f"{len(pictures) + left_out} training digits; {left_out} are embedded here and left out")
    tests = read_digits(test_path)
    print(f"{len(tests[0])} test digits; {among(tests[0], embedded_digits()).sum()} are embedded here")
    held_out = pictures[-HELD_OUT:], labels[-HELD_OUT:]
    with Outputs([WEIGHTS], inputs=[train_path, test_path]) as outputs:
        start = time.process_time()
        net = as_net(train(pictures[:-HELD_OUT], labels[:-HELD_OUT]))
        print(f"trained on {len(pictures) - HELD_OUT} digits in {time.process_time() - start:.0f} seconds of one core")
        print(f"accuracy on the {HELD_OUT} held out: {accuracy(net, *held_out):.4f}")
        print(f"accuracy on the {len(tests[0])} test digits: {accuracy(net, *tests):.4f}")
        print(f"accuracy on the embedded test digits: {accuracy(net, *read_digits(HERE / TEST)):.4f}")
        outputs.write(WEIGHTS, encode_weights(net.for_phase(Phase.TRAIN)))
    print(f"wrote {WEIGHTS.relative_to(HERE.parent.parent)}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="the LMDB of MNIST's 60,000 training digits")
    parser.add_argument("test", type=Path, help="the LMDB of its 10,000 test digits")
    arguments = parser.parse_args()
    try:
        run(arguments.train, arguments.test)
    except RistrettoError as error:
        sys.exit(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))


if __name__ == "__main__":
    main()

"""Fine-tuning of real nets, from prototxts that the original tool wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ristretto import api
from ristretto.caffe.reader import load_weights, read_model
from ristretto.finetune.events import Event, Updated


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("net", "model", "rate"),
    [
        ("squeezenet_v1.0", "squeezenet_dynamic_fixed_point_m3", 0.0001),
        ("cifar10_full", "cifar10_full_minifloat_m1", 0.0001),
        ("lenet", "lenet_integer_power_of_2_weights_m1", 0.001),
    ],
)
def test_every_format_is_tuned(net: str, model: str, rate: float, shared: Path, tmp_path: Path) -> None:
    """Losses are numbers, every quantized layer learns, and shadow weights are not trimmed."""
    prototxt = shared / "golden" / "fork" / f"{model}.prototxt"
    weights = shared / "data" / "models" / net / f"{net}.caffemodel"
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        f'net: "{prototxt}" base_lr: {rate} lr_policy: "fixed" momentum: 0.9 max_iter: 2 '
        f'snapshot_prefix: "{tmp_path}/net" solver_mode: CPU'
    )
    events: list[Event] = []
    found = api.finetune(solver, [weights], listener=events.append)
    losses = [event.loss for event in events if isinstance(event, Updated)]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    before = load_weights(read_model(prototxt).net, weights)
    after = load_weights(read_model(prototxt).net, tmp_path / "net_iter_2.caffemodel")
    quantized = [layer.name for layer in found.net if layer.quant]
    assert quantized
    for name in quantized:
        assert (before[name].blobs[0] != after[name].blobs[0]).any(), name
        quant = found.net[name].quant
        assert quant is not None
        assert quant.params is not None
        assert (quant.params.trim(after[name].blobs[0]) != after[name].blobs[0]).any(), name

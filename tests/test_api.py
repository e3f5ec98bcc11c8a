"""The verbs' own share: what they pass on from the prototxt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ristretto import api
from ristretto.caffe.prototxt import read_text
from ristretto.caffe.schema import message_class
from ristretto.errors import RistrettoError
from ristretto.net import Phase
from tests.listener import Listener


@pytest.fixture
def model(repo: Path, tmp_path: Path) -> Path:
    """The embedded LeNet with a field of another fork and a byte that is no UTF-8."""
    data = (repo / "models" / "lenet" / "train_val.prototxt").read_bytes()
    data = data.replace(b"models/lenet/", f"{repo}/models/lenet/".encode())
    changed = data.replace(b"num_output: 20", b"num_output: 20 turbo: ON  # M\xfcller")
    assert changed != data
    path = tmp_path / "net.prototxt"
    path.write_bytes(changed)
    return path


@pytest.fixture
def weights(model: Path, tmp_path: Path) -> Path:
    """Weights that mean nothing."""
    net = api.load(model)[1].for_phase(Phase.TEST)
    shapes = net.shapes({"data": (1, 1, 28, 28), "label": (1,)})
    rng = np.random.default_rng(7)
    message = message_class("NetParameter")()
    for layer in net:
        bottoms = [] if layer.op.is_data else net.bottom_shapes(layer, shapes)
        wanted = layer.op.blob_shapes(bottoms) if bottoms else ()
        if wanted:
            saved = message.layer.add(name=layer.name)
            for shape in wanted:
                blob = saved.blobs.add()
                blob.shape.dim.extend(shape)
                blob.data.extend(rng.normal(0, 0.1, int(np.prod(shape))))
    path = tmp_path / "net.caffemodel"
    path.write_bytes(message.SerializeToString())
    return path


def test_test_passes_notes_on(model: Path, weights: Path) -> None:
    listener = Listener()
    api.test(model, weights, iterations=1, watcher=listener)
    assert any("unknown field 'turbo' in convolution_param" in note for note in listener.notes)


def test_inspect_lists_notes(model: Path) -> None:
    assert any("unknown field 'turbo' in convolution_param" in note for note in api.inspect(model).notes)


def test_quantize_passes_notes_on_and_keeps_every_other_byte(model: Path, weights: Path) -> None:
    listener = Listener()
    result = api.quantize(model, weights, iterations=1, error_margin=50, watcher=listener)
    assert any("unknown field 'turbo' in convolution_param" in note for note in listener.notes)
    assert b"turbo: ON  # M\xfcller" in result.encoded()
    model.write_bytes(result.encoded())
    assert read_text(model) == result.text
    blocks = result.encoded().split(b"quantization_param {")
    assert len(blocks) == 1 + len(result.result.spec.layers)


@pytest.mark.parametrize(
    ("verb", "option", "known"),
    [
        (api.quantize, {"preset": "quick"}, "accurate, original"),
        (api.quantize, {"trimming_mode": "posit"}, "dynamic_fixed_point, minifloat"),
        (api.test, {"executor": "hardware"}, "integer, simulate, float"),
    ],
    ids=["preset", "trimming mode", "executor"],
)
def test_an_unknown_name_is_refused_before_any_work(
    verb: Callable[..., Any], option: dict[str, str], known: str, tmp_path: Path
) -> None:
    (name,) = option.values()
    with pytest.raises(RistrettoError, match=f"is called '{name}'") as caught:
        verb(tmp_path / "none.prototxt", tmp_path / "none.caffemodel", **option)
    assert known in caught.value.hint

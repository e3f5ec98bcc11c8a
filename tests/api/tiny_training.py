"""A tiny net that is trained on pictures, which are cropped and mirrored by chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ristretto import api
from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.datum import Datum
from ristretto.caffe.reader import read_model
from ristretto.data import write_lmdb
from ristretto.finetune.events import Event

PICTURES, SIZE, END = 10, 8, 4

NET = """
name: "tiny"
layer { name: "in" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "db" backend: LMDB batch_size: 4 }
  transform_param { crop_size: 6 mirror: true scale: 0.0078125 mean_value: 128 } }
layer { name: "in" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "db" backend: LMDB batch_size: 5 }
  transform_param { crop_size: 6 scale: 0.0078125 mean_value: 128 } }
layer { name: "conv" type: "ConvolutionRistretto" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } }
  quantization_param { bw_layer_in: 6 bw_layer_out: 6 bw_params: 4 fl_layer_in: 4 fl_layer_out: 4 fl_params: 3 } }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "ip" type: "FcRistretto" bottom: "conv" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
  quantization_param { bw_layer_in: 6 bw_layer_out: 8 bw_params: 4 fl_layer_in: 4 fl_layer_out: 4 fl_params: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
"""

PLAIN = api.Options()
ALL = api.Options(learn_fl=True, distill=0.5, temperature=2.0, rounding="stochastic")


def make_folder(folder: Path) -> Path:
    """Fill a folder with a quantized net, float weights for it, and pictures."""
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 256, (PICTURES, SIZE * SIZE), np.uint8)
    write_lmdb(folder / "db", [Datum(1, SIZE, SIZE, each.tobytes(), i % 2) for i, each in enumerate(pictures)])
    (folder / "net.prototxt").write_text(NET)
    (folder / "start.caffemodel").write_bytes(weights(folder, 7))
    return folder


def weights(folder: Path, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    shapes = {"conv": ((3, 1, 3, 3), (3,)), "ip": ((2, 48), (2,))}
    made = {name: tuple(rng.normal(0, 0.3, s).astype(np.float32) for s in each) for name, each in shapes.items()}
    net = read_model(folder / "net.prototxt").net
    return encode_weights(replace(net, layers=tuple(replace(x, blobs=made.get(x.name, ())) for x in net)))


def solver(folder: Path, **settings: str) -> Path:
    plain = {
        "net": f'"{folder}/net.prototxt"',
        "base_lr": "0.0625",
        "lr_policy": '"fixed"',
        "momentum": "0.9",
        "max_iter": str(END),
        "test_iter": "2",
        "test_interval": "2",
        "snapshot": "1",
        "snapshot_prefix": f'"{folder}/tiny"',
        "solver_mode": "CPU",
    }
    path = folder / "solver.prototxt"
    path.write_text("\n".join(f"{name}: {value}" for name, value in {**plain, **settings}.items() if value))
    return path


def tune(folder: Path, options: api.Options = PLAIN, snapshot: str | None = None, **settings: str) -> list[Event]:
    events: list[Event] = []
    api.finetune(
        solver(folder, **settings),
        [folder / "start.caffemodel"],
        snapshot=None if snapshot is None else folder / snapshot,
        options=options,
        threads=1,
        listener=events.append,
    )
    return events


def written(folder: Path, iteration: int) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(f"tiny_iter_{iteration}.*")}


def trained(folder: Path, options: api.Options, text: str = NET) -> bytes:
    (folder / "net.prototxt").write_text(text)
    tune(folder, options)
    return (folder / f"tiny_iter_{END}.caffemodel").read_bytes()

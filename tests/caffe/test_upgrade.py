"""Nets of 2013 and 2014, held to the same nets written by hand in today's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.caffe.printer import print_message
from ristretto.caffe.prototxt import parse
from ristretto.caffe.reader import read_model
from ristretto.caffe.schema import message_class
from ristretto.caffe.upgrade import SOLVER_TYPES, Upgraded, upgrade_net, upgrade_solver
from ristretto.caffe.upgrade_v0 import BLOCKS, MOVES, TRANSFORMS
from ristretto.caffe.upgrade_v0 import TYPES as V0_TYPES
from ristretto.caffe.upgrade_v1 import TYPES as V1_TYPES
from ristretto.caffe.upgrade_v1 import type_name
from ristretto.caffe.writer import rewritten_text
from ristretto.errors import ModelError, RistrettoError

V0 = """
name: "old"
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers {
  layer {
    name: "conv1" type: "conv" num_output: 4 group: 1 kernelsize: 5 stride: 1 biasterm: true
    weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 1 }
    blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0.
  }
  bottom: "pad1" top: "conv1"
}
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.0001 beta: 0.75 k: 2 } bottom: "pool1" top: "norm1" }
layers { layer { name: "fc" type: "innerproduct" num_output: 2 biasterm: false } bottom: "norm1" top: "fc" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.25 } bottom: "fc" top: "fc" }
layers { layer { name: "two" type: "concat" concat_dim: 1 } bottom: "fc" bottom: "fc" top: "two" }
layers { layer { name: "prob" type: "softmax" } bottom: "two" top: "prob" }
"""

V0_TODAY = """
name: "old"
layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param {
    num_output: 4 bias_term: true pad: 2 kernel_size: 5 group: 1 stride: 1
    weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 1 }
  }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer {
  name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }
}
layer {
  name: "norm1" type: "LRN" bottom: "pool1" top: "norm1"
  lrn_param { local_size: 3 alpha: 0.0001 beta: 0.75 k: 2 }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "norm1" top: "fc" inner_product_param { num_output: 2 bias_term: false }
}
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" dropout_param { dropout_ratio: 0.25 } }
layer { name: "two" type: "Concat" bottom: "fc" bottom: "fc" top: "two" concat_param { concat_dim: 1 } }
layer { name: "prob" type: "Softmax" bottom: "two" top: "prob" }
"""

V0_DATA = """
layers {
  layer {
    name: "d" type: "data" source: "lmdb" batchsize: 5 rand_skip: 3 scale: 0.5 meanfile: "m" cropsize: 7 mirror: true
  }
  top: "a" top: "l"
}
layers {
  layer {
    name: "i" type: "images" source: "list" batchsize: 6 shuffle_images: true new_height: 9 new_width: 8 rand_skip: 1
  }
  top: "b"
}
layers {
  layer {
    name: "w" type: "window_data" source: "win" batchsize: 7 det_fg_threshold: 0.6 det_bg_threshold: 0.4
    det_fg_fraction: 0.3 det_context_pad: 16 det_crop_mode: "square" cropsize: 227
  }
  top: "c"
}
layers { layer { name: "h" type: "hdf5_data" source: "h5" batchsize: 8 } top: "e" }
layers { layer { name: "o" type: "hdf5_output" hdf5_output_param { file_name: "out" } } bottom: "e" }
layers { layer { name: "g" type: "infogain_loss" source: "H" } bottom: "a" bottom: "l" }
"""

V0_DATA_TODAY = """
layer {
  name: "d" type: "Data" top: "a" top: "l"
  transform_param { scale: 0.5 mean_file: "m" crop_size: 7 mirror: true }
  data_param { source: "lmdb" batch_size: 5 rand_skip: 3 }
}
layer {
  name: "i" type: "ImageData" top: "b"
  image_data_param { source: "list" batch_size: 6 shuffle: true new_height: 9 new_width: 8 rand_skip: 1 }
}
layer {
  name: "w" type: "WindowData" top: "c"
  transform_param { crop_size: 227 }
  window_data_param {
    source: "win" batch_size: 7 fg_threshold: 0.6 bg_threshold: 0.4 fg_fraction: 0.3 context_pad: 16 crop_mode: "square"
  }
}
layer { name: "h" type: "HDF5Data" top: "e" hdf5_data_param { source: "h5" batch_size: 8 } }
layer { name: "o" type: "HDF5Output" bottom: "e" hdf5_output_param { file_name: "out" } }
layer { name: "g" type: "InfogainLoss" bottom: "a" bottom: "l" infogain_loss_param { source: "H" } }
"""

V1 = """
name: "less old"
layers {
  name: "mnist" type: DATA top: "data" top: "label" include { phase: TRAIN }
  data_param {
    source: "db" batch_size: 10 backend: LMDB scale: 0.00390625 mean_file: "mean" crop_size: 24 mirror: true
  }
  transform_param { scale: 3 }
}
layers {
  name: "images" type: IMAGE_DATA top: "data" top: "label" exclude { phase: TRAIN }
  image_data_param { scale: 2 batch_size: 1 }
}
layers { name: "windows" type: WINDOW_DATA top: "w" window_data_param { crop_size: 2 fg_fraction: 0.5 } }
layers {  # weights of two layers are one
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  param: "w" param: "b" blob_share_mode: PERMISSIVE blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  convolution_param { num_output: 4 kernel_size: 3 engine: CAFFE }
}
layers { name: "relu" type: RELU bottom: "conv" top: "conv" relu_param { negative_slope: 0.125 } }
layers { name: "pool" type: POOLING bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers {
  name: "loss" type: SOFTMAX_LOSS bottom: "pool" bottom: "label" loss_weight: 0.25 loss_param { ignore_label: 3 }
}
"""

V1_TODAY = """
name: "less old"
layer {
  name: "mnist" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 mean_file: "mean" crop_size: 24 mirror: true }
  data_param { source: "db" batch_size: 10 backend: LMDB }
}
layer {
  name: "images" type: "ImageData" top: "data" top: "label" exclude { phase: TRAIN }
  transform_param { scale: 2 } image_data_param { batch_size: 1 }
}
layer {
  name: "windows" type: "WindowData" top: "w"
  transform_param { crop_size: 2 } window_data_param { fg_fraction: 0.5 }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 } param { name: "b" lr_mult: 2 }
  convolution_param { num_output: 4 kernel_size: 3 engine: CAFFE }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param { negative_slope: 0.125 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" loss_weight: 0.25 loss_param { ignore_label: 3 }
}
"""


def upgraded(text: str) -> Upgraded:
    return upgrade_net(parse(text, "net"), "net")


@pytest.mark.parametrize(
    ("old", "today", "version"), [(V0, V0_TODAY, "V0"), (V0_DATA, V0_DATA_TODAY, "V0"), (V1, V1_TODAY, "V1")]
)
def test_an_old_net_is_the_one_written_by_hand(old: str, today: str, version: str) -> None:
    source = parse(old, "net")
    untouched = source.SerializeToString()
    result = upgrade_net(source, "net")
    assert print_message(result.message) == print_message(parse(today, "today"))
    assert (result.version, result.is_legacy, result.left_out) == (version, True, ())
    assert source.SerializeToString() == untouched


@pytest.mark.parametrize("text", [V0, V0_DATA, V1, V1_TODAY])
def test_an_upgraded_net_needs_no_upgrade(text: str) -> None:
    once = upgraded(text)
    again = upgraded(print_message(once.message))
    assert again.changes == ()
    assert again.message == once.message


def test_places_in_the_source_are_kept() -> None:
    assert upgraded(V0).origins == (-1, 1, 2, 3, 4, 5, 6, 7, 8)
    assert upgraded(V1).origins == tuple(range(7))


def test_changes_name_their_layers() -> None:
    changes = {change.what: change.layers for change in upgraded(V0).changes}
    assert changes["padding layers are the pad of what read them"] == ("conv1",)
    assert "inputs are an Input layer" in changes
    moved = [change.layers for change in upgraded(V1).changes if "transform_param" in change.what]
    assert moved == [("mnist", "images", "windows")]


TYPES_BY_HAND = """
accuracy Accuracy  bnll BNLL  concat Concat  conv Convolution  data Data  dropout Dropout  euclidean_loss EuclideanLoss
flatten Flatten  hdf5_data HDF5Data  hdf5_output HDF5Output  im2col Im2col  images ImageData  infogain_loss InfogainLoss
innerproduct InnerProduct  lrn LRN  multinomial_logistic_loss MultinomialLogisticLoss  pool Pooling  relu ReLU
sigmoid Sigmoid  softmax Softmax  softmax_loss SoftmaxWithLoss  split Split  tanh TanH  window_data WindowData
"""


def test_every_v0_type() -> None:
    words = TYPES_BY_HAND.split()
    wanted = dict(zip(words[::2], words[1::2], strict=True))
    assert {kind: V1_TYPES[v1] for kind, v1 in V0_TYPES.items()} == wanted
    for kind, today in wanted.items():
        assert upgraded(f'layers {{ layer {{ name: "x" type: "{kind}" }} }}').message.layer[0].type == today


def test_every_v1_type_has_a_name_of_today() -> None:
    enum = message_class("V1LayerParameter").DESCRIPTOR.enum_types_by_name["LayerType"]
    assert set(V1_TYPES) == {value.name for value in enum.values}
    assert len(set(V1_TYPES.values())) == len(V1_TYPES)
    assert type_name(message_class("V1LayerParameter")(type=39)) == "Deconvolution"


def test_every_v0_field_has_a_place() -> None:
    own = {field.name for field in message_class("V0LayerParameter").DESCRIPTOR.fields}
    others = {"name", "type", "blobs", "blobs_lr", "weight_decay", "hdf5_output_param"}
    # Caffe never read these two.
    assert own == set(MOVES) | set(TRANSFORMS) | others | {"new_num", "new_channels"}
    for name, kinds in MOVES.values():
        for kind in kinds:
            block = message_class("V1LayerParameter").DESCRIPTOR.fields_by_name[BLOCKS[kind]].message_type
            assert name in block.fields_by_name


def test_settings_without_a_place_are_told() -> None:
    text = (
        'layers { layer { name: "r" type: "relu" stride: 2 new_num: 1 } include { phase: TEST } bottom: "a" top: "b" }'
    )
    result = upgraded(text)
    assert [what.split(":")[0] for what in result.left_out] == [
        "'stride' of layer 'r'",
        "'new_num' of layer 'r'",
        "'include' beside layer 'r'",
    ]


BATCH_NORM = 'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "x" param { lr_mult: 0 } %s }'


def test_batch_norm_with_three_rates() -> None:
    result = upgraded(BATCH_NORM % 'param { name: "v" lr_mult: 1 } param { }')
    assert [(p.name, p.lr_mult, p.decay_mult) for p in result.message.layer[0].param] == [
        ("", 0, 0),
        ("v", 0, 0),
        ("", 0, 0),
    ]
    assert [change.layers for change in result.changes] == [("bn",)]
    assert not result.is_legacy
    assert upgraded(BATCH_NORM % "param { lr_mult: 1 }").changes == ()
    assert upgraded((BATCH_NORM % "param { } param { }").replace("BatchNorm", "Scale")).changes == ()


@pytest.mark.parametrize("name", SOLVER_TYPES)
def test_solver_types(name: str) -> None:
    solver, changes = upgrade_solver(message_class("SolverParameter")(solver_type=name, base_lr=0.5), "solver")
    assert print_message(solver) == f'base_lr: 0.5\ntype: "{SOLVER_TYPES[name]}"\n'
    assert len(changes) == 1
    assert upgrade_solver(solver, "solver") == (solver, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('layers { layer { name: "x" type: "convolution" } }', "unknown V0 layer type 'convolution'"),
        ('layers { layer { name: "x" } }', "without a type"),
        ('layers { layer { name: "x" type: "relu" } } layers { name: "y" type: RELU }', "V0 and V1"),
        ('layers { name: "x" type: RELU } layer { name: "y" type: "ReLU" }', "two formats"),
        ('input: "d" layers { name: "x" type: RELU bottom: "d" top: "x" }', "1 inputs, 0 input_shape"),
        (
            'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "d" top: "p" }'
            'layers { layer { name: "x" type: "relu" } bottom: "p" top: "x" }',
            "type 'relu' reads",
        ),
        (
            'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "d" bottom: "e" top: "p" }'
            'layers { layer { name: "x" type: "conv" } bottom: "p" top: "x" }',
            "more than one bottom",
        ),
    ],
)
def test_what_cannot_be_upgraded(text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        upgraded(text)
    assert caught.value.hint


def test_a_solver_with_both_fields() -> None:
    with pytest.raises(ModelError, match="both solver_type and type"):
        upgrade_solver(message_class("SolverParameter")(solver_type=1, type="Adam"), "solver")


# --- The printer


def test_the_printer_spells_as_caffe_does() -> None:
    text = (
        'name: "a\\"\\\\\\n\\303\\274"\nforce_backward: true\nstate {\n  phase: TRAIN\n}\nlayer {\n'
        '  name: "x"\n  param {\n    lr_mult: 1\n    decay_mult: 0.1\n  }\n  param {\n    lr_mult: 1e-05\n'
        "    decay_mult: 16777216\n  }\n  param {\n    lr_mult: 0.333333343\n    decay_mult: -inf\n  }\n}\n"
    )
    assert print_message(parse(text, "text")) == text


@given(st.floats(width=32), st.floats(width=32), st.text(), st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_what_is_printed_is_read_back(value: float, other: float, name: str, dims: list[int]) -> None:
    net = message_class("NetParameter")(name=name, input_dim=dims)
    net.layer.add().blobs.add(data=[value], double_data=[value, other])
    back = parse(print_message(net), "text")
    assert (
        back.SerializeToString(deterministic=True) == net.SerializeToString(deterministic=True)
        or np.isnan([value, other]).any()
    )


# --- Through the reader and the writer


def test_an_old_net_is_quantized_as_today_s(tmp_path: Path) -> None:
    nets = []
    for name, text in (("old", V0), ("today", print_message(parse(V0_TODAY, "today")))):
        (tmp_path / name).write_text(text)
        model = read_model(tmp_path / name)
        assert rewritten_text(model.prototxt, model.net, model.net) == print_message(parse(V0_TODAY, "today"))
        nets.append([(layer.name, layer.op, layer.bottoms, layer.tops, layer.source) for layer in model.net])
        assert any("comments and spacing" in note for note in model.notes) is (name == "old")
    assert nets[0] == nets[1]


def test_input_fields_stay_in_the_text(tmp_path: Path) -> None:
    text = 'input: "data"  # from a camera\ninput_dim: [1, 3, 8, 8]\n' + "".join(V0_TODAY.splitlines(True)[3:])
    (tmp_path / "net").write_text(text)
    model = read_model(tmp_path / "net")
    assert [(layer.type, layer.source) for layer in model.net][:2] == [("Input", -1), ("Convolution", 0)]
    assert rewritten_text(model.prototxt, model.net, model.net) == text
    assert model.notes == ()


def test_unknown_fields_of_an_old_file_are_told(tmp_path: Path) -> None:
    text = 'input: "a" input_dim: [1, 1, 1, 1]\nlayers { name: "relu" type: RELU bottom: "a" top: "b" inplace: true }'
    (tmp_path / "net").write_text(text)
    assert [note for note in read_model(tmp_path / "net").notes if "inplace" in note] == [
        "line 2: unknown field 'inplace' in layers; it has no effect and is not kept"
    ]


WORDS = sorted(set((V0 + V1).split()), key=len)


@settings(max_examples=150)
@given(
    st.sampled_from([V0, V1, V0_DATA]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from(WORDS)), max_size=4),
)
def test_a_damaged_old_file_is_a_plain_error(text: str, edits: list[tuple[int, int, str]]) -> None:
    words = text.split(" ")
    for place, length, word in edits:
        at = place % len(words)
        words[at : at + length] = [word]
    try:
        result = upgraded(" ".join(words))
        assert parse(print_message(result.message), "again") == result.message
    except RistrettoError as error:
        assert "\n" not in error.message

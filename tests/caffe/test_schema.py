"""The schema: complete, current, and alone in its pool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, text_format

from ristretto.caffe.schema import message_class

OURS = """
from ristretto.caffe.schema import message_class
net = message_class("NetParameter")(name="ours")
"""

THEIRS = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
message = file.message_type.add(name="NetParameter")
message.field.add(name="other", number=1, label=1, type=5)
descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
found = descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter")
other = message_factory.GetMessageClass(found)(other=7)
"""

BOTH = """
assert net.SerializeToString() == b"\\n\\x04ours"
assert other.SerializeToString() == b"\\x08\\x07"
assert net.layer.add().DESCRIPTOR is message_class("LayerParameter").DESCRIPTOR
"""


def python(code: str, **environment: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("implementation", ["upb", "python"])
@pytest.mark.parametrize("code", [OURS + THEIRS + BOTH, THEIRS + OURS + BOTH], ids=["ours first", "theirs first"])
def test_lives_beside_another_caffe_in_one_process(code: str, implementation: str) -> None:
    python(code, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation)


def test_the_default_pool_knows_nothing_of_it() -> None:
    message_class("NetParameter")
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("caffe.BlobProtoVector")


def test_a_class_is_the_same_in_every_call() -> None:
    assert message_class("LayerParameter") is message_class("LayerParameter")
    assert isinstance(message_class("NetParameter")().layer.add(), message_class("LayerParameter"))


def gen_proto(repo: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(repo / "scripts" / "gen-proto"), *words]
    return subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True)


def test_the_compiled_schema_belongs_to_its_source(repo: Path) -> None:
    done = gen_proto(repo, "--check")
    assert done.returncode == 0, done.stderr


def test_gen_proto_finds_a_changed_source_and_compiles_it(repo: Path, tmp_path: Path) -> None:
    for name in ("scripts/gen-proto", "proto/caffe.proto", "ristretto/caffe/caffe.desc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repo / name, tmp_path / name)
    compiled = tmp_path / "ristretto" / "caffe" / "caffe.desc"
    before = compiled.read_bytes()
    source = tmp_path / "proto" / "caffe.proto"

    source.write_text(source.read_text() + "\n// A remark changes nothing.\n")
    assert gen_proto(tmp_path, "--check").returncode == 0

    source.write_text(source.read_text() + "\nmessage Added { optional int32 value = 1; }\n")
    done = gen_proto(tmp_path, "--check")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "hint: run scripts/gen-proto" in done.stderr
    assert compiled.read_bytes() == before
    assert gen_proto(tmp_path).returncode == 0
    assert compiled.read_bytes() != before
    assert gen_proto(tmp_path, "--check").returncode == 0

    source.write_text("message {")
    assert gen_proto(tmp_path).returncode == 1
    assert gen_proto(tmp_path, "--check").returncode == 1


def test_the_compiled_schema_holds_no_text_of_its_source(repo: Path) -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString((repo / "ristretto" / "caffe" / "caffe.desc").read_bytes())
    (file,) = files.file
    assert (file.name, file.package) == ("caffe.proto", "caffe")
    assert not file.HasField("source_code_info")


NUMBERS = """
    NetParameter    name 1  layers 2  input 3  input_dim 4  force_backward 5  state 6  debug_info 7  input_shape 8
    NetParameter    layer 100
    LayerParameter  name 1  type 2  bottom 3  top 4  loss_weight 5  param 6  blobs 7  include 8  exclude 9  phase 10
    LayerParameter  propagate_down 11  transform_param 100  loss_param 101  accuracy_param 102  argmax_param 103
    LayerParameter  concat_param 104  contrastive_loss_param 105  convolution_param 106  data_param 107
    LayerParameter  dropout_param 108  dummy_data_param 109  eltwise_param 110  exp_param 111  hdf5_data_param 112
    LayerParameter  hdf5_output_param 113  hinge_loss_param 114  image_data_param 115  infogain_loss_param 116
    LayerParameter  inner_product_param 117  lrn_param 118  memory_data_param 119  mvn_param 120  pooling_param 121
    LayerParameter  power_param 122  relu_param 123  sigmoid_param 124  softmax_param 125  slice_param 126
    LayerParameter  tanh_param 127  threshold_param 128  window_data_param 129  python_param 130  prelu_param 131
    LayerParameter  spp_param 132  reshape_param 133  log_param 134  flatten_param 135  reduction_param 136
    LayerParameter  embed_param 137  tile_param 138  batch_norm_param 139  elu_param 140  bias_param 141
    LayerParameter  scale_param 142  input_param 143  crop_param 144  parameter_param 145  recurrent_param 146
    LayerParameter  swish_param 147  clip_param 148  quantization_param 149
    LayerParameter  permute_param 202  prior_box_param 203  detection_output_param 204  norm_param 206
    BlobProto       num 1  channels 2  height 3  width 4  data 5  diff 6  shape 7  double_data 8  double_diff 9
    BlobShape       dim 1
    BlobProtoVector blobs 1
    Datum           channels 1  height 2  width 3  data 4  label 5  float_data 6  encoded 7
    V1LayerParameter  layer 1  bottom 2  top 3  name 4  type 5  blobs 6  blobs_lr 7  weight_decay 8  param 1001
    V0LayerParameter  name 1  type 2  num_output 3  blobs 50  blobs_lr 51  hdf5_output_param 1001
    QuantizationParameter  precision 1  rounding_scheme 2  bw_layer_in 3  bw_layer_out 4  bw_params 5
    QuantizationParameter  fl_layer_in 6  fl_layer_out 7  fl_params 8  mant_bits 9  exp_bits 10  exp_min 11  exp_max 12
    ConvolutionParameter  num_output 1  bias_term 2  pad 3  kernel_size 4  group 5  stride 6  pad_h 9  pad_w 10
    ConvolutionParameter  kernel_h 11  kernel_w 12  stride_h 13  stride_w 14  axis 16  dilation 18
    SolverParameter  train_net 1  test_iter 3  base_lr 5  max_iter 7  lr_policy 8  net 24  type 40  weights 42
    SolverState     iter 1  learned_net 2  history 3  current_step 4
"""


@pytest.mark.parametrize("line", [line.strip() for line in NUMBERS.strip().splitlines()])
def test_field_numbers_are_caffes(line: str) -> None:
    message, *words = line.split()
    fields = message_class(message).DESCRIPTOR.fields_by_name
    wanted = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert {name: fields[name].number for name in wanted} == wanted


DEFAULTS: list[tuple[str, dict[str, Any]]] = [
    ("ConvolutionParameter", {"bias_term": True, "group": 1, "axis": 1, "pad_h": 0}),
    ("PoolingParameter", {"pool": 0, "stride": 1, "pad": 0, "round_mode": 0, "ceil_mode": True}),
    ("InnerProductParameter", {"axis": 1, "transpose": False, "bias_term": True}),
    ("LRNParameter", {"local_size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0, "norm_region": 0}),
    ("BatchNormParameter", {"eps": pytest.approx(1e-5), "moving_average_fraction": pytest.approx(0.999)}),
    ("ScaleParameter", {"axis": 1, "num_axes": 1, "bias_term": False}),
    ("EltwiseParameter", {"operation": 1}),
    ("ReductionParameter", {"operation": 1, "coeff": 1.0, "axis": 0}),
    ("FlattenParameter", {"axis": 1, "end_axis": -1}),
    ("ReshapeParameter", {"axis": 0, "num_axes": -1}),
    ("CropParameter", {"axis": 2}),
    ("DropoutParameter", {"dropout_ratio": 0.5}),
    ("ExpParameter", {"base": -1.0, "scale": 1.0, "shift": 0.0}),
    ("MVNParameter", {"normalize_variance": True, "across_channels": False, "eps": pytest.approx(1e-9)}),
    ("HingeLossParameter", {"norm": 1}),
    ("LossParameter", {"normalization": 1}),
    ("AccuracyParameter", {"top_k": 1, "axis": 1}),
    ("DataParameter", {"backend": 0, "scale": 1.0, "prefetch": 4}),
    ("TransformationParameter", {"scale": 1.0, "crop_size": 0, "mirror": False}),
    ("FillerParameter", {"type": "constant", "max": 1.0, "std": 1.0, "sparse": -1, "variance_norm": 0}),
    ("NetState", {"phase": 1, "level": 0}),
    ("ParamSpec", {"lr_mult": 1.0, "decay_mult": 1.0}),
    ("QuantizationParameter", {"precision": 0, "rounding_scheme": 0, "bw_layer_in": 32, "bw_params": 32}),
    ("QuantizationParameter", {"fl_layer_in": 16, "fl_layer_out": 16, "fl_params": 16, "mant_bits": 23}),
    ("QuantizationParameter", {"exp_bits": 8, "exp_min": -8, "exp_max": -1}),
    ("NormalizeParameter", {"across_spatial": True, "channel_shared": True, "eps": pytest.approx(1e-10)}),
    ("PriorBoxParameter", {"flip": True, "clip": False, "offset": 0.5}),
    ("DetectionOutputParameter", {"share_location": True, "keep_top_k": -1, "code_type": 1}),
    ("SolverParameter", {"type": "SGD", "solver_mode": 1, "iter_size": 1, "snapshot_format": 1}),
    ("V0LayerParameter", {"biasterm": True, "pool": 0, "stride": 1, "det_crop_mode": "warp"}),
]


@pytest.mark.parametrize(("name", "wanted"), DEFAULTS)
def test_defaults_are_caffes(name: str, wanted: dict[str, Any]) -> None:
    message = message_class(name)()
    assert {field: getattr(message, field) for field in wanted} == wanted


def test_v1_has_all_forty_types() -> None:
    types = message_class("V1LayerParameter").DESCRIPTOR.enum_types_by_name["LayerType"].values_by_name
    assert sorted(value.number for value in types.values()) == list(range(40))
    some = {"CONVOLUTION": 4, "INNER_PRODUCT": 14, "LRN": 15, "POOLING": 17, "RELU": 18, "SOFTMAX_LOSS": 21, "EXP": 38}
    assert {name: types[name].number for name in some} == some


QUANTIZED = """
name: "q"
layer {
  name: "conv1" type: "ConvolutionRistretto" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 pad: 2 }
  quantization_param {
    precision: MINIFLOAT rounding_scheme: STOCHASTIC bw_layer_in: 8 bw_layer_out: 8 bw_params: 4
    fl_layer_in: -3 fl_layer_out: 2 fl_params: 5 mant_bits: 2 exp_bits: 5 exp_min: -9 exp_max: 0
  }
}
"""


def test_quantization_param_reads_as_text() -> None:
    net = text_format.Parse(QUANTIZED, message_class("NetParameter")())
    param = net.layer[0].quantization_param
    assert (param.precision, param.rounding_scheme, param.fl_layer_in, param.exp_max) == (1, 1, -3, 0)
    assert text_format.Parse(text_format.MessageToString(net), message_class("NetParameter")()) == net


@pytest.mark.parametrize("number", [145, 147, 148])
def test_a_caffemodel_with_an_older_number_for_it_still_parses(number: int) -> None:
    param = message_class("QuantizationParameter")(bw_layer_in=8, fl_params=-3, exp_min=-7, rounding_scheme=1)
    content = param.SerializeToString()
    tag = number << 3 | 2
    field = bytes([tag & 0x7F | 0x80, tag >> 7, len(content)]) + content
    layer = message_class("LayerParameter").FromString(b"\n\x05conv1" + field)
    assert layer.name == "conv1"
    assert not layer.HasField("quantization_param")


FORKS = """
layer { name: "p" type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "n" type: "Normalize" norm_param { across_spatial: false scale_filler { type: "constant" value: 20 } } }
layer { name: "b" type: "PriorBox" prior_box_param { min_size: 30 aspect_ratio: 2 variance: 0.1 step: 8 } }
layer { name: "d" type: "DetectionOutput"
  detection_output_param {
    num_classes: 21 nms_param { nms_threshold: 0.45 top_k: 400 } code_type: CENTER_SIZE keep_top_k: 200
    save_output_param { label_map_file: "map" resize_param { resize_mode: WARP height: 300 } }
  }
}
layer { name: "dw" type: "ConvolutionDepthwise" convolution_param { num_output: 8 kernel_size: 3 group: 8 } }
layer { name: "r" type: "ReLU6" }
layer { name: "u" type: "Upsample" upsample_param { scale: 2 } }
layer { name: "i" type: "Interp" interp_param { zoom_factor: 2 shrink_factor: 1 pad_beg: 0 } }
layer { name: "s" type: "ShuffleChannel" shuffle_channel_param { group: 3 } }
layer { name: "a" type: "Axpy" bottom: "x" bottom: "y" bottom: "z" }
layer { name: "c" type: "Clip" clip_param { min: 0 max: 6 } }
layer { name: "f" type: "Pooling" pooling_param { kernel_size: 2 round_mode: FLOOR } }
layer { name: "g" type: "Pooling" pooling_param { kernel_size: 2 ceil_mode: false } }
"""


def test_layers_of_the_forks_parse() -> None:
    net = text_format.Parse(FORKS, message_class("NetParameter")())
    assert [layer.name for layer in net.layer] == [*"pnbd", "dw", *"ruisacfg"]
    assert net.layer[3].detection_output_param.nms_param.top_k == 400


LEGACY = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  convolution_param { num_output: 2 kernel_size: 3 } include { phase: TEST stage: "a" } }
layers { layer { name: "fc" type: "innerproduct" num_output: 10 biasterm: false } bottom: "conv1" top: "fc" }
"""


def test_legacy_nets_parse() -> None:
    net = text_format.Parse(LEGACY, message_class("NetParameter")())
    assert net.layers[0].type == 4
    assert net.layers[1].layer.num_output == 10


@pytest.mark.shared
def test_every_real_prototxt_parses(shared: Path) -> None:
    paths = sorted(shared.rglob("*.prototxt"))
    assert len(paths) > 15
    for path in paths:
        net = text_format.Parse(path.read_text("utf-8"), message_class("NetParameter")())
        assert len(net.layer) + len(net.layers) > 5, path

"""From prototxt to net: layers, phases, blobs, inputs, and back to text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ristretto.caffe.messages import MessageValues, as_fields
from ristretto.caffe.prototxt import encode, parse, read_text, scan
from ristretto.caffe.reader import OPS, Model, load_weights, read_model
from ristretto.caffe.schema import message_class
from ristretto.caffe.writer import rewritten_text
from ristretto.errors import CaffemodelError, ModelError, PrototxtError
from ristretto.formats import FixedPoint
from ristretto.layers import LAYERS
from ristretto.net import Layer, LayerQuant, Net, NetState, Phase

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n'
CONV = """\
layer {
  name: "conv"
  type: "%s"
  bottom: "data"
  top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 }
%s}
"""
FORMATS = LayerQuant(FixedPoint(8, 7), FixedPoint(8, 5), FixedPoint(4, -1))
Reader = Callable[[str], Model]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def write_and_read(text: str) -> Model:
        path = tmp_path / "net.prototxt"
        path.write_bytes(encode(text))
        return read_model(path)

    return write_and_read


def plain(layer: Layer) -> tuple[Any, ...]:
    """All of a layer that a prototxt says."""
    rules = (layer.include, layer.exclude)
    training = (layer.params, layer.fillers, layer.loss_weights, layer.propagate_down)
    return (layer.name, layer.op, layer.bottoms, layer.tops, rules, layer.quant, training, layer.source)


def same(one: Net, other: Net) -> bool:
    return one.name == other.name and [plain(a) for a in one] == [plain(b) for b in other]


def test_layers_stand_in_the_file_s_order(read: Reader) -> None:
    model = read(
        'name: "n"\n' + DATA + CONV % ("Convolution", "") + CONV.replace('"conv"', '"next"') % ("Convolution", "")
    )
    assert model.net.name == "n"
    assert [(layer.name, layer.type, layer.source) for layer in model.net] == [
        ("data", "Input", 0),
        ("conv", "Convolution", 1),
        ("next", "Convolution", 2),
    ]
    assert model.net["conv"].bottoms == ("data",)
    assert model.net["conv"].tops == ("conv",)
    assert model.notes == ()


# --- phases

RULES = {
    "": lambda phase, level, stages: True,
    "include { phase: TEST }": lambda phase, level, stages: phase == "TEST",
    "exclude { phase: TEST }": lambda phase, level, stages: phase != "TEST",
    "include { }": lambda phase, level, stages: True,
    "exclude { }": lambda phase, level, stages: False,
    "include { phase: TEST } include { phase: TRAIN }": lambda phase, level, stages: True,
    "include { min_level: 1 }": lambda phase, level, stages: level >= 1,
    "include { max_level: 0 }": lambda phase, level, stages: level <= 0,
    "include { min_level: -1 max_level: 1 phase: TRAIN }": lambda phase, level, stages: (
        -1 <= level <= 1 and phase == "TRAIN"
    ),
    'include { stage: "a" stage: "b" }': lambda phase, level, stages: {"a", "b"} <= set(stages),
    'include { stage: "a" } include { stage: "b" }': lambda phase, level, stages: {"a", "b"} & set(stages),
    'include { not_stage: "a" }': lambda phase, level, stages: "a" not in stages,
    'exclude { stage: "a" not_stage: "b" }': lambda phase, level, stages: not ("a" in stages and "b" not in stages),
    'exclude { phase: TRAIN } exclude { min_level: 1 stage: "b" }': lambda phase, level, stages: (
        phase != "TRAIN" and not (level >= 1 and "b" in stages)
    ),
}


@pytest.mark.parametrize("rules", RULES)
def test_rules_choose_a_layer_as_caffe_does(read: Reader, rules: str) -> None:
    layer = read(DATA + CONV % ("Convolution", rules)).net["conv"]
    for phase, level, stages in product(Phase, (-2, 0, 1, 2), ((), ("a",), ("b",), ("a", "b", "c"))):
        state = NetState(phase, level, frozenset(stages))
        assert layer.takes_part(state) is bool(RULES[rules](phase.value, level, stages)), state


def test_include_beside_exclude_is_refused(read: Reader) -> None:
    with pytest.raises(ModelError, match="layer 'conv': include and exclude rules stand together"):
        read(DATA + CONV % ("Convolution", "include { phase: TEST } exclude { phase: TRAIN }"))


def test_a_layer_s_own_phase_is_no_rule_and_is_said(read: Reader) -> None:
    model = read(DATA + CONV % ("Convolution", "phase: TRAIN"))
    assert all(model.net["conv"].takes_part(NetState(phase)) for phase in Phase)
    assert len(model.notes) == 1
    assert "layer 'conv' with a phase of its own" in model.notes[0]


def test_stages_of_the_net_itself_are_refused(read: Reader) -> None:
    with pytest.raises(ModelError, match="sets stages of its own"):
        read('state { phase: TEST stage: "deploy" }\n' + DATA)
    assert read("state { phase: TRAIN level: 3 }\n" + DATA).net["data"].takes_part(NetState(Phase.TEST))


def test_two_data_layers_of_one_name(read: Reader) -> None:
    text = "".join(
        f'layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}\n'
        f'  data_param {{ source: "{phase.lower()}_lmdb" batch_size: {size} backend: LMDB }} }}\n'
        for phase, size in (("TRAIN", 64), ("TEST", 100))
    )
    net = read(text).net
    assert [layer.source for layer in net] == [0, 1]
    for phase, size in ((Phase.TRAIN, 64), (Phase.TEST, 100)):
        (layer,) = net.for_phase(phase)
        assert (layer.op.batch_size, layer.op.source) == (size, f"{phase.value.lower()}_lmdb")  # type: ignore[attr-defined]


# --- blobs


def test_in_place_and_shared_blobs_are_kept(read: Reader) -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
    readers = "".join(f'layer {{ name: "p{n}" type: "Softmax" bottom: "conv" top: "p{n}" }}\n' for n in (1, 2))
    net = read(DATA + CONV % ("Convolution", "") + relu + readers).net.for_phase(Phase.TEST)
    assert net["relu"].bottoms == net["relu"].tops == ("conv",)
    assert [layer.name for layer in net.consumers(net["relu"])] == ["p1", "p2"]
    assert [layer.name for layer in net.consumers(net["conv"])] == ["relu"]
    assert net.outputs == ("p1", "p2")


# --- types


def test_an_unknown_type_names_the_layer_and_lists_the_known_ones(read: Reader) -> None:
    with pytest.raises(ModelError, match="layer 'conv': unknown layer type 'Convolutoin'") as caught:
        read(DATA + CONV % ("Convolutoin", "")).net.for_phase(Phase.TEST)
    for op in LAYERS:
        assert op.type in caught.value.hint
        assert op.quantized_type in caught.value.hint


def test_every_type_is_known_by_its_name() -> None:
    assert all(OPS[op.type] is op for op in LAYERS)


def test_bad_parameters_name_the_layer(read: Reader) -> None:
    with pytest.raises(ModelError, match="layer 'conv': "):
        read((DATA + CONV % ("Convolution", "")).replace("num_output: 2", ""))


def test_a_quantized_layer_s_formats(read: Reader) -> None:
    fields = "bw_layer_in: 8 bw_layer_out: 8 bw_params: 4 fl_layer_in: 7 fl_layer_out: 5 fl_params: -1"
    block = f"quantization_param {{ {fields} }}"
    conv = read(DATA + CONV % ("ConvolutionRistretto", block)).net["conv"]
    assert conv.quant == FORMATS
    assert conv.type == "ConvolutionRistretto"
    assert conv.op.type == "Convolution"
    assert read(DATA + CONV % ("Convolution", block)).net["conv"].quant is None
    wide = FixedPoint(32, 16)
    assert read(DATA + CONV % ("ConvolutionRistretto", "")).net["conv"].quant == LayerQuant(wide, wide, wide)


def test_an_impossible_format_names_the_layer(read: Reader) -> None:
    with pytest.raises(ModelError, match="layer 'conv': a fixed-point word of 40 bits"):
        read(DATA + CONV % ("ConvolutionRistretto", "quantization_param { bw_params: 40 }"))


# --- inputs

INPUTS = {
    "Input layer": 'layer { name: "input" type: "Input" top: "a" top: "b" input_param { shape { dim: 1 dim: 3 dim: 4 '
    "dim: 5 } shape { dim: 1 dim: 2 dim: 1 dim: 1 } } }",
    "input_dim": 'input: "a" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 5 input: "b" input_dim: [1, 2, 1, 1]',
    "input_shape": 'input: ["a", "b"] input_shape { dim: [1, 3, 4, 5] } input_shape { dim: [1, 2, 1, 1] }',
}


@pytest.mark.parametrize("spelling", INPUTS)
def test_inputs(read: Reader, spelling: str) -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "c" }'
    net = read(f"{relu}\n{INPUTS[spelling]}" if spelling != "Input layer" else f"{INPUTS[spelling]}\n{relu}").net
    assert [layer.name for layer in net] == ["input", "relu"]
    test = net.for_phase(Phase.TEST)
    assert test["input"].tops == ("a", "b")
    assert test.shapes({}) == {"input": ((1, 3, 4, 5), (1, 2, 1, 1)), "relu": ((1, 3, 4, 5),)}


@pytest.mark.parametrize(
    "text",
    [
        'input: "a"',
        'input: "a" input_dim: 1 input_dim: 2',
        'input: "a" input_dim: [1, 2, 3, 4, 5]',
        'input: "a" input: "b" input_dim: [1, 2, 3, 4]',
        'input: "a" input_shape { dim: 1 } input_shape { dim: 1 }',
        'input: "a" input_shape { dim: 1 } input_dim: [1, 2, 3, 4]',
    ],
)
def test_inputs_without_the_right_shapes(read: Reader, text: str) -> None:
    with pytest.raises(ModelError, match="input") as caught:
        read(f"{text}\n{DATA}")
    assert caught.value.hint


# --- files


def test_a_file_without_layers(read: Reader) -> None:
    with pytest.raises(ModelError, match="has no layers") as caught:
        read('name: "empty"')
    assert caught.value.hint == ""


def test_a_solver_is_told_apart(read: Reader) -> None:
    with pytest.raises(ModelError, match="has no layers") as caught:
        read('net: "train_val.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nsolver_mode: GPU\n')
    assert "solver" in caught.value.hint


def test_a_v1_file_is_read_and_told(read: Reader) -> None:
    model = read('input: "a" input_dim: [1, 1, 1, 1] layers { name: "relu" type: RELU bottom: "a" top: "b" }')
    assert model.net["relu"].type == "ReLU"
    assert "V1 format" in model.notes[0]


def test_a_wrong_value_has_its_place(read: Reader) -> None:
    with pytest.raises(PrototxtError, match=r"net\.prototxt:7:35: 'num_output' takes a whole number"):
        read(DATA + CONV.replace("num_output: 2", "num_output: 2.5") % ("Convolution", ""))


def test_unknown_fields_are_told(read: Reader) -> None:
    model = read(DATA + CONV.replace("num_output", "winograd: 4 num_output") % ("Convolution", "fast: 1 fast: 2\n"))
    assert model.notes == (
        "line 7: unknown field 'winograd' in convolution_param; it is kept and has no effect here",
        "line 8: unknown field 'fast' in layer, 2 times in all; it is kept and has no effect here",
    )


# --- there and back


def quantized(net: Net) -> Net:
    return replace(net, layers=tuple(replace(layer, quant=FORMATS if layer.op.part else None) for layer in net))


def test_what_is_written_is_read_back(read: Reader) -> None:
    model = read("# \udcfc\n" + DATA + CONV % ("Convolution", "  # by hand\n"))
    net = quantized(model.net)
    text = rewritten_text(model.prototxt, model.net, net)
    again = read(text)
    assert same(again.net, net)
    assert rewritten_text(again.prototxt, again.net, again.net) == text
    assert rewritten_text(again.prototxt, again.net, model.net) == model.prototxt.text


@pytest.mark.shared
def test_real_nets_are_written_and_read_back(shared: Path, read: Reader) -> None:
    seen = 0
    for path in sorted(shared.rglob("*.prototxt")):
        model = read_model(path)
        net = quantized(model.net)
        text = rewritten_text(model.prototxt, model.net, net)
        assert same(read(text).net, net)
        assert rewritten_text(scan(text, ""), net, net) == text
        seen += 1
    assert seen > 15


@pytest.mark.shared
def test_a_real_net_s_phases(shared: Path) -> None:
    net = read_model(shared / "data" / "models" / "lenet" / "train_val.prototxt").net
    train, test = net.for_phase(Phase.TRAIN), net.for_phase(Phase.TEST)
    assert [layer.name for layer in test if layer.name not in [other.name for other in train]] == ["accuracy"]
    assert [layer.source for layer in train if layer.op.is_data] == [0]
    assert [layer.source for layer in test if layer.op.is_data] == [1]
    assert test.outputs == ("accuracy", "loss")


# --- weights


def test_weights_are_found_by_layer_name(read: Reader, tmp_path: Path) -> None:
    net = read(DATA + CONV % ("Convolution", "")).net
    weights = message_class("NetParameter")()
    blob = weights.layer.add(name="conv", type="Other").blobs.add()
    blob.shape.dim.extend([2, 3, 3, 3])
    blob.data.extend([0.5] * 54)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(weights.SerializeToString())
    loaded = load_weights(net, path)
    assert loaded["conv"].blobs[0].shape == (2, 3, 3, 3)
    assert loaded["data"].blobs == ()
    with pytest.raises(ModelError, match="no layer of net '' has weights"):
        load_weights(read(DATA + (CONV % ("Convolution", "")).replace('"conv"', '"other"')).net, path)


def test_a_prototxt_is_no_caffemodel(read: Reader) -> None:
    model = read(DATA)
    with pytest.raises(CaffemodelError):
        load_weights(model.net, model.path)


# --- messages


def test_fields_give_plain_values_with_defaults() -> None:
    message = parse('layer { name: "a" bottom: ["x", "y"] include { phase: TEST } }', "net").layer[0]
    fields = as_fields(message)
    assert fields.present == {"name", "bottom", "include"}
    assert fields.values["bottom"] == ("x", "y")
    assert fields.text("type") == ""
    assert [rule.text("phase") for rule in fields.values["include"]] == ["TEST"]
    pooling = fields.message("pooling_param")
    assert (pooling.text("pool"), pooling.integer("stride"), pooling.present) == ("MAX", 1, frozenset())
    values = fields.values
    assert isinstance(values, MessageValues)
    assert len(values) == len(list(values)) == len(message.DESCRIPTOR.fields)
    with pytest.raises(KeyError):
        values["no such field"]


def test_the_text_s_layers_are_the_message_s(read: Reader) -> None:
    model = read(DATA + CONV % ("Convolution", ""))
    assert read_text(model.path) == model.prototxt.text
    assert len(model.prototxt.layers) == len(model.net.layers)

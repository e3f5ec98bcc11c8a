"""InitWeights: which filler goes to which blob, and what the random numbers depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ristretto.caffe.reader import read_model
from ristretto.errors import ModelError
from ristretto.layers import LAYERS
from ristretto.net import Net, Op, Phase
from ristretto.passes import InitWeights

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 4, 6, 6] } } }\n'
SECOND = 'layer { name: "z" type: "Input" top: "z" input_param { shape { dim: 4 } } }\n'


def read(folder: Path, text: str) -> Net:
    path = folder / "net.prototxt"
    path.write_text(text, "utf-8")
    return read_model(path).net.for_phase(Phase.TEST)


def layer(name: str, kind: str, settings: str = "", bottoms: str = 'bottom: "x"') -> str:
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{name}" {settings} }}\n'


CONSTANTS = [
    ("Convolution", "convolution_param {{ num_output: 8 kernel_size: 3 weight_filler {0} bias_filler {1} }}", [2, 3]),
    ("Convolution", "convolution_param {{ num_output: 8 kernel_size: 3 bias_term: false weight_filler {0} }}", [2]),
    ("Convolution", "convolution_param {{ num_output: 8 kernel_size: 3 }}", [0, 0]),
    ("Deconvolution", "convolution_param {{ num_output: 8 kernel_size: 3 weight_filler {0} bias_filler {1} }}", [2, 3]),
    ("DepthwiseConvolution", "convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {0} }}", [2, 0]),
    ("ConvolutionDepthwise", "convolution_param {{ num_output: 4 kernel_size: 3 bias_filler {1} }}", [0, 3]),
    ("InnerProduct", "inner_product_param {{ num_output: 8 weight_filler {0} bias_filler {1} }}", [2, 3]),
    ("Embed", "embed_param {{ num_output: 8 input_dim: 5 weight_filler {0} bias_filler {1} }}", [2, 3]),
    ("BatchNorm", "", [0, 1, 1]),
    ("Scale", "scale_param {{ bias_term: true filler {0} bias_filler {1} }}", [2, 3]),
    ("Scale", "scale_param {{ bias_term: true }}", [1, 0]),
    ("Scale", "scale_param {{ filler {0} }}", [2]),
    ("Bias", "bias_param {{ filler {0} }}", [2]),
    ("Bias", "", [0]),
    ("PReLU", "prelu_param {{ filler {0} }}", [2]),
    ("PReLU", "prelu_param {{ channel_shared: true }}", [0.25]),
    ("Normalize", "norm_param {{ scale_filler {0} }}", [2]),
    ("Normalize", "", [1]),
]
"""Layer type, settings ({0} and {1} stand for fillers with 2 and 3), what the blobs then hold."""


@pytest.mark.parametrize(("kind", "settings", "values"), CONSTANTS)
def test_each_blob_gets_its_filler_or_caffes_default(tmp_path: Path, kind: str, settings: str, values: list) -> None:
    net = InitWeights()(read(tmp_path, INPUT + layer("y", kind, settings.format("{ value: 2 }", "{ value: 3 }"))))
    assert [np.unique(blob).tolist() for blob in net["y"].blobs] == [[value] for value in values]
    net.shapes({})
    assert not any(blob.flags.writeable for blob in net["y"].blobs)


def test_every_layer_type_with_weights_says_how_to_fill_them() -> None:
    with_weights = {op.type for op in LAYERS if op.blob_shapes is not Op.blob_shapes}
    assert {kind for kind, *_ in CONSTANTS} == with_weights
    assert {op.type for op in LAYERS if op.parse_fillers.__func__ is not Op.parse_fillers.__func__} == with_weights


def test_a_scale_by_its_second_bottom_has_the_bias_alone(tmp_path: Path) -> None:
    settings = "scale_param { axis: 1 bias_term: true filler { value: 2 } bias_filler { value: 3 } }"
    net = InitWeights()(read(tmp_path, INPUT + SECOND + layer("y", "Scale", settings, 'bottom: "x" bottom: "z"')))
    assert [np.unique(blob).tolist() for blob in net["y"].blobs] == [[3]]


CONV = 'convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } bias_filler {type: "msra"} }'


def test_a_layer_depends_on_its_name_alone(tmp_path: Path) -> None:
    """And on the seed; not on the layers around it."""
    one = InitWeights(5)(read(tmp_path, INPUT + layer("a", "Convolution", CONV) + layer("b", "Convolution", CONV)))
    two = InitWeights(5)(read(tmp_path, INPUT + layer("b", "Convolution", CONV)))
    np.testing.assert_array_equal(one["b"].blobs[0], two["b"].blobs[0])
    np.testing.assert_array_equal(one["b"].blobs[1], two["b"].blobs[1])
    assert (one["a"].blobs[0] != one["b"].blobs[0]).all()
    assert (one["a"].blobs[0].ravel()[:8] != one["a"].blobs[1]).all()
    other = InitWeights(6)(read(tmp_path, INPUT + layer("b", "Convolution", CONV)))
    assert (other["b"].blobs[0] != two["b"].blobs[0]).all()


def test_numbers_of_one_seed_stay_what_they_are(tmp_path: Path) -> None:
    """The first of them, as this test found them: a later version must not give other files for a seed."""
    net = InitWeights(1)(read(tmp_path, INPUT + layer("conv", "Convolution", CONV)))
    weights, bias = net["conv"].blobs
    np.testing.assert_allclose(weights.ravel()[:3], [0.2086938, -0.2113511, -0.1529217], rtol=1e-6)
    np.testing.assert_allclose(bias[:3], [-2.434389, -0.5194027, 1.945029], rtol=1e-6)


def test_weights_there_are_replaced(tmp_path: Path) -> None:
    net = read(tmp_path, INPUT + layer("y", "Bias", "bias_param { filler { value: 2 } }"))
    odd = replace(net, layers=tuple(replace(x, blobs=(np.zeros((9, 9), np.float32),)) for x in net if x.name == "y"))
    full = replace(net, layers=(net["x"], odd["y"]))
    assert InitWeights()(full)["y"].blobs[0].tolist() == [2, 2, 2, 2]


def test_inputs_of_undeclared_shape(tmp_path: Path) -> None:
    text = 'layer { name: "d" type: "Data" top: "x" data_param { source: "none" batch_size: 2 backend: LMDB } }'
    net = read(tmp_path, text + layer("y", "Bias"))
    assert InitWeights(inputs={"x": (2, 5)})(net)["y"].blobs[0].shape == (5,)
    with pytest.raises(ModelError, match="layer 'd': the shape of its top 'x' is not known"):
        InitWeights()(net)


def test_errors_name_the_layer(tmp_path: Path) -> None:
    net = read(tmp_path, INPUT + layer("y", "Bias", 'bias_param { filler { type: "odd" } }'))
    with pytest.raises(ModelError, match="layer 'y': unknown filler 'odd'") as caught:
        InitWeights()(net)
    assert "xavier" in caught.value.hint


def test_shared_weights_are_refused(tmp_path: Path) -> None:
    named = 'param { name: "w" } ' + CONV
    net = read(tmp_path, INPUT + layer("a", "Convolution", named) + layer("b", "Convolution", named))
    with pytest.raises(ModelError, match="layer 'b': shares the weights 'w' with layer 'a'"):
        InitWeights()(net)

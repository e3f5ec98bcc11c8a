from __future__ import annotations

from pathlib import Path

import pytest

from ristretto.caffe.reader import OPS, read_model
from ristretto.errors import ModelError
from ristretto.layers.unsupported import UNSUPPORTED
from ristretto.net import Phase


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_a_layer_left_out_on_purpose_is_named_with_the_reason(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(f'layer {{ name: "strange" type: "{kind}" top: "x" }}')
    with pytest.raises(ModelError) as caught:
        read_model(path).net.for_phase(Phase.TEST)
    assert caught.value.layer == "strange"
    assert str(caught.value) == f"layer 'strange': {kind} layers are not supported: {UNSUPPORTED[kind].reason}"
    assert caught.value.hint == UNSUPPORTED[kind].hint


@pytest.mark.parametrize("kind", ["LSTM", "RNN", "Recurrent", "Python"])
def test_the_table_has_the_types_that_nets_are_known_to_have(kind: str) -> None:
    assert kind in UNSUPPORTED


def test_no_type_is_both_supported_and_left_out() -> None:
    assert not UNSUPPORTED.keys() & OPS.keys()


def test_any_other_type_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text('layer { name: "odd" type: "Convolutoin" }')
    with pytest.raises(ModelError, match="layer 'odd': unknown layer type 'Convolutoin'"):
        read_model(path).net.for_phase(Phase.TEST)


@pytest.mark.parametrize("kind", ["MultiBoxLoss", "NoSuchLayer"])
def test_a_phase_runs_without_the_layers_of_the_other(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "net.prototxt"
    layer = f'layer {{ name: "late" type: "{kind}" bottom: "x" top: "y" include {{ phase: TRAIN }} }}'
    path.write_text(f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 }} }} }} {layer}')
    net = read_model(path).net
    assert [layer.name for layer in net.for_phase(Phase.TEST)] == ["x"]
    with pytest.raises(ModelError, match=f"layer 'late': .*{kind}"):
        net.for_phase(Phase.TRAIN)


@pytest.mark.parametrize(
    ("quantized", "plain"), [("ConvolutionRistretto", "Convolution"), ("FcRistretto", "InnerProduct")]
)
def test_a_quantized_type_is_read_as_what_it_was_made_for(quantized: str, plain: str) -> None:
    """Depthwise convolutions are written as ConvolutionRistretto too."""
    assert OPS[quantized] is OPS[plain]

"""``ristretto upgrade``, and old files through the other commands."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from ristretto.caffe.printer import print_message
from ristretto.caffe.prototxt import parse
from ristretto.caffe.schema import message_class
from ristretto.cli.main import main

V1 = """\
name: "old"  # of 2014
input: "data"
input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" blobs_lr: 1 inner_product_param { num_output: 2 } }
"""

TODAY = """\
name: "old"
layer {
  name: "input"
  type: "Input"
  top: "data"
  input_param {
    shape {
      dim: 1
      dim: 1
      dim: 4
      dim: 4
    }
  }
}
layer {
  name: "ip"
  type: "InnerProduct"
  bottom: "data"
  top: "ip"
  param {
    lr_mult: 1
  }
  inner_product_param {
    num_output: 2
  }
}
"""


def caffemodel() -> bytes:
    net = message_class("NetParameter")(name="old")
    layer = net.layers.add(name="ip", type="INNER_PRODUCT")
    layer.blobs.add(num=1, channels=1, height=2, width=16, data=range(32))
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    return bytes(net.SerializeToString())


def upgrade(*words: object) -> int:
    return main(["upgrade", *map(str, words)])


def test_a_prototxt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").write_text(V1)
    assert upgrade(tmp_path / "old", tmp_path / "folder" / "new", "--json", tmp_path / "data.json") == 0
    assert (tmp_path / "folder" / "new").read_text() == TODAY
    assert (tmp_path / "old").read_text() == V1
    out, err = capsys.readouterr()
    assert "V1 layers" in out
    assert "comments and spacing" in err
    data = json.loads((tmp_path / "data.json").read_text())
    assert (data["kind"], data["version"]) == ("prototxt", "V1")
    assert [change["layers"] for change in data["changes"]] == [["ip"], []]


def test_a_caffemodel_whatever_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.prototxt").write_bytes(caffemodel())
    assert upgrade(tmp_path / "old.prototxt", tmp_path / "new", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "caffemodel"
    net = message_class("NetParameter").FromString((tmp_path / "new").read_bytes())
    assert [(layer.name, layer.type) for layer in net.layer] == [("ip", "InnerProduct")]
    assert [list(blob.shape.dim) for blob in net.layer[0].blobs] == [[2, 16], [2]]


def test_hdf5_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["data/ip/0"] = np.ones((2, 16), np.float32)
    assert upgrade(tmp_path / "old.h5", tmp_path / "new") == 0
    net = message_class("NetParameter").FromString((tmp_path / "new").read_bytes())
    assert list(net.layer[0].blobs[0].shape.dim) == [2, 16]
    assert "names and weights only" in capsys.readouterr().err


def test_a_solver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").write_text('net: "n" base_lr: 0.01 solver_type: NESTEROV speed: 9')
    assert upgrade(tmp_path / "old", tmp_path / "new") == 0
    assert (tmp_path / "new").read_text() == 'base_lr: 0.01\nnet: "n"\ntype: "Nesterov"\n'
    assert "field 'speed' on line 1" in capsys.readouterr().err


@pytest.mark.parametrize("content", [TODAY.encode() + b"# kept\r\n", b'net: "n" type: "Adam"'])
def test_a_file_of_today_is_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "old").write_bytes(content)
    assert upgrade(tmp_path / "old", tmp_path / "new") == 0
    assert (tmp_path / "new").read_bytes() == content
    assert "nothing to upgrade" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'name: "x"', "has no layers"),
        (b"layers { type: CONV }", ":1:16: 'type' takes one of"),
        (b"\xff\xfen\0a\0", "UTF-16"),
        (caffemodel()[:-3], "truncated or corrupt"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        (None, "No such file"),
    ],
)
def test_a_bad_file_is_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "old").write_bytes(content)
    assert upgrade(tmp_path / "old", tmp_path / "new") == 1
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ") and said in first
    assert [line for line in rest if not line.startswith("hint: ")] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ([] if content is None else ["old"])


def test_the_input_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").write_text(V1)
    assert upgrade(tmp_path / "old", tmp_path / "old") == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert (tmp_path / "old").read_text() == V1


def test_inspect_reads_an_old_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").write_text(V1)
    (tmp_path / "weights").write_bytes(caffemodel())
    assert main(["inspect", "--model", str(tmp_path / "old"), "--weights", str(tmp_path / "weights")]) == 0
    out = capsys.readouterr().out
    assert "InnerProduct" in out and "34" in out
    assert "comments and spacing" in out


# --- A real net of 2014


@pytest.mark.shared
def test_lenet_of_2014_scores_as_caffe_scored_it(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = shared / "data" / "models" / "lenet_v1"
    words = ["--model", net / "train_val.prototxt", "--weights", net / "lenet_v1.caffemodel", "--iterations", "100"]
    assert main(["test", *map(str, words)]) == 0
    assert "accuracy = 0.9905\n" in capsys.readouterr().out


@pytest.mark.shared
def test_lenet_of_2014_is_quantized_in_today_s_format(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = shared / "data" / "models" / "lenet_v1"
    new = tmp_path / "upgraded"
    for name in ("train_val.prototxt", "lenet_v1.caffemodel"):
        assert upgrade(old / name, new / name) == 0
    texts = []
    for folder, told in ((old, True), (new, False)):
        out = tmp_path / f"{folder.name}.prototxt"
        files = ["--model", folder / "train_val.prototxt", "--weights", folder / "lenet_v1.caffemodel"]
        options = ["--preset", "original", "--iterations", "3", "--model_quantized", out]
        capsys.readouterr()
        assert main(["quantize", *map(str, files + options)]) in (0, 3)
        assert ("comments and spacing" in capsys.readouterr().err) is told
        texts.append(out.read_text())
    assert texts[0] == texts[1]

    # The same net as the fork wrote it, from a training of its own: the data and the size of the weights agree, so the
    # integer lengths do. How many bits a search grants is another matter.
    golden = (shared / "golden" / "fork" / "lenet_dynamic_fixed_point_m1.prototxt").read_text()
    ours, forks = parse(texts[0], "ours"), parse(golden, "fork")
    lengths: list[list[tuple[int, int]]] = [[], []]
    for net, found in zip((ours, forks), lengths, strict=True):
        for layer in net.layer:
            if layer.HasField("quantization_param"):
                param = layer.quantization_param
                found.append((param.bw_params - param.fl_params, param.bw_layer_in - param.fl_layer_in))
                layer.ClearField("quantization_param")
    assert len(lengths[0]) == 4
    assert lengths[0] == lengths[1]
    assert print_message(ours) == print_message(forks)

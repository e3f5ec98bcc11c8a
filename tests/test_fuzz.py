"""Whatever lies in a file, a command ends in a result or in one clear line: no traceback, no hang, no flood of memory.

Prototxts, weights, records, mean files and arrays are damaged, by structure and by bytes, and go through every command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ristretto.caffe.datum import Datum, write_datum
from ristretto.caffe.schema import message_class
from tests import fuzzing
from tests.fuzzing import NETS, chain, commands, run, spoilt_bytes, spoilt_messages, spoilt_texts

FACTOR = int(os.environ.get("RISTRETTO_FUZZ", "1"))
"""By how much more is tried than by default; several thousand examples with 10."""


def examples(count: int) -> settings:
    """So many examples, times `FACTOR`."""
    return settings(
        max_examples=count * FACTOR,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nets, weights and data, as they should be; every command has run on each once, so that all is compiled."""
    folder = tmp_path_factory.mktemp("fuzz")
    fuzzing.make_files(folder)
    for name in NETS:
        for command in ("inspect", "test", "fold"):
            weights = folder / f"{name}.caffemodel"
            options = ["--iterations", "1"] if command == "test" else []
            wanted = 1 if name == "v0" and command == "test" else 0
            assert chain(folder, [command, *options], folder / f"{name}.prototxt", weights).code == wanted, name
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def prototxt(folder: Path, text: str) -> Path:
    """Write a prototxt that is to be tried."""
    path = folder / "spoilt.prototxt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def try_all(folder: Path, text: str, command: list[str], weights: Path) -> None:
    """Run a command on a prototxt, with weights that were made for it where that goes."""
    model = prototxt(folder, text)
    run(["inspect", "--model", model])
    if chain(folder, ["init-weights"], model, weights).code == 0:
        weights = Path(shutil.copy(folder / "out.caffemodel", folder / "fresh.caffemodel"))
    chain(folder, command, model, weights)


@examples(60)
@given(data=st.data())
def test_spoilt_prototxts(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(NETS)))
    text = data.draw(spoilt_texts(NETS[name]))
    try_all(folder, text, data.draw(commands()), folder / f"{name}.caffemodel")


@examples(60)
@given(text=fuzzing.one_layer_nets(), command=commands(("test", "quantize", "test", "fold")))
def test_layers_of_every_type_with_odd_settings(folder: Path, text: str, command: list[str]) -> None:
    try_all(folder, text, command, folder / "plain.caffemodel")


@examples(60)
@given(data=st.data())
def test_spoilt_weights(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(NETS)))
    whole = (folder / f"{name}.caffemodel").read_bytes()
    ways = (spoilt_bytes(whole), spoilt_messages(whole, "NetParameter"))
    weights = folder / "spoilt.caffemodel"
    weights.write_bytes(data.draw(st.one_of(ways)))
    model = folder / f"{name}.prototxt"
    chain(folder, data.draw(commands(("inspect", "test", "quantize", "fold"))), model, weights)
    run(["upgrade", weights, folder / "upgraded"], [folder / "upgraded"])


@examples(30)
@given(data=st.data())
def test_spoilt_hdf5_weights(folder: Path, data: st.DataObject) -> None:
    weights = folder / "spoilt.h5"
    weights.write_bytes(data.draw(spoilt_bytes((folder / "v1.h5").read_bytes())))
    chain(folder, data.draw(commands(("inspect", "test", "fold"))), folder / "v1.prototxt", weights)
    run(["upgrade", weights, folder / "upgraded"], [folder / "upgraded"])


@examples(40)
@given(data=st.data())
def test_spoilt_records(folder: Path, data: st.DataObject) -> None:
    png = (folder / "0.png").read_bytes()
    whole = (
        write_datum(Datum(3, 8, 8, data=bytes(192), label=1)),
        write_datum(Datum(3, 8, 8, data=png, label=1, encoded=True)),
        message_class("Datum")(channels=3, height=8, width=8, float_data=[0.5] * 192).SerializeToString(),
    )
    records = []
    for _ in range(data.draw(st.integers(1, 3))):
        kept = data.draw(st.sampled_from(whole))
        ways = (st.just(kept), spoilt_bytes(kept), spoilt_messages(kept, "Datum"))
        records.append(data.draw(st.one_of(ways)) or b"\0")
    fuzzing.rewrite_lmdb(folder, records)
    name = data.draw(st.sampled_from(("plain", "normed", "dynamic_fixed_point")))
    command = data.draw(commands(("test", "quantize")))
    chain(folder, command, folder / f"{name}.prototxt", folder / f"{name}.caffemodel")


@examples(30)
@given(data=st.data())
def test_spoilt_databases(folder: Path, data: st.DataObject) -> None:
    whole = folder / "lmdb" / "whole"
    if not whole.exists():
        shutil.copy(folder / "lmdb" / "data.mdb", whole)
    (folder / "lmdb" / "data.mdb").write_bytes(data.draw(spoilt_bytes(whole.read_bytes())))
    chain(folder, ["test", "--iterations", "2"], folder / "plain.prototxt", folder / "plain.caffemodel")


@examples(30)
@given(data=st.data())
def test_spoilt_mean_files(folder: Path, made: Path, data: st.DataObject) -> None:
    whole = (made / "mean").read_bytes()
    (folder / "mean").write_bytes(data.draw(st.one_of(spoilt_bytes(whole), spoilt_messages(whole, "BlobProto"))))
    chain(folder, data.draw(commands(("test", "inspect"))), folder / "plain.prototxt", folder / "plain.caffemodel")


@examples(40)
@given(data=st.data())
def test_spoilt_arrays_and_pictures(folder: Path, made: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(("rows.npz", "rows.npy", "rows.h5", "0.png", "list.txt", "h5s")))
    (folder / name).write_bytes(data.draw(spoilt_bytes((made / name).read_bytes())))
    fed = {"0.png": "list.txt", "h5s": "rows.h5"}.get(name, name)
    # The whole of the other files, whatever an example before this one left.
    for other in {"rows.npz", "rows.npy", "rows.h5", "0.png", "list.txt", "h5s"} - {name}:
        shutil.copy(made / other, folder / other)
    command = data.draw(commands(("test",)))
    net = data.draw(st.sampled_from(("plain", "hdf5", "images")))
    more = [] if net != "plain" else ["--data", folder / fed]
    chain(folder, command, folder / f"{net}.prototxt", folder / f"{net}.caffemodel", more)


@examples(40)
@given(data=st.data())
def test_upgrading_what_is_spoilt(folder: Path, data: st.DataObject) -> None:
    text = data.draw(spoilt_texts(NETS[data.draw(st.sampled_from(("v0", "v1", "plain")))]))
    run(["upgrade", prototxt(folder, text), folder / "upgraded"], [folder / "upgraded"])


HUGE = {
    "num_output": ("num_output: 4", "num_output: 2147483647"),
    "outputs of an inner product": ("num_output: 3", "num_output: 1000000000"),
    "kernel": ("kernel_size: 3", "kernel_size: 100000 pad_h: 0"),
    "kernel with its padding": ("kernel_size: 3\n    stride: 1\n    pad: 1", "kernel_size: 100001 pad: 50000"),
    "padding": ("stride: 1\n    pad: 1", "stride: 100000 pad: 50000"),
    "pooling": ("kernel_size: 2\n    stride: 2", "kernel_size: 2147483647 pad: 2147483646"),
    "batch": ("batch_size: 2", "batch_size: 1000000000"),
    "batch that nearly fits": ("batch_size: 2", "batch_size: 3000000"),
    "dummy data": ("dim: 2 dim: 3", "dim: 1000000 dim: 3000"),
    "one dimension": ("dim: 2 dim: 3", "dim: 9223372036854775807 dim: 3"),
    "crop": ("crop_size: 8", "crop_size: 2147483647"),
    "picture": ("new_height: 8\n    new_width: 8", "new_height: 1000000 new_width: 1000000"),
    "input": ("input_dim: 8\ninput_dim: 8", "input_dim: 2147483647 input_dim: 2147483647"),
}
"""What asks for more memory than there is: what is replaced by what."""

EIGHT_BITS = " quantization_param { bw_layer_in: 8 bw_layer_out: 8 bw_params: 8 }"

HUGE_LAYERS = (
    'type: "ConvolutionRistretto" convolution_param { num_output: 1 kernel_size: 1 stride: 200000 pad: 100000 }'
    + EIGHT_BITS,
    'type: "ConvolutionRistretto" convolution_param { num_output: 1 kernel_size: 3 dilation: 50000 pad: 50000 }'
    + EIGHT_BITS,
    'type: "ConvolutionRistretto" convolution_param { num_output: 1 kernel_size: 1000 pad: 500 }' + EIGHT_BITS,
    'type: "ConvolutionRistretto" convolution_param { num_output: 1 kernel_size: 64 pad: 64 }' + EIGHT_BITS,
    'type: "DeconvolutionRistretto" convolution_param { num_output: 1 kernel_size: 1 stride: 100000 pad: 150000 }'
    + EIGHT_BITS,
    'type: "DeconvolutionRistretto" convolution_param { num_output: 1 kernel_size: 3000 stride: 1000 }' + EIGHT_BITS,
    'type: "Deconvolution" convolution_param { num_output: 1 kernel_size: 1 stride: 100000 pad: 150000 }',
    'type: "Convolution" convolution_param { num_output: 1 kernel_size: 200 pad: 300 }',
    'type: "Pooling" pooling_param { kernel_size: 3000 pad: 2999 stride: 1 pool: AVE }',
    'type: "Upsample" upsample_param { scale: 100000 }',
    'type: "Tile" tile_param { tiles: 1000000000 }',
    'type: "Interp" interp_param { height: 1000000 width: 1000000 }',
    'type: "Interp" interp_param { zoom_factor: 1000000 }',
    'type: "Embed" embed_param { input_dim: 1000000000 num_output: 1000 }',
    'type: "ArgMax" argmax_param { top_k: 2147483647 }',
    'type: "LRN" lrn_param { local_size: 2147483647 }',
    'type: "LRN" lrn_param { local_size: 2147483647 norm_region: WITHIN_CHANNEL }',
    'type: "Deconvolution" convolution_param { num_output: 1 kernel_size: 1 stride: 1000000 }',
    'type: "Deconvolution" convolution_param { num_output: 1 kernel_size: 1 stride: 100000 pad: 300000 }',
    'type: "Deconvolution" convolution_param { num_output: 1 kernel_size: 7000 pad: 3500 }',
    'type: "Convolution" convolution_param { num_output: 1 kernel_size: 3 dilation: 100000 pad: 100000 }',
    'type: "Convolution" convolution_param { num_output: 1 kernel_size: 1 stride: 200000 pad: 100000 }',
    'type: "Pooling" pooling_param { kernel_size: 100000 pad: 50000 stride: 100000 pool: AVE }',
    'type: "Pooling" pooling_param { kernel_size: 100000 pad: 99999 stride: 1 }',
    'type: "PriorBox" bottom: "data" prior_box_param { ' + "min_size: 3 " * 3000 + "}",
)
"""The same of layers that none of the nets has."""


@pytest.mark.parametrize("change", HUGE)
@pytest.mark.parametrize("executor", ["integer", "float"])
def test_what_asks_for_too_much_memory(folder: Path, change: str, executor: str) -> None:
    old, new = HUGE[change]
    texts = [text.replace(old, new) for text in NETS.values() if old in text]
    assert texts
    for text in texts:
        try_all(folder, text, ["test", "--iterations", "1", "--executor", executor], folder / "plain.caffemodel")


@pytest.mark.parametrize("layer", HUGE_LAYERS)
@pytest.mark.parametrize("executor", ["integer", "simulate", "float"])
def test_layers_that_ask_for_too_much_memory(folder: Path, layer: str, executor: str) -> None:
    text = NETS["plain"].replace('bottom: "pool"', 'bottom: "new"')
    text = text.replace(
        'layer {\n  name: "fc"', f'layer {{ name: "new" bottom: "pool" top: "new" {layer} }}\nlayer {{\n  name: "fc"'
    )
    try_all(folder, text, ["test", "--iterations", "1", "--executor", executor], folder / "plain.caffemodel")


@pytest.mark.slow
def test_five_times_as_much(repo: Path) -> None:
    words = ["-q", "-p", "no:cacheprovider", "-k", "spoilt or odd_settings", str(Path(__file__))]
    environment = os.environ | {"RISTRETTO_FUZZ": "5"}
    command = [sys.executable, "-m", "pytest", *words]
    done = subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-20000:]

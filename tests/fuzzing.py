"""Spoilt files for the fuzz tests: tiny nets of every kind, ways of damaging them, and the promises about bad input."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import h5py
import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import strategies as st

from ristretto.caffe.datum import Datum
from ristretto.caffe.messages import is_repeated
from ristretto.caffe.schema import message_class
from ristretto.cli.main import main
from ristretto.data import write_lmdb
from ristretto.layers import LAYERS
from ristretto.search import MODES, PRESETS

SECONDS = 90
"""What one command may take."""
BYTES = 2 << 30
"""The address space that one command may take on top of what the process has."""

TYPES = sorted({op.type for op in LAYERS} | {op.quantized_type for op in LAYERS if op.quantized_type} | {"LSTM", "X"})
NUMBERS = ("0", "-1", "1", "2", "3", "7", "2147483647", "-2147483648", "1000000000", "100000", "65536", "4294967295")
REALS = ("0", "-1", "1", "0.5", "3", "1e38", "-1e38", "1e-40", "nan", "inf", "-inf", "2147483647", "100000")
WORDS = ("data", "label", "conv", "fc", "acc", "loss", "", "nothing", "MAX", "AVE", "TEST", "xavier", "a\\nb", "\\377")

# --- Nets

_PHASES = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "lmdb" batch_size: 2 backend: LMDB } transform_param { crop_size: 8 mirror: true } }
"""
_DATA = """
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  include { phase: TEST }
  data_param {
    source: "lmdb"
    batch_size: 2
    backend: LMDB
  }
  transform_param {
    scale: 0.01
    crop_size: 8
    mean_file: "mean"
  }
}
"""
_CONV = """
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  convolution_param {
    num_output: 4
    kernel_size: 3
    stride: 1
    pad: 1
    weight_filler { type: "xavier" }
    bias_filler { type: "constant" value: 0.1 }
  }
}
"""
_POOL = """
layer {
  name: "pool"
  type: "Pooling"
  bottom: "conv"
  top: "pool"
  pooling_param {
    pool: MAX
    kernel_size: 2
    stride: 2
  }
}
"""
_SCORE = """
layer {
  name: "fc"
  type: "InnerProduct"
  bottom: "pool"
  top: "fc"
  inner_product_param {
    num_output: 3
    weight_filler { type: "xavier" }
  }
}
layer {
  name: "acc"
  type: "Accuracy"
  bottom: "fc"
  bottom: "label"
  top: "acc"
  accuracy_param { top_k: 1 }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "fc"
  bottom: "label"
  top: "loss"
}
"""
_NORMED = """
layer {
  name: "bn"
  type: "BatchNorm"
  bottom: "conv"
  top: "conv"
  batch_norm_param { eps: 1e-5 }
}
layer {
  name: "scale"
  type: "Scale"
  bottom: "conv"
  top: "conv"
  scale_param { axis: 1 bias_term: true }
}
layer {
  name: "relu"
  type: "ReLU"
  bottom: "conv"
  top: "conv"
}
"""
_LRN = """
layer {
  name: "norm"
  type: "LRN"
  bottom: "conv"
  top: "conv"
  lrn_param {
    local_size: 3
    alpha: 0.1
    beta: 0.75
    norm_region: ACROSS_CHANNELS
  }
}
"""
_UP = """
layer {
  name: "up"
  type: "Deconvolution"
  bottom: "data"
  top: "conv"
  convolution_param {
    num_output: 3
    kernel_size: 2
    stride: 2
    group: 3
    weight_filler { type: "bilinear" }
  }
}
"""
_QUANTIZED = """
  quantization_param {
    precision: DYNAMIC_FIXED_POINT
    bw_layer_in: 8
    bw_layer_out: 8
    bw_params: 8
    fl_layer_in: 5
    fl_layer_out: 4
    fl_params: 6
  }
}
"""
_PRECISIONS = ("DYNAMIC_FIXED_POINT", "MINIFLOAT", "INTEGER_POWER_OF_2_WEIGHTS")
_H5 = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "h5s" batch_size: 2 } }'
_DUMMY = """
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 2 dim: 3 dim: 8 dim: 8 }
    shape { dim: 2 }
    data_filler { type: "gaussian" std: 1 }
    data_filler { type: "constant" value: 1 }
  }
}
"""
_IMAGES = """
layer {
  name: "data"
  type: "ImageData"
  top: "data"
  top: "label"
  image_data_param {
    source: "list.txt"
    batch_size: 2
    new_height: 8
    new_width: 8
  }
}
"""
_V1 = """
name: "old"
layers { name: "data" type: DATA top: "data" top: "label"
  data_param { source: "lmdb" batch_size: 2 scale: 0.01 backend: LMDB } }
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { name: "pool" type: POOLING bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layers { name: "fc" type: INNER_PRODUCT bottom: "pool" top: "fc" inner_product_param { num_output: 3 } }
layers { name: "acc" type: ACCURACY bottom: "fc" bottom: "label" top: "acc" }
"""
_V0 = """
name: "older"
input: "data"
input_dim: 2
input_dim: 3
input_dim: 8
input_dim: 8
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv" type: "conv" num_output: 4 group: 1 kernelsize: 5 stride: 1 biasterm: true
  weight_filler { type: "gaussian" std: 0.01 } blobs_lr: 1. } bottom: "pad1" top: "conv" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv" top: "conv" }
layers { layer { name: "pool" type: "pool" pool: MAX kernelsize: 3 stride: 2 } bottom: "conv" top: "pool" }
layers { layer { name: "fc" type: "innerproduct" num_output: 3 } bottom: "pool" top: "fc" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc" top: "prob" }
"""


def _quantized(precision: str) -> str:
    settings = _QUANTIZED.replace(_PRECISIONS[0], precision)
    conv = _CONV.replace('"Convolution"', '"ConvolutionRistretto"').rstrip().removesuffix("}") + settings
    fc, *rest = _SCORE.split("\nlayer")[1:]
    fc = fc.replace('"InnerProduct"', '"FcRistretto"').rstrip().removesuffix("}") + settings
    return _DATA + conv + _POOL + "\nlayer".join(["", fc, *rest])


NETS: dict[str, str] = {
    "plain": _PHASES + _DATA + _CONV + _POOL + _SCORE,
    "normed": _DATA + _CONV + _NORMED + _POOL + _SCORE,
    "lrn": _DATA + _CONV + _LRN + _POOL + _SCORE,
    "up": _DATA + _UP + _POOL + _SCORE,
    "dummy": _DUMMY + _CONV + _POOL + _SCORE,
    "hdf5": _H5 + _CONV + _POOL + _SCORE,
    "images": _IMAGES + _CONV + _POOL + _SCORE,
    "v1": _V1,
    "v0": _V0,
    **{precision.lower(): _quantized(precision) for precision in _PRECISIONS},
}
"""Prototxts by name."""


def make_files(folder: Path) -> None:
    """Make what the nets read, and their weights: ``NAME.prototxt``, ``NAME.caffemodel`` and the data."""
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (4, 3, 8, 8), np.uint8)
    write_lmdb(folder / "lmdb", [Datum(3, 8, 8, data=p.tobytes(), label=i % 3) for i, p in enumerate(pictures)])
    mean = message_class("BlobProto")(num=1, channels=3, height=8, width=8, data=[100.0] * 192)
    (folder / "mean").write_bytes(mean.SerializeToString())
    arrays = {"data": (pictures / 255).astype(np.float32), "label": np.arange(4, dtype=np.float32) % 3}
    with h5py.File(folder / "rows.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    (folder / "h5s").write_text("rows.h5\n")
    np.savez(folder / "rows.npz", **arrays)
    np.save(folder / "rows.npy", arrays["data"])
    write_png(folder / "0.png", pictures[0])
    (folder / "list.txt").write_text("0.png 0\n0.png 1\n")
    for name, text in NETS.items():
        model, weights = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
        model.write_text(text)
        assert main(["init-weights", "--model", str(model), "--weights_out", str(weights)]) == 0, name
    net = message_class("NetParameter").FromString((folder / "v1.caffemodel").read_bytes())
    old = message_class("NetParameter")(name="old")
    with h5py.File(folder / "v1.h5", "w") as file:
        for layer in net.layer:
            moved = old.layers.add(name=layer.name, type=layer.type.upper().replace("INNERPRODUCT", "INNER_PRODUCT"))
            for index, blob in enumerate(layer.blobs):
                shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                moved.blobs.add(
                    num=shape[0], channels=shape[1], height=shape[2], width=shape[3], data=blob.data, diff=[0.0]
                )
                file[f"data/{layer.name}/{index}"] = np.array(blob.data, np.float32).reshape(list(blob.shape.dim))
    (folder / "v1.caffemodel").write_bytes(old.SerializeToString())


def write_png(path: Path, planes: np.ndarray) -> None:
    """Write a picture (3, h, w) as a PNG file."""
    from PIL import Image

    Image.fromarray(planes.transpose(1, 2, 0)).save(path)


# --- Damage to text

_NUMBER = re.compile(r"(?<![\w.\"])-?\d+(?:\.\d*)?(?:e-?\d+)?(?![\w\"])")
_FIELD = re.compile(r"\w+: *(?:\"[^\"]*\"|[^\s{}]+)")
_BLOCK = re.compile(r"\w+ \{[^{}]*\}")
_QUOTED = re.compile(r"\"[^\"]*\"")
_LAYER = re.compile(r"^layer \{.*?^\}", re.MULTILINE | re.DOTALL)


def _change(draw: st.DrawFn, text: str, pattern: re.Pattern[str], give: Callable[[str], str]) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    match = draw(st.sampled_from(found))
    return text[: match.start()] + give(match.group()) + text[match.end() :]


def _quoted(draw: st.DrawFn, text: str) -> Callable[[str], str]:
    word = draw(st.sampled_from((*_QUOTED.findall(text), *(f'"{word}"' for word in WORDS))))
    return lambda _: word


@st.composite
def spoilt_texts(draw: st.DrawFn, text: str, most: int = 3) -> str:
    """Give a prototxt with up to so many changes."""
    for _ in range(draw(st.integers(1, most))):
        match draw(st.integers(0, 11)):
            case 0 | 1 | 2:
                text = _change(draw, text, _NUMBER, lambda _: draw(st.sampled_from(NUMBERS + REALS)))
            case 3:
                text = _change(draw, text, draw(st.sampled_from((_FIELD, _BLOCK, _LAYER))), lambda _: "")
            case 4:
                text = _change(draw, text, draw(st.sampled_from((_FIELD, _BLOCK, _LAYER))), lambda f: f"{f}\n{f}")
            case 5 | 6:
                kind = re.compile(r"type: \"[A-Z]\w*\"")
                text = _change(draw, text, kind, lambda _: f'type: "{draw(st.sampled_from(TYPES))}"')
            case 7:
                text = _change(draw, text, _QUOTED, _quoted(draw, text))
            case 8:
                text = _change(draw, text, re.compile(r"[{}:\"]"), lambda _: draw(st.sampled_from(("", "{", "}", '"'))))
            case 9:
                text = _change(draw, text, re.compile(r"\b\w+_param \{"), lambda b: f"{b} {draw(settings_of(b[:-2]))}")
            case 10:
                text = _change(draw, text, re.compile(r"\n(?=layer \{)"), lambda n: n + draw(any_layer()))
            case _:
                cut = draw(st.integers(0, len(text)))
                text = text[:cut] + draw(st.sampled_from(("", "\0", "#", "\udcff", "é", "{" * 500))) + text[cut:]
    return text


def _value(draw: st.DrawFn, field: Any, depth: int) -> str:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE:
            return f"{{ {_settings(draw, field.message_type, depth - 1)} }}"
        case FieldDescriptor.CPPTYPE_ENUM:
            return draw(st.sampled_from(sorted(field.enum_type.values_by_name)))
        case FieldDescriptor.CPPTYPE_BOOL:
            return draw(st.sampled_from(("true", "false")))
        case FieldDescriptor.CPPTYPE_STRING:
            return f'"{draw(st.sampled_from(WORDS))}"'
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return draw(st.sampled_from(REALS))
    small = st.sampled_from(("1", "2", "3"))
    return draw(st.one_of(small, st.sampled_from(NUMBERS)))


def _settings(draw: st.DrawFn, message: Any, depth: int = 2) -> str:
    fields = [f for f in message.fields if depth > 0 or f.message_type is None]
    chosen = draw(st.lists(st.sampled_from(fields), max_size=4)) if fields else []
    spelt = {field.name: field for field in chosen}
    return " ".join(
        f"{field.name}{'' if field.message_type else ':'} {_value(draw, field, depth)}" for field in spelt.values()
    )


@st.composite
def settings_of(draw: st.DrawFn, block: str) -> str:
    """Give fields with odd values for a block of a layer."""
    field = message_class("LayerParameter").DESCRIPTOR.fields_by_name.get(block)
    return "" if field is None or field.message_type is None else _settings(draw, field.message_type)


_BLOCKS = [f.name for f in message_class("LayerParameter").DESCRIPTOR.fields if f.name.endswith("_param")]
_ALSO = {
    "Deconvolution": "convolution_param",
    "DeconvolutionRistretto": "convolution_param",
    "ConvolutionRistretto": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "ConvolutionDepthwise": "convolution_param",
    "FcRistretto": "inner_product_param",
    "LRNRistretto": "lrn_param",
    "Normalize": "norm_param",
    "SoftmaxWithLoss": "softmax_param",
}


@st.composite
def any_layer(draw: st.DrawFn) -> str:
    """Give a layer of any type with odd settings, which reads and writes blobs of the nets above."""
    kind = draw(st.sampled_from(TYPES))
    own = [b for b in _BLOCKS if b.removesuffix("_param").replace("_", "") == kind.lower()] + [_ALSO.get(kind, "")]
    blocks = [b for b in own if b]
    if draw(st.integers(0, 5)) == 0:
        blocks.append(draw(st.sampled_from(_BLOCKS)))
    bottoms = draw(st.lists(st.sampled_from(("data", "conv", "pool", "fc", "label")), min_size=0, max_size=3))
    tops = draw(st.lists(st.sampled_from(("new", "more", "conv", "pool", "data")), min_size=0, max_size=2))
    words = [f'name: "new" type: "{kind}"', *(f'bottom: "{b}"' for b in bottoms), *(f'top: "{t}"' for t in tops)]
    words += [f"{block} {{ {draw(settings_of(block))} }}" for block in blocks]
    return f"layer {{ {' '.join(words)} }}\n"


@st.composite
def one_layer_nets(draw: st.DrawFn) -> str:
    """Give a net with a layer of any type between the pictures and the score."""
    layer = draw(any_layer()).replace('bottom: "pool"', 'bottom: "conv"').replace('bottom: "fc"', 'bottom: "data"')
    layer = re.sub(r'top: "(conv|pool|data)"', 'top: "other"', layer)
    if 'top: "new"' not in layer:
        layer = layer.replace('name: "new"', 'name: "new" top: "new"')
    if "bottom" not in layer:
        layer = layer.replace('name: "new"', 'name: "new" bottom: "conv"')
    reads = draw(st.sampled_from(("new", "new", "new", "other", "conv")))
    return _DATA + _CONV + layer + _SCORE.replace('bottom: "pool"', f'bottom: "{reads}"')


# --- Damage to bytes


@st.composite
def spoilt_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Give bytes that are cut, or changed in a few places."""
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        more = draw(
            st.one_of(
                st.binary(min_size=1, max_size=8),
                st.sampled_from((b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01", b"\0\0\xc0\x7f", b"\0" * 64)),
            )
        )
        match draw(st.integers(0, 4)):
            case 0:
                data = data[:place]
            case 1:
                data = data[:place] + data[place + len(more) :]
            case 2:
                data = data[:place] + more + data[place:]
            case _:
                data = data[:place] + more + data[place + len(more) :]
    return data


@st.composite
def spoilt_messages(draw: st.DrawFn, data: bytes, name: str) -> bytes:
    """Give a message with some of its numbers changed, or fields left out or doubled, in any depth."""
    message = message_class(name).FromString(data)
    for _ in range(draw(st.integers(1, 3))):
        inner = message
        while nested := [f for f, _ in inner.ListFields() if f.message_type is not None]:
            if draw(st.integers(0, 3)) == 0:
                break
            field = draw(st.sampled_from(nested))
            held = getattr(inner, field.name)
            inner = draw(st.sampled_from(list(held))) if is_repeated(field) else held
        _spoil(draw, inner)
    return bytes(message.SerializeToString())


def _spoil(draw: st.DrawFn, message: Any) -> None:
    listed = [field for field, _ in message.ListFields()]
    field = draw(st.sampled_from(listed or list(message.DESCRIPTOR.fields)))
    repeated = is_repeated(field)
    number = field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
    whole = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
    value: Any = None
    if number:
        value = float(draw(st.sampled_from(REALS)))
    elif whole:
        value = draw(st.sampled_from((0, -1, 1, 2, 3, 2**31 - 1, -(2**31), 100000)))
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING and field.type != FieldDescriptor.TYPE_BYTES:
        value = draw(st.sampled_from(("conv", "fc", "", "a\nb", "\0", "data")))
    if value is None or draw(st.integers(0, 4)) == 0:
        message.ClearField(field.name)
    elif repeated and len(held := getattr(message, field.name)):
        if draw(st.integers(0, 3)) == 0:
            held.append(value)
        else:
            held[draw(st.integers(0, len(held) - 1))] = value
    elif not repeated:
        setattr(message, field.name, value)


# --- Commands


@st.composite
def commands(
    draw: st.DrawFn, names: Sequence[str] = ("inspect", "test", "quantize", "fold", "init-weights")
) -> list[str]:
    """Give a command line without its files: a command and its options."""
    name = draw(st.sampled_from(names))
    words = [name]
    if name in ("test", "quantize"):
        words += ["--iterations", "1", "--threads", draw(st.sampled_from("12"))]
        if draw(st.booleans()):
            words += ["--emulate", draw(st.sampled_from(("fork-cpu", "fork-gpu")))]
    if name == "test":
        words += ["--executor", draw(st.sampled_from(("integer", "float", "simulate")))]
    if name == "quantize":
        words += ["--preset", draw(st.sampled_from(sorted(PRESETS)))]
        words += ["--trimming_mode", draw(st.sampled_from(sorted(MODES)))]
    return words


@dataclass(frozen=True)
class Finished:
    """What a command left."""

    code: int
    out: str
    err: str


class Hangs(BaseException):
    """A command took too long; no ``except Exception`` stops it."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Hold what runs inside to `SECONDS` and `BYTES`."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hangs(f"more than {SECONDS} s")

    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, stop)
    # Where the interpreter cannot get a word in, inside of a library, all that is left is to say where.
    faulthandler.dump_traceback_later(4 * SECONDS, exit=True, file=sys.__stderr__)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def run(words: Sequence[str | Path], outputs: Sequence[Path] = ()) -> Finished:
    """Run a command line in this process, and hold it to the promises about bad input."""
    for path in outputs:
        path.unlink(missing_ok=True)
    out, err = io.StringIO(), io.StringIO()
    started = time.monotonic()
    with bounded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    assert time.monotonic() - started < SECONDS
    done = Finished(code, out.getvalue(), err.getvalue())
    assert code in (0, 1, 3), done
    assert "Traceback" not in done.err, done
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (code == 1), done
    assert not re.search("not enough memory|bad_alloc|[Uu]nable to allocate|alloc.*fail", done.err), done
    if code == 1:
        lines = done.err.splitlines()
        assert all(line.startswith(("error: ", "hint: ", "note: ")) for line in lines[lines.index(errors[0]) :]), done
    for path in outputs:
        assert path.exists() == (code != 1), done
    return done


def chain(
    folder: Path, command: Sequence[str], model: Path, weights: Path, more: Sequence[str | Path] = ()
) -> Finished:
    """Run a command with its files."""
    name, *options = command
    out, out_weights = folder / "out.prototxt", folder / "out.caffemodel"
    words: list[str | Path] = [name, "--model", model]
    made: list[Path] = []
    if name != "init-weights":
        words += ["--weights", weights]
    if name == "quantize":
        words, made = [*words, "--model_quantized", out], [out]
    elif name == "fold":
        words, made = [*words, "--model_out", out, "--weights_out", out_weights], [out, out_weights]
    elif name == "init-weights":
        words, made = [*words, "--weights_out", out_weights], [out_weights]
    return run([*words, *options, *more], made)


def rewrite_lmdb(folder: Path, records: Sequence[bytes]) -> None:
    """Put records into the database of the nets, in place of what it held."""
    import lmdb

    shutil.rmtree(folder / "lmdb")
    (folder / "lmdb").mkdir()
    path = str(folder / "lmdb")
    with lmdb.open(path, map_size=1 << 24, lock=False) as database, database.begin(write=True) as transaction:
        for number, record in enumerate(records):
            transaction.put(f"{number:08d}".encode(), record)

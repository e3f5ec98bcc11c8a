"""The C program of the embedded LeNet, made and run as a user does it; what is in its files; hostile input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.api.loading import load
from ristretto.caffe.datum import read_datum
from ristretto.cli.main import main
from ristretto.data.lmdb_reader import LmdbRecords
from ristretto.data.picture import planes
from ristretto.execute import IntegerExecutor
from ristretto.export.base import Subject
from ristretto.export.program import generate, operations
from ristretto.export.program.text import comment
from ristretto.formats import FixedPoint
from ristretto.layers import LRN, Convolution, Input, Pooling, ReLU
from ristretto.net import Layer, LayerQuant, Net, Phase
from tests.export.programs import COMPILER, STRICT, Program, build, check, compiled, needs_compiler, sources, write

DIGITS = 200
QUANTIZED = """
  quantization_param {{ bw_layer_in: 8 bw_layer_out: 8 bw_params: 8
    fl_layer_in: {} fl_layer_out: {} fl_params: {} }} }}
"""
FORMATS = {"conv1": (7, 5, 7), "conv2": (5, 4, 9), "ip1": (4, 4, 10), "ip2": (4, 3, 8)}
"""Fractional lengths of input, output and weights, near what `quantize` chooses."""


def quantized_text(repo: Path) -> str:
    """Give LeNet's prototxt with formats in it."""
    text = (repo / "models" / "lenet" / "train_val.prototxt").read_text("utf-8")
    for name, lengths in FORMATS.items():
        start = text.index(f'name: "{name}"')
        end = text.index("\n}", start)
        block = (
            text[start:end]
            .replace('"Convolution"', '"ConvolutionRistretto"')
            .replace('"InnerProduct"', '"FcRistretto"')
        )
        text = text[:start] + block + QUANTIZED.format(*lengths) + text[end + 2 :]
    return text


@pytest.fixture(scope="module")
def exported(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command line wrote."""
    inside = tmp_path_factory.mktemp("lenet")
    (inside / "lenet.prototxt").write_text(quantized_text(repo))
    weights = str(repo / "models" / "lenet" / "lenet.caffemodel")
    arguments = ["--model", str(inside / "lenet.prototxt"), "--weights", weights, "--format", "c-program"]
    assert main(["export", *arguments, str(inside / "program")]) == 0
    return inside / "program"


@pytest.fixture(scope="module")
def made(exported: Path) -> Path:
    """What `make` made in it."""
    done = subprocess.run(["make", "-s", "-C", exported, f"CC={COMPILER}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return exported / "net"


@pytest.fixture(scope="module")
def digits(repo: Path) -> np.ndarray:
    """The first test pictures, in real units."""
    records = LmdbRecords(repo / "models" / "lenet" / "digits_test_lmdb")
    pictures = [planes(read_datum(records.read(number)[1])) for number in range(DIGITS)]
    return np.stack(pictures).astype(np.float32) * np.float32(0.00390625)


@needs_compiler
def test_lenet_gives_what_the_executor_gives(repo: Path, exported: Path, made: Path, digits: np.ndarray) -> None:
    _, whole = load(exported.parent / "lenet.prototxt", repo / "models" / "lenet" / "lenet.caffemodel")
    net, inputs = whole.for_phase(Phase.TEST), {"data": digits.shape, "label": (DIGITS,)}
    manifest = json.loads((exported / "manifest.json").read_text())
    batch = {"data": digits, "label": np.zeros(DIGITS, np.float32)}
    program = Program(made, manifest)
    (output,) = program.outputs
    assert (output["blob"], output["readers"]) == ("ip2", ["accuracy", "loss"])
    run = IntegerExecutor(net, inputs, keep=["ip2.top0"]).run(batch)
    (result,) = program(batch)
    assert result.shape == (DIGITS, 10)
    np.testing.assert_array_equal(result, run.kept["ip2.top0"])


def test_the_same_sources_come_from_the_manifest(exported: Path) -> None:
    """By another process, from files alone."""
    code = (
        "import json, sys, numpy as np; from ristretto.export.program import generate\n"
        "files = generate(json.load(open('manifest.json')), dict(np.load('operations.npz')))\n"
        "assert all(open(name, 'rb').read() == content for name, content in files.items())\n"
        "print(*sorted(files))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    listed = {entry["path"] for entry in json.loads((exported / "manifest.json").read_text())["files"]}
    assert set(done.stdout.split()) == listed - {"operations.npz", "weights.npz"}


def test_an_archive_as_numpy_reads_it_will_do(exported: Path) -> None:
    with np.load(exported / "operations.npz") as arrays:
        files = generate(json.loads((exported / "manifest.json").read_text()), arrays, prefix="digits")
    assert "void digits_run(const int8_t data_in[DIGITS_DATA_COUNT]" in files["digits.h"].decode()


EIGHT = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 4), FixedPoint(8, 5))


def everything() -> Subject:
    """A net whose program has all files: with numbers of binary32 and powers."""
    weights = (np.ones((2, 2, 1, 1), np.float32) / 3, np.zeros(2, np.float32))
    layers = (
        Layer("data", Input(((2, 2, 4, 4),)), (), ("data",)),
        Layer("a", Convolution(2, (1, 1)), ("data",), ("a",), weights, quant=EIGHT),
        Layer("mean", Pooling("AVE", (3, 3)), ("a",), ("mean",)),
        Layer("norm", LRN(3), ("mean",), ("norm",)),
        Layer("b", Convolution(2, (1, 1)), ("norm",), ("b",), weights, quant=EIGHT),
    )
    return Subject(Net('odd */ "name" ??/ \\ *\\ /\\* %s \n', layers).for_phase(Phase.TEST), {})


@needs_compiler
def test_a_net_of_odd_name_and_all_files_is_compiled(tmp_path: Path) -> None:
    files, manifest = sources(everything())
    assert {"binary32.c", "reals.c", "power.c"} <= files.keys()
    write(files, tmp_path)
    build(tmp_path, [name for name in files if name.endswith(".c")], "-O1")
    x = np.random.default_rng(1).normal(0, 2, (2, 2, 4, 4)).astype(np.float32)
    check(everything(), {"data": x}, Program(tmp_path / "net", manifest))


@given(st.text(st.sampled_from("*/\\?\n x\u00e9")))
def test_no_name_ends_or_begins_a_comment(name: str) -> None:
    words = comment(name)
    assert not set(words) & set("\\\n\u00e9")
    assert "*/" not in words
    assert "/*" not in words


@needs_compiler
def test_a_blob_may_have_the_name_of_something_of_the_program(tmp_path: Path) -> None:
    weights = (np.ones((2, 2, 1, 1), np.float32) / 3, np.zeros(2, np.float32))
    layers = (
        Layer("finish", Input(((2, 2, 4, 4),)), (), ("finish",)),
        Layer("stages", Convolution(2, (1, 1)), ("finish",), ("as_it_is",), weights, quant=EIGHT),
    )
    net = Subject(Net("names", layers).for_phase(Phase.TEST), {})
    x = np.random.default_rng(1).normal(0, 2, (2, 2, 4, 4)).astype(np.float32)
    check(net, {"finish": x}, compiled(net, tmp_path))


COMMENTS = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
FLOAT = re.compile(r"\b(?:float|double|_Complex|_Imaginary|long\s+double|malloc|calloc|alloca|math|string|stdlib)\b")
FRACTION = re.compile(r"(?<![\w.])(?:\d+\.\d*|\.\d+|\d+[eE][+-]?\d+)")
INCLUDES = {"main.c": {"inttypes.h", "stdint.h", "stdio.h"}}


def test_no_number_in_it_is_a_floating_one() -> None:
    files, _ = sources(everything())
    for name, content in files.items():
        if not name.endswith((".c", ".h")):
            continue
        text = COMMENTS.sub(" ", content.decode())
        assert not FLOAT.search(text), name
        assert not [found for found in FRACTION.findall(text) if found], name
        assert set(re.findall(r"#include <(.*?)>", text)) <= INCLUDES.get(name, {"stdint.h"}), name
    assert FLOAT.search("static float x;")
    assert FRACTION.findall("x = .5 + 1.0 + 1e3") == [".5", "1.0", "1e3"]


@needs_compiler
def test_it_needs_no_floating_point_unit(tmp_path: Path) -> None:
    """The compiler is told that there is none, and first shown a program that needs one."""
    flag = "-mgeneral-regs-only"

    def compiles(name: str, *flags: str) -> bool:
        command = [COMPILER, *STRICT, "-O2", *flags, "-c", "-o", "out.o", name]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    (tmp_path / "nothing.c").write_text("int f(int x);\nint f(int x) { return x; }\n")
    if not compiles("nothing.c", flag):
        # GCC and Clang have it on x86 and 64-bit ARM: whatever stands in its way there is no reason to skip.
        (tmp_path / "other.c").write_text(f"#if {KNOWN}\n#error it has the flag\n#endif\nint f(int x);\n")
        assert compiles("other.c")
        pytest.skip(f"this compiler has no {flag}")
    (tmp_path / "half.c").write_text("int f(int x);\nint f(int x) { return (int)(x * 0.5); }\n")
    assert not compiles("half.c", flag)
    files, _ = sources(everything())
    write(files, tmp_path)
    for name in files:
        if name.endswith(".c") and name != "main.c":
            assert compiles(name, flag), name


KNOWN = "defined __GNUC__ && (defined __x86_64__ || defined __i386__ || defined __aarch64__)"


@needs_compiler
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "picture 0: number 3 of data is missing"),
        ("0 " * 784 + "5", "picture 1: number 1 of data is missing"),
        ("128 " * 784, "picture 0: number 0 of data is no integer from -128 to 127"),
        ("0 -129", "picture 0: number 1 of data is no integer"),
        ("0 0.5", "picture 0: number 1 of data is no integer"),
        ("0 x", "picture 0: number 1 of data is no integer"),
        ("0 -", "picture 0: number 1 of data is no integer"),
        ("9" * 5000, "picture 0: number 0 of data is no integer"),
        ("0\0", "picture 0: number 0 of data is no integer"),
    ],
)
def test_wrong_numbers_are_told_in_one_line(made: Path, text: str, message: str) -> None:
    done = subprocess.run([made], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1


@needs_compiler
def test_pictures_may_come_from_a_file(made: Path, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("1 " * 784 + "\n" + "-7\t" * 784)
    done = subprocess.run([made, tmp_path / "two.txt"], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 2, "")
    assert subprocess.run([made], input="", capture_output=True, text=True, check=False).stdout == ""
    absent = subprocess.run([made, tmp_path / "absent"], capture_output=True, text=True, check=False)
    assert (absent.returncode, absent.stderr) == (1, f"error: cannot read {tmp_path / 'absent'}\n")
    assert subprocess.run([made, "a", "b"], capture_output=True, check=False).returncode == 2


def test_operations_of_one_layer_take_no_other_layers_name() -> None:
    # What `b` reads is trimmed for it, an operation of its own: the second one of `b` is its sums.
    quants = {name: LayerQuant(FixedPoint(8, fl), FixedPoint(8, 4), FixedPoint(8, 6)) for name, fl in FLS.items()}
    blobs = (np.full((2, 2, 1, 1), 0.25, np.float32), np.full(2, 0.5, np.float32))
    layers = [Layer("data", Input(((1, 2, 3, 3),)), (), ("data",))]
    for bottom, name in zip(("data", "a", "b"), quants, strict=True):
        layers.append(Layer(name, Convolution(2, (1, 1)), (bottom,), (name,), blobs, quant=quants[name]))
    # It reads what `a` makes as it is.
    layers.insert(2, Layer("relu", ReLU(), ("a",), ("other",)))
    made = operations(Subject(Net("names", tuple(layers)).for_phase(Phase.TEST), {"data": (1, 2, 3, 3)}))
    assert sum(each["kind"] == "multiply" for each in made.listed) == 3
    names = [each["name"] for each in made.listed]
    assert len(set(names)) == len(names)
    listed = [array for each in made.listed for array in each.get("arrays", {}).values()]
    assert len(listed) == 6
    assert set(listed) == set(made.arrays)
    assert len(made.arrays) == 6


FLS = {"a": 4, "b": 2, "b_op2": 3}


def test_a_net_without_formats_is_refused(repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repo / "models" / "lenet"
    arguments = ["--model", str(folder / "train_val.prototxt"), "--weights", str(folder / "lenet.caffemodel")]
    assert main(["export", *arguments, "--format", "c-program", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: layer 'conv1': it multiplies in float"
    assert lines[1].strip().startswith("hint: ")
    assert not (tmp_path / "out").exists()

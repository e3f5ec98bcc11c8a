"""``ristretto diff`` as a user runs it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.api.comparing import PLACES, Change, compare
from ristretto.caffe.reader import model_of, read_model
from ristretto.caffe.writer import rewritten_text
from ristretto.cli.main import main
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, QuantSpec
from ristretto.passes import QuantizeLayers

CONV = """name: "n"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape: {{ dim: 1 dim: 1 dim: 4 dim: 4 }} }} }}
# a comment
layer {{
  name: "conv" type: "ConvolutionRistretto" bottom: "data" top: "conv"
  convolution_param {{ num_output: {outputs} kernel_size: 3 }}
  quantization_param {{ {quant} }}
}}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
"""


def fixed(
    layer_in: tuple[int, int] = (8, 7), layer_out: tuple[int, int] = (8, 5), params: tuple[int, int] = (8, 6)
) -> str:
    places = {"layer_in": layer_in, "layer_out": layer_out, "params": params}
    return " ".join(f"bw_{place}: {bw} fl_{place}: {fl}" for place, (bw, fl) in places.items())


def net(quant: str | None = None, outputs: int = 2) -> str:
    return CONV.format(quant=fixed() if quant is None else quant, outputs=outputs)


class Done(NamedTuple):
    """What a command line has come to."""

    returncode: int
    stdout: str
    stderr: str


def diff(first: Path, second: Path, *words: object) -> Done:
    """Run the command in this process: to start one takes longer than all the work."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["diff", str(first), str(second), *map(str, words)])
    return Done(code, out.getvalue(), err.getvalue())


def diff_texts(folder: Path, first: str, second: str, *words: object) -> Done:
    (folder / "a.prototxt").write_text(first)
    (folder / "b.prototxt").write_text(second)
    return diff(folder / "a.prototxt", folder / "b.prototxt", *words)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip() and "─" not in line]


def test_a_change_of_a_format_is_shown_and_exits_with_4(tmp_path: Path) -> None:
    files = tmp_path / "d.json", tmp_path / "d.md"
    done = diff_texts(tmp_path, net(), net(fixed(params=(4, 3))), "--json", files[0], "--markdown", files[1])
    assert done.returncode == 4, done.stderr
    assert rows(done.stdout) == [["layer", "what", "before", "after"], ["conv", "params", "8.6", "4.3"]]
    data = json.loads(files[0].read_text())
    assert data["formats"] == [{"layer": "conv", "what": "params", "before": "8.6", "after": "4.3"}]
    assert (data["same"], data["same_text"], data["settings"]) == (False, False, [])
    assert (
        files[1].read_text() == "| layer | what | before | after |\n|---|---|---|---|\n| conv | params | 8.6 | 4.3 |\n"
    )


def test_a_process_of_its_own_exits_with_4(repo: Path) -> None:
    lenet = repo / "models" / "lenet"
    command = [sys.executable, "-m", "ristretto", "diff", lenet / "train_val.prototxt", lenet / "deploy.prototxt"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 4, done.stderr
    assert "layer only in the second: prob" in done.stdout


def test_equal_files_exit_with_0(tmp_path: Path) -> None:
    done = diff_texts(tmp_path, net(), net(), "--json", "-")
    assert (done.returncode, done.stderr.strip()) == (0, "the prototxts are the same")
    assert json.loads(done.stdout)["same_text"] is True


def test_where_only_the_text_differs_it_says_so_and_exits_with_0(tmp_path: Path) -> None:
    # Another order of fields, no comment, a default written out.
    fields = fixed().split()
    pairs = [" ".join(fields[i : i + 2]) for i in range(0, len(fields), 2)]
    other = net(" ".join(["precision: DYNAMIC_FIXED_POINT", *reversed(pairs)])).replace("# a comment\n", "")
    done = diff_texts(tmp_path, net(), other)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("the nets are the same; only the text differs")


def test_types_settings_layers_and_names_count(tmp_path: Path) -> None:
    first = net()
    second = net(outputs=3).replace('"n"', '"m"').replace("relu", "prelu").replace("ReLU", "PReLU")
    second = second.replace("ConvolutionRistretto", "Convolution").replace(f"quantization_param {{ {fixed()} }}", "")
    done = diff_texts(tmp_path, first, second)
    assert done.returncode == 4
    assert rows(done.stdout) == [
        ["layer", "what", "before", "after"],
        ["conv", "type", "ConvolutionRistretto", "Convolution"],
        ["conv", "layer_in", "8.7", "float"],
        ["conv", "layer_out", "8.5", "float"],
        ["conv", "params", "8.6", "float"],
        ["conv", "num_output", "2", "3"],
        ["layer", "only", "in", "the", "first:", "relu"],
        ["layer", "only", "in", "the", "second:", "prelu"],
        ["the", "net's", "name:", "n", "->", "m"],
    ]


def test_another_name_of_the_net_counts(tmp_path: Path) -> None:
    done = diff_texts(tmp_path, net(), net().replace('"n"', '"m"'))
    assert (done.returncode, done.stdout.strip()) == (4, "the net's name: n -> m")


def test_another_order_of_layers_counts(tmp_path: Path) -> None:
    parts = net().split("layer {")
    moved = "layer {".join([parts[0], parts[1], parts[3], parts[2]])
    done = diff_texts(tmp_path, net(), moved)
    assert (done.returncode, done.stdout.strip()) == (4, "the layers stand in another order")


def test_layers_of_one_name_are_told_apart(repo: Path, tmp_path: Path) -> None:
    text = (repo / "models" / "lenet" / "train_val.prototxt").read_text("utf-8")
    before, found, after = text.rpartition("batch_size: 100")
    assert found
    done = diff_texts(tmp_path, text, f"{before}batch_size: 50{after}")
    assert done.returncode == 4
    assert rows(done.stdout)[1:] == [["digits", "(2)", "batch_size", "100", "50"]]


@pytest.mark.parametrize(
    ("quant", "shown"),
    [
        ("precision: MINIFLOAT mant_bits: 3 exp_bits: 4", "e4m3"),
        (f"precision: INTEGER_POWER_OF_2_WEIGHTS {fixed()} exp_min: -8 exp_max: -1", "±2^-8..-1"),
        (f"{fixed()} rounding_scheme: STOCHASTIC", "STOCHASTIC"),
    ],
)
def test_every_kind_of_format_has_its_words(tmp_path: Path, quant: str, shown: str) -> None:
    done = diff_texts(tmp_path, net(), net(quant))
    assert done.returncode == 4
    assert shown in {row[-1] for row in rows(done.stdout)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"layer {", "b.prototxt:1:"),
        (b"\0\1", "is a binary file"),
        (b"", "has no layers"),
        (
            b'name: "x" layer { name: "a" type: "ConvolutionRistretto" quantization_param { bw_params: 0 } }',
            "layer 'a'",
        ),
        (None, "cannot read"),
    ],
)
def test_what_is_no_net_is_one_clear_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    good, bad, out = tmp_path / "a.prototxt", tmp_path / "b.prototxt", tmp_path / "d.json"
    good.write_text(net())
    if content is not None:
        bad.write_bytes(content)
    done = diff(good, bad, "--json", out)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not out.exists()


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    done = diff_texts(tmp_path, net(), net(outputs=3), "--markdown", tmp_path / "b.prototxt")
    assert done.returncode == 1
    assert (tmp_path / "b.prototxt").read_text() == net(outputs=3)


@pytest.mark.parametrize("kind", ["train_val", "deploy"])
def test_of_real_nets_it_names_every_layer_that_is_quantized_and_nothing_else(repo: Path, kind: str) -> None:
    fmt = FixedPoint(8, 5)
    paths = sorted((repo / "models").glob(f"*/{kind}.prototxt"))
    assert len(paths) >= 12
    for path in paths:
        read = read_model(path)
        layers = {layer.name for layer in read.net if layer.op.quantized_type}
        spec = QuantSpec("dynamic_fixed_point", dict.fromkeys(layers, LayerQuant(fmt, fmt, fmt)))
        quantized = model_of(rewritten_text(read.prototxt, read.net, QuantizeLayers(spec)(read.net)), path)
        found = compare(read, quantized)
        assert {change.layer for change in found.changes} == layers, path
        assert all(change.is_of_formats for change in found.changes), path
        assert compare(read, read).same
        assert not (found.only_first or found.only_second or found.reordered)


FORMATS = st.fixed_dictionaries({place: st.tuples(st.integers(1, 16), st.integers(-8, 24)) for place in PLACES})


@given(FORMATS, FORMATS)
def test_exactly_the_formats_that_differ_are_named(
    first: dict[str, tuple[int, int]], second: dict[str, tuple[int, int]]
) -> None:
    found = compare(model_of(net(fixed(**first)), "a"), model_of(net(fixed(**second)), "b"))
    expected = [
        Change("conv", place, "{}.{}".format(*first[place]), "{}.{}".format(*second[place]))
        for place in PLACES
        if first[place] != second[place]
    ]
    assert list(found.changes) == expected
    assert found.same is (not expected)
    assert all(change.is_of_formats for change in found.changes)

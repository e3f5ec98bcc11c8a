"""Reading prototxts: every byte kept, C++ protobuf's spellings, errors with line and column."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from ristretto.caffe.prototxt import encode, parse, read_text, scan
from ristretto.caffe.schema import message_class
from ristretto.caffe.walk import Walk
from ristretto.errors import PrototxtError

NET = """\
# A net in small: { braces } and "quotes" in a comment
name: "small"
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  param { lr_mult: 1 }
  param < lr_mult: 2.0f decay_mult: 0 >
  convolution_param {
    num_output: 0x14   # twenty
    kernel_size: [5, 3];
    weight_filler: { type: "xavier" }, bias_filler { type: 'constant' }
  }
  quantization_param { bw_params: 4 fl_params: -3 }
}
layer { name: 'l\\'oss' type: "Softmax" "WithLoss" include { phase: TEST stage: "a\\tb" } }
"""


def by_cpp(repo: Path, text: str) -> Any:
    """What the C++ protobuf inside protoc makes of a text: a NetParameter, or None when it refuses."""
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", "--encode=caffe.NetParameter", "proto/caffe.proto"]
    done = subprocess.run(command, input=encode(text), capture_output=True, cwd=repo, check=False)
    return message_class("NetParameter").FromString(done.stdout) if done.returncode == 0 else None


def write(folder: Path, data: bytes) -> Path:
    path = folder / "net.prototxt"
    path.write_bytes(data)
    return path


# --- bytes


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'name: "a"',
        b'name: "a"\r\nlayer {\r\n}\r\n',
        b'\xef\xbb\xbfname: "a"\n',
        b'# M\xfcller, latin-1\nname: "a" # \xff\xfe\n',
        '# Müller \U0001f600 \ud7ff\nname: "ü"\n'.encode(),
        b"# \xed\xb2\x80 a surrogate in UTF-8\n",
        b'name: "a"\r# old Mac\r',
    ],
)
def test_every_byte_is_kept(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, data)
    text = read_text(path)
    assert encode(text) == data
    assert encode(scan(text, str(path)).rewrite({})) == data
    parse(text, str(path))


@given(st.binary().filter(lambda data: b"\0" not in data and data[:2] not in (b"\xff\xfe", b"\xfe\xff")))
def test_any_bytes_are_kept(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    assert encode(read_text(write(tmp_path_factory.getbasetemp(), data))) == data


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match=r"cannot read .*none\.prototxt: No such file"):
        read_text(tmp_path / "none.prototxt")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match=r"cannot read .*: Is a directory"):
        read_text(tmp_path)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, b"")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything: let open itself refuse

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PrototxtError, match=r"cannot read .*: Permission denied"):
        read_text(path)


def test_a_caffemodel_is_no_prototxt(tmp_path: Path) -> None:
    net = message_class("NetParameter")(name="net")
    net.layer.add(name="conv", type="Convolution").blobs.add().data.extend([0.0, 1.0])
    with pytest.raises(PrototxtError, match="is a binary file, not a prototxt") as caught:
        read_text(write(tmp_path, net.SerializeToString()))
    assert "--weights" in caught.value.hint


def test_utf_16_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match="is in UTF-16"):
        read_text(write(tmp_path, NET.encode("utf-16")))


# --- spellings

IN_A_NET = [
    'layer: { name: "a" }',
    'layer < name: "a" >',
    'layer: < name: "a" >',
    'layer { name: "a"; type: "b", };',
    'layer { name: "a" }, layer{name:"b"}',
    'layer: [ { name: "a" }, < name: "b" > ]',
    'layer [{ name: "a" }]',
    "layer: []",
    'input:"a"input:"b"',
    'input: "a" "b" # between\n \'c\'',
    r'input: "\x41\101\u00e4\U0001F600 \a\b\f\n\r\t\v\\\?\'\" \x4 \X41 \0 \400"',
    'input: "tab\there é \x7f"',
    "input: '\"'",
    'input: "\'"',
    "input_dim: 0x10 input_dim: 010 input_dim: 00 input_dim: 0 input_dim: -0x10 input_dim: - 5 input_dim: -017",
    "input_dim: [1, 2,3] input_dim: [] input_dim: [ 0x7fffffff ]",
    "input_dim:\v5\f,input_dim\n:\n6",
    'input: "a" # comment to the end \r of the line }',
    "#",
]
IN_A_LAYER = [
    "loss_weight: 1.0f loss_weight: 1f loss_weight: 1F loss_weight: .5 loss_weight: 1. loss_weight: 1.e5",
    "loss_weight: 1e+5F loss_weight: -.5 loss_weight: 1e400 loss_weight: 1e39 loss_weight: 1e-50 loss_weight: 0.5",
    "loss_weight: inf loss_weight: -INF loss_weight: Infinity loss_weight: nan loss_weight: -nan loss_weight: - inf",
    "loss_weight: 123456789123456789123456789 loss_weight: 7",
    "phase: TEST",
    "phase: 1",
    "phase: 0x1",
    "phase: 01",
    "propagate_down: [true, True, t, 1, 01, 0x1, false, False, f, 0, 00]",
    "include: { phase: TRAIN } include { phase: TEST }",
    'include [{ phase: TRAIN },<phase: TEST stage: "a" stage: ["b", \'c\' "d"]>]',
    "convolution_param { pad: 1 pad: 2 kernel_size: [3,5] bias_term: false }",
    "convolution_param { num_output: 4294967295 weight_filler: < sparse: -2147483648 > }",
    "blobs { shape { dim: -9223372036854775808 dim: 0xf } data: [1, -2.5, 3f] double_data: 1e300 }",
]


def test_what_cpp_protobuf_reads_we_read_alike(repo: Path) -> None:
    for spelling in (*IN_A_NET, *(f"layer {{ {field} }}" for field in IN_A_LAYER), NET):
        parse(spelling, "net")  # one at a time, to name the one that fails
    text = "\n".join((*IN_A_NET, *(f"layer {{ {field} }}" for field in IN_A_LAYER), NET))
    expected = by_cpp(repo, text)
    assert expected is not None
    assert parse(text, "net").SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    assert len(scan(text, "net").layers) == len(expected.layer)


REFUSED = {
    'layer { name: "a",; }': "1:19: expected the name of a field, found ';'",
    'name: "a\nb"': "1:7: a text in quotes that does not end on its line",
    r'name: "C:\data"': r"1:7: unknown escape \d in a text",
    r'name: "\8"': r"1:7: unknown escape \8 in a text",
    "input_dim: 08": "1:12: 'input_dim' takes a whole number from -2147483648 to 2147483647, found '08'",
    "input_dim: 1e3": "1:12: 'input_dim' takes a whole number from -2147483648 to 2147483647, found '1e3'",
    "layer { convolution_param { num_output: 4294967296 } }": (
        "1:41: 'num_output' takes a whole number from 0 to 4294967295, found '4294967296'"
    ),
    "input_dim: +5": "1:12: unexpected '+'",
    "input_dim: 1.0": "1:12: 'input_dim' takes a whole number from -2147483648 to 2147483647, found '1.0'",
    "input_dim: [1,2,]": "1:17: expected a value for 'input_dim', found ']'",
    "input_dim [1]": "1:11: expected ':' after 'input_dim', found '['",
    "input_dim: 5input_dim: 6": "1:12: '5input_dim' is no number",
    'layer {\n\tloss_weight: "half" }': "2:15: 'loss_weight' takes a number, found '\"half\"'",
    "layer { loss_weight: 0x10 }": "1:22: 'loss_weight' takes a number, found '0x10'",
    "layer { loss_weight: -half }": "1:23: expected a value for 'loss_weight', found 'half'",
    "layer {\r\n  phase: TRIAN\r\n}": "2:10: 'phase' takes one of TRAIN, TEST, found 'TRIAN'",
    "layer { phase: 2 }": "1:16: 'phase' takes one of TRAIN, TEST, found '2'",
    "layer { propagate_down: TRUE }": "1:25: 'propagate_down' takes true or false, found 'TRUE'",
    "layer { convolution_param { num_output: -1 } }": (
        "1:41: 'num_output' takes a whole number from 0 to 4294967295, found '-1'"
    ),
    'layer { name: "a"\nname: "b" }': "2:1: 'name' is given twice",
    "layer { pooling_param {}\n\npooling_param <> }": "3:1: 'pooling_param' is given twice",
    "layer { include: 5 }": "1:18: expected '{' after 'include', found '5'",
    "layer { pooling_param: [{}] }": "1:24: expected '{' after 'pooling_param', found '['",
    "layer { name { } }": "1:14: 'name' takes a text in quotes, found a block",
    "layer [{}, 5]": "1:12: expected '{' in the list of 'layer', found '5'",
    "layer [{} {}]": "1:11: expected ',' or ']', found '{'",
    '\n layer { name: "a"': "2:8: the block of 'layer' is not closed",
    'layer { name: "a" } }': "1:21: '}' closes no block",
    "layer {\n include {\n > }": "3:2: expected '}' for the block of 'include' that begins on line 2, found '>'",
    "name": "1:5: expected ':' after 'name', found the end of the file",
    "name: conv": "1:7: 'name' takes a text in quotes, found 'conv'",
    '// note\nname: "a"': "1:1: unexpected '/'",
    'name:\u00a0"a"': "1:6: unexpected character U+00A0",
    "5: 3": "1:1: expected the name of a field, found '5'",
}


def test_what_we_refuse_cpp_protobuf_refuses(repo: Path) -> None:
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda text: by_cpp(repo, text), REFUSED)
    assert [text for text, message in zip(REFUSED, read, strict=True) if message is not None] == []


@pytest.mark.parametrize("text", REFUSED)
def test_what_we_refuse(text: str) -> None:
    with pytest.raises(PrototxtError) as caught:
        parse(text, "a/net.prototxt")
    assert caught.value.message == f"a/net.prototxt:{REFUSED[text]}"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("name: conv", "put it in quotes"),
        ('name: "a', "closing quote"),
        (r'name: "C:\data"', "/ in a path"),
        ('name: "a"\n\nname: "b"', "stands on line 1"),
        ("layer <", "'>'"),
        ("// a", "#"),
    ],
)
def test_hints(text: str, hint: str) -> None:
    with pytest.raises(PrototxtError) as caught:
        parse(text, "net")
    assert hint in caught.value.hint


@pytest.mark.parametrize("escape", [r"\U00110000", r"\ud83d", r"\u12", r"\xg"])
def test_escapes_that_are_no_character(escape: str) -> None:
    with pytest.raises(PrototxtError, match=r"net:1:7: unknown escape \\[uUx]\w* in a text"):
        parse(f'name: "a{escape}"', "net")


def test_protobuf_is_given_plain_spelling() -> None:
    text = "layer: <loss_weight: [1F, -2.5f,inf]; phase: 0x1 x: 1 name: 'a' # b\n \"\\x41\\n\">,input_dim: - 017"
    assert list(Walk(text, "net").lines()) == [
        "layer {",
        "loss_weight: 1",
        "loss_weight: -2.5",
        "loss_weight: inf",
        "phase: 1",
        "name: 'a' \"A\\012\"",
        "}",
        "input_dim: -15",
    ]


def test_text_that_is_not_utf_8_is_refused_in_a_value_only() -> None:
    text = b'# \xfc\nlayer { other_fork: "\xfc" name: "\xfc" }'.decode("utf-8", "surrogateescape")
    with pytest.raises(PrototxtError, match=r"net:2:31: 'name' is not in UTF-8"):
        parse(text, "net")
    assert scan(text, "net").layers


def test_a_byte_that_is_no_text() -> None:
    with pytest.raises(PrototxtError, match="net:2:3: unexpected byte 0xff"):
        scan(b'name: "a"\n  \xff'.decode("utf-8", "surrogateescape"), "net")


def test_columns_do_not_count_a_byte_order_mark() -> None:
    with pytest.raises(PrototxtError, match="net:1:7: "):
        scan("\ufeffname: ]", "net")


def test_errors_are_one_printable_line() -> None:
    word = "\x07\n".join(['"', "x" * 10_000])
    with pytest.raises(PrototxtError) as caught:
        parse(f"input_dim: '{word[:1]}{'x' * 10_000}\x07\u2028'", "net")
    assert len(caught.value.message) < 200
    assert caught.value.message.isprintable()


# --- unknown fields


def test_unknown_fields_are_left_out_and_listed() -> None:
    text = """\
net: "train.prototxt"
layer {
  name: "a"
  fast_mode: -inf  blob_mode: TURBO;
  convolution_param { num_output: 3 engine2 { a { b: 1 } c: [ {}, 5, <d: "}">, 'x' "y", - 7 ] } engine2: {} }
  fast_mode: [1, 2]
}
layers { name: "v1" fast_mode: 1 }
"""
    message = parse(text, "net")
    expected = text_format.Parse(
        'layer { name: "a" convolution_param { num_output: 3 } } layers { name: "v1" }', message_class("NetParameter")()
    )
    assert message == expected
    found = [(field.name, field.parent, field.line, field.count) for field in scan(text, "net").unknown]
    assert found == [
        ("net", "", 1, 1),
        ("fast_mode", "layer", 4, 2),
        ("blob_mode", "layer", 4, 1),
        ("engine2", "convolution_param", 5, 2),
        ("fast_mode", "layers", 8, 1),
    ]


@pytest.mark.parametrize("text", ["other 5", "other", "other: ", "other: [1", "other: [1 2]", "other { a", "other: -x"])
def test_unknown_fields_keep_the_rules_of_the_text_form(text: str) -> None:
    with pytest.raises(PrototxtError, match="net:1:"):
        scan(text, "net")


# --- robustness and speed


def test_deep_nesting_is_refused_without_a_crash() -> None:
    for opening in ("a {", "layer {", "layer [<", "a: ["):
        with pytest.raises(PrototxtError):
            parse(opening * 100_000, "net")
    fine = "a {" * 100 + "}" * 100
    assert scan(fine, "net").unknown[0].name == "a"
    with pytest.raises(PrototxtError, match="net:1:303: more than 100 blocks stand in one another"):
        scan("a {" * 101 + "}" * 101, "net")


MUTATIONS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 12),
        st.sampled_from(
            ["", "{", "}", "<", ">", "[", "]", '"', "'", ":", ",", ";", "#", "\n", "\\", "-", "0x", "\ufeff"]
        )
        | st.text(max_size=3),
    ),
    min_size=1,
    max_size=6,
)


def mutated(text: str, mutations: list[tuple[float, int, str]]) -> str:
    for place, length, new in mutations:
        at = int(place * (len(text) + 1))
        text = text[:at] + new + text[at + length :]
    return text


@given(MUTATIONS)
def test_spoilt_text_gives_a_net_or_an_error_with_its_place(mutations: list[tuple[float, int, str]]) -> None:
    text = mutated(NET, mutations)
    read = []
    for reader in (scan, parse):
        try:
            read.append(reader(text, "net"))
        except PrototxtError as error:
            assert re.match(r"net:[1-9]\d*:[1-9]\d*: ", error.message)
            assert "\n" not in error.message + error.hint
            read.append(None)
    prototxt, message = read
    if message is not None:
        assert prototxt is not None
        assert len(prototxt.layers) == len(message.layer)


@pytest.mark.shared
def test_real_nets_spoilt_here_and_there(shared: Path) -> None:
    for path in sorted(shared.rglob("*.prototxt")):
        text = read_text(path)
        for step in range(5):
            cut = len(text) * step // 5 + 7
            for spoilt in (text[:cut], text[cut:], text[:cut] + "}" + text[cut:], text[:cut] + text[cut + 1 :]):
                try:
                    parse(spoilt, str(path))
                except PrototxtError as error:
                    assert error.message.startswith(f"{path}:")


@pytest.mark.shared
def test_real_nets_are_read_as_protobuf_reads_them(shared: Path) -> None:
    paths = sorted(shared.rglob("*.prototxt"))
    assert len(paths) > 10
    for path in paths:
        text = read_text(path)
        expected = text_format.Parse(text, message_class("NetParameter")())
        assert parse(text, str(path)) == expected
        prototxt = scan(text, str(path))
        assert prototxt.unknown == ()
        types = [layer.field("type") for layer in prototxt.layers]
        assert [field and field.value for field in types] == [layer.type for layer in expected.layer]


def test_a_megabyte_takes_little_time() -> None:
    count = 1_000_000 // len(NET)
    text = "".join(NET.replace("small", f"n{index}").split("\n", 2)[2] for index in range(count))
    start = time.process_time()
    prototxt = scan(text, "net")
    middle = time.process_time()
    assert len(parse(text, "net").layer) == len(prototxt.layers) == 2 * count
    assert middle - start < 2
    assert time.process_time() - middle < 5


@pytest.mark.parametrize(
    "text",
    [
        "#" * 400_000,
        " \n" * 200_000,
        'x: "' + "\\n" * 200_000 + '"',
        'x: "' + "a" * 400_000,
        "x:" + '"a"' * 100_000,
        "x: " + "1" * 400_000,
        "input_dim: " + "1" * 400_000,
        "input_dim: 0x" + "f" * 400_000,
        "input_dim: 0" + "7" * 400_000,
        "layer { loss_weight: " + "1" * 400_000,
        "layer { x: 1 " * 1 + "x: 1 " * 80_000 + "}",
        "".join(f"x{index}: 1\n" for index in range(40_000)),
        "x: [" + "1," * 150_000 + "1]",
        "layer {} " * 40_000,
    ],
    ids=lambda text: text[:12],
)
def test_time_is_linear_in_odd_texts(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(PrototxtError):
        parse(text, "net")
    assert time.process_time() - start < 3

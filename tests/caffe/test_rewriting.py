"""Writing prototxts: only types and formats change, whatever the layout."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.caffe.prototxt import LayerEdit, encode, parse, read_text, scan
from ristretto.caffe.reader import read_model
from ristretto.caffe.spans import BlockSpan, FieldSpan
from ristretto.caffe.writer import rewritten_text
from ristretto.errors import PrototxtError

FORMATS = [("bw_params", "4"), ("fl_params", "-3")]
QUANTIZED = LayerEdit("ConvolutionRistretto", FORMATS)
PLAIN = LayerEdit("Convolution", None)


def type_of(layer: BlockSpan) -> FieldSpan:
    found = layer.field("type")
    assert found is not None
    return found


LAYOUTS = {
    "two spaces": (
        """\
layer {
  name: "conv"  # type: "x" }
  type: "Convolution"
  convolution_param {
    weight_filler { type: "Convolution" }
  }
}  # the end
""",
        """\
layer {
  name: "conv"  # type: "x" }
  type: "ConvolutionRistretto"
  convolution_param {
    weight_filler { type: "Convolution" }
  }
  quantization_param {
    bw_params: 4
    fl_params: -3
  }
}  # the end
""",
    ),
    "tabs and single quotes": (
        "layer: {\n\ttype : 'Convolution'\n}",
        "layer: {\n\ttype : 'ConvolutionRistretto'\n"
        "\tquantization_param {\n\t\tbw_params: 4\n\t\tfl_params: -3\n\t}\n}",
    ),
    "CRLF": (
        '\ufefflayer {\r\n    type: "Convolution"\r\n}\r\n',
        '\ufefflayer {\r\n    type: "ConvolutionRistretto"\r\n    quantization_param {\r\n        bw_params: 4\r\n'
        "        fl_params: -3\r\n    }\r\n}\r\n",
    ),
    "one line": (
        'layer { name: "a" type: "Convolution" }',
        'layer { name: "a" type: "ConvolutionRistretto" quantization_param { bw_params: 4 fl_params: -3 } }',
    ),
    "one line without spaces": (
        'layer<type:"Convolution">layer{}',
        'layer<type:"ConvolutionRistretto" quantization_param { bw_params: 4 fl_params: -3 }>layer{}',
    ),
    "a list of layers": (
        'layer: [\n  {\n    type: "Convolution",\n  }, { type: "ReLU" }\n]\n',
        'layer: [\n  {\n    type: "ConvolutionRistretto",\n    quantization_param {\n      bw_params: 4\n'
        '      fl_params: -3\n    }\n  }, { type: "ReLU" }\n]\n',
    ),
    "the brace behind a field": (
        'layer {\n  type: "Convolution";}\n',
        'layer {\n  type: "ConvolutionRistretto"; quantization_param { bw_params: 4 fl_params: -3 }}\n',
    ),
    "the brace alone below one line": (
        '  layer { type: "Convolution" # in short\n  }',
        '  layer { type: "ConvolutionRistretto" # in short\n    quantization_param {\n      bw_params: 4\n'
        "      fl_params: -3\n    }\n  }",
    ),
    "a brace in line with the fields": (
        'layer {\n    type: "Convolution"\n    }\n',
        'layer {\n    type: "ConvolutionRistretto"\n    quantization_param {\n        bw_params: 4\n'
        "        fl_params: -3\n    }\n    }\n",
    ),
    "no indentation": (
        'layer {\ntype: "Convolution"\n}\n',
        'layer {\ntype: "ConvolutionRistretto"\nquantization_param {\n  bw_params: 4\n  fl_params: -3\n}\n}\n',
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str) -> None:
    before, after = LAYOUTS[name]
    source = scan(before, "net")
    assert source.rewrite({0: QUANTIZED}) == after
    assert scan(after, "net").rewrite({0: QUANTIZED}) == after
    assert scan(after, "net").rewrite({0: PLAIN}) == before
    assert source.rewrite({0: PLAIN}) is source.text
    assert source.rewrite({}) is source.text


OLD_BLOCKS = {
    "values change where they stand": (
        'layer { type: "X" quantization_param { fl_params: 0x2 # kept\n bw_params: 16; } name: "a" }',
        'layer { type: "X" quantization_param { fl_params: -3 # kept\n bw_params: 4; } name: "a" }',
    ),
    "what is missing comes last": (
        'layer {\n  type: "X"\n  quantization_param {\n    bw_params: 4\n    # by hand\n  }\n}\n',
        'layer {\n  type: "X"\n  quantization_param {\n    bw_params: 4\n    # by hand\n    fl_params: -3\n  }\n}\n',
    ),
    "what has no value goes": (
        'layer {\n  type: "X"\n  quantization_param {\n    precision: MINIFLOAT\n    mant_bits: 3 # three\n'
        "    exp_bits: 4\n    bw_params: 4 fl_params: -3 }\n}\n",
        'layer {\n  type: "X"\n  quantization_param {\n     # three\n    bw_params: 4 fl_params: -3 }\n}\n',
    ),
    "all goes and all comes, inline": (
        'layer { type: "X" quantization_param: <precision: 1, mant_bits: 3>; name: "a" }',
        'layer { type: "X" quantization_param: < bw_params: 4 fl_params: -3>; name: "a" }',
    ),
    "all goes and all comes, on lines": (
        'layer {\n type: "X"\n quantization_param {\n  precision: MINIFLOAT\n  mant_bits: 3\n }\n}',
        'layer {\n type: "X"\n quantization_param {\n  bw_params: 4\n  fl_params: -3\n }\n}',
    ),
    "an empty one": (
        'layer { type: "X" quantization_param {} }',
        'layer { type: "X" quantization_param { bw_params: 4 fl_params: -3 } }',
    ),
    "an unknown field stays": (
        'layer { type: "X" quantization_param { bw_params: 4 bw_extra: 5 fl_params: 1 } }',
        'layer { type: "X" quantization_param { bw_params: 4 bw_extra: 5 fl_params: -3 } }',
    ),
    "a last field before the brace goes": (
        'layer {\n type: "X"\n quantization_param {\n  bw_params: 4\n  mant_bits: 3 }\n}',
        'layer {\n type: "X"\n quantization_param {\n  bw_params: 4\n   fl_params: -3 }\n}',
    ),
}


@pytest.mark.parametrize("name", OLD_BLOCKS)
def test_a_block_that_is_there_already(name: str) -> None:
    before, after = OLD_BLOCKS[name]
    edits = {0: LayerEdit("X", FORMATS)}
    assert scan(before, "net").rewrite(edits) == after
    assert scan(after, "net").rewrite(edits) == after


def test_settings_are_added_or_changed_and_no_others_touched() -> None:
    edit = {0: LayerEdit("X", None, {"convolution_param": {"group": "4"}})}
    for before, after in [
        (
            'layer {\n  type: "X"\n  convolution_param {\n    pad: 1 # one\n  }\n}',
            'layer {\n  type: "X"\n  convolution_param {\n    pad: 1 # one\n    group: 4\n  }\n}',
        ),
        (
            'layer { type: "X" convolution_param { group: 1 pad: [1, 2] } }',
            'layer { type: "X" convolution_param { group: 4 pad: [1, 2] } }',
        ),
        ('layer { type: "X" }', 'layer { type: "X" convolution_param { group: 4 } }'),
    ]:
        assert scan(before, "net").rewrite(edit) == after
        assert scan(after, "net").rewrite(edit) == after


TAKEN_AWAY = {
    "its lines": ('layer {\n  quantization_param { bw_params: 4 }  \r\n  type: "X"\n}', 'layer {\n  type: "X"\n}'),
    "comments inside it": ('layer { type: "X"\n quantization_param {\n # old\n }\n}', 'layer { type: "X"\n}'),
    "not a comment behind it": (
        'layer {\n  type: "X"\n  quantization_param { } # old\n}',
        'layer {\n  type: "X"\n   # old\n}',
    ),
    "not a field behind it": (
        'layer {\n  quantization_param {}; type: "X"\n}',
        'layer {\n   type: "X"\n}',
    ),
    "no two words become one": ('layer{phase:0 quantization_param{}type:"X"}', 'layer{phase:0 type:"X"}'),
    "its separator": ('layer{quantization_param{},type:"X"}', 'layer{ type:"X"}'),
}


@pytest.mark.parametrize("name", TAKEN_AWAY)
def test_a_block_is_taken_away(name: str) -> None:
    before, after = TAKEN_AWAY[name]
    assert scan(before, "net").rewrite({0: LayerEdit("X", None)}) == after


def test_a_type_in_pieces_keeps_its_comments() -> None:
    text = "layer { type: 'Convo' # first\n \"lution\" # second\n }"
    source = scan(text, "net")
    assert source.rewrite({0: PLAIN}) == text
    rewritten = source.rewrite({0: LayerEdit("ReLU", None)})
    assert rewritten == "layer { type: 'ReLU' # first\n  # second\n }"


def test_a_type_with_escapes_is_compared_by_its_content() -> None:
    text = r'layer { type: "Convolut\151on" }'
    assert scan(text, "net").rewrite({0: PLAIN}) == text


def test_layers_of_other_blocks_are_not_counted() -> None:
    text = 'layers { layer { type: "conv" } } fork { layer { type: "Convolution" } } layer { type: "ReLU" }'
    source = scan(text, "net")
    assert [type_of(layer).value for layer in source.layers] == ["ReLU"]
    assert source.rewrite({0: LayerEdit("TanH", None)}) == text.replace("ReLU", "TanH")


def test_a_layer_without_a_type_is_named() -> None:
    with pytest.raises(PrototxtError, match="net:2:7: a layer without a type"):
        scan('layer {}\nlayer { name: "a" }', "net").rewrite({1: PLAIN})


# --- any layout

GAPS = st.lists(
    st.sampled_from([" ", "\t", "\n", "\r\n", "  ", "\f", '# } type: "no" { \'\n', "#\r\n", "# caf\udce9 `\n"]),
    max_size=3,
).map("".join)
COMMENT = re.compile(r"#(?: }| caf|\r).*")
SPACES = GAPS.map(lambda gap: gap or " ")


@st.composite
def layers(draw: st.DrawFn) -> tuple[str, bool]:
    """One layer's text, and whether it has a quantization_param."""

    def field(name: str, value: str) -> str:
        return f"{name}{draw(GAPS)}:{draw(GAPS)}{value}"

    def quoted(value: str) -> str:
        quote = draw(st.sampled_from("\"'"))
        return f"{quote}{value}{quote}"

    def block(name: str, fields: list[str]) -> str:
        opening, closing = draw(st.sampled_from(["{}", "<>"]))
        parts = [name, draw(GAPS), draw(st.sampled_from(["", ":"])), draw(GAPS), opening, draw(GAPS)]
        for item in fields:
            parts += [item, draw(st.sampled_from([" ", ";", ","])), draw(GAPS)]
        return "".join([*parts, closing])

    kind = draw(st.sampled_from(["Convolution", "ConvolutionRistretto", "Data"]))
    type_field = field("type", draw(st.sampled_from([quoted(kind), quoted(kind[:2]) + draw(GAPS) + quoted(kind[2:])])))
    fields = [
        field("name", quoted(draw(st.sampled_from(["a", "b}", "# c", "type: {", "é"])))),
        block(
            "convolution_param", [field("num_output", "3"), block("weight_filler", [field("type", quoted("xavier"))])]
        ),
        block("fork_param", [field("type", quoted("Convolution")), field("bw_params", "[ 1, 2 ]")]),
        field("fork_phase", "TEST"),
        field("loss_weight", "1.0f"),
    ]
    fields = [*draw(st.permutations(fields))[: draw(st.integers(0, len(fields)))], type_field]
    has_block = draw(st.booleans())
    if has_block:
        # A comment inside a field that goes would go with it.
        inside = ["precision:MINIFLOAT", "bw_params : 4", "mant_bits:\n0x3", "bw_extra: 5", "fl_params: 7"]
        inside[-1] = draw(st.sampled_from(["fl_params: -3", "fl_params: - 3", inside[-1]]))
        fields.append(block("quantization_param", draw(st.permutations(inside))[: draw(st.integers(0, len(inside)))]))
    return block("layer", draw(st.permutations(fields))), has_block


EDITS = st.none() | st.builds(
    LayerEdit,
    st.sampled_from(["Convolution", "ConvolutionRistretto"]),
    st.none() | st.just(FORMATS) | st.just([("precision", "MINIFLOAT"), ("mant_bits", "3")]),
    st.sampled_from([{}, {}, {"convolution_param": {"num_output": "3"}}, {"convolution_param": {"group": "2"}}]),
)


def edited(message: Any, edits: dict[int, LayerEdit]) -> Any:
    """What the message should become, by protobuf's own means."""
    result = type(message)()
    result.CopyFrom(message)
    for index, edit in edits.items():
        layer = result.layer[index]
        layer.type = edit.type
        layer.ClearField("quantization_param")
        if edit.quantization is not None:
            body = " ".join(f"{name}: {value}" for name, value in edit.quantization)
            formats = parse(f"layer {{ quantization_param {{ {body} }} }}", "").layer[0].quantization_param
            layer.quantization_param.CopyFrom(formats)
        for field, value in edit.settings.get("convolution_param", {}).items():
            setattr(layer.convolution_param, field, int(value))
    return result


@given(st.lists(st.tuples(layers(), SPACES, EDITS), min_size=1, max_size=3), GAPS)
def test_any_layout_changes_in_type_and_formats_alone(
    net: list[tuple[tuple[str, bool], str, LayerEdit | None]], head: str
) -> None:
    text = head + "".join(layer + gap for (layer, _), gap, _ in net)
    edits = {index: edit for index, (_, _, edit) in enumerate(net) if edit is not None}
    source = scan(text, "net")
    rewritten = source.rewrite(edits)
    assert parse(rewritten, "net") == edited(parse(text, "net"), edits)
    again = scan(rewritten, "net")
    assert again.rewrite(edits) == rewritten

    def unknown(prototxt: Any) -> dict[tuple[str, str], int]:
        return {(f.parent, f.name): f.count for f in prototxt.unknown if f.parent != "quantization_param"}

    assert unknown(again) == unknown(source)
    if not any(has_block and edit and edit.quantization is None for (_, has_block), _, edit in net):
        assert COMMENT.findall(rewritten) == COMMENT.findall(text)
    if not any(has_block or (edit and edit.settings) for (_, has_block), _, edit in net):
        types = {index: LayerEdit(type_of(source.layers[index]).value, None) for index in edits}
        back = again.rewrite(types)
        assert parse(back, "net") == parse(text, "net")
        if not any(len(type_of(source.layers[index]).words) > 1 for index in edits):
            assert back == text


# --- real nets


def nets(shared: Path) -> dict[Path, Any]:
    paths = sorted(path for path in shared.rglob("*.prototxt") if path.parent.name != "lenet_v1")
    assert len(paths) > 10
    return {path: scan(read_text(path), str(path)) for path in paths}


@pytest.mark.shared
def test_real_nets_change_in_type_and_formats_alone(shared: Path) -> None:
    for path, source in nets(shared).items():
        message = parse(source.text, str(path))
        every = {index: LayerEdit(f"{layer.type}X", FORMATS) for index, layer in enumerate(message.layer)}
        rewritten = source.rewrite(every)
        assert parse(rewritten, str(path)) == edited(message, every)
        again = scan(rewritten, str(path))
        assert again.rewrite(every) == rewritten
        undone = {index: LayerEdit(layer.type, None) for index, layer in enumerate(message.layer)}
        assert parse(again.rewrite(undone), str(path)) == edited(message, undone)
        if not any(layer.HasField("quantization_param") for layer in message.layer):
            assert again.rewrite(undone) == source.text


SOURCES = {"lenet": "lenet", "cifar10_full": "cifar10_full", "squeezenet": "squeezenet_v1.0"}


def with_formats_of(shared: Path, name: str, golden: str) -> tuple[str, str]:
    """The source's text, and that text with the formats of a net that the fork wrote."""
    source = read_model(shared / "data" / "models" / SOURCES[name] / "train_val.prototxt")
    formats = read_model(shared / "golden" / "fork" / golden)
    pairs = zip(source.net.layers, formats.net.layers, strict=True)
    net = replace(source.net, layers=tuple(replace(layer, quant=other.quant) for layer, other in pairs))
    return source.prototxt.text, rewritten_text(source.prototxt, source.net, net)


@pytest.mark.shared
@pytest.mark.parametrize("name", SOURCES)
def test_a_diff_shows_types_and_formats_alone(shared: Path, name: str) -> None:
    golden = next((shared / "golden" / "fork").glob(f"{name}_dynamic_fixed_point_*.prototxt")).name
    source, written = with_formats_of(shared, name, golden)
    old, new = source.splitlines(keepends=True), written.splitlines(keepends=True)
    block = r"  quantization_param \{\n|    (bw|fl)_(layer_in|layer_out|params): -?\d+\n|  \}\n"
    changed = 0
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "replace":
            assert (j - i, m - k) == (1, 1)
            assert re.fullmatch(r'  type: "(Convolution|InnerProduct)"\n', old[i])
            assert re.fullmatch(r'  type: "(Convolution|Fc)Ristretto"\n', new[k])
            changed += 1
        elif tag == "insert":
            assert all(re.fullmatch(block, line) for line in new[k:m])
            assert m - k == 8
        else:
            assert tag == "equal"
    assert changed == len(re.findall('type: "(?:Convolution|InnerProduct)"', source))


@pytest.mark.shared
@pytest.mark.parametrize("mode", ["dynamic_fixed_point", "integer_power_of_2_weights", "minifloat"])
@pytest.mark.parametrize("name", ["lenet", "cifar10_full"])
def test_the_text_is_the_one_that_the_fork_writes(shared: Path, name: str, mode: str) -> None:
    golden = f"{name}_{mode}_m1.prototxt"
    _, written = with_formats_of(shared, name, golden)
    assert encode(written) == (shared / "golden" / "fork" / golden).read_bytes()


@pytest.mark.shared
def test_the_fork_s_squeezenet_is_the_same_net(shared: Path) -> None:
    golden = "squeezenet_dynamic_fixed_point_m3.prototxt"
    _, written = with_formats_of(shared, "squeezenet", golden)
    assert parse(written, "") == parse(read_text(shared / "golden" / "fork" / golden), "")

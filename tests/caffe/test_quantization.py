"""quantization_param: formats read from a prototxt, and written back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.caffe.messages import as_fields
from ristretto.caffe.prototxt import parse, read_text
from ristretto.caffe.quantization import PRECISIONS, read_quant, write_quant
from ristretto.caffe.schema import message_class
from ristretto.errors import FormatError, ModelError
from ristretto.formats import FORMATS, FixedPoint, Format, MiniFloat, PowerOfTwo
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.net import LayerQuant, Scheme

FIXED = st.builds(FixedPoint, bw=st.integers(1, 32), fl=st.integers(-MAX_FRACTION, MAX_FRACTION))
MINI = st.builds(MiniFloat, exp_bits=st.integers(1, 8), mant_bits=st.integers(0, 23))
POWERS = st.tuples(st.integers(-126, 126), st.integers(-126, 126)).map(lambda ends: PowerOfTwo(min(ends), max(ends)))
SCHEMES = st.sampled_from(Scheme)
QUANTS = (
    st.builds(LayerQuant, FIXED, FIXED, FIXED, SCHEMES)
    | st.builds(lambda fmt, scheme: LayerQuant(fmt, fmt, fmt, scheme), MINI, SCHEMES)
    | st.builds(LayerQuant, FIXED, FIXED, POWERS, SCHEMES)
)


def read(text: str) -> LayerQuant:
    layer = parse(f"layer {{ quantization_param {{ {text} }} }}", "net").layer[0]
    return read_quant(as_fields(layer.quantization_param))


@given(QUANTS)
def test_what_is_written_is_read_back(quant: LayerQuant) -> None:
    lines = write_quant(quant)
    assert read(" ".join(f"{name}: {value}" for name, value in lines)) == quant


@given(QUANTS)
def test_fields_are_written_once_each_in_the_schema_s_order(quant: LayerQuant) -> None:
    numbers = {field.name: field.number for field in message_class("QuantizationParameter").DESCRIPTOR.fields}
    order = [numbers[name] for name, _ in write_quant(quant) if name not in ("mant_bits", "exp_bits")]
    assert order == sorted(set(order))


def test_every_format_and_every_precision_has_its_place() -> None:
    values = message_class("QuantizationParameter").DESCRIPTOR.fields_by_name["precision"].enum_type.values
    assert list(PRECISIONS) == [value.name for value in values]
    assert set(FORMATS) <= {precision.formats for precision in PRECISIONS.values()}


def test_an_absent_field_means_its_default() -> None:
    wide = FixedPoint(32, 16)
    assert read("") == LayerQuant(wide, wide, wide, Scheme.NEAREST)
    assert read("bw_params: 4 fl_layer_in: -2") == LayerQuant(FixedPoint(32, -2), wide, FixedPoint(4, 16))
    single = MiniFloat(exp_bits=8, mant_bits=23)
    assert read("precision: MINIFLOAT") == LayerQuant(single, single, single)
    assert read("precision: INTEGER_POWER_OF_2_WEIGHTS") == LayerQuant(wide, wide, PowerOfTwo(-8, -1))


def test_places_are_not_mixed_up() -> None:
    text = "bw_layer_in: 1 bw_layer_out: 2 bw_params: 3 fl_layer_in: 4 fl_layer_out: 5 fl_params: -6"
    quant = read(f"rounding_scheme: STOCHASTIC {text}")
    assert quant == LayerQuant(FixedPoint(1, 4), FixedPoint(2, 5), FixedPoint(3, -6), Scheme.STOCHASTIC)
    lines = write_quant(quant)
    assert lines[0] == ("rounding_scheme", "STOCHASTIC")
    assert " ".join(f"{name}: {value}" for name, value in lines[1:]) == text


@pytest.mark.parametrize(
    "text",
    [
        "bw_params: 0",
        "bw_params: 33",
        "bw_layer_in: 4294967295",
        f"fl_layer_out: {MAX_FRACTION + 1}",
        "fl_params: -2147483648",
        "precision: MINIFLOAT exp_bits: 0",
        "precision: MINIFLOAT mant_bits: 24",
        "precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: 3",
        "precision: INTEGER_POWER_OF_2_WEIGHTS exp_min: -999",
    ],
)
def test_impossible_formats_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        read(text)


@pytest.mark.parametrize("params", [None, FixedPoint(8, 4)])
def test_a_minifloat_is_one_for_all_places(params: Format | None) -> None:
    mini = MiniFloat(4, 3)
    with pytest.raises(ModelError, match="one minifloat"):
        write_quant(LayerQuant(params, mini, mini))


def test_float_weights_have_no_word() -> None:
    fixed = FixedPoint(8, 4)
    with pytest.raises(ModelError, match="a prototxt cannot hold the format None"):
        write_quant(LayerQuant(fixed, fixed, None))


@pytest.mark.shared
def test_the_fork_s_own_blocks_are_written_as_they_are(shared: Path) -> None:
    seen = 0
    for path in sorted((shared / "golden" / "fork").glob("*.prototxt")):
        for layer in parse(read_text(path), str(path)).layer:
            if layer.HasField("quantization_param"):
                lines = write_quant(read_quant(as_fields(layer.quantization_param)))
                assert str(layer.quantization_param) == "".join(f"{name}: {value}\n" for name, value in lines)
                seen += 1
    assert seen > 40

"""The manifest: what its schema says of it, and whether it is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

import ristretto.export
from ristretto import __version__
from ristretto.errors import ModelError
from ristretto.export import EXPORTERS, Subject
from ristretto.export.stems import LONGEST_STEM, RESERVED, stems
from ristretto.formats import HALF_EVEN, FixedPoint, MiniFloat, PowerOfTwo
from ristretto.net import Net
from tests.execute.nets import nets, other_quants, whole_quants
from tests.export import readers
from tests.export.small import chain, exported
from tests.export.test_words import KINDS

SCHEMA = json.loads((Path(ristretto.export.__file__).parent / "manifest.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def small(**options: Any) -> dict[str, Any]:
    net = chain(np.ones((2, 4)), [1, 2], FixedPoint(8, 5), FixedPoint(6, 7), FixedPoint(16, -2))
    return readers.manifest_of(exported(net, np.ones((1, 4)), **options))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", KINDS)
@given(pair=nets(longest=3, quants=st.one_of(whole_quants(31), other_quants())), golden=st.booleans())
@settings(max_examples=8)
def test_every_manifest_keeps_to_the_schema(kind: str, pair: tuple[Net, dict[str, np.ndarray]], golden: bool) -> None:
    net, batch = pair
    shapes = {blob: array.shape for blob, array in batch.items()}
    try:
        done = EXPORTERS[kind]().export(Subject(net, shapes, batch if golden else None))
    except ModelError:
        assert not any(layer.quant for layer in net)
        return
    VALIDATOR.validate(readers.manifest_of(done))
    readers.check_files(done)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("files", 0, "crc32"), "12"),
        (("files", 0, "path"), "../net.prototxt"),
        (("files", 0, "path"), "/weights.npz"),
        (("layers", 0, "formats", "params", "packing"), "minifloat"),
        (("layers", 0, "formats", "params", "exp_min"), 3),
        (("layers", 0, "formats", "params", "bw"), 32),
        (("layers", 0, "datapath", "bias", "left_shift"), -1),
        (("layers", 0, "tables", 0, "bits"), 65),
        (("layers", 0, "tables", 0, "name"), "outputs"),
        (("golden", "tables", 0, "surplus"), 1),
        (("surplus",), 1),
    ],
)
def test_the_schema_refuses_other_things(path: tuple[str | int, ...], value: object) -> None:
    told = small()
    VALIDATOR.validate(told)
    *way, last = path
    place: Any = told
    for step in way:
        place = place[step]
    place[last] = value
    with pytest.raises(ValidationError):
        VALIDATOR.validate(told)


def test_what_it_says_of_a_layer() -> None:
    told = small()
    assert (told["net"], told["format"], told["rounding"]) == ("small", "integers", "half_away_from_zero")
    assert told["tool"] == {"name": "ristretto-cnn", "version": __version__}
    (layer,) = told["layers"]
    layer_in = layer["formats"]["layer_in"]
    assert (layer_in["bw"], layer_in["fl"], layer_in["il"]) == (8, 5, 3)
    # ARM counts the sign bit among the integer bits, TI does not, Xilinx does.
    assert (layer_in["q_arm"], layer_in["q_ti"]) == ("Q3.5", "Q2.5")
    assert layer_in["ap_fixed"] == "ap_fixed<8, 3, AP_RND_INF, AP_SAT>"
    assert layer["formats"]["params"]["q_ti"] == "Q-2.7"
    assert layer["formats"]["layer_out"]["ap_fixed"] == "ap_fixed<16, 18, AP_RND_INF, AP_SAT>"
    # Weights and biases are all at their greatest, 31.
    assert layer["datapath"] == {
        "product": {"bits": 14, "fl": 12, "left_shift": 0},
        "bias": {"fl": 7, "left_shift": 5},
        "accumulator": {"bits": 16, "fl": 12, "low": 4 * 31 * -128 + (31 << 5), "high": 4 * 31 * 127 + (31 << 5)},
        "output": {"right_shift": 14, "low_code": -32768, "high_code": 32767},
    }
    assert [(t["name"], t["shape"], t["bits"], t["fl"]) for t in layer["tables"]] == [
        ("weights", [2, 4], 6, 7),
        ("bias", [2], 6, 7),
    ]
    assert [(t["name"], t["bits"], t["fl"]) for t in told["golden"]["tables"]] == [
        ("inputs", 8, 5),
        ("accumulators", 16, 12),
        ("outputs", 16, -2),
    ]


def test_the_schema_knows_every_format() -> None:
    """One that it does not know it takes as it is; those that are here it holds to their parameters."""
    known = {part["properties"]["kind"]["const"] for name, part in SCHEMA["$defs"].items() if name.startswith("is_")}
    assert known == {fmt.name for fmt in (FixedPoint, MiniFloat, PowerOfTwo)}


def test_halves_to_even_are_said() -> None:
    told = small(arithmetic=HALF_EVEN)
    assert told["rounding"] == "half_to_even"
    assert "AP_RND_CONV" in told["layers"][0]["formats"]["layer_in"]["ap_fixed"]


@given(st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=12))
def test_stems_are_names_for_files_and_c(names: list[str]) -> None:
    given = stems(names)
    assert list(given) == names
    assert len({stem.lower() for stem in given.values()}) == len(names)
    for stem in given.values():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", stem)
        assert len(stem) <= LONGEST_STEM
        assert stem.lower() not in RESERVED


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 300, "con", "*/ int x; /*", "\n", "conv\0"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_name_of_a_layer_gets_out_of_the_folder(kind: str, name: str) -> None:
    net = chain(np.ones((2, 4)), None, FixedPoint(8, 5), FixedPoint(8, 5), FixedPoint(8, 5), name=name)
    done = exported(net, np.ones((1, 4)), kind=kind)
    told = readers.manifest_of(done)
    VALIDATOR.validate(told)
    assert told["layers"][0]["name"] == name
    other = exported(
        chain(np.ones((2, 4)), None, *[FixedPoint(8, 5)] * 3, name=stems([name])[name]), np.ones((1, 4)), kind
    )
    told_apart = {path for path in done.files if done.files[path] != other.files.get(path)}
    assert told_apart <= {"manifest.json"}

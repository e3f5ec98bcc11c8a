"""Files that a page is made from: what is wrong with one is said in one line, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.errors import ResultError
from ristretto.report.page import read, render
from ristretto.report.page.reading import read_text
from tests.report.page_data import Plain, changed, findings, front, result, sweep

SMALL = result("one", "two")


def write(folder: Path, name: str, data: object) -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"R\.json is no JSON: Expecting value: line 1 column 1"),
        ('{"kind": ', r"R\.json is no JSON: Expecting value"),
        ("[" * 100_000, r"R\.json is no JSON: it nests too deeply"),
        ("[]", r"R\.json is no result that a report can show"),
        ("{}", r"R\.json is no result that a report can show"),
        ('{"kind": ["quantization"], "schema": 1}', r"R\.json is no result that a report can show"),
        ('{"kind": "training", "schema": 1}', r"R\.json is no result that a report can show"),
        ('{"kind": "quantization"}', r"R\.json is no result that a report can show"),
        ('{"kind": "quantization", "schema": 1}', r"R\.json is damaged: layers is missing"),
        ('{"kind": "quantization", "schema": 2}', r"R\.json is of schema 2, and this version of ristretto reads 1"),
        ('{"kind": "quantization", "schema": "1"}', r"R\.json is damaged: schema is no whole number"),
    ],
)
def test_what_is_no_result_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ResultError, match=said) as caught:
        read([write(tmp_path, "R.json", content)])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        ("layers.1.macs", "many", r"layers\[1\]\.macs is no whole number of at least 0"),
        ("layers.0.formats.params.bw", 99, r"layers\[0\]\.formats\.params is no format: a fixed-point word of 99 bits"),
        ("layers.0.formats.params.name", "posit", r"formats\.params\.name is no number format that this version knows"),
        ("layers.0.formats.params.fl", None, r"formats\.params\.fl is missing"),
        ("layers.0.places.params.histogram.counts", [], r"places\.params\.histogram is no histogram"),
        ("layers.0.places.params.histogram.counts.0", -1, r"counts\[0\] is no whole number of at least 0"),
        ("layers.0.ranges.layer_in", [1.0], r"ranges\.layer_in is no range"),
        ("trials.0.within_margin", 1, r"trials\[0\]\.within_margin is neither true nor false"),
        ("memory", None, r"memory is no object|memory is missing"),
        ("graph.0.tops", "data", r"graph\[0\]\.tops is no list"),
        ("error_margin", 1e300, r"error_margin is no number that one can count with"),
        ("sites.0.distortions", {"x": 1}, r"sites\[0\]\.distortions is no object with widths as keys"),
        ("front.nets.0.cost", None, r"front\.nets\[0\]\.cost is missing"),
    ],
)
def test_what_is_damaged_is_named_with_the_way_to_it(way: str, value: Any, said: str) -> None:
    with pytest.raises(ResultError, match=said):
        findings(changed(SMALL, way, value))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"cannot read .*nothing\.json: No such file or directory"):
        read([tmp_path / "nothing.json"])


def test_bytes_that_are_no_text_are_named() -> None:
    with pytest.raises(ResultError, match=r"R is no JSON: .*can't decode byte"):
        read_text(b'{"kind": "\xff"}', "R")


def test_one_file_must_be_a_quantization(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"no result of a quantization: .*s\.json"):
        read([write(tmp_path, "s.json", sweep())])


def test_there_are_no_two_files_of_one_kind(tmp_path: Path) -> None:
    files = [write(tmp_path, f"{name}.json", SMALL) for name in "ab"]
    with pytest.raises(ResultError, match=r"a\.json and .*b\.json are both of the kind 'quantization'"):
        read(files)


@pytest.mark.parametrize("other", [sweep("Other"), front("Other")])
def test_all_files_must_be_of_one_net(tmp_path: Path, other: Plain) -> None:
    files = [write(tmp_path, "R.json", SMALL), write(tmp_path, "o.json", other)]
    with pytest.raises(ResultError, match=r"o\.json is of the net 'Other', .*R\.json of 'Small'"):
        read(files)


def test_a_front_of_its_own_takes_the_place_of_the_one_within(tmp_path: Path) -> None:
    other = front()
    other["nets"] = other["nets"][:1]
    found = read([write(tmp_path, "R.json", SMALL), write(tmp_path, "f.json", other)])
    assert found.front
    assert len(found.front.nets) == 1


def ways(data: Any, before: str = "") -> Iterator[str]:
    """Give the way to every value."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        way = f"{before}.{key}" if before else str(key)
        yield way
        yield from ways(value, way)


WAYS = sorted(way for way in ways(SMALL) if "prototxt" not in way)
VALUES: list[Any] = [None, [], {}, [[]], "", "x\ud800\x00", -1, 0, 3, 0.5, -1e59, 1e59, 1e-300, 10**400, True, [1, 2]]


@settings(max_examples=150)
@given(way=st.sampled_from(WAYS), value=st.sampled_from(VALUES))
def test_whatever_is_changed_there_is_a_page_or_one_clear_error(way: str, value: Any) -> None:
    try:
        found = findings(changed(SMALL, way, value))
    except ResultError as error:
        assert error.message.startswith("R.json ")
        assert "\n" not in error.message
    else:
        assert render(found).startswith(b"<!DOCTYPE html>")

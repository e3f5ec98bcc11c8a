"""What every number format keeps, whoever wrote it: a place in FORMATS, a test with its definition, words about it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import ristretto.formats
from ristretto.formats import FORMATS, Format


def test_every_format_is_registered() -> None:
    found = set()
    for module in pkgutil.iter_modules(ristretto.formats.__path__):
        for value in vars(importlib.import_module(f"ristretto.formats.{module.name}")).values():
            if inspect.isclass(value) and issubclass(value, Format) and not inspect.isabstract(value):
                found.add(value)
    assert found == set(FORMATS)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_a_format_has_a_test_with_its_definition(fmt: type[Format]) -> None:
    path = Path(__file__).parent / f"test_{fmt.__module__.rpartition('.')[2]}.py"
    assert path.exists(), f"{fmt.name} has no test: write tests/formats/{path.name} (docs/add-a-format.md)"
    assert "check_format(" in path.read_text("utf-8"), f"{path.name} holds {fmt.name} to no definition"


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_a_format_is_a_frozen_value_with_words_about_it(fmt: type[Format]) -> None:
    assert dataclasses.is_dataclass(fmt)
    assert fmt.__dataclass_params__.frozen
    assert fmt.__doc__
    assert not fmt.__doc__.startswith(f"{fmt.__name__}(")


def test_names_are_told_apart() -> None:
    assert len({fmt.name for fmt in FORMATS}) == len(FORMATS)

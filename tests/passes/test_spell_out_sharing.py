"""Blobs that share memory in Caffe, against arrays that share memory in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.execute import FloatExecutor, IntegerExecutor, SimulateExecutor
from ristretto.formats import EMULATIONS, EXACT, FixedPoint, PowerOfTwo
from ristretto.layers import Concat, Flatten, InnerProduct, Input, Power, ReLU, Reshape, Slice, Split
from ristretto.net import Layer, LayerQuant, Net, Op, Phase
from ristretto.passes import SpellOutSharing

FMT = FixedPoint(4, 1)
WEIGHTS = (np.float32([[1, 0, 0.5, -1]]), np.float32([0]))
X = np.float32([0.3, -0.8, 2.26, -1.1]).reshape(1, 1, 2, 2)
SHARING: dict[str, tuple[Op, tuple[str, ...]]] = {
    "split": (Split(2), ("a", "b")),
    "flatten": (Flatten(), ("a",)),
    "reshape": (Reshape(dims=(1, 4)), ("a",)),
    "one slice": (Slice(1), ("a",)),
    "one bottom": (Concat(), ("a",)),
}


def net(*layers: Layer) -> Net:
    data = Layer("data", Input((X.shape,)), (), ("x",))
    return Net("shared", (data, *layers)).for_phase(Phase.TEST)


def trimming(bottom: str, params: FixedPoint | PowerOfTwo = FMT) -> Layer:
    return Layer("ip", InnerProduct(1), (bottom,), ("ip",), WEIGHTS, quant=LayerQuant(FMT, FMT, params))


@pytest.mark.parametrize("kind", [SimulateExecutor, IntegerExecutor])
@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("way", ["a trims x", "x trims a"])
def test_a_trim_reaches_every_name(kind, name: str, way: str) -> None:
    op, tops = SHARING[name]
    trimmed, reader = ("x", "a") if way == "x trims a" else ("a", "x")
    late = Layer("late", Power(scale=2.0), (reader,), ("late",))
    run = kind(net(Layer("share", op, ("x",), tops), trimming(trimmed), late), {}).run({"x": X})
    assert run.outputs["late"].ravel().tolist() == (2 * FMT.trim(X)).ravel().tolist()


@pytest.mark.parametrize("kind", [FloatExecutor, SimulateExecutor, IntegerExecutor])
@pytest.mark.parametrize("name", SHARING)
def test_work_in_place_reaches_every_name(kind, name: str) -> None:
    op, tops = SHARING[name]
    relu = Layer("relu", ReLU(), ("a",), ("a",))
    late = Layer("late", Power(scale=2.0), ("x",), ("late",))
    run = kind(net(Layer("share", op, ("x",), tops), relu, late), {}).run({"x": X})
    assert run.outputs["late"].ravel().tolist() == (2 * np.maximum(X, 0)).ravel().tolist()


def test_an_output_without_readers_changes_too() -> None:
    run = SimulateExecutor(net(Layer("share", Split(2), ("x",), ("a", "b")), trimming("a")), {}).run({"x": X})
    assert run.outputs["b"].tolist() == FMT.trim(X).tolist()


def test_a_copy_that_has_memory_of_its_own_does_not_change() -> None:
    run = SimulateExecutor(
        net(Layer("two", Concat(), ("x", "x"), ("a",)), trimming("x"), Layer("late", Power(), ("a",), ("late",))), {}
    ).run({"x": X})
    assert run.outputs["late"].tolist() == np.concatenate([X, X], axis=1).tolist()


def test_a_name_that_is_written_anew_leaves_the_memory() -> None:
    layers = (
        Layer("share", Flatten(), ("x",), ("a",)),
        Layer("again", Power(scale=3.0), ("x",), ("b",)),
        trimming("a"),
        Layer("late", Power(), ("b",), ("late",)),
    )
    run = SimulateExecutor(net(*layers), {}).run({"x": X})
    assert run.outputs["late"].tolist() == (3 * X).tolist()


def test_a_net_without_shared_memory_is_the_same_object() -> None:
    plain = net(trimming("x"), Layer("late", Power(), ("x",), ("late",)))
    assert SpellOutSharing(plain.shapes({}))(plain) is plain


def test_what_the_originals_cpu_code_does_not_trim_does_not_change() -> None:
    shared = net(
        Layer("share", Split(2), ("x",), ("a", "b")),
        trimming("a", PowerOfTwo(-8, -1)),
        Layer("late", Power(), ("b",), ("late",)),
    )
    for arithmetic, wanted in ((EXACT, FMT.trim(X)), (EMULATIONS["fork-cpu"], X)):
        run = SimulateExecutor(shared, {}, arithmetic=arithmetic).run({"x": X})
        assert run.outputs["late"].tolist() == wanted.tolist()

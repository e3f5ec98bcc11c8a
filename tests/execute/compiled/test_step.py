"""A program as a step: pictures shared out, memory kept, trims one after the other, numbers that are none."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.execute.compiled import ProgramStep
from ristretto.execute.values import State
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.layers import (
    LRN,
    Concat,
    Convolution,
    Eltwise,
    InnerProduct,
    Input,
    Log,
    Pooling,
    PReLU,
    ReLU,
    Split,
)
from ristretto.net import Layer, LayerQuant, Net, Phase
from tests.battery import check_bits
from tests.execute.compiled.programs import Program
from tests.execute.nets import formats, nets, partial_quants, values, whole_quants

EIGHT = FixedPoint(8, 4)
WHOLE = LayerQuant(EIGHT, EIGHT, EIGHT)


def mixed(pictures: int, quant: LayerQuant | None = WHOLE) -> tuple[Net, dict[str, np.ndarray]]:
    """A net of every kind of job, with inner products in it, and a batch."""
    rng = np.random.default_rng(11)

    def blobs(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        return tuple(rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes)

    shape = (pictures, 3, 9, 9)
    layers = (
        Layer("data", Input((shape,)), (), ("data",)),
        Layer("a", Convolution(20, (3, 3), pad=(1, 1)), ("data",), ("a",), blobs((20, 3, 3, 3), (20,)), quant=quant),
        Layer("slope", PReLU(), ("a",), ("a",), blobs((20,))),
        Layer("norm", LRN(3), ("a",), ("norm",)),
        Layer("pool", Pooling("MAX", (3, 3), (2, 2)), ("norm",), ("pool",)),
        Layer("d", Convolution(20, (3, 3), group=20), ("pool",), ("d",), blobs((20, 1, 3, 3), (20,)), quant=quant),
        Layer("ave", Pooling("AVE", (3, 3)), ("pool",), ("ave",)),
        Layer("join", Concat(), ("ave", "d"), ("join",)),
        Layer("ip", InnerProduct(30), ("join",), ("ip",), blobs((30, 160), (30,)), quant=quant),
        Layer("relu", ReLU(), ("ip",), ("ip",)),
        Layer("ip2", InnerProduct(10), ("ip",), ("ip2",), blobs((10, 30), (10,)), quant=quant),
    )
    return Net("mixed", layers).for_phase(Phase.TEST), {"data": rng.normal(0, 2, shape).astype(np.float32)}


@pytest.mark.parametrize("quant", [WHOLE, None, LayerQuant(EIGHT, EIGHT, None)], ids=["codes", "float", "both"])
@pytest.mark.parametrize("pictures", [1, 2, 3, 5, 7, 16, 65, 131])
def test_numbers_do_not_depend_on_how_pictures_are_shared_out(pictures: int, quant: LayerQuant | None) -> None:
    """Not on the threads, nor on which other pictures are in the batch."""
    net, batch = mixed(pictures, quant)
    keep = values(net)
    whole = IntegerExecutor(net, {}, keep=keep).run(batch)
    for threads in (2, 3):
        run = IntegerExecutor(net, {}, keep=keep, threads=threads).run(batch)
        for name in keep:
            assert run.kept[name].tobytes() == whole.kept[name].tobytes()
        assert run.outputs["ip2"].tobytes() == whole.outputs["ip2"].tobytes()
    one = IntegerExecutor(net, {"data": (1, *batch["data"].shape[1:])}, keep=keep)
    for index in {0, pictures // 2, pictures - 1}:
        run = one.run({"data": batch["data"][index : index + 1]})
        for name in keep:
            assert run.kept[name].tobytes() == whole.kept[name][index : index + 1].tobytes()


@given(nets(quants=st.one_of(whole_quants(16), partial_quants(32))), st.sampled_from((EXACT, HALF_EVEN)))
def test_in_any_net_threads_change_nothing(job, arithmetic: Arithmetic) -> None:
    net, batch = job
    runs = []
    for threads in (1, 2, 3):
        with contextlib.suppress(ModelError):
            executor = IntegerExecutor(net, {}, keep=values(net), arithmetic=arithmetic, threads=threads)
            runs.append(executor.run(batch))
    assert len(runs) in (0, 3)
    for other in runs[1:]:
        for name, value in (runs[0].kept | runs[0].outputs).items():
            check_bits((other.kept | other.outputs)[name], value)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=30)
def test_float_sums_do_not_depend_on_the_tile(width: int, outputs: int, seed: int) -> None:
    """A narrower picture, or fewer outputs, is summed in other tiles, to the same bits."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1, 5, 3, width + 2)).astype(np.float32)
    weights, bias = rng.normal(size=(outputs, 5, 3, 3)).astype(np.float32), rng.normal(size=outputs).astype(np.float32)

    def run(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
        layer = Layer("a", Convolution(len(weights), (3, 3)), ("data",), ("a",), (weights, bias))
        net = Net("net", (Layer("data", Input((x.shape,)), (), ("data",)), layer)).for_phase(Phase.TEST)
        return IntegerExecutor(net, {}).run({"data": x}).outputs["a"]

    whole = run(x, weights, bias)
    few = rng.integers(1, outputs, endpoint=True)
    assert run(x, weights[:few], bias[:few]).tobytes() == whole[:, :few].tobytes()
    narrow = rng.integers(1, width, endpoint=True)
    assert run(x[..., : narrow + 2], weights, bias).tobytes() == whole[..., :narrow].tobytes()


def only(executor: IntegerExecutor) -> ProgramStep:
    (step,) = executor.steps
    assert isinstance(step, ProgramStep)
    return step


def arenas(step: ProgramStep) -> list[np.ndarray]:
    """Give the arenas that lie ready."""
    found = [step.arenas.get_nowait() for _ in range(step.arenas.qsize())]
    for arena in found:
        step.arenas.put(arena)
    return found


def test_memory_is_kept_from_run_to_run() -> None:
    net, batch = mixed(131)
    executor = IntegerExecutor(net, {})
    assert arenas(only(executor)) == []
    executor.run(batch)
    (arena,) = arenas(only(executor))
    assert arena.nbytes == only(executor).arena_size
    executor.run(batch)
    (again,) = arenas(only(executor))
    assert again is arena


def test_there_are_no_more_arenas_than_threads() -> None:
    net, batch = mixed(9)
    executor = IntegerExecutor(net, {}, threads=3)
    for _ in range(4):
        executor.run(batch)
    assert 1 <= len(arenas(only(executor))) <= 3


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_run_side_by_side(threads: int) -> None:
    net, batch = mixed(5)
    executor = IntegerExecutor(net, {}, threads=threads)
    batches = [{"data": batch["data"] * factor} for factor in (1, -1, 0.5, 2, 3, 0)]
    wanted = [executor.run(each).outputs["ip2"] for each in batches]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda each: executor.run(each).outputs["ip2"], batches * 5))
    for one, other in zip(wanted * 5, got, strict=True):
        assert one.tobytes() == other.tobytes()
    assert len(arenas(only(executor))) <= 4 * threads


def test_a_result_is_not_overwritten_by_the_next_run() -> None:
    net, batch = mixed(2)
    executor = IntegerExecutor(net, {}, keep=["a.top0"])
    first = executor.run(batch)
    copies = first.kept["a.top0"].copy(), first.outputs["ip2"].copy()
    executor.run({"data": -batch["data"]})
    np.testing.assert_array_equal(first.kept["a.top0"], copies[0])
    np.testing.assert_array_equal(first.outputs["ip2"], copies[1])


@given(st.lists(formats(32), min_size=1, max_size=4), st.integers(0, 99), st.sampled_from((EXACT, HALF_EVEN)))
def test_a_blob_goes_from_format_to_format_as_its_numbers_do(
    trims: list[FixedPoint], seed: int, arithmetic: Arithmetic
) -> None:
    """Layers that trim a blob in place, one after the other; every value is read outside, or the last one only."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(2, 3, 4, 5)) * 2.0 ** rng.integers(-20, 20, (2, 3, 4, 5))).astype(np.float32)
    x.reshape(-1)[:4] = 0, np.inf, -np.inf, 0.5
    for kept in (True, False):
        program, wanted = Program(x.shape), x
        for index, fmt in enumerate(trims):
            key = f"{index}.top0"
            program.add(Split(1), "data", top=str(index), trim_in=fmt, keep=[key] if kept else [])
        state = State({"data": x})
        ProgramStep(program.builder, ["data"], arithmetic).run(state)
        for index, fmt in enumerate(trims):
            wanted = fmt.trim(wanted, arithmetic)
            if kept:
                check_bits(state.kept[f"{index}.top0"], wanted)
        check_bits(state.blobs["data"], wanted)


def coded(name: str, bottom: str, quant: LayerQuant | None = WHOLE, inputs: int = 2) -> Layer:
    blobs = (np.ones((2, inputs, 1, 1), np.float32), np.zeros(2, np.float32))
    return Layer(name, Convolution(2, (1, 1)), (bottom,), (name,), blobs, quant=quant)


NAN_ON_ITS_WAY = {
    "loaded": ([], coded("c", "data"), "data"),
    "clamped": ([Layer("r", ReLU(), ("data",), ("data",))], coded("c", "data"), "data"),
    "largest": ([Layer("p", Pooling("MAX", (2, 2)), ("data",), ("p",))], coded("c", "p"), "p"),
    "mean": ([Layer("p", Pooling("AVE", (2, 2)), ("data",), ("p",))], coded("c", "p"), "p"),
    "response": ([Layer("n", LRN(3), ("data",), ("n",))], coded("c", "n"), "n"),
    "within": ([Layer("n", LRN(3, within_channel=True), ("data",), ("n",))], coded("c", "n"), "n"),
    "joined": ([Layer("e", Eltwise(), ("data", "data"), ("e",))], coded("c", "e"), "e"),
    "stacked": ([Layer("s", Concat(), ("data", "data"), ("s",))], coded("c", "s", inputs=4), "s"),
    "summed": ([coded("f", "data", None)], coded("c", "f"), "f"),
    "summed and trimmed": ([coded("f", "data", LayerQuant(None, EIGHT, EIGHT))], coded("c", "f"), "f"),
    "summed and clamped": ([coded("f", "data", None), Layer("r", ReLU(), ("f",), ("f",))], coded("c", "f"), "f"),
}


@pytest.mark.parametrize(("before", "reader", "blob"), NAN_ON_ITS_WAY.values(), ids=NAN_ON_ITS_WAY)
@pytest.mark.parametrize("kept", [False, True], ids=["fused", "kept"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_number_without_a_code_is_named(
    before: list[Layer], reader: Layer, blob: str, kept: bool, threads: int
) -> None:
    """By the layer that needs its code, and by the blob that it stands in."""
    shape = (3, 2, 4, 4)
    net = Net("net", (Layer("data", Input((shape,)), (), ("data",)), *before, reader)).for_phase(Phase.TEST)
    executor = IntegerExecutor(net, {}, keep=values(net) if kept else [], threads=threads)
    x = np.ones(shape, np.float32)
    fine = executor.run({"data": x}).outputs
    x[2, 1, 3, 3] = np.nan
    with pytest.raises(ModelError, match=f"(?m)^layer '{reader.name}': blob '{blob}': NaN has no code$"):
        executor.run({"data": x})
    # Nothing of it is left behind.
    x[2, 1, 3, 3] = 1
    for name, value in executor.run({"data": x}).outputs.items():
        np.testing.assert_array_equal(value, fine[name])


def test_a_function_that_has_no_result_is_named_by_its_reader() -> None:
    layers = (
        Layer("data", Input(((2, 2, 3, 3),)), (), ("data",)),
        coded("a", "data"),
        Layer("log", Log(), ("a",), ("log",)),
        coded("c", "log"),
    )
    net = Net("net", layers).for_phase(Phase.TEST)
    x = np.ones((2, 2, 3, 3), np.float32)
    IntegerExecutor(net, {}).run({"data": x})
    with pytest.raises(ModelError, match="layer 'c': blob 'log': NaN"), np.errstate(invalid="ignore"):
        IntegerExecutor(net, {}).run({"data": -x})


def test_of_two_the_earlier_layer_is_named() -> None:
    layers = (
        Layer("data", Input(((2, 2, 3, 3), (2, 2, 3, 3))), (), ("x", "y")),
        coded("a", "x"),
        coded("b", "y"),
    )
    net = Net("net", layers).for_phase(Phase.TEST)
    fine, first, second = (np.ones((2, 2, 3, 3), np.float32) for _ in range(3))
    first[1, 0, 0, 0] = second[0, 1, 2, 2] = np.nan
    executor = IntegerExecutor(net, {}, threads=2)
    both = {"x": first, "y": second}
    for batch, message in ((both, "'a': blob 'x'"), (both | {"x": fine}, "'b': blob 'y'")):
        with pytest.raises(ModelError, match=f"layer {re.escape(message)}"):
            executor.run(batch)


def test_nan_passes_where_no_codes_are_needed() -> None:
    net, batch = mixed(2, None)
    batch["data"][1, 0, 4, 4] = np.nan
    wanted = SimulateExecutor(net, {}, keep=values(net)).run(batch).kept
    got = IntegerExecutor(net, {}, keep=values(net)).run(batch).kept
    for name, value in wanted.items():
        check_bits(got[name], value)
    assert np.isnan(got["ip2.top0"][1]).all()
    assert not np.isnan(got["ip2.top0"][0]).any()

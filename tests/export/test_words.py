"""Words and golden vectors of random nets: against Python's integers, and against the executors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ristretto.errors import ModelError
from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.execute.simulate import QuantizedStep
from ristretto.execute.trim_step import TrimInsideStep
from ristretto.execute.values import State
from ristretto.export import EXPORTERS, Subject
from ristretto.export.word_files import WordFiles
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.net import Net
from tests.execute.exact import channelwise, fractions, summed, trimmed
from tests.execute.nets import nets, other_quants, partial_quants, values, whole_quants
from tests.export import readers

KINDS = [name for name, exporter in EXPORTERS.items() if issubclass(exporter, WordFiles)]
NetAndBatch = tuple[Net, dict[str, np.ndarray]]
FULL = nets(longest=4)
WIDE = nets(quants=whole_quants(31), longest=3)
OTHERS = nets(quants=other_quants(), longest=3)
PARTIAL = nets(("conv", "conv", "ip", "depthwise", "relu"), st.one_of(whole_quants(31), partial_quants(32)), longest=5)


class Case:
    """An export of a random net, read back."""

    def __init__(self, pair: NetAndBatch, arithmetic: Arithmetic = EXACT, kind: str = "integers") -> None:
        self.net, self.batch = pair
        assume(any(layer.quant for layer in self.net))
        self.arithmetic = arithmetic
        shapes = {blob: array.shape for blob, array in self.batch.items()}
        self.subject = Subject(self.net, shapes, self.batch, arithmetic)
        try:
            self.exported = EXPORTERS[kind]().export(self.subject)
        except ModelError as error:
            assert "has no layer whose words are integers" in error.message
            assume(False)
        self.manifest = readers.manifest_of(self.exported)
        self.layers: list[dict[str, Any]] = self.manifest["layers"]

    def numbers(self, layer: dict[str, Any], name: str, kind: str = "npz") -> np.ndarray | None:
        """Give a table as fractions; None where there is none."""
        found = [table for table in layer["tables"] if table["name"] == name]
        found += [t for t in self.manifest["golden"]["tables"] if t["layer"] == layer["name"] and t["name"] == name]
        if not found:
            return None
        place = {"inputs": "layer_in", "outputs": "layer_out"}.get(name, "params")
        return readers.numbers(self.exported.files, found[0], layer["formats"][place], kind)

    def check_weights(self) -> None:
        """Weights and biases are what the trim gives; a bias without a format stays as it is."""
        for layer in self.layers:
            quant, blobs = self.net[layer["name"]].quant, self.net[layer["name"]].blobs
            assert quant is not None
            assert quant.params is not None
            weights, bias = self.numbers(layer, "weights"), self.numbers(layer, "bias")
            if weights is None:
                continue
            sizes, walk = dict(zip(layer["tables"][0]["axes"], weights.shape, strict=True)), layer["walk"]
            inside = "output" if layer["type"] == "Deconvolution" else "input"
            channels = {"output": walk["out_shape"][0], "input": walk["in_shape"][0]}
            channels[inside] //= walk["groups"]
            assert {axis: sizes[axis] for axis in channels} == channels
            if isinstance(quant.params, FixedPoint):
                want = [trimmed(fractions(blob), quant.params, self.arithmetic) for blob in blobs]
            else:
                want = [fractions(quant.params.trim(blobs[0])), *map(fractions, blobs[1:])]
                if quant.params.covers_bias:
                    want = [fractions(quant.params.trim(blob)) for blob in blobs]
            assert (weights == want[0]).all()
            assert len(want) == 1 or (bias == want[1].reshape(-1)).all()

    def check_sums(self) -> None:
        """Accumulators are the exact sums of what the files hold; outputs are what these round to."""
        for layer in self.layers:
            weights = self.numbers(layer, "weights")
            inputs, sums, outputs = (self.numbers(layer, name) for name in ("inputs", "accumulators", "outputs"))
            if weights is None:
                assert sums is None
                continue
            op = self.net[layer["name"]].op
            exact = summed(op, inputs, weights)
            bias = self.numbers(layer, "bias")
            if bias is not None:
                exact = exact + channelwise(bias, exact.shape)
            if layer["datapath"] is None:
                size = summed(op, abs(inputs), abs(weights)) + (
                    0 if bias is None else channelwise(abs(bias), exact.shape)
                )
                assert (abs(sums - exact) <= size * Fraction(2) ** -48).all()
                continue
            if sums is None:
                assert layer["datapath"]["accumulator"]["bits"] > 64
                continue
            assert (sums == exact.reshape(sums.shape)).all()
            codes = [s * Fraction(2) ** layer["datapath"]["accumulator"]["fl"] for s in sums.flat]
            ends = layer["datapath"]["accumulator"]
            assert all(code.denominator == 1 and ends["low"] <= code <= ends["high"] for code in codes)
            layer_out = self.net[layer["name"]].quant.layer_out
            differing = int((trimmed(sums, layer_out, self.arithmetic) != outputs).sum())
            said = f"layer '{layer['name']}': {differing} outputs are not"
            assert any(note.startswith(said) for note in self.manifest["notes"]) is bool(differing)
            if layer_out.bw <= 24 and layer["datapath"]["accumulator"]["bits"] <= 53:
                assert not differing

    def check_executors(self) -> None:
        """Inputs and outputs are what the simulating executor reads and makes, step by step."""
        shapes = {blob: array.shape for blob, array in self.batch.items()}
        executor = SimulateExecutor(self.net, shapes, keep=values(self.net), arithmetic=self.arithmetic)
        state = State({}, executor.keep)
        for layer in executor.net.data_layers:
            state.store(layer.name, layer.tops, tuple(self.batch[top] for top in layer.tops))
        reads = {}
        for step in executor.steps:
            if isinstance(step, QuantizedStep | TrimInsideStep):
                fmt = step.layer.quant.layer_in
                reads[step.layer.name] = fmt.trim(state.blobs[step.layer.bottoms[0]], self.arithmetic)
            step.run(state)
        fast = IntegerExecutor(self.net, shapes, keep=values(self.net), arithmetic=self.arithmetic).run(self.batch)
        for layer in self.layers:
            name = layer["name"]
            inputs, outputs = self.numbers(layer, "inputs"), self.numbers(layer, "outputs")
            for found, real, place in (
                (inputs, reads[name], "layer_in"),
                (outputs, state.kept[f"{name}.top0"], "layer_out"),
                (outputs, fast.kept[f"{name}.top0"], "layer_out"),
            ):
                if layer["formats"][place].get("bw", 0) <= 24:
                    assert (found == fractions(real)).all()


@given(FULL, st.sampled_from([EXACT, HALF_EVEN]))
@settings(max_examples=40)
def test_fixed_point_up_to_16_bits(pair: NetAndBatch, arithmetic: Arithmetic) -> None:
    case = Case(pair, arithmetic)
    case.check_weights()
    case.check_sums()
    case.check_executors()


@given(WIDE)
@settings(max_examples=25)
def test_wide_fixed_point(pair: NetAndBatch) -> None:
    case = Case(pair)
    case.check_weights()
    case.check_sums()
    case.check_executors()


@given(OTHERS)
@settings(max_examples=40)
def test_minifloat_and_powers_of_two(pair: NetAndBatch) -> None:
    case = Case(pair)
    case.check_weights()
    case.check_sums()
    case.check_executors()


@given(PARTIAL)
@settings(max_examples=25)
def test_layers_in_float_are_left_out_and_named(pair: NetAndBatch) -> None:
    case = Case(pair)
    left = {entry["layer"]: entry["reason"] for entry in case.manifest["left_out"]}
    for layer in case.net:
        if not layer.op.part:
            continue
        quant = layer.quant
        float_places = quant is None or any(
            fmt is None or fmt.bits == 32 for fmt in (quant.layer_in, quant.layer_out, quant.params)
        )
        assert (layer.name in left) is float_places
        assert (layer.name in {each["name"] for each in case.layers}) is not float_places
    for name, reason in left.items():
        assert f"layer '{name}' is left out: {reason}" in case.exported.notes
    case.check_sums()
    case.check_executors()


@given(FULL | OTHERS)
@settings(max_examples=15)
def test_every_kind_of_file_holds_the_same_words(pair: NetAndBatch) -> None:
    by_kind = {"integers": ("npz",), "hex": ("readmemh", "intel_hex"), "coe": ("coe",)}
    found: dict[tuple[str, str], list[int]] = {}
    for name, kinds in by_kind.items():
        case = Case(pair, kind=name)
        readers.check_files(case.exported)
        golden = case.manifest["golden"]["tables"]
        for layer, table in [(each["name"], t) for each in case.layers for t in each["tables"]] + [
            (t["layer"], t) for t in golden
        ]:
            for kind in {place["kind"] for place in table["places"]}:
                assert kind in kinds
                words = readers.patterns(case.exported.files, table, kind)
                assert found.setdefault((layer, table["name"]), words) == words


@pytest.mark.parametrize("kind", KINDS)
@given(FULL)
@settings(max_examples=5)
def test_the_same_net_gives_the_same_bytes(kind: str, pair: NetAndBatch) -> None:
    first, second = (Case(pair, kind=kind).exported for _ in range(2))
    assert first.files == second.files

"""Embed against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.execute import EXECUTORS
from ristretto.net import Phase
from tests.battery import net_of


def embed(bias: bool) -> str:
    return f'type: "Embed" embed_param {{ num_output: 4 input_dim: 6 bias_term: {str(bias).lower()} }}'


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 1), ()])
def test_each_row(layer, check, rng, bias: bool, shape: tuple[int, ...]) -> None:
    x = np.asarray(rng.integers(0, 6, shape), np.float32)
    table, summand = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    wanted = np.empty((*shape, 4))
    for place in np.ndindex(wanted.shape):
        wanted[place] = float(table[int(x[place[:-1]]), place[-1]]) + (float(summand[place[-1]]) if bias else 0)
    op = layer(embed(bias))
    check(op, [x], [wanted], [table, summand] if bias else [table])
    assert op.macs([shape]) == 0


@pytest.mark.parametrize("wrong", [-1, 6, 1e30, 2.5, np.nan, np.inf])
def test_inputs_without_a_row(layer, wrong: float) -> None:
    with pytest.raises(ModelError, match=rf"no row for {wrong:g}".replace("+", r"\+")):
        layer(embed(False)).forward([np.float32([0, wrong])], [np.zeros((6, 4), np.float32)])


@pytest.mark.parametrize("wrong", [-1, 6])
def test_onnx_stops_at_them_too(layer, onnx_tops, wrong: float) -> None:
    with pytest.raises(ModelError, match=r"onnxruntime stops in layers 'it' to 'it'.*out of data bounds"):
        onnx_tops(layer(embed(False)), [np.float32([0, wrong])], [np.zeros((6, 4), np.float32)])


@pytest.mark.parametrize("text", ["num_output: 4", "input_dim: 6"])
def test_both_sizes_are_needed(layer, text: str) -> None:
    with pytest.raises(ModelError, match="must be at least 1"):
        layer(f'type: "Embed" embed_param {{ {text} }}')


@pytest.mark.parametrize("kind", EXECUTORS.values())
def test_every_executor_names_the_layer_in_one_line(layer, capfd, kind) -> None:
    net = net_of(layer(embed(False)), [(2,)], [np.zeros((6, 4), np.float32)]).for_phase(Phase.TEST)
    with pytest.raises(ModelError, match="'it'"):
        kind(net, {}).run({"b0": np.float32([0, 6])})
    assert capfd.readouterr() == ("", "")

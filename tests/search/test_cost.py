"""Costs of nets, worked out by hand."""

from __future__ import annotations

import pytest

from ristretto.search import COSTS
from ristretto.search.cost import StoredBits
from ristretto.search.widths import LayerWidths
from ristretto.search.workload import Blob, LayerWork, Workload
from tests.search.layer_nets import SHAPES, branched_net, small_net

WIDTHS = {
    "conv1": LayerWidths(layer_in=8, layer_out=6, params=5),
    "conv2": LayerWidths(layer_in=6, layer_out=7, params=3),
    "ip": LayerWidths(layer_in=7, layer_out=4, params=2),
}


def workload() -> Workload:
    return Workload.of(small_net(), SHAPES, list(WIDTHS))


def test_what_a_net_holds_and_does_for_one_picture() -> None:
    found = workload()
    assert found.layers == {
        "conv1": LayerWork(parameters=3 * 2 * 9 + 3, macs=3 * 16 * 18, inputs=72),
        "conv2": LayerWork(parameters=15, macs=5 * 4 * 3, inputs=12),
        "ip": LayerWork(parameters=84, macs=80, inputs=20),
    }
    assert found.blobs == (
        Blob("data", 72, (("conv1", "layer_in"),)),
        Blob("conv1", 48, (("conv1", "layer_out"),)),
        Blob("pool1", 12, (("conv2", "layer_in"),)),
        Blob("conv2", 20, (("conv2", "layer_out"), ("ip", "layer_in"))),
        Blob("ip", 4, (("ip", "layer_out"),)),
    )
    assert found.macs == 864 + 60 + 80


def test_the_batch_does_not_count() -> None:
    one = {blob: (1, *shape[1:]) for blob, shape in SHAPES.items()}
    assert Workload.of(small_net(), one, list(WIDTHS)) == workload()


def test_a_blob_that_many_read_counts_once() -> None:
    names = ["stem", "inner", "left", "right", "ip"]
    blobs = {blob.name: blob for blob in Workload.of(branched_net(), SHAPES, names).blobs}
    assert blobs["sum"].places == (("left", "layer_in"), ("right", "layer_in"))
    assert [blob.numbers for blob in blobs.values()] == [72, 72, 72, 72, 72, 72, 144, 4]


ACTIVATIONS = 72 * 8 + 48 * 6 + 12 * 6 + 20 * 7 + 4 * 4
MULTIPLY = 3.1 * (864 * 5 * 8 + 60 * 3 * 6 + 80 * 2 * 7) / 1024
ADD = 0.1 * (864 * 13 + 60 * 9 + 80 * 9) / 32
WEIGHTS_READ = (57 * 5 + 15 * 3 + 84 * 2) * 1300 / 64
INPUTS_READ = (72 * 8 + 12 * 6 + 20 * 7) * 100 / 64


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("weight_bits", 57 * 5 + 15 * 3 + 84 * 2),
        ("activation_bits", ACTIVATIONS),
        ("mac_bits", 864 * 8 + 60 * 6 + 80 * 7),
        ("bit_operations", 864 * 5 * 8 + 60 * 3 * 6 + 80 * 2 * 7),
        ("energy", MULTIPLY + ADD + WEIGHTS_READ + INPUTS_READ + ACTIVATIONS * 100 / 64),
    ],
)
def test_costs_by_hand(name: str, total: float) -> None:
    assert COSTS[name].total(workload(), WIDTHS) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("weight_bits", 156 * 32),
        ("activation_bits", 156 * 32),
        ("mac_bits", 1004 * 32),
        ("bit_operations", 1004 * 32 * 32),
        ("energy", 1004 * 4.6 + 156 * 32 * 1300 / 64 + (104 + 156) * 32 * 100 / 64),
    ],
)
def test_the_float_net_costs_32_bits(name: str, total: float) -> None:
    assert COSTS[name].total(workload(), {}) == pytest.approx(total, rel=1e-12)
    assert COSTS[name].total(workload(), dict.fromkeys(WIDTHS, LayerWidths())) == pytest.approx(total, rel=1e-12)


def test_stored_bits_are_those_of_weights_and_activations() -> None:
    found = workload()
    both = COSTS["weight_bits"].total(found, WIDTHS) + COSTS["activation_bits"].total(found, WIDTHS)
    assert StoredBits().total(found, WIDTHS) == both


def test_a_blob_is_as_wide_as_its_widest_place() -> None:
    wide = WIDTHS | {"ip": LayerWidths(layer_in=9, layer_out=4, params=2)}
    more = COSTS["activation_bits"].total(workload(), wide) - COSTS["activation_bits"].total(workload(), WIDTHS)
    assert more == 20 * 2


def test_the_multiplier_is_near_the_table_at_8_bits() -> None:
    work, energy = LayerWork(parameters=0, macs=1, inputs=0), COSTS["energy"]
    assert energy.layer(work, 8, 8) == pytest.approx(0.2 + 0.03, abs=0.02)
    # Integers of 31 bits are no floats; 32 bits stand for float32.
    assert energy.layer(work, 31, 31) < 3.2 < energy.layer(work, 32, 8)

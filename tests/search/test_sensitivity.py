"""Sensitivities: each is what a whole run of the net shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ristretto.calibrate import CalibrationStats, calibrate
from ristretto.errors import DataError
from ristretto.execute import Executor, IntegerExecutor
from ristretto.layers import InnerProduct, SoftmaxWithLoss
from ristretto.net import Layer, Net, Phase, QuantSpec
from ristretto.net.op import Array
from ristretto.passes import QuantizeLayers
from ristretto.search import MODES, PRESETS
from ristretto.search.sensitivity import NEGLIGIBLE, Measured, Probe, View, divergence, squared_error
from ristretto.search.sites import Bounds, Site, find_sites, widths_of
from ristretto.search.widths import LayerWidths, Widths
from tests.search.layer_nets import SHAPES, blobs, branched_net, small_net


def batches(count: int) -> Iterator[Mapping[str, Array]]:
    for seed in range(count):
        rng = np.random.default_rng(seed)
        yield {
            "data": rng.normal(size=SHAPES["data"]).astype(np.float32),
            "label": rng.integers(0, 4, 4).astype(np.float32),
        }


def names(net: Net) -> list[str]:
    return [layer.name for layer in net if layer.op.part is not None]


@cache
def ranges(net: Net) -> CalibrationStats:
    return calibrate(net, SHAPES, batches(2))


def chosen(net: Net) -> Callable[[Widths], QuantSpec]:
    """Give what chooses formats as a search does."""
    stats = ranges(net)

    def spec(widths: Widths) -> QuantSpec:
        every = {name: widths.get(name, LayerWidths()) for name in stats.layers}
        return PRESETS["accurate"].spec(MODES["dynamic_fixed_point"], stats, every)

    return spec


def probe(net: Net, blob: str = "accuracy", *, count: int = 3, threads: int = 1) -> Probe:
    return Probe(IntegerExecutor, net, SHAPES, batches(count), View.of(net, blob), threads=threads)


def measure(net: Net, sites: tuple[Site, ...], **options: int) -> Measured:
    return probe(net, **options).measure(sites, chosen(net))


def plainly(net: Net, version: str, site: Site, width: int) -> float:
    """Run the whole net, in float and with one site condensed."""
    spec = chosen(net)(widths_of([site], (width,)))
    found = []
    for batch in batches(3):
        clean, noisy = (
            IntegerExecutor(each, SHAPES, keep=[version]).run(batch).kept[version]
            for each in (net, QuantizeLayers(spec)(net))
        )
        found.append(divergence(clean, noisy))
    return sum(found) / len(found)


@pytest.mark.parametrize(("net", "version"), [(small_net(), "ip.top0"), (branched_net(), "prob.top0")])
def test_every_distortion_is_that_of_the_whole_net(net: Net, version: str) -> None:
    sites = find_sites(net, names(net), Bounds(2, 5))
    found = measure(net, sites).distortions
    assert list(found) == [site.places for site in sites]
    for site in sites:
        seen = found[site.places]
        assert [seen[width] for width in (2, 3)] == [plainly(net, version, site, width) for width in (2, 3)]
        assert seen[2] > seen[5] > 0


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(threads: int) -> None:
    net = branched_net()
    sites = find_sites(net, names(net), Bounds(2, 4))
    assert measure(net, sites, threads=threads).distortions == measure(net, sites).distortions


def test_what_no_longer_shows_is_not_measured() -> None:
    net = small_net()
    sites = find_sites(net, names(net), Bounds(1, 16))
    found = measure(net, sites).distortions
    for site in sites:
        values = list(found[site.places].values())
        assert list(found[site.places]) == list(range(1, 17))
        first = next(at for at, value in enumerate(values) if value <= NEGLIGIBLE)
        assert first > 3
        assert values[first:] == [values[first] / 4**step for step in range(16 - first)]
    assert measure(net, sites).macs < measure(net, find_sites(net, names(net), Bounds(1, 8))).macs * 2


def test_work_is_counted_from_each_cut_on() -> None:
    """conv1 has 864 multiply-accumulates for a picture, conv2 60, ip 80; there are 12 pictures."""
    net = small_net()
    conv1, conv2, ip, data, _, _, out = find_sites(net, names(net), Bounds(2, 3))
    whole = 864 + 60 + 80
    for sites, work in [
        ((conv1,), whole + 2 * whole),
        ((data,), whole + 2 * whole),
        ((conv2,), whole + 864 + 2 * (60 + 80)),
        ((ip, out), whole + (864 + 60) + 4 * 80),
        ((ip, conv1), whole + 2 * whole + (864 + 60) + 2 * 80),
    ]:
        assert measure(net, sites).macs == 12 * work


def test_each_layer_before_a_cut_is_run_once() -> None:
    ran: list[str] = []

    class Counting(IntegerExecutor):
        """Notes the layers of every run."""

        def run(self, batch: Mapping[str, Array]) -> object:  # type: ignore[override]
            ran.extend(layer.name for layer in self.net)
            return super().run(batch)

    net = small_net()
    kind: type[Executor] = Counting
    sites = find_sites(net, names(net), Bounds(2, 3))
    replace(probe(net, count=1), kind=kind).measure(sites, chosen(net))
    # In float once for the outputs and once up to the cut; else only for its own two sites: weights and input.
    assert ran.count("conv1") == 1 + 1 + 2 * 3


def test_a_site_that_the_score_does_not_see_does_no_harm() -> None:
    net = small_net()
    aside = Layer("aside", InnerProduct(2), ("pool1",), ("aside",), blobs(2, 12))
    whole = replace(net, layers=(*net.layers[:-2], aside, *net.layers[-2:]))
    sites = find_sites(whole, names(whole), Bounds(2, 4))
    found = {(site.name, site.is_weights): measure(whole, sites).distortions[site.places] for site in sites}
    assert set(found["aside", True].values()) == set(found["aside", False].values()) == {0.0}
    (shared,) = (site for site in sites if ("aside", "layer_in") in site.places)
    assert ("conv1", "layer_out") in shared.places
    assert min(found[shared.name, False].values()) > 0
    conv1 = sites[0]
    # Nor is it run: 1004 multiply-accumulates for each of 12 pictures, in float and at three widths.
    assert measure(whole, (conv1,)).macs == 12 * 4 * 1004


def test_no_labels_are_needed() -> None:
    net = small_net()
    lonely = replace(
        net,
        layers=(
            replace(net.layers[0], op=replace(net.layers[0].op, shapes=(SHAPES["data"],)), tops=("data",)),
            *net.layers[1:-1],
        ),
    )
    view = View.of(net, "accuracy")
    sites = find_sites(net, names(net), Bounds(2, 4))
    alone = Probe(
        IntegerExecutor, lonely, {"data": SHAPES["data"]}, [{"data": batch["data"]} for batch in batches(3)], view
    )
    assert alone.measure(sites, chosen(net)).distortions == measure(net, sites).distortions


def test_a_loss_looks_at_what_it_compares() -> None:
    net = small_net()
    loss = Layer("loss", SoftmaxWithLoss(), ("ip", "label"), ("loss",))
    both = replace(net, layers=(*net.layers, loss)).for_phase(Phase.TEST)
    assert View.of(both, "loss") == View("ip.top0", squared_error)
    assert View.of(both, "accuracy") == View("ip.top0", divergence)


def test_an_output_that_is_no_score_is_looked_at_itself() -> None:
    net = replace(small_net(), layers=small_net().layers[:-1])
    assert View.of(net, "ip") == View("ip.top0", squared_error)


def test_no_batch_is_an_error() -> None:
    net = small_net()
    with pytest.raises(DataError, match="no batch"):
        measure(net, find_sites(net, names(net), Bounds()), count=0)


def test_divergence_by_hand() -> None:
    """Even odds that become three to one: 0.5 ln(0.5/0.75) + 0.5 ln(0.5/0.25)."""
    expected = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    clean, noisy = np.float32([[7, 7], [1, 1]]), np.float32([[np.log(3), 0], [5, 5]])
    assert divergence(clean, noisy) == pytest.approx(expected / 2, rel=1e-6)
    assert divergence(np.float32([[0.5, 0.5]]), np.float32([[0.75, 0.25]])) == pytest.approx(expected, rel=1e-6)
    assert divergence(clean, clean + 3) == pytest.approx(0, abs=1e-7)
    assert np.isfinite(divergence(np.float32([[1, 0]]), np.float32([[0, 1]])))


def test_squared_error_is_a_share_of_the_power() -> None:
    assert squared_error(np.float32([3, 4]), np.float32([3, 5])) == pytest.approx(1 / 25)
    assert squared_error(np.float32([0, 0]), np.float32([0, 1])) == 0.5

"""Rules: which layer is in which net, as Caffe decides it."""

from __future__ import annotations

import itertools

import pytest

from ristretto.errors import ModelError
from ristretto.layers import Input, ReLU
from ristretto.layers.dropout import Dropout
from ristretto.net import Layer, Net, NetState, Phase, Rule

TRAIN, TEST = Phase.TRAIN, Phase.TEST


@pytest.mark.parametrize(
    ("rule", "state", "met"),
    [
        (Rule(), NetState(TRAIN), True),
        (Rule(phase=TEST), NetState(TEST), True),
        (Rule(phase=TEST), NetState(TRAIN), False),
        (Rule(min_level=1), NetState(level=0), False),
        (Rule(min_level=1), NetState(level=1), True),
        (Rule(max_level=1), NetState(level=1), True),
        (Rule(max_level=1), NetState(level=2), False),
        (Rule(min_level=-2, max_level=-1), NetState(level=-1), True),
        (Rule(stages=frozenset({"deploy"})), NetState(), False),
        (Rule(stages=frozenset({"deploy"})), NetState(stages=frozenset({"deploy", "x"})), True),
        (Rule(stages=frozenset({"a", "b"})), NetState(stages=frozenset({"a"})), False),
        (Rule(not_stages=frozenset({"a"})), NetState(stages=frozenset({"b"})), True),
        (Rule(not_stages=frozenset({"a"})), NetState(stages=frozenset({"a", "b"})), False),
        (Rule(not_stages=frozenset({"a", "c"})), NetState(stages=frozenset({"a"})), False),
        (Rule(phase=TEST, min_level=1), NetState(TEST, level=0), False),
        (Rule(phase=TEST, stages=frozenset({"a"})), NetState(TRAIN, stages=frozenset({"a"})), False),
    ],
)
def test_a_rule_is_met_when_all_of_it_holds(rule: Rule, state: NetState, met: bool) -> None:
    assert rule.met_by(state) is met


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("test", [False, True])
def test_one_include_that_holds_lets_a_layer_in_and_one_exclude_keeps_it_out(train: bool, test: bool) -> None:
    rules = tuple(Rule(phase=phase) for phase, wanted in ((TRAIN, train), (TEST, test)) if wanted)
    for phase, wanted in ((TRAIN, train), (TEST, test)):
        included = Layer("x", ReLU(), include=rules).takes_part(NetState(phase))
        assert included is (wanted if rules else True)
        assert Layer("x", ReLU(), exclude=rules).takes_part(NetState(phase)) is not wanted


def test_rules_of_both_kinds_are_refused_as_caffe_does() -> None:
    layer = Layer("x", ReLU(), include=(Rule(phase=TEST),), exclude=(Rule(phase=TRAIN),))
    with pytest.raises(ModelError, match="layer 'x': include and exclude"):
        Net("net", (layer,)).for_phase(TEST)


def test_levels_and_stages_choose_layers() -> None:
    net = Net(
        "net",
        (
            Layer("in", Input(((1, 2),)), tops=("a",)),
            Layer("deep", ReLU(), ("a",), ("a",), include=(Rule(min_level=2),)),
            Layer("deploy", ReLU(), ("a",), ("b",), include=(Rule(stages=frozenset({"deploy"})),)),
            Layer("never", ReLU(), ("a",), ("c",), exclude=(Rule(),)),
        ),
    )
    names = {
        (level, stages): [layer.name for layer in net.for_phase(TEST, level=level, stages=stages)]
        for level, stages in itertools.product((0, 2), ((), ("deploy",)))
    }
    assert names == {
        (0, ()): ["in"],
        (0, ("deploy",)): ["in", "deploy"],
        (2, ()): ["in", "deep"],
        (2, ("deploy",)): ["in", "deep", "deploy"],
    }
    chosen = net.for_phase(TEST, level=2, stages=["deploy"])
    assert chosen.state == NetState(TEST, 2, frozenset({"deploy"}))
    assert net.state is None


def test_two_data_layers_of_one_name_live_in_two_phases() -> None:
    net = Net(
        "net",
        (
            Layer("data", Input(((64, 3),)), tops=("data",), include=(Rule(phase=TRAIN),), source=0),
            Layer("data", Input(((10, 3),)), tops=("data",), include=(Rule(phase=TEST),), source=1),
            Layer("relu", ReLU(), ("data",), ("data",), source=2),
        ),
    )
    for phase, batch, source in ((TRAIN, 64, 0), (TEST, 10, 1)):
        one = net.for_phase(phase)
        assert one.shapes({}) == {"data": ((batch, 3),), "relu": ((batch, 3),)}
        assert one["data"].source == source


def test_operations_act_as_their_phase_wants_and_the_whole_net_stays() -> None:
    layers = (Layer("in", Input(((1, 2),)), tops=("a",)), Layer("drop", Dropout(0.5), ("a",), ("a",)))
    net = Net("net", layers)
    assert net.for_phase(TRAIN)["drop"].op == Dropout(0.5, training=True)
    assert net.for_phase(TEST)["drop"].op == Dropout(0.5)
    assert net.layers is layers

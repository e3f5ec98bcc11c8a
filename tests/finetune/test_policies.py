"""Learning rates, held to Caffe's formulas and to numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.errors import ModelError
from ristretto.finetune.policies import POLICIES, current_step, learning_rate, policy_of
from ristretto.net import Solver

PLAIN = Solver("net.prototxt", 0.01, "fixed", 1000, gamma=0.5, power=0.75, stepsize=100, stepvalues=(100, 300))


def with_policy(name: str, **settings: Any) -> Solver:
    return replace(PLAIN, lr_policy=name, **settings)


@pytest.mark.parametrize(
    ("policy", "settings", "rates"),
    [
        ("fixed", {}, {0: 0.01, 999: 0.01}),
        ("step", {"base_lr": 1}, {0: 1, 99: 1, 100: 0.5, 199: 0.5, 200: 0.25, 999: 1 / 512}),
        ("step", {"base_lr": 8, "gamma": 0.1}, {0: 8, 100: 0.8, 250: 0.08}),
        ("exp", {"base_lr": 4}, {0: 4, 1: 2, 2: 1, 10: 1 / 256}),
        # (1 + 3 * 5) ** -0.75 = 1 / 8
        ("inv", {"base_lr": 2, "gamma": 3}, {0: 2, 5: 0.25}),
        # LeNet's solver: 0.01 * 2 ** -0.75
        ("inv", {"gamma": 0.0001}, {10000: 0.005946035575}),
        ("multistep", {"base_lr": 1}, {0: 1, 99: 1, 100: 0.5, 299: 0.5, 300: 0.25, 999: 0.25}),
        ("poly", {"base_lr": 1, "power": 2}, {0: 1, 500: 0.25, 900: 0.01, 1000: 0, 1001: 0}),
        ("poly", {"base_lr": 1, "power": 0.5}, {750: 0.5}),
        ("sigmoid", {"base_lr": 1, "gamma": 0.25}, {100: 0.5, 104: 1 / (1 + math.exp(-1)), 96: 1 / (1 + math.e)}),
        # Exponents beyond a double, on either side.
        ("sigmoid", {"base_lr": 1, "gamma": 1e4}, {0: 0, 999: 1}),
    ],
)
def test_rates_by_hand(policy: str, settings: dict[str, Any], rates: dict[int, float]) -> None:
    solver = with_policy(policy, **settings)
    for iteration, rate in rates.items():
        assert learning_rate(solver, iteration) == pytest.approx(rate, rel=1e-7), iteration


FORMULAS: dict[str, Callable[[float, float, float, int, int, int], float]] = {
    "fixed": lambda base, gamma, power, size, most, i: base,
    "step": lambda base, gamma, power, size, most, i: base * gamma ** math.floor(i / size),
    "exp": lambda base, gamma, power, size, most, i: base * gamma**i,
    "inv": lambda base, gamma, power, size, most, i: base * (1 + gamma * i) ** (-power),
    "poly": lambda base, gamma, power, size, most, i: base * (1 - i / most) ** power,
    "sigmoid": lambda base, gamma, power, size, most, i: base * (1 / (1 + math.exp(-gamma * (i - size)))),
}


def test_every_policy_is_in_a_test_against_a_formula() -> None:
    assert {policy.name for policy in POLICIES} == {*FORMULAS, "multistep"}


@pytest.mark.parametrize("policy", FORMULAS)
@given(
    base=st.floats(1e-4, 10),
    gamma=st.floats(0.01, 1),
    power=st.floats(0.1, 4),
    size=st.integers(1, 300),
    most=st.integers(300, 10**6),
    iteration=st.integers(0, 299),
)
def test_rates_are_those_of_the_formula(
    policy: str, base: float, gamma: float, power: float, size: int, most: int, iteration: int
) -> None:
    solver = Solver("net", base, policy, most, gamma=gamma, power=power, stepsize=size)
    rate = learning_rate(solver, iteration)
    assert rate == float(np.float32(rate)), "a number of float32"
    assert rate == pytest.approx(FORMULAS[policy](base, gamma, power, size, most, iteration), rel=1e-6, abs=1e-38)


class Counted:
    """Caffe's multistep, word for word a counter that changes whenever the rate is asked for."""

    def __init__(self, values: list[int]) -> None:
        self.values, self.step = values, 0

    def ask(self, iteration: int) -> int:
        if self.step < len(self.values) and iteration >= self.values[self.step]:
            self.step += 1
        return self.step


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.booleans())
def test_multistep_counts_as_caffe_s_counter_does(values: list[int], ordered: bool) -> None:
    values = sorted(values) if ordered else values
    counter, solver = Counted(values), with_policy("multistep", base_lr=1, stepvalues=tuple(values))
    for iteration in range(50):
        assert current_step(solver, iteration) == counter.step, iteration
        assert learning_rate(solver, iteration) == 0.5 ** counter.ask(iteration), iteration


def test_the_step_of_a_snapshot_is_that_of_the_last_update() -> None:
    assert [current_step(with_policy("step"), done) for done in (0, 1, 100, 101, 200, 201)] == [0, 0, 0, 1, 1, 2]
    assert {current_step(with_policy(name), 999) for name in ("fixed", "exp", "inv", "poly", "sigmoid")} == {0}


@pytest.mark.parametrize(
    ("policy", "settings", "said"),
    [
        ("plateau", {}, "unknown lr_policy 'plateau'"),
        ("", {}, "unknown lr_policy ''"),
        ("step", {"stepsize": 0}, "lr_policy 'step' needs stepsize"),
        ("step", {"gamma": 0.0}, "lr_policy 'step' needs gamma"),
        ("exp", {"gamma": 0.0}, "needs gamma"),
        ("exp", {"gamma": -1.0}, "needs gamma"),
        ("inv", {"power": 0.0}, "needs power"),
        ("multistep", {"stepvalues": ()}, "needs stepvalue"),
        ("poly", {"max_iter": 0}, "needs max_iter"),
        ("sigmoid", {"stepsize": 0}, "needs stepsize"),
    ],
)
def test_a_policy_without_its_settings_is_refused(policy: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        policy_of(with_policy(policy, **settings))
    assert caught.value.hint


@pytest.mark.parametrize(("gamma", "iteration"), [(2.0, 200), (2.0, 5000)])
def test_a_rate_beyond_float32_is_refused(gamma: float, iteration: int) -> None:
    with pytest.raises(ModelError, match=f"no finite rate at iteration {iteration}"):
        learning_rate(with_policy("exp", base_lr=1.0, gamma=gamma), iteration)

"""Trims with gradients, against formulas written out number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ristretto.errors import FormatError
from ristretto.finetune.trimming import LearnedRadixPoint, instead, trim_activations, trim_weights, trimmed
from ristretto.formats import FixedPoint, Format, MiniFloat, PowerOfTwo

FORMATS: list[Format] = [FixedPoint(4, 2), FixedPoint(1, 0), MiniFloat(3, 2), MiniFloat(8, 3), PowerOfTwo(-3, 1)]
X = np.float32([-9, -2.01, -2, -1.9, -0.3, 0, 0.1, 0.26, 1.74, 1.75, 1.7500001, 1.9, 30])


def gradient(y: torch.Tensor, x: torch.Tensor) -> list[float]:
    factors = torch.arange(1, x.numel() + 1, dtype=y.dtype)
    (found,) = torch.autograd.grad((factors * y).sum(), x)
    return (found / factors).tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_weights_are_trimmed_and_their_gradient_passes_everywhere(fmt: Format, dtype: torch.dtype) -> None:
    x = torch.tensor(X, dtype=dtype, requires_grad=True)
    y = trim_weights(fmt, x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.detach().numpy(), fmt.trim(X))
    assert gradient(y, x) == [1.0] * X.size


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_activations_pass_a_gradient_within_the_ends(fmt: Format, dtype: torch.dtype) -> None:
    x = torch.tensor(X, dtype=dtype, requires_grad=True)
    y = trim_activations(fmt, x)
    np.testing.assert_array_equal(y.detach().numpy(), fmt.trim(X))
    assert gradient(y, x) == [float(fmt.low <= v <= fmt.high) for v in X.tolist()]


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_noise_rounds_by_chance(fmt: Format) -> None:
    noise = torch.rand(X.size, generator=torch.Generator().manual_seed(1))
    x = torch.from_numpy(X).requires_grad_()
    wanted = fmt.rounded(np, X, noise.numpy())
    y = trim_weights(fmt, x, noise)
    np.testing.assert_array_equal(y.detach().numpy(), wanted)
    assert gradient(y, x) == [1.0] * X.size
    np.testing.assert_array_equal(trim_activations(fmt, x, noise).detach().numpy(), wanted)


def test_the_number_that_is_given_stays_as_it_is() -> None:
    x = torch.from_numpy(X.copy())
    trimmed(FixedPoint(4, 2), x).add_(1)
    np.testing.assert_array_equal(x.numpy(), X)


@pytest.mark.parametrize("noisy", [False, True])
def test_the_order_of_memory_stays_as_it_is(noisy: bool) -> None:
    x = torch.randn((2, 3, 4, 5), generator=torch.Generator().manual_seed(3))
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(4)) if noisy else None
    last = x.contiguous(memory_format=torch.channels_last)
    y = trimmed(FixedPoint(4, 2), last, noise)
    assert y.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(y.numpy(), trimmed(FixedPoint(4, 2), x, noise).numpy())


def test_other_numbers_may_have_a_gradient() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = instead(torch.tensor([5.0, 6.0]), 3 * x)
    assert y.tolist() == [5, 6]
    assert gradient(y, x) == [3, 3]


def learned(x: list[float], bw: int, log2_t: float) -> list[tuple[float, float, float]]:
    """Jain et al.'s output, and its slopes by x and by the threshold's logarithm, number by number."""
    s = 2.0 ** math.ceil(log2_t) / 2 ** (bw - 1)
    n, p = -(2 ** (bw - 1)), 2 ** (bw - 1) - 1
    found = []
    for v in x:
        near = math.copysign(math.floor(abs(v / s) + 0.5), v)
        inside = n <= near <= p
        end = n if near < n else p
        found.append((s * min(max(near, n), p), float(inside), s * math.log(2) * (near - v / s if inside else end)))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize(("bw", "log2_t"), [(4, 0.5), (4, 1.0), (4, 1.01), (2, -0.7), (8, 3.2), (1, 0.4)])
def test_a_learned_radix_point_has_the_gradients_of_trained_thresholds(bw, log2_t, everywhere, dtype) -> None:
    module = LearnedRadixPoint(FixedPoint(bw, 0), everywhere=everywhere).to(dtype)
    with torch.no_grad():
        module.log2_threshold.fill_(log2_t)
    numbers = [*X.tolist(), 2.0, 1.8749, 1.876, -2.12, -2.13]
    x = torch.tensor(numbers, dtype=dtype, requires_grad=True)
    factors = torch.arange(1, len(numbers) + 1, dtype=dtype)
    y = module(x)
    (factors * y).sum().backward()
    wanted = learned(numbers, bw, log2_t)
    np.testing.assert_array_equal(y.detach().numpy(), [out for out, _, _ in wanted])
    slopes = [1.0 if everywhere else inside for _, inside, _ in wanted]
    np.testing.assert_array_equal((x.grad / factors).numpy(), slopes)
    total = sum(float(f) * slope for f, (_, _, slope) in zip(factors, wanted, strict=True))
    assert module.log2_threshold.grad.item() == pytest.approx(total, rel=1e-5)


def test_a_threshold_freezes_to_the_power_of_two_above() -> None:
    module = LearnedRadixPoint(FixedPoint(8, 5))
    assert module.log2_threshold.item() == 1.5
    assert module.frozen() == FixedPoint(8, 5)
    for value, fl in ((1.0, 6), (1.0001, 5), (-0.5, 7), (2.01, 4)):
        with torch.no_grad():
            module.log2_threshold.fill_(value)
        assert module.frozen() == FixedPoint(8, fl)


def test_thresholds_learn_a_range_that_fits() -> None:
    """Numbers between -1 and 1, and a range that ends at 16: descent on the error shrinks it to theirs."""
    x = torch.rand(2000, generator=torch.Generator().manual_seed(2)) * 2 - 1
    module = LearnedRadixPoint(FixedPoint(4, -1))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
    for _ in range(200):
        optimizer.zero_grad()
        (module(x) - x).square().mean().mul(20).backward()
        optimizer.step()
    assert module.frozen() == FixedPoint(4, 3)


def test_noise_goes_through_a_learned_radix_point() -> None:
    noise = torch.rand(X.size, generator=torch.Generator().manual_seed(1))
    y = LearnedRadixPoint(FixedPoint(4, 2))(torch.from_numpy(X), noise)
    np.testing.assert_array_equal(y.detach().numpy(), FixedPoint(4, 2).rounded(np, X, noise.numpy()))


def test_formats_without_a_radix_point_are_named() -> None:
    for fmt in (MiniFloat(4, 3), PowerOfTwo(-8, -1)):
        with pytest.raises(FormatError, match=f"{fmt.name} has no radix point to learn"):
            LearnedRadixPoint(fmt)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e6])
def test_a_threshold_that_ran_away_is_named(value: float) -> None:
    module = LearnedRadixPoint(FixedPoint(8, 5))
    with torch.no_grad():
        module.log2_threshold.fill_(value)
    with pytest.raises(FormatError):
        module.frozen()

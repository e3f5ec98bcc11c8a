"""Fillers: what each type makes, by its moments and by plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.net import Filler
from tests.battery import parse_layer

SHAPE = (60, 40, 5, 4)
"""48,000 weights: fan in 800, fan out 1,200; a mean is off by 0.0046 deviations."""


def fill(filler: Filler, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> np.ndarray:
    made = filler.fill(shape, np.random.default_rng(seed))
    assert made.dtype == np.float32
    assert made.shape == shape
    assert made.flags.c_contiguous
    return made


def test_constant() -> None:
    assert (fill(Filler(value=0.2)) == np.float32(0.2)).all()
    assert not fill(Filler()).any()


def test_uniform() -> None:
    made = fill(Filler("uniform", min=-3, max=5))
    assert -3 <= made.min() < -2.99
    assert 4.99 < made.max() <= 5
    assert made.mean() == pytest.approx(1, abs=0.05)
    assert made.std() == pytest.approx(8 / math.sqrt(12), rel=0.02)


def test_gaussian() -> None:
    made = fill(Filler("gaussian", mean=2, std=0.5))
    assert made.mean() == pytest.approx(2, abs=0.01)
    assert made.std() == pytest.approx(0.5, rel=0.02)
    # 68.3 % lie within one deviation, 95.4 % within two: no uniform has that.
    assert (abs(made - 2) < 0.5).mean() == pytest.approx(0.683, abs=0.01)
    assert (abs(made - 2) < 1.0).mean() == pytest.approx(0.954, abs=0.01)


@pytest.mark.parametrize("sparse", [0, 15, 60])
def test_sparse_gaussian(sparse: int) -> None:
    """The share is one of the outputs, as in Caffe, and not of the inputs."""
    made = fill(Filler("gaussian", std=3, sparse=sparse))
    assert (made != 0).mean() == pytest.approx(sparse / 60, abs=0.01)
    if sparse:
        assert made[made != 0].std() == pytest.approx(3, rel=0.03)


def test_positive_unitball() -> None:
    made = fill(Filler("positive_unitball"))
    assert made.min() >= 0
    np.testing.assert_allclose(made.reshape(60, -1).sum(axis=1), 1, rtol=1e-5)
    # Before the division the numbers are uniform: their mean is half of the greatest.
    assert made.mean() / made.max() == pytest.approx(0.5, abs=0.03)
    assert made[0].min() < 0.02 * made[0].max()


FANS = {"FAN_IN": 800, "FAN_OUT": 1200, "AVERAGE": 1000}


@pytest.mark.parametrize(("norm", "fan"), FANS.items())
def test_xavier(norm: str, fan: int) -> None:
    made = fill(Filler("xavier", variance_norm=norm, std=9, mean=9))
    reach = math.sqrt(3 / fan)
    assert 0.99 * reach < abs(made).max() <= reach * 1.000001
    assert made.mean() == pytest.approx(0, abs=0.02 * reach)
    assert made.var() == pytest.approx(1 / fan, rel=0.02)


@pytest.mark.parametrize(("norm", "fan"), FANS.items())
def test_msra(norm: str, fan: int) -> None:
    made = fill(Filler("msra", variance_norm=norm))
    assert made.mean() == pytest.approx(0, abs=0.02 * math.sqrt(2 / fan))
    assert made.var() == pytest.approx(2 / fan, rel=0.03)
    assert abs(made).max() > 3 * math.sqrt(2 / fan)


@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), [((7,), 1, 7), ((), 1, 1), ((7, 3), 3, 7), ((7, 3, 2), 6, 14)])
def test_fans_of_other_shapes(shape: tuple[int, ...], fan_in: int, fan_out: int) -> None:
    assert Filler().fan(shape) == fan_in
    assert Filler(variance_norm="FAN_OUT").fan(shape) == fan_out
    assert Filler(variance_norm="AVERAGE").fan(shape) == (fan_in + fan_out) / 2


@pytest.mark.parametrize("kind", ["constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra"])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 3, 4)])
def test_any_number_of_axes(kind: str, shape: tuple[int, ...]) -> None:
    assert np.isfinite(fill(Filler(kind), shape)).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_bilinear_weights_add_up_to_one_at_every_pixel(factor: int) -> None:
    """A deconvolution with this kernel and stride interpolates: a plain picture stays plain, away from its rim."""
    size = 2 * factor - factor % 2
    made = fill(Filler("bilinear"), (3, 1, size, size))
    assert (made == made[0, 0]).all()
    assert (made == made[..., ::-1, ::-1]).all()
    picture = np.zeros((8 * factor + size, 8 * factor + size))
    for i in range(8):
        for j in range(8):
            picture[i * factor : i * factor + size, j * factor : j * factor + size] += made[0, 0]
    middle = picture[size : 7 * factor, size : 7 * factor]
    assert middle.size > 0
    np.testing.assert_allclose(middle, 1, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_bilinear_is_caffes_formula(size: int) -> None:
    half = math.ceil(size / 2)
    centre = (size - 1) / (2 * half)
    expected = [[(1 - abs(x / half - centre)) * (1 - abs(y / half - centre)) for x in range(size)] for y in range(size)]
    np.testing.assert_allclose(fill(Filler("bilinear"), (2, 2, size, size))[1, 1], expected, rtol=1e-6)


def test_generators_decide() -> None:
    one, same, other = (fill(Filler("xavier"), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.99


@pytest.mark.parametrize(
    ("filler", "shape", "says"),
    [
        (Filler("glorot"), SHAPE, "unknown filler 'glorot'"),
        (Filler("xavier", sparse=3), SHAPE, "sparse stands in a xavier filler"),
        (Filler("gaussian", sparse=61), SHAPE, "sparse 61 for 60 outputs"),
        (Filler("gaussian", std=-1), SHAPE, "negative std"),
        (Filler("uniform", min=2, max=1), SHAPE, "from 2 to 1"),
        (Filler("bilinear"), SHAPE, "bilinear filler for weights of shape"),
        (Filler("bilinear"), (4, 4), "bilinear filler for weights of shape"),
    ],
)
def test_what_caffe_cannot_fill_is_refused(filler: Filler, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        filler.fill(shape, np.random.default_rng(1))
    assert caught.value.hint


def test_a_filler_is_read_from_its_message() -> None:
    text = """type: "DummyData" top: "a" dummy_data_param { shape { dim: 1 } data_filler { type: "gaussian" value: 1
        min: 2 max: 3 mean: 4 std: 5 sparse: 6 variance_norm: AVERAGE } }"""
    assert parse_layer(text).filler(0) == Filler("gaussian", 1, 2, 3, 4, 5, 6, "AVERAGE")

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ristretto.data.transform import Transformer
from ristretto.errors import DataError
from ristretto.layers.data import Transform
from ristretto.net import Phase


def by_caffe(
    pictures: list[NDArray[Any]],
    transform: Transform,
    phase: Phase,
    mean: NDArray[np.float32] | None,
    batch: int,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Caffe's rules, value by value; the random numbers as the docstring says they are drawn."""
    numbers = iter(np.random.Philox(key=np.array([seed, batch], np.uint64)).random_raw(3 * len(pictures)).tolist())
    results = []
    for picture in pictures:
        mirror, row, column = next(numbers), next(numbers), next(numbers)
        channels, height, width = picture.shape
        top = left = 0
        out_height, out_width = height, width
        if transform.crop_size:
            out_height = out_width = transform.crop_size
            top, left = (height - out_height) // 2, (width - out_width) // 2
            if phase is Phase.TRAIN:
                top, left = row % (height - out_height + 1), column % (width - out_width + 1)
        result = np.zeros((channels, out_height, out_width), np.float32)
        for c in range(channels):
            for h in range(out_height):
                for w in range(out_width):
                    value = np.float32(picture[c, top + h, left + w])
                    if mean is not None:
                        value = value - mean[c, top + h, left + w]
                    elif transform.mean_value:
                        values = transform.mean_value
                        value = value - np.float32(values[c] if len(values) > 1 else values[0])
                    to = out_width - 1 - w if transform.mirror and mirror % 2 else w
                    result[c, h, to] = value * np.float32(transform.scale)
        results.append(result)
    return np.stack(results)


REAL = st.floats(-300, 300, width=32)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[NDArray[Any]], Transform, Phase, NDArray[np.float32] | None]:
    channels = draw(st.sampled_from([1, 2, 3]))
    crop = draw(st.integers(0, 3))
    means = draw(st.sampled_from(["none", "one", "each", "file"]))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = st.tuples(st.integers(max(crop, 1), 6), st.integers(max(crop, 1), 6))
    count = draw(st.integers(1, 4))
    # Pictures of several sizes are allowed when they are cropped, except beside a mean file.
    mixed = crop > 0 and means != "file"
    shapes = [draw(sizes) for _ in range(count)] if mixed else [draw(sizes)] * count
    floats = draw(st.booleans())
    pictures: list[NDArray[Any]] = [
        (source.normal(size=(channels, *shape)) * 100).astype(np.float32)
        if floats
        else source.integers(0, 256, (channels, *shape), np.uint8)
        for shape in shapes
    ]
    transform = Transform(
        scale=draw(st.sampled_from([1.0, 0.00390625, float(np.float32(0.017)), -2.0])),
        mirror=draw(st.booleans()),
        crop_size=crop,
        mean_file="mean" if means == "file" else "",
        mean_value=tuple(draw(REAL) for _ in range({"one": 1, "each": channels}.get(means, 0))),
    )
    mean = (source.normal(size=pictures[0].shape) * 50).astype(np.float32) if means == "file" else None
    return pictures, transform, draw(st.sampled_from(Phase)), mean


@given(case=cases(), batch=st.integers(0, 2**40), seed=st.integers(0, 5))
def test_equals_caffe_bit_for_bit(
    case: tuple[list[NDArray[Any]], Transform, Phase, NDArray[np.float32] | None], batch: int, seed: int
) -> None:
    pictures, transform, phase, mean = case
    transformer = Transformer(transform, phase, mean, seed=seed)
    got = transformer.apply(pictures, batch)
    expected = by_caffe(pictures, transform, phase, mean, batch, seed)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    assert got.shape[1:] == transformer.top_shape(pictures[0].shape)
    assert got.tobytes() == expected.tobytes()


def test_planes_that_are_no_block_of_memory() -> None:
    """A decoded picture is a view with its axes turned."""
    values = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    view = values.transpose(2, 0, 1)[::-1]
    transform = Transform(crop_size=4, mean_value=(1.0, 2.0, 3.0), mirror=True)
    got = Transformer(transform, Phase.TRAIN).apply([view] * 5, 3)
    assert (got == by_caffe([view] * 5, transform, Phase.TRAIN, None, 3)).all()


def test_odd_rest_is_rounded_down() -> None:
    picture = np.arange(25, dtype=np.uint8).reshape(1, 5, 5)
    got = Transformer(Transform(crop_size=2), Phase.TEST).apply([picture], 0)
    assert got.tolist() == [[[[6, 7], [11, 12]]]]


def test_random_choices_are_spread_and_repeatable() -> None:
    picture = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    transformer = Transformer(Transform(crop_size=5, mirror=True), Phase.TRAIN)
    batches = [transformer.apply([picture] * 100, batch) for batch in range(4)]
    corners = {(float(p[0, 0].min()), bool(p[0, 0, 0] > p[0, 0, 1])) for batch in batches for p in batch}
    assert len(corners) == 4 * 4 * 2
    assert len({batch.tobytes() for batch in batches}) == 4
    for number in (2, 0, 3, 1):
        assert (transformer.apply([picture] * 100, number) == batches[number]).all()


def test_the_drawn_numbers_stay_the_same() -> None:
    """They decide what calibration sees; a change of numpy or of ours must not pass unseen."""
    picture = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    got = Transformer(Transform(crop_size=1), Phase.TRAIN).apply([picture] * 8, 5)
    assert got.reshape(-1).tolist() == [20, 24, 48, 51, 10, 9, 58, 42]


def test_test_phase_mirrors_too_but_does_not_move() -> None:
    picture = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    got = Transformer(Transform(mirror=True), Phase.TEST).apply([picture] * 40, 0)
    rows = {tuple(p[0, 0].tolist()) for p in got}
    assert rows == {(0.0, 1.0, 2.0), (2.0, 1.0, 0.0)}


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (Transform(mean_file="m", mean_value=(1.0,)), "mean_file stands beside mean_value"),
        (Transform(force_color=True, force_gray=True), "force_color stands beside force_gray"),
        (Transform(scale=float("nan")), "scale or mean_value"),
        (Transform(mean_value=(1.0, float("inf"))), "scale or mean_value"),
    ],
)
def test_settings_that_make_no_sense_are_refused(transform: Transform, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        Transformer(transform, Phase.TEST)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("transform", "mean", "shape", "says"),
    [
        (Transform(crop_size=5), None, (1, 4, 9), "crop_size 5 is larger than the picture, 4x9"),
        (Transform(crop_size=5), None, (1, 9, 4), "crop_size 5 is larger than the picture, 9x4"),
        (Transform(mean_value=(1.0, 2.0)), None, (3, 4, 4), "2 mean_value for 3 channels"),
        (Transform(mean_value=(1.0, 2.0)), None, (1, 4, 4), "2 mean_value for 1 channels"),
        (
            Transform(mean_file="m"),
            (3, 4, 4),
            (3, 4, 5),
            "mean_file m of the shape 3x4x4 for a picture of the shape 3x4x5",
        ),
        (Transform(mean_file="m", crop_size=2), (3, 2, 2), (3, 4, 4), "mean_file m of the shape 3x2x2"),
        (Transform(mean_file="m"), (1, 4, 4), (3, 4, 4), "mean_file m of the shape 1x4x4"),
    ],
)
def test_what_does_not_fit_the_picture_is_refused(
    transform: Transform, mean: tuple[int, ...] | None, shape: tuple[int, ...], says: str
) -> None:
    transformer = Transformer(transform, Phase.TEST, None if mean is None else np.zeros(mean, np.float32))
    with pytest.raises(DataError) as caught:
        transformer.top_shape(shape)
    assert says in caught.value.message
    assert caught.value.hint
    with pytest.raises(DataError):
        transformer.apply([np.zeros(shape, np.uint8)], 0)

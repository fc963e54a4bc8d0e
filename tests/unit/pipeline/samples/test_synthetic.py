"""Made-up samples: of the right type and range, never alike, the same from the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.known_values import KnownValues
from pipeline.core.signature import TensorSpec
from pipeline.samples.synthetic import synthetic_samples
from pipeline.samples.wanted import default_count, fixed_batch, sample_shapes, whole_batches

DTYPES = (
    *("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "complex64", "string"),
)


def spec(dtype: str, *sizes: int | None, name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=(None, *sizes))


def made(
    one: TensorSpec, *, count: int = 20, seed: int = 0, low_high: tuple[float, float] | None = None
) -> NDArray[Any]:
    shapes = sample_shapes([one], {})
    ranges = {} if low_high is None else {one.name: low_high}
    return synthetic_samples([one], shapes=shapes, count=count, seed=seed, ranges=ranges)[one.name]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(), (3,), (4, 5), (6, 6, 3), (2, 3, 4, 2)])
def test_samples_are_of_the_signatures_type_and_shape_and_differ(dtype: str, sizes: tuple[int, ...]) -> None:
    array = made(spec(dtype, *sizes))
    assert array.shape == (20, *sizes)
    assert array.dtype == (object if dtype == "string" else np.dtype(dtype))
    assert len({sample.tobytes() if dtype != "string" else str(sample) for sample in array}) > 1


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "string"])
def test_an_input_of_no_width_is_made_up_too(dtype: str) -> None:
    """A model with one was not adopted at all: a fault of ours."""
    assert made(spec(dtype, 4, 0)).shape == (20, 4, 0)


def test_many_texts_are_a_word_of_the_vocabulary() -> None:
    """A StringLookup would know none of them, and all targets would agree on what they answer to the unknown."""
    city = spec("string", 1)
    made_up = synthetic_samples(
        [city],
        shapes={"x": (1,)},
        count=100,
        seed=0,
        ranges={},
        known={"x": KnownValues(words=[b"Biscoe", b"Dream", b"Torgersen"], why="")},
    )["x"].ravel()
    known = sum(text in {b"Biscoe", b"Dream", b"Torgersen"} for text in made_up)
    assert 15 < known < 80


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_no_axis_is_constant_and_none_is_symmetric(axis: int) -> None:
    """Constant or symmetric samples would hide transposed and mirrored axes."""
    array = made(spec("float32", 8, 8, 3))
    assert np.ptp(array, axis=axis).max() > 0
    assert not np.allclose(array, np.flip(array, axis), atol=0.01)


def test_samples_have_levels_and_contrasts_of_their_own() -> None:
    """Samples of one level would hide a wrong scale, and averages of pure noise come out alike."""
    array = made(spec("float32", 16, 16, 1))
    assert np.ptp(array.mean(axis=(1, 2, 3))) > 0.2
    assert np.ptp(array.std(axis=(1, 2, 3))) > 0.05


def test_the_same_seed_gives_the_same_and_another_gives_others() -> None:
    one = spec("float32", 4)
    assert np.array_equal(made(one), made(one))
    assert not np.array_equal(made(one), made(one, seed=1))


def test_inputs_of_one_model_are_not_copies_of_each_other() -> None:
    left, right = spec("float32", 4, name="left"), spec("float32", 4, name="right")
    both = synthetic_samples([left, right], shapes={"left": (4,), "right": (4,)}, count=3, seed=0, ranges={})
    assert not np.array_equal(both["left"], both["right"])


@pytest.mark.parametrize(
    ("dtype", "low_high"), [("float32", (-120.0, 25.0)), ("int32", (0.0, 3.0)), ("uint8", (5.0, 9.0))]
)
def test_values_fill_the_range_that_was_asked_for(dtype: str, low_high: tuple[float, float]) -> None:
    array = made(spec(dtype, 30), low_high=low_high)
    assert low_high[0] <= array.min()
    assert array.max() <= low_high[1]
    assert array.max() - array.min() > 0.9 * (low_high[1] - low_high[0])


@pytest.mark.parametrize(
    ("dtype", "low_high"),
    [
        ("uint8", (0.0, 256.0)),
        ("int32", (0.5, 2.0)),
        ("float32", (1.0, 1.0)),
        ("float32", (0.0, float("inf"))),
        ("float32", (float("nan"), 1.0)),
        ("float64", (0.0, 1e300)),
        ("float16", (0.0, 1e5)),
        ("bool", (0.0, 1.0)),
    ],
)
def test_an_impossible_range_is_refused(dtype: str, low_high: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="--range x"):
        made(spec(dtype, 3), low_high=low_high)


def test_a_range_of_no_input_is_refused_with_the_inputs_there_are() -> None:
    with pytest.raises(UsageError, match="no input `image`") as refused:
        synthetic_samples([spec("float32", 3)], shapes={"x": (3,)}, count=2, seed=0, ranges={"image": (0, 1)})
    assert "`x` float32 [3]" in refused.value.hint


def test_a_dtype_without_samples_is_refused() -> None:
    with pytest.raises(ModelFailed, match="qint8"):
        synthetic_samples([spec("qint8", 3)], shapes={"x": (3,)}, count=2, seed=0, ranges={})


def test_open_dimensions_get_32_or_what_was_asked_for() -> None:
    one = spec("float32", None, None, 3)
    assert sample_shapes([one], {}) == {"x": (32, 32, 3)}
    assert sample_shapes([one], {"x": (8, 9, 3)}) == {"x": (8, 9, 3)}
    with pytest.raises(UsageError, match=r"a sample of it is \[\?, \?, 3\], not \[8, 8, 1\]"):
        sample_shapes([one], {"x": (8, 8, 1)})


def test_a_fixed_batch_is_found_and_gets_whole_batches() -> None:
    fixed = TensorSpec(name="x", dtype="float32", shape=(6, 3))
    assert fixed_batch([fixed]) == 6
    assert whole_batches(64, 6) == 66
    assert default_count({"x": (3,)}, 6) == 66
    assert default_count({"x": (224, 224, 3)}, None) == 16


def test_inputs_that_do_not_count_samples_are_refused() -> None:
    scalar = TensorSpec(name="rate", dtype="float32", shape=())
    with pytest.raises(ModelFailed, match="`rate` is one number for the whole batch"):
        fixed_batch([spec("float32", 3), scalar])
    with pytest.raises(ModelFailed, match="first dimensions differ"):
        fixed_batch([spec("float32", 3), TensorSpec(name="y", dtype="float32", shape=(1, 3))])

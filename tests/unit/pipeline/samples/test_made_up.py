"""Samples made up for a model: of what it says of its inputs, and in what it turns out to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.known_values import KnownValues
from pipeline.core.signature import Tensors, TensorSpec
from pipeline.samples.adopted import Samples
from pipeline.samples.made_up import Askable, made_up

CITIES = KnownValues(keys=[b"Rome", b"Bern", b"Oslo"], why="keys of a lookup table of 3")


def spec(dtype: str, *sizes: int | None, name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=(None, *sizes))


def made(
    *inputs: TensorSpec,
    known: Mapping[str, KnownValues] | None = None,
    refuses: Callable[[Tensors], bool] | None = None,
    answer: Callable[[Tensors], object] = lambda given: next(iter(given.values())).sum(axis=-1),
    ranges: Mapping[str, tuple[float, float]] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Samples:
    """Samples for a model that refuses some, and answers others with one number a sample."""

    def answers(rows: Tensors, size: int | None) -> Tensors:
        del size
        if refuses is not None and refuses(rows):
            raise ModelFailed("the model does not answer the samples", hint="")
        return {"y": np.asarray(answer(rows), np.float32)}

    def grows(rows: Tensors) -> bool:
        del rows
        return False

    model = Askable(inputs=inputs, batch=None, known=known or {}, answers=answers, rounding_grows=grows)
    return made_up(model, seed=0, count=None, representative=20, ranges=ranges or {}, shapes=shapes or {})


def test_floats_that_are_indices_are_whole_and_below_the_tables_end() -> None:
    """A model of token ids says float32 of them, and answers all of -1 to 1 by one and the same word."""
    table = KnownValues(between=(0.0, 999.0), whole=True, why="the rows of a table of 1000")
    found = made(spec("float32", 20), known={"x": table})
    ids = found.asked["x"]
    assert ids.dtype == np.float32
    assert (ids == np.round(ids)).all()
    assert (ids.min(), ids.max()) == (0, 999)
    assert "x [20] whole numbers 0 to 999 (the rows of a table of 1000); seed" in found.description


def test_a_range_asked_for_goes_before_what_is_known_and_stays_whole() -> None:
    table = KnownValues(between=(0.0, 999.0), whole=True, why="the rows of a table of 1000")
    found = made(spec("float32", 20), known={"x": table}, ranges={"x": (5.0, 7.0)})
    assert set(found.asked["x"].ravel()) == {5, 6, 7}
    assert "x [20] whole numbers 5 to 7; seed" in found.description


def test_a_range_that_cannot_be_is_refused_before_the_model_is_asked() -> None:
    def refuses(given: Tensors) -> bool:
        pytest.fail(f"it was asked {given}")

    with pytest.raises(UsageError, match="cannot be"):
        made(spec("uint8", 3), ranges={"x": (0.0, 300.0)}, refuses=refuses)


def test_known_values_end_where_the_type_does() -> None:
    table = KnownValues(between=(0.0, 999.0), whole=True, why="the rows of a table of 1000")
    assert made(spec("uint8", 20), known={"x": table}).asked["x"].max() == 255


def test_a_table_of_one_row_is_read_there() -> None:
    table = KnownValues(between=(0.0, 0.0), whole=True, why="the rows of a table of 1")
    assert not made(spec("float32", 4), known={"x": table}).asked["x"].any()


def _strange(given: Tensors) -> bool:
    return not set(given["city"].ravel()) <= set(CITIES.keys)


def test_a_model_that_refuses_the_unknown_gets_its_own_keys_only() -> None:
    """Of layers without room for the unknown, one strange word among all samples ends in an error."""
    city = spec("string", 1, name="city")
    found = made(city, known={"city": CITIES}, refuses=_strange, answer=lambda given: np.arange(len(given["city"])))
    assert set(found.asked["city"].ravel()) == set(CITIES.keys)
    assert "city [1] keys of a lookup table of 3 only; seed" in found.description


def test_a_model_that_takes_the_unknown_is_asked_it() -> None:
    """What a target makes of words that it does not know would not be seen otherwise."""
    city = spec("string", 1, name="city")
    found = made(city, known={"city": CITIES}, answer=lambda given: np.arange(len(given["city"])))
    texts = found.asked["city"].ravel()
    assert set(CITIES.keys) < set(texts)
    assert np.isin(texts, CITIES.keys).mean() > 0.7
    assert "keys of a lookup table of 3, and others" in found.description


def test_years_are_drawn_from_those_that_the_table_has() -> None:
    years = KnownValues(keys=[1990, 2005, 2020], why="keys of a lookup table of 3")
    found = made(
        spec("float32", 1), known={"x": years}, refuses=lambda given: not np.isin(given["x"], years.keys).all()
    )
    assert set(found.asked["x"].ravel()) == {1990, 2005, 2020}


def test_columns_lie_about_the_middle_that_the_model_has_for_each() -> None:
    middle, distance = np.array([40.0, 5e4, 1e-3]), np.array([20.0, 2e4, 2e-4])
    known = KnownValues(around=(middle, distance), why="a normalization's mean")
    rows = made(spec("float32", 3), known={"x": known}).asked["x"]
    assert (np.abs(rows - middle) <= distance * (1 + 1e-5)).all()
    assert (np.ptp(rows, axis=0) > distance).all()
    ages = made(spec("int32", 3), known={"x": known}).asked["x"]
    assert ages.dtype == np.int32


def test_what_does_not_fit_the_input_is_not_used() -> None:
    """A mean of three columns says nothing of four."""
    known = KnownValues(around=(np.zeros(3), np.ones(3)), why="a normalization's mean")
    assert "x [4] -1 to 1" in made(spec("float32", 4), known={"x": known}).description
    assert "x [] drawn" in made(spec("bool"), known={"x": CITIES}, answer=lambda given: given["x"]).description


@pytest.mark.parametrize(
    ("least", "most", "size"), [(0, 99, 32), (75, 999, 128), (400, 2000, 1024), (0, 20, 16), (3000, 99999, 16384)]
)
def test_open_dimensions_are_of_a_size_that_the_model_takes(least: int, most: int, size: int) -> None:
    """Unpadded convolutions need a least length, and learned positions end somewhere."""
    found = made(spec("float32", None), refuses=lambda given: not least <= given["x"].shape[1] <= most)
    assert found.asked["x"].shape == (64, size)
    said = f"open dimensions became {size}, because it does not answer at 32"
    assert (said in found.description) is (size != 32)


def test_answers_of_nothing_are_none() -> None:
    """Too short an input leaves a convolution nothing: the average of that is NaN, and no error."""
    found = made(spec("float32", None), answer=lambda given: given["x"][:, 0] / (given["x"].shape[1] > 99 or np.nan))
    assert found.asked["x"].shape[1] == 128


def test_images_are_not_made_as_long_as_recordings() -> None:
    sizes: list[int] = []

    def refuses(given: Tensors) -> bool:
        sizes.append(given["x"].shape[1])
        return True

    found = made(spec("float32", None, None, 3), refuses=refuses)
    assert max(sizes) == 256
    assert found.asked["x"].shape[1:] == (32, 32, 3)


def test_a_size_that_was_asked_for_is_kept() -> None:
    found = made(spec("float32", None), shapes={"x": (40,)}, refuses=lambda given: given["x"].shape[1] < 64)
    assert found.asked["x"].shape[1] == 40


def test_integers_that_the_model_refuses_become_small() -> None:
    found = made(spec("int32", 3), refuses=lambda given: given["x"].max() > 1)
    assert set(found.asked["x"].ravel()) == {0, 1}
    assert "x became 0 and 1, because the model refuses larger integers" in found.description

"""The search for the worst inputs, against models whose worst inputs are known."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Tensors
from pipeline.core.target import Answers, RuntimeInfo
from pipeline.explain.search import Found, search


class _Sum:
    """The trained model: the sum of its numbers."""

    def answers(self, samples: Tensors) -> dict[str, NDArray[Any]]:
        return {"total": samples["numbers"].astype(np.float64).sum(axis=1, keepdims=True)}

    def towards_a_tie(self, samples: Tensors) -> dict[str, NDArray[Any]]:
        kind = samples["numbers"].dtype.kind
        return {"numbers": -np.ones(samples["numbers"].shape)} if kind == "f" else {}


class _Off:
    """A target that is off by the cube of the first number, and may break or be asked for no more than so long."""

    info = RuntimeInfo(runtime="test", version="1")

    def __init__(self, *, breaks_above: float = np.inf) -> None:
        self.asked: list[NDArray[Any]] = []
        self._breaks_above = breaks_above

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        numbers = samples["numbers"]
        self.asked.append(numbers)
        if len(self.asked) > 1 and numbers[:, 0].max() > self._breaks_above:
            raise TargetFailed("it fell over", hint="none")
        total = numbers.astype(np.float64).sum(axis=1, keepdims=True)
        return Answers(outputs={"total": total + numbers[:, :1].astype(np.float64) ** 3}, call_seconds=np.zeros(1))


def _samples(dtype: str) -> Tensors:
    """The first column reaches a third of the range that the others have."""
    numbers = np.random.default_rng(1).uniform(0, 9, (40, 5))
    numbers[:, 0] /= 3
    return {"numbers": numbers.astype(dtype)}


def _searched(runner: _Off, samples: Tensors, *, rounds: int = 60, seed: int = 0) -> Found:
    """So many rounds, by a clock that moves on by one whenever it is read."""
    ticks = itertools.count()
    return search(runner, _Sum(), samples, seconds=2.0 * rounds, seed=seed, clock=lambda: float(next(ticks)))


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_it_finds_what_the_samples_do_not_show(dtype: str) -> None:
    """The test split would be the worst that anybody ever saw."""
    samples = _samples(dtype)
    found = _searched(_Off(), samples)
    assert found.on_samples == pytest.approx(float(samples["numbers"][:, 0].max()) ** 3, rel=1e-5)
    assert found.on_found > 5 * found.on_samples
    assert f"{found.on_found:.3g}" in found.sentence


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_inputs_stay_what_real_samples_could_be(dtype: str) -> None:
    """A target that is wrong on what never comes is not wrong."""
    samples = {"numbers": _samples("float32")["numbers"] > 2} if dtype == "bool" else _samples(dtype)
    runner = _Off()
    _searched(runner, samples)
    asked = np.concatenate(runner.asked)
    assert len(asked) > 500
    assert asked.dtype == samples["numbers"].dtype
    assert (asked.min(), asked.max()) == (samples["numbers"].min(), samples["numbers"].max())


def test_the_same_seed_finds_the_same() -> None:
    """A finding could not be shown twice."""
    first, again, other = (_searched(_Off(), _samples("float32"), rounds=9, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.inputs["numbers"], again.inputs["numbers"])
    assert not np.array_equal(first.inputs["numbers"], other.inputs["numbers"])


def test_it_ends_in_time() -> None:
    """CI would wait for it."""
    found = _searched(_Off(), _samples("float32"), rounds=20)
    assert found.seconds <= 40 + 3
    none = search(_Off(), _Sum(), _samples("float32"), seconds=1e-9, seed=0)
    assert (none.tried, none.on_found) == (0, none.on_samples)
    assert "Nothing worse" in none.sentence


def test_what_is_found_is_reported_with_both_answers() -> None:
    found = _searched(_Off(), _samples("float32"))
    gaps = np.abs(found.got["total"] - found.expected["total"])[:, 0]
    assert gaps[0] == pytest.approx(found.on_found)
    assert list(gaps) == sorted(gaps, reverse=True)
    assert np.allclose(found.expected["total"][:, 0], found.inputs["numbers"].astype(np.float64).sum(axis=1))


def test_an_input_that_brings_the_target_down_is_the_worst() -> None:
    """The search would end with the very thing that it looks for."""
    assert _searched(_Off(breaks_above=8.0), _samples("float32")).on_found == np.inf


def test_a_target_that_fails_on_the_samples_is_no_finding() -> None:
    runner = _Off()
    runner.asked.append(np.zeros(1))
    runner._breaks_above = 0.0
    with pytest.raises(TargetFailed):
        _searched(runner, _samples("float32"))

"""Looking for the inputs on which a target is most wrong: mutations of real samples, within what real samples hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Tensors, sample_count
from pipeline.core.target import Runner

_BATCH = 64
_PARENTS = 16
_KEPT = 8


class Answering(Protocol):
    """The trained model."""

    def answers(self, samples: Tensors) -> dict[str, NDArray[Any]]: ...

    def towards_a_tie(self, samples: Tensors) -> dict[str, NDArray[Any]]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a search found: the largest absolute error on the samples and on the found inputs, worst first.

    `tried` counts the inputs that were made up. `expected` and `got` are the answers to `inputs`, row by row.
    """

    on_samples: float
    on_found: float
    tried: int
    seconds: float
    inputs: Tensors
    expected: Tensors
    got: Tensors

    @property
    def sentence(self) -> str:
        looked = f"{self.tried} inputs in {self.seconds:.1f} s"
        if self.on_found <= self.on_samples:
            return f"Nothing worse than {self.on_samples:.3g}, which the test split shows, was found in {looked}."
        if self.on_samples == 0:
            return f"The largest error is {self.on_found:.3g}, where the test split shows none ({looked})."
        times = self.on_found / self.on_samples
        return (
            f"The largest error is {self.on_found:.3g}, {times:.1f} times the {self.on_samples:.3g} that "
            f"the test split shows ({looked})."
        )

    def as_json(self, file: Path) -> str:
        """One JSON object; an error that is no number, such as that of a NaN, is null."""
        values = {"on_samples": self.on_samples, "on_found": self.on_found}
        return json.dumps(
            {
                **{name: value if np.isfinite(value) else None for name, value in values.items()},
                "tried": self.tried,
                "seconds": self.seconds,
                "inputs": str(file),
            },
            indent=2,
        )


def search(
    runner: Runner,
    reference: Answering,
    samples: Tensors,
    *,
    seconds: float,
    seed: int,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Look for `seconds` at most, and no round more than fits; the samples themselves are always looked at.

    Numbers stay within the range that the samples have in that input, integers whole. The same seed makes the same
    inputs, as far as the time goes. Raises TargetFailed as the runner does for the samples; what breaks it later
    is an input on which it is as wrong as can be.
    """
    started = clock()
    random = np.random.default_rng(seed)
    pool = _judged(runner, reference, samples, strict=True)
    on_samples = float(pool.errors[0])
    tried, round_seconds = 0, clock() - started
    for mutate in _in_turn(random, reference, samples):
        began = clock()
        if began - started + round_seconds > seconds:
            break
        children = mutate(pool)
        tried += sample_count(children)
        pool = pool.best_with(_judged(runner, reference, children, strict=False))
        round_seconds = max(round_seconds if tried > _BATCH else 0.0, clock() - began)
    best = pool.rows(slice(0, _KEPT))
    return Found(
        on_samples=on_samples,
        on_found=float(best.errors[0]),
        tried=tried,
        seconds=clock() - started,
        inputs=best.inputs,
        expected=best.expected,
        got=best.got,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pool:
    """Inputs with both answers and their largest absolute error, worst first."""

    inputs: Tensors
    expected: Tensors
    got: Tensors
    errors: NDArray[np.float64]

    def rows(self, which: slice | NDArray[np.int64]) -> _Pool:
        return _Pool(
            inputs=_rows(self.inputs, which),
            expected=_rows(self.expected, which),
            got=_rows(self.got, which),
            errors=self.errors[which],
        )

    def best_with(self, other: _Pool) -> _Pool:
        both = _Pool(
            inputs=_joined(self.inputs, other.inputs),
            expected=_joined(self.expected, other.expected),
            got=_joined(self.got, other.got),
            errors=np.concatenate([self.errors, other.errors]),
        )
        return both.rows(np.argsort(-both.errors, kind="stable")[:_PARENTS])


def _judged(runner: Runner, reference: Answering, inputs: Tensors, *, strict: bool) -> _Pool:
    expected = reference.answers(inputs)
    try:
        got: Tensors = runner.run(inputs, batch_size=_BATCH).outputs
    except TargetFailed:
        if strict:
            raise
        got = {name: np.full(array.shape, np.nan) for name, array in expected.items()}
    errors = np.zeros(sample_count(inputs))
    for name, want in expected.items():
        errors = np.maximum(errors, _gap(got[name], want))
    order = np.argsort(-errors, kind="stable")
    return _Pool(inputs=inputs, expected=expected, got=got, errors=errors).rows(order)


def _gap(got: NDArray[Any], want: NDArray[Any]) -> NDArray[np.float64]:
    if got.shape != want.shape:
        return np.full(len(want), np.inf)
    with np.errstate(invalid="ignore"):
        gap = np.abs(got.astype(np.float64) - want.astype(np.float64)).reshape(len(want), -1)
    same = (got == want).reshape(len(want), -1) | (np.isnan(got) & np.isnan(want)).reshape(len(want), -1)
    return np.asarray(np.where(same, 0.0, np.nan_to_num(gap, nan=np.inf)).max(axis=1))


def _in_turn(
    random: np.random.Generator, reference: Answering, samples: Tensors
) -> Iterator[Callable[[_Pool], Tensors]]:
    ranges = {name: (array.min(), array.max()) for name, array in samples.items()}

    def within(children: Tensors) -> Tensors:
        return {name: _within(children[name], array.dtype, *ranges[name]) for name, array in samples.items()}

    def noisy(pool: _Pool) -> Tensors:
        parents = _drawn(pool, random)
        return within({name: _with_noise(array, random, *ranges[name]) for name, array in parents.items()})

    def extreme(pool: _Pool) -> Tensors:
        parents = _drawn(pool, random)
        return within({name: _with_extremes(array, random, *ranges[name]) for name, array in parents.items()})

    def crossed(pool: _Pool) -> Tensors:
        mothers, fathers = _drawn(pool, random), _drawn_from(samples, random)
        share = random.random(_BATCH)
        return within({name: _mixed(mothers[name], fathers[name], share) for name in mothers})

    def towards_a_tie(pool: _Pool) -> Tensors:
        parents = _drawn(pool, random)
        steps = reference.towards_a_tie(parents)
        moved = {name: _moved(parents[name], step, random, *ranges[name]) for name, step in steps.items()}
        return within({**parents, **moved})

    while True:
        yield from (towards_a_tie, noisy, crossed, extreme)


def _drawn(pool: _Pool, random: np.random.Generator) -> Tensors:
    return _drawn_from(_rows(pool.inputs, slice(0, _PARENTS)), random)


def _drawn_from(inputs: Tensors, random: np.random.Generator) -> Tensors:
    return _rows(inputs, random.integers(0, sample_count(inputs), _BATCH))


def _with_noise(array: NDArray[Any], random: np.random.Generator, low: Any, high: Any) -> NDArray[Any]:
    if array.dtype.kind == "b":
        return np.asarray(array ^ (random.random(array.shape) < 0.05))
    strength = 10 ** random.uniform(-3, -0.5, (len(array),) + (1,) * (array.ndim - 1))
    spread = float(high) - float(low)
    return np.asarray(array + random.normal(size=array.shape) * strength * spread)


def _with_extremes(array: NDArray[Any], random: np.random.Generator, low: Any, high: Any) -> NDArray[Any]:
    ends = np.where(random.random(array.shape) < 0.5, low, high)
    return np.where(random.random(array.shape) < 0.05, ends, array)


def _mixed(mothers: NDArray[Any], fathers: NDArray[Any], share: NDArray[np.float64]) -> NDArray[Any]:
    weight = share.reshape(-1, *(1,) * (mothers.ndim - 1))
    if mothers.dtype.kind == "b":
        return np.where(weight < 0.5, mothers, fathers)
    return np.asarray(mothers * weight + fathers * (1 - weight))


def _moved(array: NDArray[Any], step: NDArray[Any], random: np.random.Generator, low: Any, high: Any) -> NDArray[Any]:
    length = 10 ** random.uniform(-3, -1, (len(array),) + (1,) * (array.ndim - 1))
    return np.asarray(array + np.sign(step) * length * (float(high) - float(low)))


def _within(array: NDArray[Any], dtype: np.dtype[Any], low: Any, high: Any) -> NDArray[Any]:
    if dtype.kind == "b":
        return array.astype(dtype)
    rounded = np.rint(array) if dtype.kind in "iu" else array
    return np.asarray(np.clip(rounded, low, high), dtype=dtype)


def _rows(tensors: Tensors, which: slice | NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {name: array[which] for name, array in tensors.items()}


def _joined(some: Tensors, others: Tensors) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([some[name], others[name]]) for name in some}

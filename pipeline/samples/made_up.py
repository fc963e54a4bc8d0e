"""Samples made up for a model: of what it says of its inputs, and else of what it turns out to answer.

What a model's operations say goes first (rows of its tables, keys of its vocabulary). What they do not say is tried: in
which sizes and ranges it answers, and whether it takes what its vocabulary does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.core.errors import ModelFailed
from pipeline.core.known_values import Key, KnownValues
from pipeline.core.signature import Tensors, TensorSpec
from pipeline.samples.adopted import Samples
from pipeline.samples.choosing import Chosen, Range, chosen
from pipeline.samples.synthetic import default_range, numeric_dtype, strangers_to, synthetic_samples
from pipeline.samples.wanted import OPEN_SIZE, are_large, default_count, sample_shapes, whole_batches

_SEED_OF_REPRESENTATIVES = 1
_TRIED_SAMPLES = 8
_LARGER = (64, 128, 256)
_LONGER = (1024, 16384)
_SMALLER = (16, 8, 4, 2, 1)
_WILD = (
    "Asked alone, the model answers the made-up samples otherwise than in a batch, beyond float32's rounding: rounding "
    "alone grows in it, or its samples influence each other. No runtime can be expected to agree; give --samples, or "
    "smaller values with --range."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Askable:
    """A model, as far as made-up samples need it.

    `answers` asks it samples, in batches of that size or the usual one. It raises ModelFailed where it does not answer.
    `rounding_grows` says whether rounding alone changes its answers to them.
    """

    inputs: tuple[TensorSpec, ...]
    batch: int | None
    known: Mapping[str, KnownValues]
    answers: Callable[[Tensors, int | None], Tensors]
    rounding_grows: Callable[[Tensors], bool]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Recipe:
    """What samples are made of; `why` are reasons for what is not usual."""

    model: Askable
    seed: int
    shapes: Mapping[str, tuple[int, ...]]
    ranges: Mapping[str, Range]
    known: Mapping[str, KnownValues]
    strangers: Mapping[str, Sequence[Key]] = field(default_factory=dict)
    why: tuple[str, ...] = ()

    def samples(self, count: int, *, more_to_seed: int = 0) -> Tensors:
        return synthetic_samples(
            self.model.inputs,
            shapes=self.shapes,
            count=count,
            seed=self.seed + more_to_seed,
            ranges=self.ranges,
            known=self.known,
            strangers=self.strangers,
        )

    def tried(self) -> Tensors:
        """What the model answers to a few of such samples. Raises ModelFailed."""
        batch = self.model.batch
        return self.model.answers(self.samples(whole_batches(_TRIED_SAMPLES, batch)), batch)

    @property
    def answered(self) -> bool:
        """Whether the model answers such samples with anything: with other than nothing and NaN alone."""
        try:
            given = self.tried()
        except ModelFailed:
            return False
        return all(array.size and (array.dtype.kind != "f" or np.isfinite(array).any()) for array in given.values())


def made_up(
    model: Askable,
    *,
    seed: int,
    count: int | None,
    representative: int,
    ranges: Mapping[str, Range],
    shapes: Mapping[str, Sequence[int]],
) -> Samples:
    """Samples of the ranges and shapes asked for, and else of what suits the model; 64, or 16 of large ones.

    Where nothing that is tried makes it answer they are the usual ones, and asking it will say what it lacks. Raises
    UsageError for ranges and shapes that the inputs do not have.
    """
    recipe, taken = _settled(model, seed, ranges, shapes)
    batch = model.batch
    asked = whole_batches(count, batch) if count else default_count(recipe.shapes, batch)
    learned = min(representative, asked) if are_large(recipe.shapes) else representative
    return Samples(
        asked=recipe.samples(asked),
        # Others than those that are compared: quantized ranges that were taken from these would fit too well.
        representative=recipe.samples(whole_batches(learned, batch), more_to_seed=_SEED_OF_REPRESENTATIVES),
        labels=None,
        description=_in_words(recipe),
        notes=() if taken.calm else (_WILD,),
    )


def _settled(
    model: Askable, seed: int, ranges: Mapping[str, Range], shapes: Mapping[str, Sequence[int]]
) -> tuple[_Recipe, Chosen]:
    usual = sample_shapes(model.inputs, shapes)
    known = {spec.name: one for spec in model.inputs if (one := _fitting(spec, usual[spec.name], model.known))}
    first = _Recipe(
        model=model, seed=seed, shapes=usual, ranges=_usual_ranges(model, ranges, known, usual), known=known
    )
    recipe = _with_small_integers(_with_sizes(first, shapes), ranges)
    recipe = _with_strangers(recipe)
    open_to = [
        spec.name
        for spec in model.inputs
        if spec.name not in ranges and spec.name not in known and spec.dtype.startswith("float")
    ]

    def tried(used: Mapping[str, Range]) -> Tensors:
        return replace(recipe, ranges=used).tried()

    def calm(used: Mapping[str, Range]) -> bool:
        # A fixed batch cannot be asked otherwise, nor can a model that takes no single sample: nothing is known then.
        if model.batch is not None:
            return True
        try:
            return not model.rounding_grows(replace(recipe, ranges=used).samples(_TRIED_SAMPLES))
        except ModelFailed:
            return True

    taken = chosen(recipe.ranges, open_to, tried, calm=calm)
    why = (*recipe.why, taken.why) if taken.why else recipe.why
    return replace(recipe, ranges=taken.ranges, why=why), taken


def _fitting(spec: TensorSpec, shape: tuple[int, ...], known: Mapping[str, KnownValues]) -> KnownValues | None:
    """What is known of the input, as far as values of its type and shape can be made of it."""
    one = known.get(spec.name)
    dtype = numeric_dtype(spec)
    if one is None:
        return None
    if dtype is None:
        texts = one.words or (one.keys and isinstance(one.keys[0], bytes))
        return one if spec.dtype == "string" and texts else None
    if one.around is not None:
        sizes = np.broadcast_shapes(one.around[0].shape, one.around[1].shape)
        return one if len(sizes) <= len(shape) and all(np.array(shape[len(shape) - len(sizes) :]) == sizes) else None
    if one.between is not None and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = max(one.between[0], float(limits.min)), min(one.between[1], float(limits.max))
        return replace(one, between=(np.ceil(low), np.floor(high))) if np.ceil(low) <= np.floor(high) else None
    return one if one.between is not None or one.keys else None


def _usual_ranges(
    model: Askable,
    asked: Mapping[str, Range],
    known: Mapping[str, KnownValues],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, Range]:
    used = dict(asked)
    for spec in model.inputs:
        if spec.name in used or numeric_dtype(spec) is None:
            continue
        of_it = known.get(spec.name)
        if of_it is None:
            used[spec.name] = default_range(spec, shapes[spec.name])
        elif of_it.between is not None:
            used[spec.name] = of_it.between
    return used


def _with_sizes(recipe: _Recipe, asked: Mapping[str, Sequence[int]]) -> _Recipe:
    """Open dimensions of the first size that the model answers at: convolutions need a least, positions have a most."""
    inputs = recipe.model.inputs
    still_open = [spec.shape[1:].count(None) for spec in inputs if spec.name not in asked]
    if not any(still_open) or recipe.answered:
        return recipe
    # Of images as large as a long recording nothing would be left to answer with.
    for size in (*_LARGER, *(_LONGER if max(still_open) == 1 else ()), *_SMALLER):
        there = replace(recipe, shapes=sample_shapes(inputs, asked, open_size=size))
        if there.answered:
            return replace(there, why=(f"open dimensions became {size}, because it does not answer at {OPEN_SIZE}",))
    return recipe


def _with_small_integers(recipe: _Recipe, asked: Mapping[str, Range]) -> _Recipe:
    """Integers of which nothing is known as 0 and 1, where the model does not answer the usual ones."""
    unknown = [
        spec.name
        for spec in recipe.model.inputs
        if spec.name in recipe.ranges
        and spec.name not in asked
        and spec.name not in recipe.known
        and np.dtype(spec.dtype).kind in "iu"
    ]
    if not unknown or recipe.answered:
        return recipe
    small = replace(recipe, ranges={**recipe.ranges, **dict.fromkeys(unknown, (0.0, 1.0))})
    why = f"{', '.join(unknown)} became 0 and 1, because the model refuses larger integers"
    return replace(small, why=(*recipe.why, why)) if small.answered else recipe


def _with_strangers(recipe: _Recipe) -> _Recipe:
    """With what the vocabulary does not hold, for the inputs at which the model takes that."""
    taken: dict[str, Sequence[Key]] = {}
    for spec in recipe.model.inputs:
        of_it = recipe.known.get(spec.name)
        strangers = (
            strangers_to(spec, of_it) if of_it is not None and of_it.keys and spec.name not in recipe.ranges else ()
        )
        if of_it is not None and strangers:
            only = replace(recipe, known={**recipe.known, spec.name: replace(of_it, keys=strangers)})
            if only.answered:
                taken[spec.name] = strangers
    return replace(recipe, strangers=taken)


def _in_words(recipe: _Recipe) -> str:
    parts = [
        f"{spec.name} {list(recipe.shapes[spec.name])} {_values_in_words(spec, recipe)}" for spec in recipe.model.inputs
    ]
    made = f"synthetic inputs, made up from the signature, no real data: {', '.join(parts)}; seed {recipe.seed}"
    return "; ".join([made, *recipe.why])


def _values_in_words(spec: TensorSpec, recipe: _Recipe) -> str:
    known = recipe.known.get(spec.name)
    if spec.name in recipe.ranges:
        low, high = recipe.ranges[spec.name]
        values = f"{low:g} to {high:g}"
        if known is None:
            return values
        whole = "whole numbers " if known.whole and np.dtype(spec.dtype).kind == "f" else ""
        return f"{whole}{values}" + (f" ({known.why})" if known.between == (low, high) else "")
    if known is None:
        return "drawn"
    if known.words:
        return f"{known.why}, and others"
    if known.keys:
        return known.why + (", and others" if recipe.strangers.get(spec.name) else " only")
    return known.why

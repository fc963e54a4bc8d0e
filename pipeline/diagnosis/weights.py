"""Causes in the weights: the artifact's own are held against the trained model's, and put into it to see what they do.

Converters rename weights, turn them and fold batch normalization into the layer before it. So a weight is looked for by
its values, in every layout that a converter uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnosis.artifact_weights import Held
from pipeline.diagnosis.graph import Graph

Floats = NDArray[np.float64]

# TFLite has the output channels first; a SavedModel and TF.js keep Keras' order.
_LAYOUTS = {2: ((0, 1), (1, 0)), 4: ((0, 1, 2, 3), (1, 2, 3, 0), (1, 2, 0, 3)), 1: ((0,),)}
_SAME_WITHIN = 2e-5
_STEPS_ALLOWED = 1.5
_INTACT_BELOW = 0.5
_FOREIGN_ABOVE = 0.5
# A normalization that is not folded has its scale, shift, mean and variance.
_UNFOLDED_VECTORS = 4
_LOOKED_AT = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sought:
    """A variable in one form: its values times `factor`, plus `offset`."""

    layer: str
    variable: Any
    factor: Floats | float = 1.0
    offset: Floats | float = 0.0

    @property
    def is_folded(self) -> bool:
        return not (np.isscalar(self.factor) and self.factor == 1.0 and np.isscalar(self.offset))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.variable.shape)

    @property
    def values(self) -> Floats:
        plain = np.asarray(self.variable, np.float64)
        return np.asarray(plain * self.factor + self.offset) if self.is_folded else plain


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A weight of the trained model beside what the artifact holds in its place, in Keras' layout.

    `off` says which values differ beyond rounding. Folded weights are compared as they are folded. What can be had from
    the variable is not kept: of a large model that would be several times its size.
    """

    sought: _Sought
    found: Floats
    off: NDArray[np.bool_]

    @property
    def variable(self) -> Any:
        return self.sought.variable

    @property
    def want(self) -> Floats:
        """What the artifact should hold."""
        return self.sought.values

    @property
    def unfolded(self) -> Floats:
        """What the variable itself would have to be for the artifact to hold what it does."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray((self.found - self.sought.offset) / self.sought.factor)

    @property
    def label(self) -> str:
        return f"{self.sought.layer}/{self.variable.name}"

    @property
    def share_off(self) -> float:
        return float(np.mean(self.off))


def compared(graph: Graph, held: Sequence[Held], *, all_foreign: bool = False) -> list[Compared]:
    """Each weight of the trained model beside its match in the artifact; those without any are left out.

    With `all_foreign` the artifact is taken to hold another training's weights, which need not be like any.
    """
    folded = _folded(graph, held) if all_foreign else frozenset()
    seeking = [sought for sought in _sought(graph) if sought.layer not in folded or sought.is_folded]
    options = sorted(
        (
            (_unlikeness(few, _few(values)), position, index, values, step)
            for position, sought in enumerate(seeking)
            for few in [_few(sought.values)]
            for index, one in enumerate(held)
            for values, step in _layouts(one, sought.shape)
        ),
        key=lambda option: option[:3],
    )
    placed: set[str] = set()
    taken: set[int] = set()
    found = []
    for unlikeness, position, index, values, step in options:
        sought = seeking[position]
        # Biases and averages that were folded away have no match at all, and look like any other vector.
        foreign = not all_foreign and values.ndim == 1 and unlikeness > _FOREIGN_ABOVE
        if sought.variable.path in placed or index in taken or foreign:
            continue
        placed.add(sought.variable.path)
        taken.add(index)
        want = sought.values
        limit = _STEPS_ALLOWED * step + _SAME_WITHIN * np.maximum(np.abs(want), float(np.abs(want).max()))
        with np.errstate(invalid="ignore", over="ignore"):
            found.append(Compared(sought=sought, found=values, off=~(np.abs(want - values) <= limit)))
    return found


def _folded(graph: Graph, held: Sequence[Held]) -> frozenset[str]:
    """The layers and normalizations that the artifact has in their folded form, by the number of its vectors."""
    vectors = [one.values.shape for one in held if one.values.ndim == 1]
    found: set[str] = set()
    for sought in _sought(graph):
        if sought.is_folded and sought.values.ndim == 1 and vectors.count(sought.values.shape) < _UNFOLDED_VECTORS:
            found.add(sought.layer)
    return frozenset(found)


def _sought(graph: Graph) -> Iterator[_Sought]:
    """Every weight as it is, and the kernels and biases that normalization may have been folded into."""
    import keras

    for place in graph.places:
        for variable in getattr(place.layer, "weights", ()):
            value = np.asarray(variable)
            if value.dtype.kind == "f" and value.ndim in _LAYOUTS and value.size > 1:
                yield _Sought(layer=place.name, variable=variable)
        after = graph.only_consumer(place.number)
        kernel = getattr(place.layer, "kernel", None)
        if after is None or kernel is None or not isinstance(after.layer, keras.layers.BatchNormalization):
            continue
        normal = after.layer
        gamma = np.asarray(normal.gamma, np.float64) if normal.scale else 1.0
        factor = gamma / np.sqrt(np.asarray(normal.moving_variance, np.float64) + normal.epsilon)
        depthwise = isinstance(place.layer, keras.layers.DepthwiseConv2D)
        along = factor[:, None] if depthwise and isinstance(factor, np.ndarray) else factor
        yield _Sought(layer=place.name, variable=kernel, factor=along)
        if normal.center:
            bias = np.asarray(place.layer.bias, np.float64) if place.layer.use_bias else 0.0
            offset = (bias - np.asarray(normal.moving_mean, np.float64)) * factor
            yield _Sought(layer=normal.name, variable=normal.beta, offset=offset)


def _layouts(held: Held, shape: tuple[int, ...]) -> Iterator[tuple[Floats, Floats | float]]:
    for order in _LAYOUTS.get(held.values.ndim, ()):
        turned = held.values.transpose(order)
        if turned.shape == shape:
            step = held.step.transpose(order) if isinstance(held.step, np.ndarray) and held.step.ndim else held.step
            yield turned, step


def _few(values: Floats) -> Floats:
    """Values from all over a weight: every pair of a shape is looked at, and a large model has dozens of a shape."""
    flat = np.unique(np.linspace(0, values.size - 1, min(values.size, _LOOKED_AT)).astype(np.int64))
    return np.asarray(values[np.unravel_index(flat, values.shape)])


def _unlikeness(want: Floats, got: Floats) -> float:
    """The median error by the median size: one damaged value does not hide which weight it was."""
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.nan_to_num(np.median(np.abs(want - got)), nan=np.inf) / (np.median(np.abs(want)) or 1))


def described(one: Compared) -> tuple[str, str]:
    """The cause and, in words, what happened to a weight that differs."""
    values, count = one.found, int(one.off.sum())
    if not np.isfinite(values).all():
        return "non_finite_weights", f"{np.sum(~np.isfinite(values))} of {values.size} values are not finite"
    if not values.any():
        return "weights_zeroed", "it is all zeros"
    return _single_values(one, count) or _whole(one)


def _single_values(one: Compared, count: int) -> tuple[str, str] | None:
    values, want = one.found, one.want
    if one.share_off < _INTACT_BELOW and count <= max(8, values.size // 100):
        place = tuple(int(index) for index in np.argwhere(one.off)[0])
        return "weights_damaged", (
            f"{count} of {values.size} values differ; at {place} it is {values[place]:.6g} instead of {want[place]:.6g}"
        )
    return None


def _whole(one: Compared) -> tuple[str, str]:
    values, want = one.found, one.want
    for axis in range(want.ndim):
        order = _permutation(want, values, axis)
        if order is not None:
            return "weights_permuted", f"its slices along axis {axis} are in another order"
    scale = float(np.sum(want * values) / np.sum(want * want))
    rounding = 1e-2 * max(1.0, abs(scale)) * float(np.abs(want).max())
    if scale and np.allclose(values, scale * want, rtol=1e-2, atol=rounding):
        return "weights_scaled", f"every value is {scale:.4g} times what it should be"
    if want.ndim == 2 and np.allclose(values, want.T.reshape(want.shape), atol=1e-2 * float(np.abs(want).max())):
        return "weights_transposed", "it is stored transposed"
    return "other_weights", f"{one.share_off:.0%} of its values differ"


def _permutation(want: Floats, values: Floats, axis: int) -> NDArray[np.int64] | None:
    """Which slice of `want` each slice of `values` is, when it is a permutation of them."""
    left = np.moveaxis(want, axis, 0).reshape(want.shape[axis], -1)
    right = np.moveaxis(values, axis, 0).reshape(want.shape[axis], -1)
    if len(left) > 512 or len(left) < 2:
        return None
    squares = (right**2).sum(1)[:, None] + (left**2).sum(1)[None, :] - 2 * right @ left.T
    order = np.asarray(squares.argmin(axis=1), np.int64)
    near = np.allclose(right, left[order], atol=2e-2 * float(np.abs(want).max()))
    return order if near and len(set(order.tolist())) == len(order) and (order != np.arange(len(order))).any() else None

"""Bounds of operations are those of WebNN's conformance tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from export.op_bounds import FLOAT32_ROUNDOFF, ROUNDOFF, channel_axes, half_roundings, roundings, summed_in, walk


@pytest.mark.parametrize(
    ("op", "shape", "count"),
    [
        ("MatMul", (512, 64), 2 * 512),
        ("Conv2D", (3, 3, 16, 32), 2 * 3 * 3 * 16),
        ("DepthwiseConv2dNative", (3, 3, 16, 1), 2 * 3 * 3),
        ("Conv2DBackpropInput", (2, 2, 8, 16), 2 * 2 * 2 * 16),
        ("Relu", (), 0),
        ("Reshape", (), 0),
        ("Sigmoid", (), 34),
        ("Atan2", (), 6),
    ],
)
def test_a_sum_of_products_may_be_off_by_two_roundings_a_product(op: str, shape: tuple[int, ...], count: int) -> None:
    """Otherwise depth and width of a model would not show in what it is allowed."""
    assert roundings(op, weight_shape=shape) == count


def test_softmax_pools_and_reductions_count_what_they_run_over() -> None:
    """Otherwise a softmax over 1,000 classes would be held to the bound of one over 10."""
    assert (roundings("Softmax", length=10), roundings("AvgPool", length=49), roundings("Sum", length=7)) == (33, 51, 7)
    assert roundings("MatMul", weight_shape=(64, 512), transposed=True) == 2 * 512


def test_independent_roundings_add_up_as_a_random_walk_does() -> None:
    """Otherwise the noise would be the worst case, 20 times what is seen."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (4000, 256))
    mantissas = 2.0 ** rng.uniform(0, 1, values.shape)
    # Each term is rounded to within half a unit in its last place: u by its mantissa, relative to itself.
    errors = rng.uniform(-1, 1, values.shape) * FLOAT32_ROUNDOFF / mantissas
    assert errors.sum(axis=1).std() == pytest.approx(walk(256), rel=0.05)
    assert walk(4 * 256) == pytest.approx(2 * walk(256))


def test_tflite_scales_each_channel_of_its_weights() -> None:
    """Otherwise int8 would be predicted with one scale a tensor."""
    assert channel_axes("Conv2D", np.zeros((3, 3, 8, 16))) == (3,)
    assert channel_axes("DepthwiseConv2dNative", np.zeros((3, 3, 8, 1))) == (2, 3)
    assert channel_axes("MatMul", np.zeros((8, 16))) == ()
    assert channel_axes("Einsum", np.zeros((8, 16))) == ()


@pytest.mark.parametrize(
    ("equation", "at", "shape", "summed"),
    [("abc,cde->abde", 1, (12, 3, 4), 12), ("abde,deg->abg", 1, (3, 4, 7), 12), ("bij,nbjk->nbik", 0, (8, 16, 5), 5)],
)
def test_an_einsum_sums_up_what_its_answer_lacks(equation: str, at: int, shape: tuple[int, ...], summed: int) -> None:
    """Attention's projections are such; too few products would make a bound too tight for any runtime."""
    assert summed_in(equation, at, shape) == summed
    assert math.isclose(walk(0), 0.0)


@pytest.mark.parametrize(
    ("op", "count"), [("Conv2D", 1), ("BatchMatMulV2", 1), ("Tanh", 3), ("Softmax", 12), ("Relu", 0), ("Reshape", 0)]
)
def test_half_floats_round_what_is_computed_and_not_what_is_moved(op: str, count: int) -> None:
    """Otherwise a mixed_float16 model would be held to float32's noise, or allowed that of every product in a sum."""
    assert half_roundings(op) == count


def test_a_rounding_to_halves_is_that_much_larger() -> None:
    """Bounds of bfloat16 would be those of float16, eight times too narrow."""
    assert walk(3, ROUNDOFF["bfloat16"]) == 8 * walk(3, ROUNDOFF["float16"]) == 2.0**16 * walk(3)

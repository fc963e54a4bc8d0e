"""How far two right implementations of an operation may be apart: bounds in units in the last place (ULP).

The bounds are those by which the conformance tests of WebNN judge its implementations (web-platform-tests,
`webnn/resources/utils.js` and the tests of each operation): a sum of K products may be off by a rounding for each
product and each addition, 2 K; a softmax over n classes by 3 n + 3. They are worst cases, all roundings in one
direction. For functions that WebNN has no such bound for, those of OpenCL C stand ("Relative error as ULPs", single
precision). Independent roundings add up like a random walk (Higham and Mary, "A new approach to probabilistic rounding
error analysis", 2019): n of them, each anywhere within half a unit in the last place, have a standard deviation of
sqrt(n / 3) halves. Half a unit is u for a value just above a power of two and u / 2 just below the next; over Benford's
distribution of leading digits its root mean square is sqrt(3 / (8 ln 2)) u, or 0.74 u.
"""

from __future__ import annotations

import math
from typing import Any

FLOAT32_ROUNDOFF = 2.0**-24
ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
_OVER_LEADING_DIGITS = math.sqrt(3 / (8 * math.log(2)))

PRODUCTS = frozenset({"MatMul", "Conv2D", "DepthwiseConv2dNative", "Conv3D", "Conv2DBackpropInput"})
"""Sums of products with a weight; their second input is the weight."""

BATCHED = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
"""Sums of products of either two computed values or one and a weight, which may come first."""

_BY_OP = {
    "Acos": 4,
    "Acosh": 4,
    "Add": 1,
    "AddN": 1,
    "AddV2": 1,
    "Asin": 4,
    "Asinh": 4,
    "Atan": 5,
    "Atan2": 6,
    "Atanh": 5,
    "BiasAdd": 1,
    "Cos": 4,
    "Cosh": 4,
    "Elu": 18,
    "Erf": 18,
    "Exp": 32,
    "Expm1": 3,
    "FusedBatchNormV3": 6,
    "LeakyRelu": 1,
    "Log": 3,
    "Log1p": 2,
    "Mul": 1,
    "Pow": 32,
    "RealDiv": 2,
    "Rsqrt": 2,
    "Selu": 18,
    "Sigmoid": 34,
    "Sin": 4,
    "Sinh": 4,
    "Softplus": 18,
    "Softsign": 3,
    "Sqrt": 1,
    "Square": 1,
    "SquaredDifference": 2,
    "Sub": 1,
    "Tan": 5,
    "Tanh": 16,
}

_MOVING = frozenset(
    {
        *("Abs", "BroadcastTo", "ConcatV2", "DepthToSpace", "ExpandDims", "Fill", "GatherNd", "GatherV2", "Identity"),
        *("IdentityN", "Max", "MaxPool", "MaxPool3D", "Maximum", "Min", "Minimum", "MirrorPad", "Neg", "OnesLike"),
        *("Pack", "Pad", "PadV2", "Relu", "Relu6", "Reshape", "ResizeNearestNeighbor", "ReverseV2", "Select"),
        *("SelectV2", "Sign", "Slice", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StridedSlice", "Tile", "TopKV2"),
        *("Transpose", "Unpack", "ZerosLike"),
    }
)


def roundings(op: str, *, weight_shape: tuple[int, ...] = (), length: int = 0, transposed: bool = False) -> int:
    """The bound of one operation, 0 for those that move or choose values.

    `weight_shape` is that of a PRODUCTS operation, `length` the number of elements that a softmax, a pool or a
    reduction runs over, `transposed` whether a MatMul reads its weight that way.
    """
    if op in PRODUCTS:
        return 2 * products(op, weight_shape, transposed=transposed)
    match op:
        case "Softmax" | "LogSoftmax":
            return 3 * length + 3
        case "AvgPool" | "Mean":
            return length + 2
        case "Sum" | "Prod":
            return length
        case _:
            return _BY_OP.get(op, 0)


def half_roundings(op: str) -> int:
    """How often an operation of half floats rounds to them, 0 for those that move or choose values.

    TensorFlow's kernels for the CPU sum products up in float32 and compute most functions in it. Measured over random
    values, a product of any length has the noise of one rounding, other functions that of 1 to 2.4, a softmax over 64
    classes, which is computed in float16, that of 12. What an operation reads may have been rounded for it as well.
    """
    if op in ("Softmax", "LogSoftmax"):
        return 12
    if op in PRODUCTS or op.startswith("BatchMatMul"):
        return 1
    return 0 if op in _MOVING else 3


def products(op: str, weight_shape: tuple[int, ...], *, transposed: bool = False) -> int:
    """How many products are summed up for one value; of the BATCHED operations `summed_in` knows it."""
    match op:
        case "MatMul":
            return weight_shape[1] if transposed else weight_shape[0]
        case "DepthwiseConv2dNative":
            return math.prod(weight_shape[:2])
        case "Conv2DBackpropInput":
            return math.prod(weight_shape[:2]) * weight_shape[3]
        case _:
            return math.prod(weight_shape[:-1])


def summed_in(equation: str, at: int, weight_shape: tuple[int, ...]) -> int:
    """How many products an Einsum sums up for one value, by its weight, which is the operand `at`."""
    given, made = equation.split("->")
    letters = given.split(",")[at]
    if "." in letters:
        # Which dimensions an ellipsis stands for is not in the equation.
        return math.prod(weight_shape[:-1])
    return math.prod(size for letter, size in zip(letters, weight_shape, strict=True) if letter not in made)


def walk(count: int, roundoff: float = FLOAT32_ROUNDOFF) -> float:
    """The standard deviation, relative, of `count` independent roundings; `roundoff` is half an ULP above 1."""
    return math.sqrt(count / 3) * _OVER_LEADING_DIGITS * roundoff


def channel_axes(op: str, weight: Any) -> tuple[int, ...]:
    """The axes along which our TFLite files give each channel of a weight a scale of its own: none in dense layers."""
    match op:
        case "MatMul" | "BatchMatMul" | "BatchMatMulV2" | "BatchMatMulV3" | "Einsum":
            return ()
        case "DepthwiseConv2dNative":
            return (2, 3)
        case "Conv2DBackpropInput":
            return (2,)
        case _:
            return (weight.ndim - 1,)

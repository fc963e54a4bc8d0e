"""Products, sums and places of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.artifact import Format
from tests.integration.export.lowering_cases.case import Case, on_both, tensorflow


def _attention(x: Any) -> Any:
    tf = tensorflow()
    return tf.einsum("bhqk,bkhd->bqhd", tf.nn.softmax(tf.einsum("bqhd,bkhd->bhqk", x, x)), x)


def _of_bytes(x: Any) -> Any:
    tf = tensorflow()
    left = tf.cast(tf.round(x * 20), tf.int8)
    right = np.random.default_rng(2).integers(-128, 128, (4, 3)).astype(np.int8)
    return tf.cast(tf.raw_ops.BatchMatMulV3(x=left, y=right, Tout=tf.int32), tf.float32) / 100


def _neighbours(x: Any) -> Any:
    tf = tensorflow()
    edges = tf.SparseTensor([[0, 1], [1, 2], [2, 3], [3, 4]], [0.5, -1.0, 2.0, 3.0], (4, 5))
    return tf.transpose(tf.sparse.sparse_dense_matmul(edges, x, adjoint_a=True, adjoint_b=True))


def _looking_back(x: Any) -> Any:
    tf = tensorflow()
    seen = tf.linalg.band_part(tf.ones((5, 5), "bool"), -1, 0)
    scores = tf.where(seen, tf.matmul(x, x, transpose_b=True), -1e9)
    return tf.matmul(tf.nn.softmax(scores), x) + tf.linalg.band_part(x, 1, 2)


def _segments(x: Any) -> Any:
    tf = tensorflow()
    return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(x), tf.constant([0, 1, -1, 1]), 2))


def _scattered(x: Any) -> Any:
    tf = tensorflow()
    updates = tf.transpose(x)
    less = tf.tensor_scatter_nd_sub(updates * 2, [[1], [3]], updates[:2])
    return tf.transpose(tf.tensor_scatter_nd_add(less, [[1], [3], [1], [0]], updates))


def _sum_of_nothing(x: Any) -> Any:
    tf = tensorflow()
    # What is let go before the sum is what wasm's memory still holds, of a size that no case before has let go.
    largest = tf.reduce_max(tf.exp(x), axis=-1, keepdims=True)
    nothing = (x + (largest * 3.0 + 1.0) * 2.0)[..., 4:]
    return x + tf.reduce_sum(nothing, axis=-1, keepdims=True)


def _solved(x: Any) -> Any:
    tf = tensorflow()
    square = tf.reshape(x, (-1, 4, 4))
    # A zero in the first place, where the pivot is to come from another row.
    square = tf.linalg.set_diag(square, tf.constant([0.0, 2.0, -1.0, 3.0]) + 0.0 * square[:, 0])
    definite = tf.matmul(square, square, transpose_b=True) + tf.eye(4)
    triangle = tf.linalg.cholesky(definite)
    sides = square[..., :2]
    solved = [
        tf.linalg.inv(definite),
        tf.linalg.solve(definite, sides, adjoint=True),
        tf.linalg.triangular_solve(triangle, sides) + tf.linalg.triangular_solve(triangle, sides, adjoint=True),
        tf.linalg.cholesky_solve(triangle, sides),
    ]
    sign, size = tf.linalg.slogdet(square)
    numbers = tf.stack([tf.linalg.det(square), sign, size, tf.linalg.logdet(definite)], axis=1)
    crossed = tf.linalg.cross(square[..., :3], square[..., 1:])
    return tf.concat([*(tf.reshape(one, (-1, one.shape[1] * one.shape[2])) for one in (*solved, crossed)), numbers], 1)


def _of_one_matrix(x: Any) -> Any:
    tf = tensorflow()
    upper = tf.linalg.diag_part(x, k=1) + tf.linalg.diag_part(x, k=-1)[:, :2] * 2
    return tf.linalg.set_diag(x, tf.linalg.diag_part(x) * 3)[:, :2, 1] + upper


def _chosen(x: Any) -> Any:
    tf = tensorflow()
    best = tf.argsort(x[..., 0], direction="DESCENDING")
    return tf.gather(x, best[:, :3], batch_dims=1) * tf.gather(x[..., 1], best[:, 3:], batch_dims=1)[..., tf.newaxis]


def _in_words(x: Any) -> Any:
    tf = tensorflow()
    product = tf.einsum("...ij,jk->...ik", x, tf.reshape(tf.range(20.0), (4, 5)) / 10)
    return tf.einsum("bhqk->bqh", product)[..., tf.newaxis] + tf.einsum("bhij,bhkj->bih", x, x)[..., tf.newaxis]


def _masked(x: Any) -> Any:
    tf = tensorflow()
    # The last row is masked altogether, with what Keras masks with.
    seen = tf.constant([[True, False, True], [True, True, False], [False, False, False]])
    return tf.nn.softmax(tf.where(seen, x, tf.float32.min * 0.7))


CASES = [
    *on_both("equations", _solved, (16,)),
    *on_both("diagonal", _of_one_matrix, (4, 3)),
    Case(
        lowering="cross",
        target=Format.TFLITE,
        compute=lambda x: tensorflow().linalg.cross(x[..., :3], x[..., 1:]),
        shape=(2, 4),
    ),
    Case(lowering="batch_gather", target=Format.TFJS, compute=_chosen, shape=(6, 4)),
    Case(lowering="einsum", target=Format.TFJS, compute=_in_words, shape=(2, 3, 4)),
    Case(lowering="masked_softmax", target=Format.TFJS, compute=_masked, shape=(3, 3), variant="webgl"),
    *on_both("integer_matmul", _of_bytes, (4,)),
    *on_both("roll", lambda x: tensorflow().roll(x, [1, -2], axis=[1, 2]), (4, 5)),
    *on_both("sparse_matmul", _neighbours, (4,)),
    Case(lowering="band_part", target=Format.TFJS, compute=_looking_back, shape=(5, 4)),
    Case(lowering="einsum", target=Format.TFJS, compute=_attention, shape=(3, 2, 4)),
    Case(lowering="empty_sum", target=Format.TFJS, compute=_sum_of_nothing, shape=(11, 7, 4)),
    Case(lowering="scatter_add", target=Format.TFJS, compute=_scattered, shape=(4,)),
    Case(lowering="segment_sum", target=Format.TFJS, compute=_segments, shape=(4,)),
]

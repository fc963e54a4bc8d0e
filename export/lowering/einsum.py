"""Einsum as transpositions, reshapes and one matrix product: TF.js has no kernel for it on wasm, and fails there at run
time. Keras's MultiHeadAttention asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    terms, result = _parsed(node.attr["equation"].s.decode())
    if len(terms) != 2 or any(len(set(labels)) != len(labels) for labels in (*terms, result)) or "." in "".join(terms):
        return False
    left, right = terms
    # A label of one input alone that is not in the result is summed over, which no equation of Keras's asks for.
    if set(left) ^ set(right) > set(result):
        return False
    body.replace(node, lambda a, b: _product(a, b, left, right, result))
    return True


def _parsed(equation: str) -> tuple[list[str], str]:
    terms, _, result = equation.replace(" ", "").partition("->")
    return terms.split(","), result


def _product(a: Any, b: Any, left: str, right: str, result: str) -> Any:
    import tensorflow as tf

    batch = [label for label in left if label in right and label in result]
    summed = [label for label in left if label in right and label not in result]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    sizes = _sizes(a, left) | _sizes(b, right)
    # Of more than one dimension each, rows, columns and sums become one.
    rows_first = _arranged(a, left, [*batch, *rows, *summed], [*_each(batch), rows, summed], sizes)
    sums_first = _arranged(b, right, [*batch, *summed, *columns], [*_each(batch), summed, columns], sizes)
    product = tf.matmul(rows_first, sums_first)
    labels = [*batch, *rows, *columns]
    spread = _reshaped(product, _each(labels), sizes)
    return spread if labels == list(result) else tf.transpose(spread, [labels.index(label) for label in result])


def _each(labels: Sequence[str]) -> list[Sequence[str]]:
    return [[label] for label in labels]


def _arranged(
    tensor: Any, labels: str, order: Sequence[str], groups: Sequence[Sequence[str]], sizes: dict[str, Any]
) -> Any:
    import tensorflow as tf

    turned = tensor if list(labels) == list(order) else tf.transpose(tensor, [labels.index(label) for label in order])
    return _reshaped(turned, groups, sizes)


def _reshaped(tensor: Any, groups: Sequence[Sequence[str]], sizes: dict[str, Any]) -> Any:
    """The tensor with each group of labels as one dimension, whose size is a number where it is known."""
    import tensorflow as tf

    if all(len(group) == 1 for group in groups) and len(groups) == tensor.shape.rank:
        return tensor
    shape = [math.prod(sizes[label] for label in group) for group in groups]
    unknown = [size for size in shape if not isinstance(size, int)]
    if len(unknown) == 1 and not any(isinstance(size, int) and size == 0 for size in shape):
        # One unknown size needs no computation at run time.
        shape = [size if isinstance(size, int) else -1 for size in shape]
    return tf.reshape(tensor, shape)


def _sizes(tensor: Any, labels: str) -> dict[str, Any]:
    import tensorflow as tf

    return {
        label: tf.shape(tensor)[position] if tensor.shape[position] is None else int(tensor.shape[position])
        for position, label in enumerate(labels)
    }


EINSUM = Lowering(
    name="einsum",
    operations=frozenset({"Einsum"}),
    becomes="a matrix product",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)

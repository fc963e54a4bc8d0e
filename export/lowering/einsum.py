"""Einsum as transpositions, reshapes and one matrix product: TF.js has no kernel for it on wasm, and fails there at run
time. Keras's MultiHeadAttention asks for it.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from typing import Any

from export.lowering.body import Body, Shape
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    equation = product_by(node.attr["equation"].s.decode(), [body.shape(name) for name in body.inputs(node)])
    if equation is None:
        return False
    body.replace(node, equation)
    return True


def product_by(equation: str, shapes: Sequence[Shape]) -> Callable[..., Any] | None:
    """The equation as a function of its one or two inputs; None for one that is neither a sum nor one product."""
    terms, result = _parsed(_spelled_out(equation, shapes))
    if any(len(set(labels)) != len(labels) for labels in (*terms, result)) or "." in "".join((*terms, result)):
        return None
    if len(terms) == 1:
        return lambda a: _turned(*_summed(a, terms[0], result), result)
    if len(terms) != 2:
        return None
    left, right = terms
    return lambda a, b: _product(*_summed(a, left, right + result), *_summed(b, right, left + result), result)


def _parsed(equation: str) -> tuple[list[str], str]:
    terms, _, result = equation.replace(" ", "").partition("->")
    return terms.split(","), result


def _spelled_out(equation: str, shapes: Sequence[Shape]) -> str:
    """The equation with a label for each axis that `...` stands for, where that is the same axes in every input."""
    terms, result = _parsed(equation)
    meant: set[tuple[int | None, ...]] = set()
    for term, shape in zip(terms, shapes, strict=True):
        before, dots, behind = term.partition("...")
        if shape is None:
            return equation
        if dots:
            meant.add(tuple(shape[len(before) : len(shape) - len(behind)]))
    if len(meant) != 1:
        return equation
    labels = "".join(sorted(set(string.ascii_letters) - set(equation))[: len(meant.pop())])
    return f"{','.join(term.replace('...', labels) for term in terms)}->{result.replace('...', labels)}"


def _summed(tensor: Any, labels: str, wanted: str) -> tuple[Any, str]:
    """The tensor summed over the labels that nobody else has, and those that are left."""
    import tensorflow as tf

    alone = [position for position, label in enumerate(labels) if label not in wanted]
    if not alone:
        return tensor, labels
    return tf.reduce_sum(tensor, axis=alone), "".join(label for label in labels if label in wanted)


def _product(a: Any, left: str, b: Any, right: str, result: str) -> Any:
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
    labels = "".join((*batch, *rows, *columns))
    return _turned(_reshaped(product, _each(labels), sizes), labels, result)


def _turned(tensor: Any, labels: str, result: str) -> Any:
    import tensorflow as tf

    return tensor if labels == result else tf.transpose(tensor, [labels.index(label) for label in result])


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

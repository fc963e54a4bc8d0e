"""Complex numbers as pairs of real ones: TFLite computes with hardly any, TF.js with none on wasm.

What a graph reads from complex numbers, be it real part, imaginary part, magnitude, angle or signal, is computed from
real and imaginary parts all the way: spectrograms, FNet's mixing of words, filters of frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.einsum import product_by
from export.lowering.fourier import LONGEST, Pair, signal_of, spectrum_of, transformed
from export.lowering.lowering import Lowering, When
from export.lowering.raw_operation import raw_operation
from export.lowering.roll import roll_of
from pipeline.core.artifact import Format

_COMPLEX = "complex64"
# With the number of their axes, the last ones.
_TRANSFORMS = {"FFT": 1, "FFT2D": 2, "FFT3D": 3, "IFFT": 1, "IFFT2D": 2, "IFFT3D": 3}
_OF_SIGNALS = {"RFFT": 1, "RFFT2D": 2, "RFFT3D": 3}
_TO_SIGNALS = {"IRFFT": 1, "IRFFT2D": 2, "IRFFT3D": 3}
_AXES = {**_TRANSFORMS, **_OF_SIGNALS, **_TO_SIGNALS}
# What does to both parts the same as to the whole.
_TO_EACH = frozenset(
    (
        *("Reshape", "Transpose", "ExpandDims", "Squeeze", "BroadcastTo", "Tile", "ReverseV2", "ConcatV2"),
        *("Pack", "StridedSlice", "Slice", "GatherV2", "Pad", "Sum", "Mean", "Neg", "SelectV2", "AddV2", "AddN", "Sub"),
    )
)
_PRODUCTS = frozenset({"Mul", "MatMul", "BatchMatMulV2", "Einsum"})
_MADE_OF = frozenset({"Const", "Complex", "Cast", *_OF_SIGNALS})


def _rewrite(body: Body, node: Any) -> bool:
    spectrum = body.inputs(node)[0]
    (answer,) = body.outputs(node)
    if body.dtype(spectrum) != _COMPLEX or body.dtype(answer) == _COMPLEX:
        return False
    pairs = _Pairs(body)
    if not pairs.hold(spectrum) or (node.op in _TO_SIGNALS and not pairs.is_fixed(node)):
        return False
    read = _reading(body, node)
    body.replace(node, lambda *given: read(pairs.computed(spectrum, given)), of=tuple(pairs.reads))
    return True


def _reading(body: Body, node: Any) -> Callable[[Pair], Any]:
    """What the node reads from a pair."""
    import tensorflow as tf

    if node.op in _TO_SIGNALS:
        lengths = _lengths(body, node)
        return lambda pair: signal_of(pair, lengths)
    kind = body.dtype(body.outputs(node)[0])
    if node.op == "Cast":
        return lambda pair: tf.cast(pair[0], kind)
    if node.op == "Shape":
        return lambda pair: tf.shape(pair[0], kind)
    return {"Real": lambda pair: pair[0], "Imag": _imaginary, "ComplexAbs": _magnitude, "Angle": _angle}[node.op]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The complex tensors of a function that can be computed in pairs, and the real ones of which they are."""

    body: Body
    reads: dict[str, None] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)

    def hold(self, reference: str) -> bool:
        """Whether this tensor can be; `reads` has what it needs then."""
        node = self.body.maker(reference)
        if node is None or len(self.body.outputs(node)) != 1 or not self._is_known(node):
            return False
        if node.name in self._held:
            return True
        self._held.add(node.name)
        held = True
        for given in self.body.inputs(node):
            kind = self.body.dtype(given)
            if kind == _COMPLEX:
                held = held and self.hold(given)
            else:
                self.reads[given] = None
                held = held and not kind.startswith("complex")
        return held

    def _is_known(self, node: Any) -> bool:
        """Whether the operation has a form in pairs."""
        if node.op in _TRANSFORMS or node.op in _OF_SIGNALS:
            return self.is_fixed(node)
        if node.op == "Einsum":
            return len(self.body.inputs(node)) == 2 and _equation(self.body, node) is not None
        if node.op == "Roll":
            return roll_of(self.body, node) is not None
        return node.op in _TO_EACH | _PRODUCTS | _MADE_OF or node.op in _FORMULAS

    def is_fixed(self, node: Any) -> bool:
        """Whether the sizes of a transform, and what lengths it is given, are known and not too long."""
        sizes = list((self.body.shape(self.body.inputs(node)[0]) or (None,))[-_AXES[node.op] :])
        if node.op not in _TRANSFORMS:
            sizes += _lengths(self.body, node) or [None]
        return all(size is not None and 0 < size <= LONGEST for size in sizes)

    def computed(self, reference: str, given: Any) -> Pair:
        """The tensor as a pair, while a function is traced that is `given` what `reads` names."""
        return self._pair(reference, dict(zip(self.reads, given, strict=True)), {})

    def _pair(self, reference: str, given: Mapping[str, Any], known: dict[str, Pair]) -> Pair:
        import tensorflow as tf

        node = self.body.maker(reference)
        if node is None:
            raise KeyError(reference)
        if node.name not in known:
            parts = [
                self._pair(name, given, known) if self.body.dtype(name) == _COMPLEX else given[name]
                for name in self.body.inputs(node)
            ]
            known[node.name] = self._applied(node, parts)
            for part in known[node.name]:
                # What a tensor's shape was made of is not known while this is traced.
                if part is not None and tf.is_tensor(part):
                    part.set_shape(self.body.shape(reference))
        return known[node.name]

    def _applied(self, node: Any, parts: list[Any]) -> Pair:
        if node.op in _TRANSFORMS:
            return transformed(parts[0], _TRANSFORMS[node.op], back=node.op.startswith("I"))
        if node.op in _MADE_OF:
            return self._made(node, parts)
        if node.op in _PRODUCTS:
            by = _equation(self.body, node) if node.op == "Einsum" else None
            return _product(node, by or raw_operation(node), *parts)
        if node.op in _FORMULAS:
            return _FORMULAS[node.op](*parts)
        rolled = roll_of(self.body, node) if node.op == "Roll" else None
        return _each(rolled or raw_operation(node), parts)

    def _made(self, node: Any, parts: list[Any]) -> Pair:
        """The pair of what is made of real tensors."""
        import tensorflow as tf

        if node.op in _OF_SIGNALS:
            return spectrum_of(parts[0], _lengths(self.body, node))
        if node.op == "Const":
            value = np.asarray(tf.make_ndarray(node.attr["value"].tensor))
            return value.real, value.imag if np.any(value.imag) else None
        if node.op == "Cast":
            return tf.cast(parts[0], tf.float32), None
        real, imaginary = parts
        if real.shape != imaginary.shape:
            real, imaginary = real + tf.zeros_like(imaginary), imaginary + tf.zeros_like(real)
        return real, None if self._is_zero(self.body.inputs(node)[1]) else imaginary

    def _is_zero(self, reference: str) -> bool:
        maker, value = self.body.maker(reference), self.body.constant(reference)
        return (maker is not None and maker.op == "ZerosLike") or (value is not None and not np.any(value))


def _lengths(body: Body, node: Any) -> list[int]:
    lengths = body.constant(body.inputs(node)[1])
    return [] if lengths is None else [int(length) for length in lengths]


def _equation(body: Body, node: Any) -> Callable[..., Any] | None:
    return product_by(node.attr["equation"].s.decode(), [body.shape(name) for name in body.inputs(node)])


def _each(compute: Callable[..., Any], parts: list[Any]) -> Pair:
    """The operation on the real parts, and on the imaginary ones if there are any."""
    real = compute(*(part[0] if isinstance(part, tuple) else part for part in parts))
    if all(part[1] is None for part in parts if isinstance(part, tuple)):
        return real, None
    return real, compute(*(_imaginary(part) if isinstance(part, tuple) else part for part in parts))


def _product(node: Any, compute: Callable[..., Any], left: Pair, right: Pair) -> Pair:
    # An adjoint is conjugated, too.
    left, right = (
        _conjugate(part) if mark in node.attr and node.attr[mark].b else part
        for part, mark in ((left, "adj_x"), (right, "adj_y"))
    )
    return _multiplied(compute, left, right)


def _multiplied(compute: Callable[[Any, Any], Any], left: Pair, right: Pair) -> Pair:
    (a, b), (c, d) = left, right
    if b is None:
        return compute(a, c), None if d is None else compute(a, d)
    if d is None:
        return compute(a, c), compute(b, c)
    return compute(a, c) - compute(b, d), compute(a, d) + compute(b, c)


def _conjugate(pair: Pair) -> Pair:
    return pair[0], None if pair[1] is None else -pair[1]


def _quotient(left: Pair, right: Pair) -> Pair:
    import tensorflow as tf

    if right[1] is None:
        return left[0] / right[0], None if left[1] is None else left[1] / right[0]
    size = right[0] * right[0] + right[1] * right[1]
    real, imaginary = _multiplied(tf.multiply, left, _conjugate(right))
    return real / size, _imaginary((real, imaginary)) / size


def _exponential(pair: Pair) -> Pair:
    import tensorflow as tf

    size = tf.exp(pair[0])
    return (size, None) if pair[1] is None else (size * tf.cos(pair[1]), size * tf.sin(pair[1]))


def _square(pair: Pair) -> Pair:
    import tensorflow as tf

    return _multiplied(tf.multiply, pair, pair)


def _zeros(pair: Pair) -> Pair:
    import tensorflow as tf

    return tf.zeros_like(pair[0]), None


_FORMULAS: dict[str, Callable[..., Pair]] = {
    "Conj": _conjugate,
    "Exp": _exponential,
    "Square": _square,
    "RealDiv": _quotient,
    "ZerosLike": _zeros,
}


def _imaginary(pair: Pair) -> Any:
    import tensorflow as tf

    return tf.zeros_like(pair[0]) if pair[1] is None else pair[1]


def _magnitude(pair: Pair) -> Any:
    import tensorflow as tf

    real, imaginary = pair
    return tf.abs(real) if imaginary is None else tf.sqrt(real * real + imaginary * imaginary)


def _angle(pair: Pair) -> Any:
    import tensorflow as tf

    return tf.atan2(_imaginary(pair), pair[0])


COMPLEX_PAIRS = Lowering(
    name="complex_pairs",
    operations=frozenset({"Real", "Imag", "ComplexAbs", "Angle", "Cast", "Shape", *_TO_SIGNALS}),
    becomes="real and imaginary parts, transforms as products with constant matrices",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)

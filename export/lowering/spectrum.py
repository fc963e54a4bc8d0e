"""Real Fourier transforms of a fixed length as products with constant matrices.

TF.js has no complex numbers on wasm, TFLite no IRFFT, and its RFFT2D only powers of two. Where a graph reads no more of
a spectrum than real part, imaginary part and magnitude, or makes one of two parts for the inverse, none are needed.
Spectrograms do so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

# A product of n x n numbers takes the place of n log n: beyond this, the matrices are larger than most models.
_LONGEST = 4096


def _rewrite(body: Body, node: Any) -> bool:
    signal, length_name = body.inputs(node)
    length = body.constant(length_name)
    shape = body.shape(signal)
    if length is None or not shape or shape[-1] is None or int(length[0]) > _LONGEST:
        return False
    return (_forth if node.op == "RFFT" else _back)(body, node, signal, int(length[0]), shape[-1])


def _forth(body: Body, node: Any, signal: str, length: int, given: int) -> bool:
    """Let those that read parts of the spectrum compute these alone."""
    import tensorflow as tf

    # What is longer is cut off, and what is shorter filled up with zeros.
    used = min(given, length)
    angle = 2 * np.pi * np.outer(np.arange(used), np.arange(length // 2 + 1)) / length
    cosines, sines = np.cos(angle).astype(np.float32), -np.sin(angle).astype(np.float32)
    readers = [one for one in body.nodes() if any(name.partition(":")[0] == node.name for name in one.input)]
    if not readers or any(one.op not in ("Real", "Imag", "ComplexAbs") for one in readers):
        return False

    def part(x: Any, matrix: NDArray[np.float32]) -> Any:
        return tf.matmul(x[..., :used], matrix)

    def magnitude(x: Any) -> Any:
        real, imaginary = part(x, cosines), part(x, sines)
        return tf.sqrt(real * real + imaginary * imaginary)

    parts = {"Real": lambda x: part(x, cosines), "Imag": lambda x: part(x, sines), "ComplexAbs": magnitude}
    for reader in readers:
        body.replace(reader, parts[reader.op], of=[signal])
    return True


def _back(body: Body, node: Any, spectrum: str, length: int, given: int) -> bool:
    """Let the signal be computed from the two parts that the spectrum is made of."""
    import tensorflow as tf

    made = body.maker(spectrum)
    if made is None or made.op != "Complex":
        return False
    used = min(given, length // 2 + 1)
    angle = 2 * np.pi * np.outer(np.arange(used), np.arange(length)) / length
    # All but the first, and the last of an even length, stand for two: themselves and their mirror images.
    weight = np.full((used, 1), 2 / length)
    weight[0] = 1 / length
    if length % 2 == 0 and used == length // 2 + 1:
        weight[-1] = 1 / length
    cosines, sines = (weight * np.cos(angle)).astype(np.float32), (-weight * np.sin(angle)).astype(np.float32)

    def signal(real: Any, imaginary: Any) -> Any:
        return tf.matmul(real[..., :used], cosines) + tf.matmul(imaginary[..., :used], sines)

    body.replace(node, signal, of=body.inputs(made))
    return True


SPECTRUM = Lowering(
    name="spectrum",
    operations=frozenset({"RFFT", "IRFFT"}),
    becomes="products with constant matrices",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)

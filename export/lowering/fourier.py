"""Fourier transforms of a fixed length as products with constant matrices, on numbers as pairs of two tensors.

The formulas are those of `tf.signal.fft`: no factor on the way there, 1/n on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Real and imaginary part, alike in shape; None in the place of an imaginary part that is zero.
Pair: TypeAlias = tuple[Any, Any | None]

# A product of n x n numbers takes the place of n log n: beyond this, the matrices are larger than most models.
LONGEST = 4096


def transformed(signal: Pair, axes: int, *, back: bool) -> Pair:
    """FFT, or IFFT if `back`, along the last axes, as many as `axes`; their sizes are known."""
    for axis in range(-axes, 0):
        signal = _along(signal, axis, int(signal[0].shape[axis]), back=back)
    return signal


def spectrum_of(signal: Any, lengths: Sequence[int]) -> Pair:
    """RFFT along as many of the last axes as there are lengths."""
    cosines, sines = _waves(min(int(signal.shape[-1]), lengths[-1]), lengths[-1] // 2 + 1, lengths[-1])
    found: Pair = (_times(signal, cosines), _times(signal, 0.0 - sines))
    for place, length in enumerate(reversed(lengths[:-1]), 2):
        found = _along(found, -place, length, back=False)
    return found


def signal_of(spectrum: Pair, lengths: Sequence[int]) -> Any:
    """IRFFT along as many of the last axes as there are lengths."""
    spectrum = _cut(spectrum[0], lengths[-1] // 2 + 1), _cut(spectrum[1], lengths[-1] // 2 + 1)
    for place, length in enumerate(reversed(lengths[:-1]), 2):
        spectrum = _along(spectrum, -place, length, back=True)
    real, imaginary = spectrum
    length, used = lengths[-1], int(real.shape[-1])
    cosines, sines = _waves(used, length, length)
    # All but the first, and the last of an even length, stand for two: themselves and their mirror images.
    weight = np.full((used, 1), 2 / length, np.float32)
    weight[0] = 1 / length
    if length % 2 == 0 and used == length // 2 + 1:
        weight[-1] = 1 / length
    found = _times(real, weight * cosines)
    return found if imaginary is None else found - _times(imaginary, weight * sines)


def _along(signal: Pair, axis: int, length: int, *, back: bool) -> Pair:
    """The transform along one axis, of what is cut off or filled up with zeros to that length."""
    import tensorflow as tf

    rank = signal[0].shape.rank
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    real, imaginary = signal
    if axis != -1:
        real, imaginary = tf.transpose(real, order), None if imaginary is None else tf.transpose(imaginary, order)
    cosines, sines = _waves(min(int(real.shape[-1]), length), length, length)
    if back:
        cosines, sines = cosines / np.float32(length), -sines / np.float32(length)
    found = _times(real, cosines), _times(real, 0.0 - sines)
    if imaginary is not None:
        found = found[0] + _times(imaginary, sines), found[1] + _times(imaginary, cosines)
    return found if axis == -1 else (tf.transpose(found[0], order), tf.transpose(found[1], order))


def _waves(rows: int, columns: int, length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    angle = 2 * np.pi * np.outer(np.arange(rows), np.arange(columns)) / length
    cosines, sines = np.cos(angle), np.sin(angle)
    # What is zero but for rounding would decide the angle of a negative number.
    sines[np.abs(sines) < 1e-12] = 0.0
    return cosines.astype(np.float32), sines.astype(np.float32)


def _times(x: Any, matrix: NDArray[np.float32]) -> Any:
    import tensorflow as tf

    return tf.matmul(_cut(x, matrix.shape[0]), matrix)


def _cut(x: Any | None, size: int) -> Any | None:
    return x if x is None or int(x.shape[-1]) <= size else x[..., :size]

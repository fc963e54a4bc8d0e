"""Integers, booleans and text: equal or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.figures import ExactFigures
from pipeline.parity.findings import NotEqual
from pipeline.parity.values import Place, Scalar


class ExactTally:
    """One output's answers of a dtype that has no rounding, fed in blocks of samples."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._elements = 0
        self._mismatches = 0
        self._first_mismatch: tuple[Place, Scalar, Scalar] | None = None
        self._first_row: NDArray[Any] | None = None
        self._varies = False
        self._samples = 0

    def add(self, want: NDArray[Any], got: NDArray[Any]) -> NDArray[np.float64]:
        """Take blocks [samples, ...] of the same shape; return 0 for each sample that is equal, else infinity."""
        want, got = comparable(want), comparable(got)
        differs = np.asarray(want != got, dtype=bool)
        self._elements += differs.size
        self._mismatches += int(np.count_nonzero(differs))
        if self._first_mismatch is None and differs.any():
            at = np.unravel_index(int(np.argmax(differs)), differs.shape)
            place = (self._samples + int(at[0]), *map(int, at[1:]))
            self._first_mismatch = (place, scalar(want[at]), scalar(got[at]))
        if len(want):
            self._first_row = want[:1].copy() if self._first_row is None else self._first_row
            self._varies = self._varies or bool(np.any(want != self._first_row))
        self._samples += len(want)
        return np.where(differs.reshape(len(want), -1).any(axis=1), np.inf, 0.0)

    def figures(self) -> ExactFigures:
        return ExactFigures(elements=self._elements, mismatches=self._mismatches, varies=self._varies)

    def finding(self) -> NotEqual | None:
        if self._first_mismatch is None:
            return None
        place, want, got = self._first_mismatch
        return NotEqual(
            output=self._output, mismatches=self._mismatches, total=self._elements, place=place, want=want, got=got
        )


def comparable(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, or text as bytes, since one runtime answers text and another its UTF-8 bytes."""
    if array.dtype.kind not in "OSU":
        return array
    as_bytes = [item.encode() if isinstance(item, str) else bytes(item) for item in array.ravel().tolist()]
    encoded = np.empty(array.shape, dtype=object)
    encoded.ravel()[:] = as_bytes
    return encoded


def scalar(value: Any) -> Scalar:
    """The element as a value that JSON knows: text as text, NaN and the infinities by name, complex numbers as text."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bytes):
        return plain.decode(errors="backslashreplace")
    if isinstance(plain, (bool, int, str)):
        return plain
    if isinstance(plain, complex):
        return str(plain)
    number = float(plain)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"

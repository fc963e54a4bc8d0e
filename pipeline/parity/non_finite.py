"""NaN and the infinities: each class must be in the same places on both sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.findings import NonFinite, NonFiniteDiffers
from pipeline.parity.values import Place

_CLASSES: dict[NonFinite, Callable[[NDArray[np.float64]], NDArray[np.bool_]]] = {
    "NaN": np.isnan,
    "+inf": np.isposinf,
    "-inf": np.isneginf,
}


class NonFiniteTally:
    """Where one output is not finite, fed in blocks of samples."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._only_wanted = dict.fromkeys(_CLASSES, 0)
        self._only_got = dict.fromkeys(_CLASSES, 0)
        self._first: dict[NonFinite, tuple[Place, float, float]] = {}
        self.alike = 0

    def add(
        self, want: NDArray[np.float64], got: NDArray[np.float64], *, first_sample: int, shape: tuple[int, ...]
    ) -> NDArray[np.bool_]:
        """Take a block [samples, elements] of answers of `shape`; return where the two sides differ in class."""
        differs = np.zeros(want.shape, dtype=bool)
        for name, is_class in _CLASSES.items():
            wanted, answered = is_class(want), is_class(got)
            here = wanted != answered
            self.alike += int(np.count_nonzero(wanted & answered))
            self._only_wanted[name] += int(np.count_nonzero(wanted & ~answered))
            self._only_got[name] += int(np.count_nonzero(answered & ~wanted))
            if name not in self._first and here.any():
                row, element = map(int, np.unravel_index(int(np.argmax(here)), here.shape))
                place = (first_sample + row, *map(int, np.unravel_index(element, shape)))
                self._first[name] = (place, float(want[row, element]), float(got[row, element]))
            differs |= here
        return differs

    def findings(self, total: int) -> tuple[NonFiniteDiffers, ...]:
        """One a class; `total` is the number of elements of the whole output."""
        return tuple(
            NonFiniteDiffers(
                output=self._output,
                value=name,
                only_wanted=self._only_wanted[name],
                only_got=self._only_got[name],
                total=total,
                place=place,
                want=want,
                got=got,
            )
            for name, (place, want, got) in sorted(self._first.items())
        )

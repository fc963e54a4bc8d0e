"""How far answers are apart, of the kinds that are no numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.diagnosis.distance import distance

_WORDS = ["Großvater", "rot", "grün", "blau"]


@pytest.mark.parametrize("want_as", [str, bytes])
@pytest.mark.parametrize("got_as", [str, bytes])
def test_text_is_told_apart_however_a_runtime_gives_it(want_as: type, got_as: type) -> None:
    """A report broke off over the cause of a wrong answer with an umlaut in it."""

    def of(kind: type, words: list[str]) -> NDArray[np.object_]:
        return np.array([word.encode() if kind is bytes else word for word in words], object)

    assert distance(of(want_as, _WORDS), of(got_as, _WORDS)) == 0.0
    assert distance(of(want_as, _WORDS), of(got_as, [*_WORDS[:3], "weiß"])) == 0.25


def test_bytes_that_are_no_text_are_compared_as_they_are() -> None:
    """Serialized protos are outputs, too."""
    assert distance(np.array([b"\xff\x00", b"\xfe"], object), np.array([b"\xff\x00", b"\xff"], object)) == 0.5

"""Text goes into numbers and comes out the same, and what was cut off is not taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from pipeline.core.text_tensors import numbers_as_text, text_as_numbers

_TEXTS = st_numpy.arrays(
    object, st_numpy.array_shapes(min_dims=0, min_side=0, max_side=3), elements=st.binary(max_size=5), fill=st.nothing()
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_TEXTS)
def test_text_comes_back_as_it_was(words: NDArray[Any]) -> None:
    """Trailing zeros, which NumPy's own text types lose, empty elements and empty arrays."""
    numbers = np.arange(3)
    stored = text_as_numbers({"words": words, "numbers": numbers})
    assert all(array.dtype.kind in "iu" for array in stored.values())
    back = numbers_as_text(stored)
    assert back.keys() == {"words", "numbers"}
    assert back["words"].shape == words.shape
    assert back["words"].tolist() == words.tolist()
    assert back["numbers"] is numbers


def test_text_that_was_cut_off_is_not_taken() -> None:
    stored = text_as_numbers({"words": np.array(["ab", "cd"])})
    with pytest.raises(ValueError, match="`words`"):
        numbers_as_text({**stored, "text-bytes:words": stored["text-bytes:words"][:-1]})

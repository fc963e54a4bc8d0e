"""What a TF.js model says of its own signature."""

from __future__ import annotations

import pytest

from export.tfjs_signature import signature_of_tfjs, write_empty_sizes


@pytest.mark.parametrize(("size", "shape"), [({"size": "-1"}, (None,)), ({"size": "3"}, (3,)), ({}, (0,))])
def test_sizes_are_read_as_they_are_written(size: dict[str, str], shape: tuple[int | None, ...]) -> None:
    """A size of nothing is left out of the file: a model with one ended the conversion as a fault of ours."""
    tensor = {"name": "y:0", "dtype": "DT_FLOAT", "tensorShape": {"dim": [size]}}
    (output,) = signature_of_tfjs({"outputs": {"y": tensor}}, "serving_default").outputs
    assert output.shape == shape


def test_a_size_of_nothing_is_written() -> None:
    """TF.js refuses the samples of such an input: their shape is not [-1, NaN]."""
    shape = {"dim": [{"size": "-1"}, {}]}
    model = {"modelTopology": {"node": [{"attr": {"dim": {"i": "1"}, "shape": {"shape": shape}}}]}}
    write_empty_sizes(model)
    assert shape == {"dim": [{"size": "-1"}, {"size": "0"}]}

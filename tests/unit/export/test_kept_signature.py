"""A converted model whose signature is not the SavedModel's never leaves the converter."""

from __future__ import annotations

import pytest

from export.kept_signature import check_kept
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature, TensorSpec


def signature(inputs: dict[str, str], outputs: dict[str, str]) -> Signature:
    return Signature(
        name="serving_default",
        inputs=tuple(TensorSpec(name=name, dtype=dtype, shape=(None, 2)) for name, dtype in inputs.items()),
        outputs=tuple(TensorSpec(name=name, dtype=dtype, shape=(None, 2)) for name, dtype in outputs.items()),
    )


WANT = signature({"word": "int32", "weight": "float32"}, {"total": "float32", "gap": "float32"})


def test_another_order_is_the_same_signature() -> None:
    """Converters sort as they like; names count."""
    check_kept(
        signature({"weight": "float32", "word": "int32"}, {"gap": "float32", "total": "float32"}),
        WANT,
        label="m tflite",
    )


@pytest.mark.parametrize(
    ("got", "complaint"),
    [
        (signature({"word": "int32"}, {"total": "float32", "gap": "float32"}), "input `weight` is missing"),
        (signature({"word": "int32", "weight": "float32"}, {"total": "float32"}), "output `gap` is missing"),
        (
            signature({"word": "int32", "weight": "int8"}, {"total": "float32", "gap": "float32"}),
            "input `weight` is int8, not float32",
        ),
        (
            signature({"word": "int32", "weight": "float32"}, {"total": "float32", "output_1": "float32"}),
            "output `gap` is missing; output `output_1` was not asked for",
        ),
    ],
)
def test_each_difference_is_named(got: Signature, complaint: str) -> None:
    """Found later, it would look like a fault of the runtime."""
    with pytest.raises(ConversionFailed) as raised:
        check_kept(got, WANT, label="m tflite int8")
    assert raised.value.problem == (
        f"m tflite int8: the converted model's signature is not the SavedModel's: {complaint}"
    )

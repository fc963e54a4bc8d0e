"""What a person can do about an operation that a target lacks."""

from __future__ import annotations

from collections.abc import Iterable

from export.lowering.every import LOWERINGS
from export.small_floats import NO_SMALL_FLOATS
from pipeline.core.artifact import Format
from pipeline.core.wording import quoted

_LOWERING_IS_OFF = "a lowering for it exists: leave out --no-lowering, and `lowering = false` in tripoint.toml"
_GENERAL = "write the layer without it, or leave the target out"
_COMPLEX = (
    "complex numbers are lowered where a model reads real or imaginary parts, magnitudes, angles or signals of them, "
    "and transforms have a fixed size of up to 4096: let no output, loop or variable be complex"
)
# Operations by the start of their name.
_ADVICE = {
    "TensorList": "a loop that collects its steps: give a recurrent layer unroll=True, which needs a fixed number of "
    "steps; do what is mapped over text before the model",
    "String": "work on text before the model, and give it integers",
    "RegexReplace": "work on text before the model, and give it integers",
    "StaticRegexReplace": "work on text before the model, and give it integers",
    "Ragged": "pad to a fixed length instead",
    **dict.fromkeys(
        ("LookupTable", "HashTable", "MutableHashTable", "MutableDenseHashTable", "InitializeTable"),
        "a table that constants fill, and one place of the model reads, runs where text or integers are looked up: "
        "fill it so, not from a file nor bit by bit; or look the values up before the model, and give it integers",
    ),
    "Random": "leave randomness out of what is exported: it belongs to training",
    "StatelessRandom": "leave randomness out of what is exported: it belongs to training",
    "Conv3DBackprop": "with sizes that are fixed, but for the batch, it becomes a convolution; UpSampling3D and Conv3D "
    "compute alike",
    **dict.fromkeys(
        (
            "MatrixInverse",
            "MatrixSolve",
            "MatrixTriangularSolve",
            "MatrixDeterminant",
            "LogMatrixDeterminant",
            "Cholesky",
        ),
        "equations of float32 matrices of up to 32 rows, a size that is fixed, are lowered; others are for the server",
    ),
    **dict.fromkeys(
        ("Qr", "Svd", "Eig", "SelfAdjointEig"),
        "no edge or browser runtime decomposes matrices: compute that part on the server",
    ),
    "Cast to float8": NO_SMALL_FLOATS,
    **dict.fromkeys(("Complex", "FFT", "IFFT", "RFFT", "IRFFT", "Real", "Imag", "Angle", "Conj"), _COMPLEX),
}


def advice(operation: str, kind: Format, *, layers: Iterable[str] = (), lowering: bool) -> str:
    """One sentence for the operation on the targets of one format."""
    if not lowering and any(operation in one.operations and kind in one.when for one in LOWERINGS):
        return _LOWERING_IS_OFF
    for start, sentence in _ADVICE.items():
        if operation.startswith(start):
            return sentence
    named = quoted(layers)
    return f"write {named} without it, or leave the target out" if named else _GENERAL

"""What a person can do about an operation that a target lacks."""

from __future__ import annotations

from collections.abc import Iterable

from export.lowering.every import LOWERINGS
from export.small_floats import NO_SMALL_FLOATS
from pipeline.core.artifact import Format

_LOWERING_IS_OFF = "a lowering for it exists: leave out --no-lowering, and `lowering = false` in tripoint.toml"
_GENERAL = "write the layer without it, or leave the target out"
# Operations by the start of their name.
_ADVICE = {
    "TensorList": "a loop that collects its steps: give a recurrent layer unroll=True, which needs a fixed number of "
    "steps; do what is mapped over text before the model",
    "String": "work on text before the model, and give it integers",
    "RegexReplace": "work on text before the model, and give it integers",
    "StaticRegexReplace": "work on text before the model, and give it integers",
    "Ragged": "pad to a fixed length instead",
    "LookupTable": "look the values up before the model, and give it integers",
    "Random": "leave randomness out of what is exported: it belongs to training",
    "StatelessRandom": "leave randomness out of what is exported: it belongs to training",
    "Conv3DBackprop": "UpSampling3D and Conv3D compute alike",
    **dict.fromkeys(
        (
            "MatrixInverse",
            "MatrixSolve",
            "MatrixTriangularSolve",
            "MatrixDeterminant",
            "Cholesky",
            "Qr",
            "SelfAdjointEig",
        ),
        "no edge or browser runtime solves equations: compute that part on the server",
    ),
    "Cast to float8": NO_SMALL_FLOATS,
    "Svd": "no edge or browser runtime solves equations: compute that part on the server",
    "FFT": "the wasm backend has none; the cpu and webgl backends do",
    "RFFT": "the wasm backend has none; the cpu and webgl backends do",
    "Complex": "the wasm backend has no complex numbers; the cpu and webgl backends do",
}


def advice(operation: str, kind: Format, *, layers: Iterable[str] = (), lowering: bool) -> str:
    """One sentence for the operation on the targets of one format."""
    if not lowering and any(operation in one.operations and kind in one.when for one in LOWERINGS):
        return _LOWERING_IS_OFF
    for start, sentence in _ADVICE.items():
        if operation.startswith(start):
            return sentence
    named = ", ".join(f"`{layer}`" for layer in layers)
    return f"write {named} without it, or leave the target out" if named else _GENERAL

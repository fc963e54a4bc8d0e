"""The promise of every converter here: what it wrote has the names and dtypes that the SavedModel has."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature


def check_kept(got: Signature, want: Signature, *, label: str) -> None:
    """Raise ConversionFailed when an input or output was dropped, renamed or changed its dtype."""
    lines = [
        *_differences("input", _dtypes(got)[0], _dtypes(want)[0]),
        *_differences("output", _dtypes(got)[1], _dtypes(want)[1]),
    ]
    if lines:
        raise ConversionFailed(
            f"{label}: the converted model's signature is not the SavedModel's: {'; '.join(lines)}",
            hint="two outputs that are one tensor, and inputs that nothing depends on, get lost: change the model",
        )


def _dtypes(signature: Signature) -> tuple[dict[str, str], dict[str, str]]:
    return {spec.name: spec.dtype for spec in signature.inputs}, {spec.name: spec.dtype for spec in signature.outputs}


def _differences(kind: str, got: Mapping[str, str], want: Mapping[str, str]) -> list[str]:
    return [
        *(f"{kind} `{name}` is missing" for name in sorted(want.keys() - got.keys())),
        *(f"{kind} `{name}` was not asked for" for name in sorted(got.keys() - want.keys())),
        *(
            f"{kind} `{name}` is {got[name]}, not {want[name]}"
            for name in sorted(want.keys() & got.keys())
            if got[name] != want[name]
        ),
    ]

"""One line of the report: an artifact on a target, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, assert_never

from numpy.typing import NDArray

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.outcome import Errored, Outcome, Recording, Skipped
from pipeline.core.signature import Signature, Tensors
from pipeline.parity.compare import compare_recording
from pipeline.parity.comparison import Comparison, status_of
from pipeline.parity.diagnosis import Diagnosis
from pipeline.parity.status import Error, Skip, Status
from pipeline.parity.tolerances import Tolerance
from pipeline.parity.values import Value


class Runtime(Value, frozen=True):
    """What really ran, as the runtime itself says."""

    runtime: str
    version: str
    details: dict[str, str]


class Row(Value, frozen=True):
    """One artifact on one target. `size_bytes` and `digest` are None when the artifact was never made.

    `comparison` and `runtime` are there when it ran. `tolerances` has one for each output. `diagnosis` is the probable
    cause of a line that fails, where one was looked for. `worst_file` has the worst samples with both answers, and
    `flips_file` all changed best classes where they are too many to list; both lie beside the report.
    """

    target: str
    format: Format
    precision: Precision
    status: Status
    tolerances: dict[str, Tolerance]
    size_bytes: int | None = None
    digest: str | None = None
    runtime: Runtime | None = None
    comparison: Comparison | None = None
    diagnosis: Diagnosis | None = None
    worst_file: str | None = None
    flips_file: str | None = None

    @property
    def label(self) -> str:
        """What a message calls it: `browser/wasm float16`."""
        return f"{self.target} {self.precision}"


def row_of(
    outcome: Outcome,
    *,
    target: str,
    format: Format,  # noqa: A002  # the field's own word
    precision: Precision,
    artifact: Artifact | None,
    reference: Tensors,
    signature: Signature,
    tolerances: Mapping[str, Tolerance],
    labels: NDArray[Any] | None = None,
    scores_output: str | None = None,
    unrepeatable: Mapping[str, str] = MappingProxyType({}),
    targets: Tensors = MappingProxyType({}),
) -> Row:
    """The outcome as a line of the report; a recording is compared with the reference first.

    Raises ValueError as `compare_recording` does.
    """
    runtime: Runtime | None = None
    comparison: Comparison | None = None
    status: Status
    match outcome:
        case Recording(info=info):
            runtime = Runtime(runtime=info.runtime, version=info.version, details=dict(info.details))
            comparison = compare_recording(
                reference,
                outcome,
                signature=signature,
                tolerances=tolerances,
                labels=labels,
                scores_output=scores_output,
                targets=targets,
                unrepeatable=unrepeatable,
            )
            status = status_of(comparison)
        case Skipped(reason=reason):
            status = Skip(reason=reason)
        case Errored(problem=problem, hint=hint):
            status = Error(problem=problem, hint=hint)
        case _:
            assert_never(outcome)
    return Row(
        target=target,
        format=format,
        precision=precision,
        status=status,
        tolerances=dict(tolerances),
        size_bytes=None if artifact is None else artifact.size_bytes,
        digest=None if artifact is None else artifact.digest,
        runtime=runtime,
        comparison=comparison,
    )

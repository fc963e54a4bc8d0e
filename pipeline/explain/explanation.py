"""What explaining an artifact gives: a line for each place that could be compared, and the layer to look at first."""

from __future__ import annotations

from typing import Literal

from pipeline.core.artifact import Format, Precision
from pipeline.parity.values import Value

SCHEMA = "tripoint.explanation/1"

Manner = Literal[
    "missing", "branch", "cut off", "reordered", "replaced", "training", "affine", "broken", "shape", "values"
]


class Difference(Value, frozen=True):
    """How far a tensor is from the trained model's.

    `relative` is the root mean square of the error over that of the trained model's values, `channel` the same for
    the worst entry of the last dimension; both None where no number says it, and `problem` then does: the piece did
    not run, or gave another shape or non-finite values. `largest` is the largest absolute error.
    """

    relative: float | None
    channel: float | None
    largest: float | None
    problem: str | None = None


class Line(Value, frozen=True):
    """One tensor of the artifact that stands for an operation of the trained model.

    `layers` are those whose work lies between this tensor and the compared ones before it, the last of them `layer`:
    the converter fused them. `isolated` is the error when those before hold the trained model's values, `propagated`
    the error in the artifact as it runs. `limit` is what `isolated.relative` may be.
    """

    layer: str
    layers: tuple[str, ...]
    operation: str
    tensor: str
    isolated: Difference
    propagated: Difference
    limit: float
    out_of_line: bool


class Explanation(Value, frozen=True):
    """Where an artifact leaves the trained model.

    `first_divergent_layer` is None when no layer is out of line. `suspects` are the layers that the artifact's
    operation was fused from, the named one among them; `manner` is what is known of how it differs.
    `outputs` has the difference of each output of the signature, `remarks` what was noticed besides.
    """

    schema: str
    model: str
    target: str
    format: Format
    precision: Precision
    artifact: str
    samples: int
    lines: tuple[Line, ...]
    outputs: dict[str, Difference]
    first_divergent_layer: str | None
    suspects: tuple[str, ...]
    manner: Manner | None
    sentence: str
    remarks: tuple[str, ...]

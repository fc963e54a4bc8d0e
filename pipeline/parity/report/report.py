"""The report: one frozen value with everything that any of its renderings shows."""

from __future__ import annotations

from typing import Literal

from pipeline.parity.judge import Verdict
from pipeline.parity.row import Row
from pipeline.parity.values import Value

SCHEMA = "tripoint.report/1"


class TensorFacts(Value, frozen=True):
    """One input or output of the signature; None in `shape` is a dimension that varies."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class ModelFacts(Value, frozen=True):
    """The model in question. `classes` are the names of what `scores_output` scores, in order.

    `signature` is the name under which the artifacts are asked. `after` names the layers behind which a larger model
    was cut: what is reported on is the part behind them.
    """

    name: str
    summary: str
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    scores_output: str | None = None
    classes: tuple[str, ...] = ()
    signature: str = "serving_default"
    after: tuple[str, ...] = ()


class Reference(Value, frozen=True):
    """What everything is compared with. `accuracy` is None without labels; `digest` is the trained model's."""

    runtime: str
    version: str
    digest: str
    accuracy: float | None = None


class ShownInput(Value, frozen=True):
    """One input of a sample: a PNG (base64) when it looks like an image, else its first values as text."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    png: str | None = None
    values: tuple[str, ...] = ()
    complete: bool = True


class ShownSample(Value, frozen=True):
    """One of the samples that some target answered worst. `label` is the index of its right class."""

    sample: int
    inputs: tuple[ShownInput, ...]
    label: int | None = None


class Samples(Value, frozen=True):
    """What the targets were asked."""

    description: str
    count: int
    shown: tuple[ShownSample, ...] = ()


class Provenance(Value, frozen=True):
    """How this report came about. `made_at` is UTC in ISO 8601."""

    made_at: str
    machine: dict[str, str]
    versions: dict[str, str]
    seeds: dict[str, int]
    digests: dict[str, str]


class StageTiming(Value, frozen=True):
    """How long a stage took; `reused` when an earlier result stood."""

    stage: str
    seconds: float
    reused: bool = False


class Report(Value, frozen=True):
    """Everything that was found out. `notes` are sentences on how the model was taken in."""

    model: ModelFacts
    reference: Reference
    samples: Samples
    rows: tuple[Row, ...]
    verdict: Verdict
    provenance: Provenance
    stages: tuple[StageTiming, ...] = ()
    notes: tuple[str, ...] = ()
    schema: Literal["tripoint.report/1"] = "tripoint.report/1"

"""From what ran to the report: every cell judged, with the samples it was worst at and where all of it came from."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import evidence, golden, stages
from pipeline.adoption import FACT
from pipeline.cells import Cell, artifact_of
from pipeline.config import Config
from pipeline.core.artifact import Artifact
from pipeline.core.outcome import Errored, Recording
from pipeline.core.signature import Signature
from pipeline.diagnosing import with_causes
from pipeline.golden import Golden
from pipeline.parity.judge import judge
from pipeline.parity.profile import PROFILE_FILE, Profile, derived_for, load
from pipeline.parity.report.report import (
    ModelFacts,
    Provenance,
    Reference,
    Report,
    Samples,
    StageTiming,
    TensorFacts,
)
from pipeline.parity.report.shown import shown_samples
from pipeline.parity.row import Row, row_of
from pipeline.parity.tolerances import Tolerance, tolerances_for
from pipeline.recipes import PROFILE
from pipeline.samples.wanted import batch_sizes_for
from pipeline.store import Entry
from pipeline.workflow import Ran

_PACKAGES = ("tensorflow", "keras", "tensorflowjs", "tensorflow-serving-api", "numpy", "scikit-learn", "tripoint")


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What every row needs."""

    model: str
    signature: Signature
    golden: Golden
    scores_output: str | None
    unrepeatable: Mapping[str, str]
    profile: Profile | None
    computed_in: str


def report_of(ran: Ran, config: Config, model: str) -> Report:
    """Judge every outcome. Raises UsageError for a tolerance that names what the model does not have."""
    trained = ran.trained.facts
    facts = _facts(ran, model)
    signature, scores = facts.signature, trained["scores"]
    judged = [_row(cell, ran, config, facts) for cell in ran.cells]
    artifacts = [_artifact(cell, ran, model) for cell in ran.cells]
    caused = with_causes(judged, artifacts, ran=ran, config=config, model=model, kept=facts.golden)
    rows = tuple(map(evidence.named, caused))
    return Report(
        model=ModelFacts(
            name=model,
            summary=trained["summary"],
            inputs=tuple(TensorFacts(**spec.to_json() | {"shape": spec.shape}) for spec in signature.inputs),
            outputs=tuple(TensorFacts(**spec.to_json() | {"shape": spec.shape}) for spec in signature.outputs),
            scores_output=facts.scores_output,
            classes=() if scores is None else tuple(scores["classes"]),
            signature=signature.name,
            after=tuple(trained.get(FACT, {}).get("after", ())),
        ),
        reference=_reference(ran.trained),
        samples=Samples(
            description=_samples_words(trained, batch_sizes_for(signature, config.parity.batch_sizes)),
            count=trained["test_samples"],
            shown=shown_samples(rows, facts.golden.inputs, labels=facts.golden.labels),
        ),
        notes=tuple(_notes(ran)),
        rows=rows,
        verdict=judge(rows),
        provenance=_provenance(ran),
        stages=tuple(_timings(ran)),
    )


def rows_of(ran: Ran, config: Config, model: str) -> list[Row]:
    """Every outcome judged, without a search for causes. Raises UsageError as `report_of` does."""
    facts = _facts(ran, model)
    return [_row(cell, ran, config, facts) for cell in ran.cells]


def _facts(ran: Ran, model: str) -> _Facts:
    trained = ran.trained.facts
    scores = trained["scores"]
    return _Facts(
        model=model,
        signature=Signature.from_json(ran.exported.facts["signature"]),
        golden=golden.load(ran.trained.path / golden.GOLDEN_FILE),
        scores_output=None if scores is None else scores["output"],
        unrepeatable=trained.get("unrepeatable", {}),
        profile=_profile(ran),
        computed_in=trained.get("computed_in", "float32"),
    )


def write_evidence(report: Report, ran: Ran, folder: Path) -> None:
    """Write the files that the report's rows name into its folder."""
    recordings = {
        row.label: outcome
        for row, cell in zip(report.rows, ran.cells, strict=True)
        if isinstance(outcome := ran.outcome(cell), Recording)
    }
    evidence.write(report, recordings, golden.load(ran.trained.path / golden.GOLDEN_FILE), folder)


def _reference(trained: Entry) -> Reference:
    """What answered, in process: the trained Keras model, or what was adopted."""
    own = trained.facts.get("reference")
    if own is None:
        own = {"runtime": "Keras", "version": version("keras"), "digest": trained.files[stages.KERAS_FILE]}
    return Reference(**own, accuracy=trained.facts["accuracy"])


def _notes(ran: Ran) -> list[str]:
    made = [result.facts for result in ran.artifacts.values() if isinstance(result, Entry)]
    return [note for facts in made for note in facts.get("notes", ())] + lowered(ran.artifacts)


def lowered(artifacts: Mapping[str, Entry | Errored]) -> list[str]:
    """What was put in other operations' places, and in which artifacts: a difference may come from there."""
    found: dict[tuple[str, str], list[str]] = {}
    for step, result in artifacts.items():
        used = result.facts.get("lowerings", ()) if isinstance(result, Entry) else ()
        for one in used:
            found.setdefault((one["operation"], one["becomes"]), []).append(step.removeprefix("convert "))
    return [
        f"Lowered in {', '.join(dict.fromkeys(taken))}: {operation}, to {becomes}."
        for (operation, becomes), taken in found.items()
    ]


def _samples_words(trained: Mapping[str, Any], batch_sizes: Sequence[int]) -> str:
    plural = "s" if len(batch_sizes) > 1 else ""
    sizes = ", ".join(str(size) for size in batch_sizes)
    return f"{trained.get('samples', 'test split')}, at batch size{plural} {sizes}"


def _row(cell: Cell, ran: Ran, config: Config, facts: _Facts) -> Row:
    return row_of(
        ran.outcome(cell),
        target=cell.target.name,
        format=cell.target.consumes,
        precision=cell.precision,
        artifact=_artifact(cell, ran, facts.model),
        reference=facts.golden.reference,
        signature=facts.signature,
        tolerances=_tolerances(cell, config, facts),
        labels=facts.golden.labels,
        scores_output=facts.scores_output,
        targets=facts.golden.targets,
        unrepeatable=facts.unrepeatable,
    )


def _tolerances(cell: Cell, config: Config, facts: _Facts) -> dict[str, Tolerance]:
    """Derived for the model where its graph could be tried out, then what was calibrated, then what the user set."""
    kind, precision, outputs = cell.target.consumes, cell.precision, facts.signature.output_names
    return tolerances_for(
        kind,
        precision,
        config.tolerances_of(facts.model),
        outputs=outputs,
        derived=derived_for(kind, precision, outputs, facts.profile),
        computed_in=facts.computed_in,
    )


def _profile(ran: Ran) -> Profile | None:
    match ran.artifacts.get(PROFILE):
        case Entry(path=path):
            found = load(path / PROFILE_FILE)
            return found if isinstance(found, Profile) else None
        case _:
            return None


def _artifact(cell: Cell, ran: Ran, model: str) -> Artifact | None:
    match ran.artifacts[cell.artifact_step]:
        case Errored():
            return None
        case Entry() as made:
            return artifact_of(cell.target.consumes, cell.precision, model, exported=ran.exported, made=made)


def _provenance(ran: Ran) -> Provenance:
    digests = {name: result.digest for name, result in sorted(ran.artifacts.items()) if isinstance(result, Entry)}
    return Provenance(
        made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine={
            "system": platform.platform(),
            "machine": platform.machine(),
            "processor": _processor(),
            "cores": str(os.cpu_count()),
            "python": platform.python_version(),
        },
        versions={package: version(package) for package in _PACKAGES},
        seeds={"training": int(ran.trained.facts["seed"])},
        digests=digests,
    )


def _processor() -> str:
    # platform.processor() is empty on most Linux systems.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _timings(ran: Ran) -> list[StageTiming]:
    made = set(ran.made)
    entries: Mapping[str, Entry] = {name: result for name, result in ran.artifacts.items() if isinstance(result, Entry)}
    return [
        StageTiming(stage=name, seconds=float(entry.facts["seconds"]), reused=name not in made)
        for name, entry in entries.items()
    ]

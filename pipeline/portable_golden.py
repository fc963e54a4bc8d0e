"""A golden with everything that a check needs beside its tensors, in the file's own metadata: docs/golden.md."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline import golden
from pipeline.core.errors import UsageError
from pipeline.core.signature import Signature
from pipeline.golden import Golden
from pipeline.parity.report.report import ModelFacts, Reference, Report, TensorFacts
from pipeline.parity.tolerances import Tolerance
from pipeline.parity.values import Value

SCHEMA = "tripoint.golden/1"
METADATA_KEY = "tripoint"
_HINT = "write one with `tripoint parity --save-golden FILE`"


class GoldenFacts(Value, frozen=True):
    """What the metadata says. `tolerances` has a line a format and precision, as `tflite/int8`, with one an output."""

    model: ModelFacts
    reference: Reference
    samples: str
    tolerances: dict[str, dict[str, Tolerance]]
    made_at: str
    schema: str = SCHEMA


@dataclass(frozen=True, kw_only=True, eq=False)
class PortableGolden:
    """The tensors and the facts of one file."""

    golden: Golden
    facts: GoldenFacts

    @property
    def signature(self) -> Signature:
        def spec(one: TensorFacts) -> dict[str, object]:
            return {"name": one.name, "dtype": one.dtype, "shape": list(one.shape)}

        return Signature.from_json(
            {
                "name": self.facts.model.signature,
                "inputs": [spec(one) for one in self.facts.model.inputs],
                "outputs": [spec(one) for one in self.facts.model.outputs],
            }
        )


def facts_of(report: Report) -> GoldenFacts:
    """What a report knows of the model it is about, with the tolerances that it judged by."""
    tolerances: dict[str, dict[str, Tolerance]] = {}
    for row in report.rows:
        tolerances.setdefault(f"{row.format}/{row.precision}", row.tolerances)
    return GoldenFacts(
        model=report.model,
        reference=report.reference,
        samples=report.samples.description,
        tolerances=tolerances,
        made_at=report.provenance.made_at,
    )


def save(portable: PortableGolden, file: Path) -> None:
    """Write the file, aside first and then into its place. Raises UsageError for a folder that is not there."""
    if not file.parent.is_dir():
        raise UsageError(f"there is no folder {file.parent}", hint=f"mkdir -p {file.parent}")
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        golden.save(portable.golden, aside, metadata={METADATA_KEY: msgspec.json.encode(portable.facts).decode()})
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def load(file: Path) -> PortableGolden:
    """What `save` wrote. Raises UsageError for a file that is none, or of another schema."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            metadata = opened.metadata() or {}
        facts = msgspec.json.decode(metadata[METADATA_KEY], type=GoldenFacts)
    except FileNotFoundError as error:
        raise UsageError(f"there is no {file}", hint=_HINT) from error
    except (SafetensorError, KeyError, msgspec.DecodeError) as error:
        raise UsageError(f"{file} is no golden with metadata: {type(error).__name__}: {error}", hint=_HINT) from error
    if facts.schema != SCHEMA:
        raise UsageError(f"{file} is a {facts.schema}, this Tripoint reads {SCHEMA}", hint=_HINT)
    return PortableGolden(golden=golden.load(file), facts=facts)

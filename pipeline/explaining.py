"""The library behind `tripoint explain`: an artifact layer by layer, a server by experiment."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline import explain_job
from pipeline.config import Config
from pipeline.core.artifact import Artifact
from pipeline.core.errors import TargetFailed, UsageError
from pipeline.core.progress import Observer
from pipeline.core.signature import Signature, Tensors
from pipeline.diagnosing import earlier_answers, other_models
from pipeline.diagnosis.by_model import Surroundings
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.diagnose import diagnosed, diagnosed_error
from pipeline.diagnosis.distance import allowed_distance
from pipeline.explain.kernels import Kernels, compared
from pipeline.explain.kernels import as_text as kernels_as_text
from pipeline.explain.text import as_text as explanation_as_text
from pipeline.explain_job import Asked, Subject
from pipeline.in_process import session_in
from pipeline.inquiry.inquire import inquired, with_diagnosis
from pipeline.inquiry.inquiry import SCHEMA, Experiment, Inquiry, as_text
from pipeline.inquiry.page import write_inquiry
from pipeline.inquiry.served import Answer, Served
from pipeline.model_files import Known
from pipeline.parity import values
from pipeline.parity.tolerances import Tolerance, tolerances_for
from pipeline.store import disk_problems_named
from serving.doors import Door, GrpcDoor, RestDoor, as_array
from serving.runtime import ServerSession

_SAMPLES = 64
_KERNEL_SAMPLES = 256


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A server that runs already: its doors as `host:port`, and what it calls the model."""

    rest: str | None = None
    grpc: str | None = None
    served_as: str | None = None

    @property
    def named(self) -> bool:
        return self.rest is not None or self.grpc is not None


@dataclass(frozen=True, kw_only=True)
class Told:
    """An explanation in every form, and the page that was kept in `build/<model>/explain/`."""

    text: str
    json: str
    page: Path


def told(
    asked: Asked, file: Known, config: Config, *, artifact: Path | None, elsewhere: Elsewhere, observer: Observer
) -> Told:
    """Explain the target. Raises as `explain_job.subject` does, and UsageError for doors that are not the target's."""
    variant = asked.target.removeprefix("server/")
    if elsewhere.named and (variant == asked.target or getattr(elsewhere, variant, None) is None):
        raise UsageError(
            f"no {variant} door of a server was named" if variant != asked.target else f"{asked.target} is no server",
            hint="give server/rest with --rest HOST:PORT, server/grpc with --grpc HOST:PORT, or both doors",
        )
    # The server that runs elsewhere is not started here; what it should serve is the export.
    of = replace(asked, target="saved_model") if elsewhere.named else asked
    with explain_job.subject(of, file, config, artifact=artifact, observer=observer) as subject:
        if not asked.target.startswith("server/"):
            explanation = explain_job.examination(subject).explanation
            page = explain_job.kept(explanation, config)
            return Told(text=explanation_as_text(explanation), json=values.as_json(explanation), page=page)
        inquiry = _inquiry(subject, config, variant, elsewhere)
    into = config.build_path / file.name / explain_job.FOLDER
    with disk_problems_named(into):
        page = write_inquiry(inquiry, into)
    return Told(text=as_text(inquiry), json=values.as_json(inquiry), page=page)


def kernels_beside(
    asked: Asked, beside: str, file: Known, config: Config, *, artifact: Path | None, observer: Observer
) -> Kernels:
    """The target's quantized file in another edge target too, operation by operation.

    Raises as `explain_job.subject` does for either target, and UsageError for what is no quantized TFLite file.
    """
    with explain_job.subject(asked, file, config, artifact=artifact, observer=observer) as one:
        there = replace(asked, target=beside, precision=one.cell.precision)
        with explain_job.subject(there, file, config, artifact=artifact, observer=observer) as other:
            samples = {name: array[:_KERNEL_SAMPLES] for name, array in one.golden.inputs.items()}
            names = (one.cell.target.name, other.cell.target.name)
            return compared(one.artifact, one.session, other.session, samples=samples, names=names)


def kernels_told(kernels: Kernels, *, as_json: bool) -> str:
    return values.as_json(kernels) if as_json else kernels_as_text(kernels)


def _inquiry(subject: Subject, config: Config, variant: str, elsewhere: Elsewhere) -> Inquiry:
    target = f"server/{variant}"
    try:
        with _doors(subject, variant, elsewhere) as doors, ThreadPoolExecutor(1) as executor:
            door, other = doors[variant], next((each for name, each in doors.items() if name != variant), None)
            with session_in(executor).load(subject.artifact, "in-process") as runner:
                served = _served(
                    subject,
                    door,
                    other,
                    name=elsewhere.served_as or subject.file.name,
                    in_process=lambda samples: runner.run(samples, batch_size=_SAMPLES).outputs,
                )
                addresses = {each.name: _address(each) for each in (door, other) if each is not None}
                inquiry, here = inquired(served, model=subject.file.name, target=target, addresses=addresses)
        if here.got is None or not subject.keras_file.is_file():
            return inquiry
        return with_diagnosis(inquiry, diagnosed(*_known_causes(subject, config, here.got, named=elsewhere.named)))
    except TargetFailed as error:
        return _not_up(subject, target, error)


@contextmanager
def _doors(subject: Subject, variant: str, elsewhere: Elsewhere) -> Iterator[dict[str, Door]]:
    """The doors by variant: of the server that was named, or of one that serves the artifact during the block."""
    if elsewhere.named:
        found: dict[str, Door] = {}
        if elsewhere.rest is not None:
            found["rest"] = RestDoor(address=elsewhere.rest)
        if elsewhere.grpc is not None:
            found["grpc"] = GrpcDoor(address=elsewhere.grpc)
        yield found
        return
    session = subject.session
    if not isinstance(session, ServerSession):
        raise UsageError(f"{subject.cell.target.name} is no server", hint="name server/rest or server/grpc")
    with session.load(subject.artifact, variant):
        addresses = session.server.addresses()
        if addresses is None:
            raise TargetFailed(f"{session.server.label} has closed its ports", hint="run it again")
        yield {"rest": RestDoor(address=addresses.rest), "grpc": GrpcDoor(address=addresses.grpc)}


def _served(subject: Subject, door: Door, other: Door | None, *, name: str, in_process: Answer) -> Served:
    want = {output: array[:_SAMPLES] for output, array in subject.golden.reference.items()}
    allowed = {output: allowed_distance(array, _tolerances(subject)[output]) for output, array in want.items()}
    return Served(
        name=name,
        door=door,
        other=other,
        expected=subject.artifact.signature,
        version=int(subject.artifact.path.name),
        inputs={input_: array[:_SAMPLES] for input_, array in subject.golden.inputs.items()},
        want=want,
        allowed=allowed,
        in_process=in_process,
        export=subject.artifact.path,
    )


def _tolerances(subject: Subject) -> dict[str, Tolerance]:
    artifact = subject.artifact
    return tolerances_for(artifact.format, artifact.precision, {}, outputs=tuple(subject.golden.reference))


def _known_causes(subject: Subject, config: Config, got: Tensors, *, named: bool) -> tuple[Case, Surroundings]:
    count = len(next(iter(got.values())))
    kept = subject.golden
    case = Case(
        inputs={name: array[:count] for name, array in kept.inputs.items()},
        want={name: array[:count] for name, array in kept.reference.items()},
        answers={count: _as_exported(got, subject.artifact.signature)},
        tolerances=_tolerances(subject),
        earlier={
            called: {name: array[:count] for name, array in answers.items()}
            for called, answers in earlier_answers(
                config, subject.file.name, trained=subject.keras_file.parent, kept=kept
            ).items()
        },
    )
    # Of a server elsewhere nobody knows what files it has.
    artifact: Artifact | None = None if named else subject.artifact
    return case, Surroundings(
        trained=subject.keras_file, artifact=artifact, others=other_models(config, subject.file.name)
    )


def _as_exported(got: Tensors, signature: Signature) -> Tensors:
    """JSON's numbers as what the signature has; whole numbers where floats are due stay what they are."""
    specs = {spec.name: spec for spec in signature.outputs}
    return {
        name: as_array(array, specs[name])
        if name in specs and array.dtype.kind == np.dtype(specs[name].dtype).kind
        else array
        for name, array in got.items()
    }


def _not_up(subject: Subject, target: str, error: TargetFailed) -> Inquiry:
    """What the files and the server's own words say of an artifact that it does not load."""
    trained = subject.keras_file if subject.keras_file.is_file() else None
    diagnosis = diagnosed_error(error.problem, subject.artifact, trained, subject.golden.inputs)
    return Inquiry(
        schema=SCHEMA,
        model=subject.file.name,
        target=target,
        addresses={},
        samples=0,
        experiments=(
            Experiment(name="loading", showed=error.problem, agrees=False),
            Experiment(name="its files", showed=diagnosis.sentence),
        ),
        cause=diagnosis.cause,
        decisive="its files",
        sentence=f"The server does not serve it: {diagnosis.sentence}.",
    )


def _address(door: Door) -> str:
    match door:
        case RestDoor(address=address) | GrpcDoor(address=address):
            return address
        case _:
            return ""

"""The bench itself: real runtimes, booted once, in which damaged artifacts run and are judged as in a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edge.runtime import EdgeProcess
from pipeline.core.artifact import Artifact
from pipeline.core.errors import TripointError
from pipeline.core.outcome import Errored, Outcome, Recording
from pipeline.core.signature import Signature, Tensors
from pipeline.core.target import Runner, Runtime, Session
from pipeline.diagnosing import asked_again
from pipeline.diagnosis.by_model import Surroundings
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.diagnose import diagnosed, diagnosed_error
from pipeline.explain.explain import explain
from pipeline.explain.explanation import Explanation
from pipeline.in_process import InProcess
from pipeline.parity import record
from pipeline.parity.diagnosis import Diagnosis
from pipeline.parity.profile import derived_for
from pipeline.parity.row import Row, row_of
from pipeline.parity.status import Fail
from pipeline.parity.tolerances import tolerances_for
from serving.runtime import Server
from tests.faults.materials import Material
from web_demo.runtime import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.workers import Workers

BATCH_SIZES = (1, 7, 64)
_EXPERIMENTS_WITHIN_SECONDS = 240.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an artifact runs. `session` may wrap the booted session: a proxy in front of a server, a faulty page."""

    name: str
    runtime: Runtime
    variant: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _OneThread:
    """Workers for TensorFlow in this very process, which has it imported anyway."""

    pool: ThreadPoolExecutor

    def executor(self, name: str, *, processes: int = 1) -> ThreadPoolExecutor:
        del name, processes
        return self.pool


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What became of one artifact on one place."""

    row: Row
    outcome: Outcome
    diagnosis: Diagnosis | None
    explanation: Explanation | None = None


@dataclass(kw_only=True, eq=False)
class Rig:
    """Runtimes by place; each is booted at its first use and shut down with the `with` block of `rig`."""

    stack: ExitStack
    scratch: Path
    pool: ThreadPoolExecutor
    _sessions: dict[Runtime, Session] = field(default_factory=dict)

    def in_process(self) -> Place:
        workers = cast("Workers", _OneThread(pool=self.pool))
        return Place(name="saved_model", runtime=InProcess(workers=workers), variant="in-process")

    def server(self, variant: str, model: str = "digits") -> Place:
        return Place(name=f"server/{variant}", runtime=Server(model_name=model, engine="embedded"), variant=variant)

    def edge(self, library: Any = "litert", **settings: Any) -> Place:
        return Place(name=f"edge/{library}", runtime=EdgeProcess(library=library, **settings), variant="")

    def browser(self, backend: str, **settings: Any) -> Place:
        return Place(name=f"browser/{backend}", runtime=Browser(**settings), variant=backend)

    def run(
        self,
        material: Material,
        artifact: Artifact,
        place: Place,
        *,
        samples: Tensors | None = None,
        expected: Signature | None = None,
        reference: Tensors | None = None,
        batch_sizes: tuple[int, ...] = BATCH_SIZES,
        diagnose: bool = True,
        explained: bool = False,
        around: Callable[[Session], AbstractContextManager[Session]] | None = None,
        earlier: Mapping[str, Tensors] | None = None,
    ) -> Run:
        """Run the artifact as the main job does, judge it, and look for the cause when it does not pass.

        `samples` are what a faulty app sends instead; `expected` the signature that the artifact should have; `around`
        stands between the session and the runner. With `explained` the first layer that diverges is looked for, too.
        """
        outcome: Outcome
        try:
            session = self._session(place.runtime)
            with ExitStack() as stack:
                used = session if around is None else stack.enter_context(around(session))
                runner = stack.enter_context(used.load(artifact, place.variant))
                outcome = record.record(runner, samples or material.inputs, batch_sizes=batch_sizes)
        except TripointError as error:
            self._sessions.pop(place.runtime, None)
            outcome = Errored(problem=error.problem, hint=error.hint)
        row = self._judged(
            material, artifact, place, outcome, reference=reference or material.reference, expected=expected
        )
        found = None
        if diagnose and isinstance(outcome, Errored):
            found = diagnosed_error(
                outcome.problem, _expecting(artifact, expected), material.keras_file, material.inputs
            )
        elif diagnose and isinstance(outcome, Recording) and isinstance(row.status, Fail):
            found = self._diagnosed(
                material, artifact, outcome, row, earlier=earlier, reference=reference or material.reference
            )
        explanation = None
        if explained and isinstance(outcome, Recording):
            explanation = explain(
                artifact,
                model=material.model,
                session=self._session(place.runtime),
                variant=place.variant,
                samples=material.inputs,
                target=place.name,
                output_names=material.output_names,
            )
        return Run(row=row, outcome=outcome, diagnosis=found, explanation=explanation)

    def _judged(
        self,
        material: Material,
        artifact: Artifact,
        place: Place,
        outcome: Outcome,
        *,
        reference: Tensors,
        expected: Signature | None,
    ) -> Row:
        return row_of(
            outcome,
            target=place.name,
            format=artifact.format,
            precision=artifact.precision,
            artifact=artifact,
            reference=reference,
            signature=expected or artifact.signature,
            tolerances=tolerances_for(
                artifact.format,
                artifact.precision,
                {},
                outputs=material.output_names,
                derived=derived_for(artifact.format, artifact.precision, material.output_names, material.profile),
            ),
            labels=material.labels,
            scores_output=material.scores_output,
        )

    def _diagnosed(
        self,
        material: Material,
        artifact: Artifact,
        recording: Recording,
        row: Row,
        *,
        earlier: Mapping[str, Tensors] | None,
        reference: Tensors,
    ) -> Diagnosis:
        case = Case(
            inputs=material.inputs,
            want=reference,
            answers=recording.outputs,
            tolerances=row.tolerances,
            scores_output=material.scores_output,
            classes=material.classes,
            earlier=material.earlier if earlier is None else earlier,
            repeats=asked_again(row),
        )
        surroundings = Surroundings(
            trained=material.keras_file,
            artifact=artifact,
            others={"the other model": material.other_file} if material.other_file.exists() else {},
            within_seconds=_EXPERIMENTS_WITHIN_SECONDS,
        )
        return diagnosed(case, surroundings)

    def _session(self, runtime: Runtime) -> Session:
        if runtime not in self._sessions:
            folder = self.scratch / f"runtime-{len(list(self.scratch.iterdir()))}"
            folder.mkdir()
            self._sessions[runtime] = self.stack.enter_context(runtime.boot(folder))
        return self._sessions[runtime]


@contextmanager
def rig(scratch: Path) -> Iterator[Rig]:
    """Yield the bench; nothing that it started is left when the block ends."""
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(1))
        yield Rig(stack=stack, scratch=scratch, pool=pool)


def _expecting(artifact: Artifact, expected: Signature | None) -> Artifact:
    from dataclasses import replace

    return artifact if expected is None else replace(artifact, signature=expected)


__all__ = ["Place", "Rig", "Run", "Runner", "rig"]

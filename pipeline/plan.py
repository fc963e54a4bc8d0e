"""The steps of one model, straight down: train, export, convert, record; what each depends on, and what it runs."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, assert_never

from pipeline import golden, stages
from pipeline.adoption import ADOPT, Adopted, Beside
from pipeline.cells import EXPORT, Cell, artifact_of, beside_step, convert_step, saved_model_folder
from pipeline.config import Config
from pipeline.core.artifact import CALIBRATED_PRECISIONS, Format, Precision
from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature
from pipeline.core.target import Runtime, Session, Target
from pipeline.model_files import Known, ModelFile
from pipeline.parity import record
from pipeline.samples.wanted import batch_sizes_for
from pipeline.source_digest import source_digest
from pipeline.stages import TrainSettings
from pipeline.steps import Step
from pipeline.store import Entry, Making, Recipe, Store
from pipeline.workers import Workers

TRAIN = "train"
PROFILE = "profile"
PREFLIGHT = "preflight"
TFJS_WORKER = "tfjs"


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Makes the steps of one model. Nothing runs before a step's `make` is called."""

    file: Known
    config: Config
    training: TrainSettings
    store: Store
    workers: Workers
    _settings: dict[Runtime, dict[str, str]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The name of the step that gives the reference: what the others need first."""
        match self.file:
            case ModelFile():
                return TRAIN
            case Adopted():
                return ADOPT
            case _:
                assert_never(self.file)

    def reference(self) -> Step:
        """Train a model of ours, or take one in that was made elsewhere."""
        match self.file:
            case ModelFile() as file:
                return self._train(file)
            case Adopted() as adopted:
                return self._adopt(adopted)
            case _:
                assert_never(self.file)

    def _adopt(self, adopted: Adopted) -> Step:
        def recipe(_: Sequence[Entry]) -> Recipe:
            return self._recipe(
                ADOPT,
                sources=[
                    *("pipeline/taking_in.py", "pipeline/foreign.py", "pipeline/foreign_keras.py", "pipeline/samples"),
                    *("pipeline/golden.py", "pipeline/repeatability.py", "export/keras_interface.py"),
                    "export/saved_model_from_call.py",
                    "export/computed_in.py",
                ],
                tools=["tensorflow", "keras", "tf-keras", "numpy"],
                settings={
                    **adopted.ingredients(),
                    "input_checks": self.config.export.input_checks,
                    "representative_samples": self.training.representative_samples,
                },
            )

        def make(_: Sequence[Entry], making: Making) -> None:
            try:
                making.facts |= (
                    self.workers.executor(ADOPT)
                    .submit(
                        stages.adopt_into,
                        making.folder,
                        adopted,
                        input_checks=self.config.export.input_checks,
                        representative_samples=self.training.representative_samples,
                    )
                    .result()
                )
            except BrokenExecutor as error:
                raise ModelFailed(
                    f"{adopted.name}: the process that loaded {adopted.source} died",
                    hint=f"its last words are in {self.store.root / adopted.name / 'logs' / ADOPT}.log; "
                    "a process that is killed mostly lacks memory",
                ) from error

        return Step(name=ADOPT, needs=(), recipe=recipe, make=make, essential=True)

    def _train(self, file: ModelFile) -> Step:
        def recipe(_: Sequence[Entry]) -> Recipe:
            return self._recipe(
                TRAIN,
                sources=["pipeline/training.py", "pipeline/golden.py"],
                tools=["tensorflow", "keras", "numpy", "scikit-learn"],
                settings={
                    "model_file": hashlib.sha256(file.path.read_bytes()).hexdigest(),
                    "epochs": self.training.epochs,
                    "seed": self.training.seed,
                    "representative_samples": self.training.representative_samples,
                    # The same seed gives the same weights only on the same kind of machine.
                    "machine": platform.machine(),
                },
            )

        def make(_: Sequence[Entry], making: Making) -> None:
            logs = self.store.root / file.name / "training" / recipe([]).key
            checkpoints = logs / "checkpoints"
            try:
                # TensorFlow takes the number of its threads once in a process.
                making.facts |= self.workers.call_alone(
                    TRAIN, stages.train_into, making.folder, file, self.training, checkpoints, logs / "tensorboard"
                )
            finally:
                # A killed worker cannot clear away the checkpoint that it was writing; the last whole one stays.
                for half_written in checkpoints.glob("aside-*"):
                    half_written.unlink()

        return Step(name=TRAIN, needs=(), recipe=recipe, make=make, essential=True)

    def export(self) -> Step:
        def recipe(needs: Sequence[Entry]) -> Recipe:
            (trained,) = needs
            return self._recipe(
                EXPORT,
                sources=["export"],
                tools=["tensorflow", "keras", "tensorflow-serving-api"],
                settings={
                    "made_from": _model_files(trained),
                    "input_checks": self.config.export.input_checks,
                },
            )

        def make(needs: Sequence[Entry], making: Making) -> None:
            (trained,) = needs
            # Servers take the highest version, so a newer export needs a higher number than those before it.
            numbers = [
                int(path.name) for old in self.store.newest(self.file.name, EXPORT) for path in old.glob("[0-9]*")
            ]
            version = max(numbers, default=0) + 1
            if isinstance(self.file, Adopted):
                making.facts |= stages.export_adopted_into(
                    making.folder, trained.path, version=version, signature=trained.facts["signature"]
                )
                return
            making.facts |= self._make(
                stages.export_into,
                making.folder,
                trained.path,
                file=self.file,
                version=version,
                output_names=tuple(trained.facts["output_names"]),
                input_checks=self.config.export.input_checks,
            )

        return Step(name=EXPORT, needs=(self.origin,), recipe=recipe, make=make, essential=True)

    def preflight(self) -> Step:
        """Look at the exported model's operations, before anything is converted."""

        def recipe(needs: Sequence[Entry]) -> Recipe:
            _, exported = needs
            return self._recipe(
                PREFLIGHT,
                sources=["export"],
                tools=["tensorflow", "tensorflowjs"],
                settings={"made_from": exported.digest, "lowering": self.config.convert.lowering},
            )

        def make(needs: Sequence[Entry], making: Making) -> None:
            trained, exported = needs
            making.facts |= (
                self.workers.executor(TFJS_WORKER)
                .submit(
                    stages.preflight_into,
                    making.folder,
                    saved_model_folder(exported),
                    signature=exported.facts["signature"],
                    trained=trained.path,
                    lowering=self.config.convert.lowering,
                )
                .result()
            )

        return Step(name=PREFLIGHT, needs=(self.origin, EXPORT), recipe=recipe, make=make)

    def tflite(self, precision: Precision) -> Step:
        def make(needs: Sequence[Entry], making: Making) -> None:
            trained, exported = needs
            making.facts |= self._make(
                stages.tflite_into,
                making.folder,
                saved_model_folder(exported),
                name=self.file.name,
                signature=exported.facts["signature"],
                precision=precision,
                trained=trained.path,
                keep_float=self._keep_float,
                lowering=self.config.convert.lowering,
            )

        return self._conversion(Format.TFLITE, precision, make)

    def tfjs(self, precision: Precision) -> Step:
        """The graph in float32, or that with its weights in another precision: finding the graph is what takes long."""

        def make(needs: Sequence[Entry], making: Making) -> None:
            exported = needs[1]
            if precision is Precision.FLOAT32:
                making.facts |= self.workers.call(
                    TFJS_WORKER,
                    1,
                    stages.afresh,
                    stages.tfjs_into,
                    making.folder,
                    saved_model_folder(exported),
                    name=self.file.name,
                    signature=exported.facts["signature"],
                    lowering=self.config.convert.lowering,
                )
            else:
                making.facts |= self.workers.call(
                    TFJS_WORKER,
                    1,
                    stages.afresh,
                    stages.tfjs_again_into,
                    making.folder,
                    needs[2].path,
                    name=self.file.name,
                    precision=precision,
                    keep_float=self._keep_float,
                )

        graph = () if precision is Precision.FLOAT32 else (convert_step(Format.TFJS, Precision.FLOAT32),)
        return self._conversion(Format.TFJS, precision, make, graph)

    def _conversion(
        self,
        kind: Format,
        precision: Precision,
        make: Callable[[Sequence[Entry], Making], None],
        further: tuple[str, ...] = (),
    ) -> Step:
        name = convert_step(kind, precision)

        def recipe(needs: Sequence[Entry]) -> Recipe:
            trained, exported, *others = needs
            # Only full integer quantization looks at data.
            data = trained.files[stages.REPRESENTATIVE_FILE] if precision in CALIBRATED_PRECISIONS else None
            return self._recipe(
                name,
                sources=["export"],
                tools=["tensorflow", "tensorflowjs"],
                settings={
                    "made_from": [exported.digest, *(other.digest for other in others)],
                    "lowering": self.config.convert.lowering,
                    "representative": data,
                    "keep_float": [] if precision is Precision.FLOAT32 else list(self._keep_float),
                },
            )

        return Step(name=name, needs=(self.origin, EXPORT, *further), recipe=recipe, make=make)

    def profile(self) -> Step:
        """Find out what rounding does to the exported graph, from which tolerances are derived."""

        def recipe(needs: Sequence[Entry]) -> Recipe:
            trained, exported = needs
            return self._recipe(
                PROFILE,
                sources=[
                    "export/affine_levels.py",
                    "export/graph_to_round.py",
                    "export/op_bounds.py",
                    "export/rounded_graph.py",
                    "export/rounding_emulated.py",
                    "pipeline/profiling.py",
                ],
                tools=["tensorflow", "numpy"],
                settings={"made_from": exported.digest, "samples": trained.files[golden.GOLDEN_FILE]},
            )

        def make(needs: Sequence[Entry], making: Making) -> None:
            trained, exported = needs
            making.facts |= self._make(
                stages.profile_into,
                making.folder,
                saved_model_folder(exported),
                signature=exported.facts["signature"]["name"],
                trained=trained.path,
            )

        return Step(name=PROFILE, needs=(self.origin, EXPORT), recipe=recipe, make=make)

    def published(self, beside: Beside) -> Step:
        """A .tflite file that others made of the adopted model, ready to be asked."""
        name = beside_step(beside)

        def recipe(needs: Sequence[Entry]) -> Recipe:
            (exported,) = needs
            return self._recipe(
                name,
                sources=["export/published_tflite.py"],
                tools=["tensorflow"],
                settings={"file": beside.digest, "signature": exported.facts["signature"]},
            )

        def make(needs: Sequence[Entry], making: Making) -> None:
            (exported,) = needs
            making.facts |= self._make(
                stages.published_into, making.folder, Path(beside.path), signature=exported.facts["signature"]
            )

        return Step(name=name, needs=(EXPORT,), recipe=recipe, make=make)

    @property
    def beside(self) -> tuple[Beside, ...]:
        return self.file.beside if isinstance(self.file, Adopted) else ()

    def record(self, cell: Cell, session: Callable[[], Session]) -> Step:
        """Run the cell's artifact; `session` is called in the runtime's own lane."""

        def recipe(needs: Sequence[Entry]) -> Recipe:
            trained, exported, *converted = needs
            return self._recipe(
                cell.step.replace("/", "-").replace(" ", "-"),
                sources=_runtime_sources(cell.target),
                tools=[],
                settings={
                    "made_from": converted[0].digest if converted else exported.digest,
                    "samples": trained.files[golden.GOLDEN_FILE],
                    "batch_sizes": list(self._batch_sizes(exported, needs[-1])),
                    "runtime": self.settings_of(cell.target.runtime),
                    "variant": cell.target.variant,
                },
            )

        def make(needs: Sequence[Entry], making: Making) -> None:
            trained = needs[0]
            inputs = golden.load(trained.path / golden.GOLDEN_FILE).inputs
            artifact = artifact_of(
                cell.target.consumes, cell.precision, self.file.name, exported=needs[1], made=needs[-1]
            )
            with session().load(artifact, cell.target.variant) as runner:
                recording = record.record(runner, inputs, batch_sizes=self._batch_sizes(needs[1], needs[-1]))
            making.facts |= record.save(recording, making.folder)

        needs: tuple[str, ...] = (self.origin, EXPORT)
        if cell.artifact_step != EXPORT:
            needs = (*needs, cell.artifact_step)
        return Step(name=cell.step, needs=needs, recipe=recipe, make=make)

    def _batch_sizes(self, exported: Entry, made: Entry) -> tuple[int, ...]:
        fixed = made.facts.get("fixed_batch")
        if fixed is not None:
            return (int(fixed),)
        return batch_sizes_for(Signature.from_json(exported.facts["signature"]), self.config.parity.batch_sizes)

    def settings_of(self, runtime: Runtime) -> dict[str, str]:
        """The runtime's settings, asked for once: cells share runtimes, and a Docker daemon takes time to answer."""
        if runtime not in self._settings:
            self._settings[runtime] = dict(runtime.settings())
        return self._settings[runtime]

    @property
    def _keep_float(self) -> tuple[str, ...]:
        own = self.config.models.get(self.file.name)
        return own.keep_float if own else ()

    @property
    def maker_processes(self) -> int:
        """One core is left to the runtimes, which start and answer meanwhile; more than four conversions never wait."""
        return min(4, max(1, (os.cpu_count() or 1) - 1))

    def _make(
        self, stage: Callable[..., dict[str, Any]], folder: Path, *args: object, **settings: object
    ) -> dict[str, Any]:
        return self.workers.call("makers", self.maker_processes, stages.afresh, stage, folder, *args, **settings)

    def _recipe(
        self, stage: str, *, sources: Sequence[str], tools: Sequence[str], settings: Mapping[str, Any]
    ) -> Recipe:
        return Recipe(
            model=self.file.name,
            stage=stage.replace(" ", "-"),
            ingredients={
                "settings": settings,
                "sources": source_digest(*sources),
                "tools": {tool: version(tool) for tool in tools},
            },
        )


def _model_files(trained: Entry) -> list[str]:
    """The digests of what an export is made of: the trained model and its samples, or the SavedModel taken in."""
    parts = (stages.KERAS_FILE, stages.REPRESENTATIVE_FILE, f"{stages.SAVED_MODEL}/")
    return [digest for name, digest in sorted(trained.files.items()) if name.startswith(parts)]


def _runtime_sources(target: Target) -> list[str]:
    """The package that the runtime lives in: a changed client makes its recordings stale."""
    module = type(target.runtime).__module__
    package = module.split(".")[0]
    own = f"{module.replace('.', '/')}.py" if package == "pipeline" else package
    return [own, "pipeline/parity/record.py", "pipeline/parity/repeat.py"]


def training_settings(
    config: Config, model: str, *, epochs: int | None, seed: int | None, resume: bool
) -> TrainSettings:
    """What was asked on the command line, else what tripoint.toml says of the model, else the model file's own."""
    own = config.models.get(model)
    return TrainSettings(
        epochs=epochs if epochs is not None else (own.epochs if own else None),
        seed=seed if seed is not None else (own.seed if own else None),
        resume=resume,
        representative_samples=config.convert.representative_samples,
    )

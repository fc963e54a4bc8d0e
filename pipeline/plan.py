"""The steps of one model, straight down: train, export, convert, record; what each needs, and what it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, assert_never

from pipeline import golden, stages
from pipeline.adoption import ADOPT, Adopted, Beside
from pipeline.cells import EXPORT, Cell, artifact_of, beside_step, convert_step, saved_model_folder
from pipeline.config import Config
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import ModelFailed
from pipeline.core.target import Session
from pipeline.model_files import Known, ModelFile
from pipeline.parity import record
from pipeline.recipes import PREFLIGHT, PROFILE, TRAIN, Recipes
from pipeline.stages import TrainSettings
from pipeline.steps import Step
from pipeline.store import Entry, Making, Store
from pipeline.workers import Workers

TFJS_WORKER = "tfjs"


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Makes the steps of one model. Nothing runs before a step's `make` is called."""

    file: Known
    config: Config
    training: TrainSettings
    store: Store
    workers: Workers

    @cached_property
    def recipes(self) -> Recipes:
        return Recipes(file=self.file, config=self.config, training=self.training)

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

        return Step(name=ADOPT, needs=(), recipe=lambda _: self.recipes.adopt(adopted), make=make, essential=True)

    def _train(self, file: ModelFile) -> Step:
        def make(_: Sequence[Entry], making: Making) -> None:
            logs = self.store.root / file.name / "training" / self.recipes.train(file).key
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

        return Step(name=TRAIN, needs=(), recipe=lambda _: self.recipes.train(file), make=make, essential=True)

    def export(self) -> Step:
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

        return Step(name=EXPORT, needs=(self.origin,), recipe=self.recipes.export, make=make, essential=True)

    def preflight(self) -> Step:
        """Look at the exported model's operations, before anything is converted."""

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
                    graph=trained.facts.get("layer_graph"),
                    lowering=self.config.convert.lowering,
                )
                .result()
            )

        return Step(name=PREFLIGHT, needs=(self.origin, EXPORT), recipe=self.recipes.preflight, make=make)

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
                keep_float=self.recipes.keep_float,
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
                    keep_float=self.recipes.keep_float,
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

        return Step(
            name=name,
            needs=(self.origin, EXPORT, *further),
            recipe=lambda needs: self.recipes.conversion(name, precision, needs),
            make=make,
        )

    def profile(self) -> Step:
        """Find out what rounding does to the exported graph, from which tolerances are derived."""

        def make(needs: Sequence[Entry], making: Making) -> None:
            trained, exported = needs
            making.facts |= self._make(
                stages.profile_into,
                making.folder,
                saved_model_folder(exported),
                signature=exported.facts["signature"]["name"],
                trained=trained.path,
            )

        return Step(name=PROFILE, needs=(self.origin, EXPORT), recipe=self.recipes.profile, make=make)

    def published(self, beside: Beside) -> Step:
        """A .tflite file that others made of the adopted model, ready to be asked."""
        name = beside_step(beside)

        def make(needs: Sequence[Entry], making: Making) -> None:
            (exported,) = needs
            making.facts |= self._make(
                stages.published_into, making.folder, Path(beside.path), signature=exported.facts["signature"]
            )

        return Step(
            name=name, needs=(EXPORT,), recipe=lambda needs: self.recipes.published(name, beside, needs), make=make
        )

    @property
    def beside(self) -> tuple[Beside, ...]:
        return self.file.beside if isinstance(self.file, Adopted) else ()

    def record(self, cell: Cell, session: Callable[[], Session]) -> Step:
        """Run the cell's artifact; `session` is called in the runtime's own lane."""

        def make(needs: Sequence[Entry], making: Making) -> None:
            trained = needs[0]
            inputs = golden.load(trained.path / golden.GOLDEN_FILE).inputs
            artifact = artifact_of(
                cell.target.consumes, cell.precision, self.file.name, exported=needs[1], made=needs[-1]
            )
            with session().load(artifact, cell.target.variant) as runner:
                recording = record.record(runner, inputs, batch_sizes=self.recipes.batch_sizes(needs[1], needs[-1]))
            making.facts |= record.save(recording, making.folder)

        needs: tuple[str, ...] = (self.origin, EXPORT)
        if cell.artifact_step != EXPORT:
            needs = (*needs, cell.artifact_step)
        return Step(name=cell.step, needs=needs, recipe=lambda needs: self.recipes.recording(cell, needs), make=make)

    @property
    def maker_processes(self) -> int:
        """One core is left to the runtimes, which start and answer meanwhile; more than four conversions never wait."""
        return min(4, max(1, (os.cpu_count() or 1) - 1))

    def _make(
        self, stage: Callable[..., dict[str, Any]], folder: Path, *args: object, **settings: object
    ) -> dict[str, Any]:
        return self.workers.call("makers", self.maker_processes, stages.afresh, stage, folder, *args, **settings)


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

"""What each step of one model depends on: its result is kept under these settings, sources, tools and makings."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from pipeline import golden, stages
from pipeline.adoption import ADOPT, Adopted, Beside
from pipeline.cells import EXPORT, Cell
from pipeline.config import Config
from pipeline.core.artifact import CALIBRATED_PRECISIONS, Precision
from pipeline.core.signature import Signature
from pipeline.core.target import Runtime, Target
from pipeline.model_files import Known, ModelFile
from pipeline.samples.wanted import batch_sizes_for
from pipeline.source_digest import source_digest
from pipeline.stages import TrainSettings
from pipeline.store import Entry, Recipe

TRAIN = "train"
PROFILE = "profile"
PREFLIGHT = "preflight"


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """The recipes of one model's steps, of what those before them made."""

    file: Known
    config: Config
    training: TrainSettings
    _settings: dict[Runtime, dict[str, str]] = field(default_factory=dict)

    def adopt(self, adopted: Adopted) -> Recipe:
        return self._recipe(
            ADOPT,
            sources=[
                *("pipeline/taking_in.py", "pipeline/foreign.py", "pipeline/foreign_keras.py", "pipeline/samples"),
                *("pipeline/golden.py", "pipeline/repeatability.py", "export/keras_interface.py"),
                "export/saved_model_from_call.py",
                "export/computed_in.py",
                *("pipeline/behind.py", "export/keras_behind.py", "export/layer_cut.py", "export/layer_graph.py"),
                "export/front_part.py",
                *("export/known_inputs.py", "export/input_flow.py"),
            ],
            tools=["tensorflow", "keras", "tf-keras", "numpy"],
            settings={
                **adopted.ingredients(),
                "input_checks": self.config.export.input_checks,
                "representative_samples": self.training.representative_samples,
            },
        )

    def train(self, file: ModelFile) -> Recipe:
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

    def export(self, needs: Sequence[Entry]) -> Recipe:
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

    def preflight(self, needs: Sequence[Entry]) -> Recipe:
        _, exported = needs
        return self._recipe(
            PREFLIGHT,
            sources=["export"],
            tools=["tensorflow", "tensorflowjs"],
            settings={"made_from": exported.digest, "lowering": self.config.convert.lowering},
        )

    def conversion(self, name: str, precision: Precision, needs: Sequence[Entry]) -> Recipe:
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
                "keep_float": [] if precision is Precision.FLOAT32 else list(self.keep_float),
            },
        )

    def profile(self, needs: Sequence[Entry]) -> Recipe:
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

    def published(self, name: str, beside: Beside, needs: Sequence[Entry]) -> Recipe:
        (exported,) = needs
        return self._recipe(
            name,
            sources=["export/published_tflite.py"],
            tools=["tensorflow"],
            settings={"file": beside.digest, "signature": exported.facts["signature"]},
        )

    def recording(self, cell: Cell, needs: Sequence[Entry]) -> Recipe:
        trained, exported, *converted = needs
        return self._recipe(
            cell.step.replace("/", "-").replace(" ", "-"),
            sources=_runtime_sources(cell.target),
            tools=[],
            settings={
                "made_from": converted[0].digest if converted else exported.digest,
                "samples": trained.files[golden.GOLDEN_FILE],
                "batch_sizes": list(self.batch_sizes(exported, needs[-1])),
                "runtime": self._settings_of(cell.target.runtime),
                "variant": cell.target.variant,
            },
        )

    def batch_sizes(self, exported: Entry, made: Entry) -> tuple[int, ...]:
        """At which an artifact is asked: its own, where it can only have one."""
        return sizes_for(exported, made, self.config.parity.batch_sizes)

    @property
    def keep_float(self) -> tuple[str, ...]:
        """The layers whose weights are to stay float32 whatever the precision."""
        own = self.config.models.get(self.file.name)
        return own.keep_float if own else ()

    def _settings_of(self, runtime: Runtime) -> dict[str, str]:
        # Asked for once: cells share runtimes, and a Docker daemon takes time to answer.
        if runtime not in self._settings:
            self._settings[runtime] = dict(runtime.settings())
        return self._settings[runtime]

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


def sizes_for(exported: Entry, made: Entry, asked: Sequence[int]) -> tuple[int, ...]:
    """The batch sizes of an artifact: its own or the signature's, where there can only be one, else those asked for."""
    fixed = made.facts.get("fixed_batch")
    if fixed is not None:
        return (int(fixed),)
    return batch_sizes_for(Signature.from_json(exported.facts["signature"]), asked)


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

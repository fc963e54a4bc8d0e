"""What the bench damages: three trained models, an older training of each, and every artifact made of them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from export.saved_model_from_keras import saved_model_from_keras
from export.tfjs_from_saved_model import tfjs_from_saved_model
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Signature, Tensors
from pipeline.diagnosis.graph import Graph
from pipeline.parity.profile import Profile
from pipeline.store import digest_of_tree
from tests.faults import blocks, scene

_DIGITS_EPOCHS = 6
SAMPLES = 200
# A server keeps to the highest version and never takes one number twice.
_versions = itertools.count(1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """A trained model with its data, and artifacts of it that are made when they are first asked for."""

    name: str
    model: Any
    older: Any
    other: Any
    representative: Tensors
    inputs: Tensors
    output_names: tuple[str, ...]
    labels: Any
    scores_output: str | None
    classes: tuple[str, ...]
    folder: Path
    profile: Profile | None = None
    """From which its tolerances are derived; those of the table hold without one."""
    _made: dict[tuple[Format, Precision], Artifact] = field(default_factory=dict)

    @cached_property
    def reference(self) -> Tensors:
        return self.answers_of(self.model)

    @property
    def keras_file(self) -> Path:
        return self.folder / "model.keras"

    @property
    def other_file(self) -> Path:
        return self.folder / "other.keras"

    @cached_property
    def earlier(self) -> Mapping[str, Tensors]:
        return {"the training before": self.answers_of(self.older)}

    def answers_of(self, model: Any) -> Tensors:
        answers: Tensors = Graph(model, self.output_names, self.inputs).answers()
        return answers

    def artifact(self, kind: Format, precision: Precision = Precision.FLOAT32) -> Artifact:
        """The sound artifact. It is not to be changed: `copied` is."""
        if (kind, precision) not in self._made:
            into = Path(tempfile.mkdtemp(prefix=f"{kind}-{precision}-", dir=self.folder))
            self._made[kind, precision] = self.made_of(self.model, kind, precision, into)
        return self._made[kind, precision]

    def made_of(
        self, model: Any, kind: Format, precision: Precision, into: Path, *, representative: Tensors | None = None
    ) -> Artifact:
        """An artifact of any model with this signature, as the pipeline makes it."""
        saved = self.exported(model, into / "exported", self.output_names)
        return self.converted(saved, kind, precision, into, representative=representative)

    def converted(
        self, saved: Artifact, kind: Format, precision: Precision, into: Path, *, representative: Tensors | None = None
    ) -> Artifact:
        match kind:
            case Format.SAVED_MODEL:
                return saved
            case Format.TFLITE:
                file = into / f"{self.name}.tflite"
                tflite_from_saved_model(
                    saved.path,
                    into=file,
                    signature=saved.signature,
                    precision=precision,
                    representative=representative or self.representative,
                )
                return artifact_at(self.name, kind, precision, file, saved.signature)
            case _:
                folder = into / "tfjs"
                folder.mkdir()
                tfjs_from_saved_model(saved.path, into=folder, signature=saved.signature, precision=precision)
                return artifact_at(self.name, kind, precision, folder, saved.signature)

    def exported(self, model: Any, folder: Path, output_names: tuple[str, ...]) -> Artifact:
        version = next(_versions)
        signature = saved_model_from_keras(
            model,
            into=folder,
            version=version,
            output_names=output_names,
            model_name=self.name,
            warmup_samples={name: array[:1] for name, array in self.inputs.items()},
        )
        return artifact_at(self.name, Format.SAVED_MODEL, Precision.FLOAT32, folder / str(version), signature)


def artifact_at(model: str, kind: Format, precision: Precision, path: Path, signature: Signature) -> Artifact:
    return Artifact(
        model=model,
        format=kind,
        precision=precision,
        path=path,
        signature=signature,
        digest=digest_of_tree(path),
        made_from=None,
        size_bytes=sum(
            file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()
        ),
    )


def fresh_version() -> int:
    return next(_versions)


def renewed(artifact: Artifact) -> Artifact:
    """The same artifact after its files were changed."""
    return replace(artifact, digest=digest_of_tree(artifact.path))


def digits(folder: Path) -> Material:
    """The digits model, and one with another architecture for the same input."""
    from models import digits as model_file

    data = model_file.data()
    images, targets = data.train.inputs["image"], data.train.targets[model_file.OUTPUT]

    def trained(build: Callable[[], Any], epochs: int, seed: int) -> Any:
        import keras

        keras.utils.set_random_seed(seed)
        model = build()
        model.fit(images, targets, epochs=epochs, batch_size=32, verbose=0)
        return model

    return Material(
        name="digits",
        model=_kept(folder / "model.keras", lambda: trained(model_file.build, _DIGITS_EPOCHS, 0)),
        older=_kept(folder / "older.keras", lambda: trained(model_file.build, 2, 0)),
        other=_kept(folder / "other.keras", lambda: trained(_plain_digits, 2, 1)),
        representative={"image": images[:100]},
        inputs={"image": data.test.inputs["image"][:SAMPLES]},
        output_names=(model_file.OUTPUT,),
        labels=np.asarray(data.test.targets[model_file.OUTPUT][:SAMPLES], np.int64),
        scores_output=model_file.OUTPUT,
        classes=tuple("0123456789"),
        folder=folder,
    )


def pictures(folder: Path) -> Material:
    """The scene model of the bench."""
    return _of_photographs("scene", scene.trained, ("photo", "left", "right"), scene.OUTPUTS, folder)


def composed(folder: Path) -> Material:
    """The model of blocks."""
    return _of_photographs("blocks", blocks.trained, ("photo",), blocks.OUTPUTS, folder)


def _of_photographs(
    name: str, trained: Callable[[int], Any], inputs: Sequence[str], outputs: tuple[str, ...], folder: Path
) -> Material:
    """A model without classes, asked about photographs that it has not seen; `trained` takes a seed."""
    (known, _), unknown = scene.split()
    older = _kept(folder / "older.keras", lambda: trained(1))
    return Material(
        name=name,
        model=_kept(folder / "model.keras", lambda: trained(0)),
        older=older,
        other=older,
        representative={one: known[one][:100] for one in inputs},
        inputs={one: unknown[one] for one in inputs},
        output_names=outputs,
        labels=None,
        scores_output=None,
        classes=(),
        folder=folder,
    )


def _kept(file: Path, made: Callable[[], Any]) -> Any:
    """The model in that file, which is made and saved when it is not there."""
    import keras

    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        made().save(file)
    return keras.models.load_model(file, compile=False)


def _plain_digits() -> Any:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model

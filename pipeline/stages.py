"""What workers do: each stage reads files and fills a folder, so that any of them can be run again alone.

Arguments and results cross a process border, so they are paths and plain values.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pipeline import golden, model_files, taking_in
from pipeline.adoption import Adopted
from pipeline.core.artifact import Precision
from pipeline.core.errors import ModelFailed
from pipeline.core.model import labels_of, targets_of
from pipeline.core.signature import Signature, Tensors
from pipeline.model_files import ModelFile
from pipeline.parity import profile
from pipeline.preflight.explain import INVENTORY_FILE
from pipeline.training import from_model_file, train
from pipeline.workers import observer_of_this_worker

Facts: TypeAlias = dict[str, Any]

KERAS_FILE = taking_in.KERAS_FILE
REPRESENTATIVE_FILE = taking_in.REPRESENTATIVE_FILE
SAVED_MODEL = taking_in.SAVED_MODEL
_WARMUP_REQUESTS = 2


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What `tripoint train` may be told; None means what the model file says."""

    epochs: int | None
    seed: int | None
    resume: bool
    representative_samples: int


def afresh(stage: Callable[..., Facts], folder: Path, *args: object, **settings: object) -> Facts:
    """The stage on an emptied folder: a worker that died may have left something in it."""
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    return stage(folder, *args, **settings)


def train_into(folder: Path, file: ModelFile, settings: TrainSettings, checkpoints: Path, tensorboard: Path) -> Facts:
    """Train, and leave the `.keras` file, the golden and the representative samples; facts about the model.

    To be called in a process in which TensorFlow has not yet computed anything.
    """
    import numpy as np
    import tensorflow as tf

    spec = model_files.load(file)
    if spec.training_threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(spec.training_threads)
    trained = train(
        spec,
        epochs=settings.epochs or spec.epochs,
        seed=spec.seed if settings.seed is None else settings.seed,
        resume=settings.resume,
        checkpoints=checkpoints,
        tensorboard=tensorboard,
        observer=observer_of_this_worker,
    )
    trained.model.save(folder / KERAS_FILE)
    golden.save(
        golden.Golden(
            inputs=trained.dataset.test.inputs,
            reference=trained.reference,
            labels=labels_of(spec, trained.dataset.test),
            targets=targets_of(spec, trained.dataset.test, trained.reference),
        ),
        folder / golden.GOLDEN_FILE,
    )
    # From all over the split: of a series in time, the first rows alone would not know how large numbers get.
    count = min(settings.representative_samples, trained.dataset.train.count)
    rows = np.linspace(0, trained.dataset.train.count - 1, count).astype(np.int64)
    representative = {name: array[rows] for name, array in trained.dataset.train.inputs.items()}
    golden.save_tensors(representative, folder / REPRESENTATIVE_FILE)
    shutil.rmtree(checkpoints)
    return {
        "summary": spec.summary,
        "output_names": list(spec.output_names),
        "accuracy": trained.accuracy,
        "epochs": settings.epochs or spec.epochs,
        "seed": spec.seed if settings.seed is None else settings.seed,
        "training_seconds": trained.seconds,
        "test_samples": trained.dataset.test.count,
        "scores": None if spec.scores is None else {"output": spec.scores.output, "classes": list(spec.scores.classes)},
        "demo": None
        if spec.demo is None
        else {"kind": spec.demo.kind, "title": spec.demo.title, "input": spec.demo.input},
    }


def adopt_into(folder: Path, adopted: Adopted, *, input_checks: bool, representative_samples: int) -> Facts:
    """Take in a model that was made elsewhere: what `train_into` leaves, and the SavedModel."""
    return taking_in.take_in(
        adopted,
        folder,
        input_checks=input_checks,
        representative_samples=representative_samples,
        observer=observer_of_this_worker,
    )


def published_into(folder: Path, file: Path, *, signature: Facts) -> Facts:
    """Put a .tflite file that others published into `folder`, with the signature that it is asked by."""
    from export.published_tflite import fixed_batch_of, with_signature

    wanted = Signature.from_json(signature)
    content, said = with_signature(file.read_bytes(), wanted, label=file.name)
    (folder / file.name).write_bytes(content)
    batch = fixed_batch_of(content, wanted)
    fixed = "" if batch is None else f" Its batch is fixed at {batch}: it is run at batch size {batch} only."
    return {"file": file.name, "fixed_batch": batch, "notes": [f"{said}{fixed}"]}


def export_adopted_into(folder: Path, adoption: Path, *, version: int, signature: Facts) -> Facts:
    """Put the SavedModel that was taken in at `<folder>/<version>/`, unchanged."""
    # By link: entries of the store never change, and a large model is not written twice.
    shutil.copytree(adoption / SAVED_MODEL, folder / str(version), copy_function=_linked)
    return {"signature": signature, "version": version}


def representative_of(trained: Path) -> Tensors:
    """The representative samples that training, or taking in, left."""
    return golden.load_tensors(trained / REPRESENTATIVE_FILE)


def _linked(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def export_into(
    folder: Path,
    trained: Path,
    *,
    file: ModelFile,
    version: int,
    output_names: tuple[str, ...],
    input_checks: bool,
) -> Facts:
    """Export the trained model as `<folder>/<version>/`; its signature as a fact."""
    import keras

    from export.saved_model_from_keras import saved_model_from_keras

    # Before the model: its own layers and models are in there.
    spec = model_files.load(file)
    try:
        model = keras.models.load_model(trained / KERAS_FILE, compile=False)
    except Exception as error:
        raise ModelFailed(
            f"model {file.name}: it was saved, but does not load again: {type(error).__name__}: {error}",
            hint="mend the layers and models of its own in the model file: their build(), get_config(), from_config()",
        ) from error
    warmup = {name: array[:_WARMUP_REQUESTS] for name, array in representative_of(trained).items()}
    signature = saved_model_from_keras(
        model,
        into=folder,
        version=version,
        output_names=output_names,
        inputs=spec.inputs,
        model_name=file.name,
        warmup_samples=warmup,
        input_checks=input_checks,
    )
    return {"signature": signature.to_json(), "version": version}


def export_untrained_into(folder: Path, file: ModelFile) -> Facts:
    """Export the model as it is built, as `<folder>/1/`; its signature."""
    from export.saved_model_from_keras import saved_model_from_keras

    spec = model_files.load(file)
    model = from_model_file(spec, "build", spec.build)
    signature = saved_model_from_keras(
        model,
        into=folder,
        version=1,
        output_names=spec.output_names,
        inputs=spec.inputs,
        model_name=file.name,
        warmup_samples={},
        input_checks=False,
    )
    return signature.to_json()


def preflight_into(
    folder: Path, saved_model: Path, *, signature: Facts, trained: Path, graph: Facts | None, lowering: bool
) -> Facts:
    """Write down the model's operations, with the layers that they come from, as `<folder>/inventory.json`.

    The layers' names are those of the `.keras` file, else of the graph of a model that came without one.
    """
    import msgspec

    from export.inventory import inventory_of
    from export.layer_graph import LayerGraph
    from export.layer_of_node import layer_names_of_keras

    keras_file = trained / KERAS_FILE
    names = layer_names_of_keras(keras_file) if keras_file.is_file() else None
    if names is None and graph is not None:
        names = msgspec.convert(graph, LayerGraph).layer_names
    inventory = inventory_of(
        saved_model,
        Signature.from_json(signature).name,
        scratch=folder,
        names=names,
        lowering=lowering,
    )
    (folder / INVENTORY_FILE).write_bytes(msgspec.json.encode(inventory))
    return {}


def tflite_into(
    folder: Path,
    saved_model: Path,
    *,
    name: str,
    signature: Facts,
    precision: Precision,
    trained: Path,
    keep_float: tuple[str, ...],
    lowering: bool,
) -> Facts:
    """Convert to `<folder>/<name>-<precision>.tflite`."""
    from export.tflite_from_saved_model import tflite_from_saved_model

    file = folder / f"{name}-{precision}.tflite"
    used = tflite_from_saved_model(
        saved_model,
        into=file,
        signature=Signature.from_json(signature),
        precision=precision,
        representative=representative_of(trained),
        keep_float=keep_float,
        lowering=lowering,
        model_name=name,
    )
    return {"file": file.name, "lowerings": [asdict(one) for one in used]}


def profile_into(folder: Path, saved_model: Path, *, signature: str, trained: Path) -> Facts:
    """Try out what rounding does to the exported graph, and keep it as `<folder>/profile.json`.

    A graph that cannot be tried out leaves the reason instead: the general tolerances stand.
    """
    from pipeline.profiling import profiled

    kept = golden.load(trained / golden.GOLDEN_FILE)
    found = profiled(saved_model, signature, kept.inputs, kept.reference)
    profile.save(found, folder / profile.PROFILE_FILE)
    return {}


def warm_tfjs() -> None:
    """Import the TF.js converter, so that this worker has it when the first conversion comes."""
    from export.tensorflowjs_import import graph_model_converter

    graph_model_converter()


def tfjs_into(folder: Path, saved_model: Path, *, name: str, signature: Facts, lowering: bool) -> Facts:
    """Convert to a graph model, `<folder>/model.json` and its weight shards, float32."""
    from export.tfjs_from_saved_model import tfjs_from_saved_model

    used = tfjs_from_saved_model(
        saved_model,
        into=folder,
        signature=Signature.from_json(signature),
        precision=Precision.FLOAT32,
        lowering=lowering,
        model_name=name,
    )
    return {"lowerings": [asdict(one) for one in used]}


def tfjs_again_into(
    folder: Path, graph_model: Path, *, name: str, precision: Precision, keep_float: tuple[str, ...]
) -> Facts:
    """Write the float32 graph model with its weights in another precision."""
    from export.tfjs_from_saved_model import tfjs_from_tfjs

    tfjs_from_tfjs(graph_model, into=folder, model_name=name, precision=precision, keep_float=keep_float)
    return {}

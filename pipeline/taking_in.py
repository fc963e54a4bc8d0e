"""Taking a foreign model in: load it, find samples, ask it, and leave what training leaves for a model of ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline import golden
from pipeline.adoption import FACT, Adopted
from pipeline.behind import Behind, behind, checked_whole, graph_of, notes_on
from pipeline.core.errors import ModelFailed, TripointError, UsageError
from pipeline.core.model import predicted_classes
from pipeline.core.progress import Observer, Progress
from pipeline.core.signature import Signature, Tensors, batches, concatenated, sample_count
from pipeline.core.wording import quoted
from pipeline.foreign import Foreign, load
from pipeline.repeatability import rounding_grows, unrepeatable_outputs
from pipeline.samples.adopted import Samples, samples_from
from pipeline.samples.from_files import looks_of
from pipeline.samples.made_up import Askable, made_up
from pipeline.samples.wanted import fixed_batch
from pipeline.unanswered import hint_on, reason_of

Facts: TypeAlias = dict[str, Any]

SAVED_MODEL = "saved_model"
KERAS_FILE = "model.keras"
REPRESENTATIVE_FILE = "representative.safetensors"
_REFERENCE_BATCH = 64
_LARGE_REFERENCE_BATCH = 8
_LARGE_SAMPLE_BYTES = 1 << 18
_WARMUP_REQUESTS = 2


def take_in(
    adopted: Adopted, folder: Path, *, input_checks: bool, representative_samples: int, observer: Observer
) -> Facts:
    """Leave in `folder` the SavedModel, the golden and the representative samples; facts about the model.

    Of a model that is to be cut, all of this is about the part behind the cut, and `front.json` says what is in front.

    Raises ModelFailed for a model that does not load, does not answer or cannot be exported, or for parts that do not
    answer as the whole does, and UsageError for samples that do not fit it and for a cut that cannot be.
    """
    import keras
    import msgspec

    from export.computed_in import narrowest_float

    # Layers without names are numbered by what the process has seen: outputs would be called otherwise another time.
    keras.utils.clear_session()
    observer(Progress(stage="adopt", message=f"loading {adopted.source}"))
    whole = load(adopted, samples=() if adopted.samples is None else looks_of(Path(adopted.samples)))
    parts = behind(whole, adopted) if adopted.after else None
    model = whole if parts is None else parts.model
    batch = fixed_batch(whole.inputs)
    of_whole = _samples_for(whole, adopted, batch, representative_samples)
    samples = of_whole if parts is None else _through(parts, of_whole, batch)
    observer(Progress(stage="adopt", message=f"asking it for {sample_count(samples.asked)} answers"))
    reference = reference_answers(model, samples.asked, batch)
    unrepeatable = unrepeatable_outputs(
        samples.asked, reference, lambda rows, size: reference_answers(model, rows, batch or size), batch=batch
    )
    of_cut: list[str] = []
    if parts is not None:
        observer(Progress(stage="adopt", message="holding front part and part behind against the whole model"))
        of_cut = _checked_cut(parts, of_whole, samples, folder, batch)
    observer(Progress(stage="adopt", message="exporting"))
    signature = _written(model, adopted, folder, samples, input_checks=input_checks)
    scores = _scores(adopted, signature, reference)
    labels = _checked_labels(samples.labels, scores, reference)
    _save(folder, samples, reference, labels)
    if adopted.kind == "keras" and model.runtime == "Keras":
        of_cut += _keep_keras_file(adopted, model, folder)
    graph = graph_of(model)
    accuracy = None
    if labels is not None and scores is not None:
        accuracy = float(np.mean(predicted_classes(reference[scores["output"]]) == labels))
    return {
        FACT: adopted.to_json(),
        "summary": f"adopted from {Path(adopted.source).name}{_part(adopted)}",
        "output_names": list(signature.output_names),
        "signature": signature.to_json(),
        "accuracy": accuracy,
        "seed": adopted.seed,
        "test_samples": sample_count(samples.asked),
        "scores": scores,
        "demo": None,
        "reference": {"runtime": model.runtime, "version": model.version, "digest": adopted.source_digest},
        "samples": samples.description,
        "notes": [*of_cut, *samples.notes, *whole.notes, *(model.notes if parts else ()), *_batch_notes(batch)],
        "unrepeatable": dict(unrepeatable),
        "computed_in": narrowest_float(folder / SAVED_MODEL),
        "layer_graph": None if graph is None else msgspec.to_builtins(graph),
    }


def _through(parts: Behind, samples: Samples, batch: int | None) -> Samples:
    return replace(
        samples,
        asked=parts.through(samples.asked, batch=batch),
        representative=parts.through(samples.representative, batch=batch),
        description=f"{samples.description}; sent through the front part, up to " + quoted(parts.cut.after),
    )


def _checked_cut(parts: Behind, of_whole: Samples, samples: Samples, folder: Path, batch: int | None) -> list[str]:
    """Hold the parts against the whole, and leave front.json; sentences for the report."""
    from export.front_part import write_front

    unrepeated = checked_whole(parts, of_whole.asked, batch_size=batch or usual_batch(of_whole.asked))
    graph = graph_of(parts.whole)
    if graph is None:
        raise TypeError("a model without layers cannot have been cut")
    write_front(
        folder,
        model=parts.whole.keras_model,
        graph=graph,
        cut=parts.cut,
        inputs=parts.front_inputs,
        gives=parts.model.inputs[: len(parts.cut.after)],
        samples=of_whole.asked,
        answers=samples.asked,
    )
    return notes_on(parts, sample_count(of_whole.asked), unrepeated)


def _keep_keras_file(adopted: Adopted, model: Foreign, folder: Path) -> list[str]:
    """Leave the `.keras` file, of a part the part's own; a sentence where that cannot be written."""
    if not adopted.after or model.keras_model is None:
        shutil.copyfile(adopted.source, folder / KERAS_FILE)
        return []
    try:
        model.keras_model.save(folder / KERAS_FILE)
    except Exception as error:  # noqa: BLE001  # whatever a layer's get_config raises; the report says it
        (folder / KERAS_FILE).unlink(missing_ok=True)
        why = f"{type(error).__name__}: {reason_of(error)}"
        return [f"The part cannot be saved as a .keras file, which `tripoint explain` needs ({why})."]
    return []


def _part(adopted: Adopted) -> str:
    return f", the part behind {', '.join(f'`{name}`' for name in adopted.after)}" if adopted.after else ""


def reference_answers(model: Foreign, samples: Tensors, batch_size: int | None) -> dict[str, NDArray[Any]]:
    """What the model itself answers, one row a sample. Raises ModelFailed when it does not, or answers otherwise."""
    parts: list[Tensors] = []
    for rows in batches(samples, batch_size or usual_batch(samples)):
        try:
            answer = model.answer(rows)
        except TripointError:
            raise
        except Exception as error:
            raise ModelFailed(
                f"the model does not answer the samples: {type(error).__name__}: {reason_of(error)}",
                hint=hint_on(error, model.inputs),
            ) from error
        _check_rows(answer, sample_count(rows))
        parts.append(answer)
    try:
        return concatenated(parts)
    except ValueError as error:
        shapes = {name: sorted({part[name].shape[1:] for part in parts}) for name in parts[0]}
        raise ModelFailed(
            f"the model's answers change their shape from batch to batch: {shapes}",
            hint="pad them inside the model to one size: answers of different shapes cannot be compared",
        ) from error


def usual_batch(samples: Tensors) -> int:
    """How many samples a model is asked at once where nobody says."""
    bytes_each = sum(array.nbytes // len(array) for array in samples.values())
    return _LARGE_REFERENCE_BATCH if bytes_each > _LARGE_SAMPLE_BYTES else _REFERENCE_BATCH


def _check_rows(answer: Tensors, count: int) -> None:
    if not answer:
        raise ModelFailed("the model gives no output", hint="it has to return at least one tensor")
    for name, array in answer.items():
        if array.ndim == 0 or len(array) != count:
            raise ModelFailed(
                f"output `{name}` is of shape {list(array.shape)} for a batch of {count}, not one row a sample",
                hint="leave it out of the signature, or repeat it for each sample",
            )
        if array.dtype.name == "bfloat16":
            raise ModelFailed(
                f"output `{name}` is bfloat16, which no client of any target carries",
                hint='give the last layer dtype="float32"',
            )


def _samples_for(model: Foreign, adopted: Adopted, batch: int | None, representative: int) -> Samples:
    ranges = {one.input: (one.low, one.high) for one in adopted.ranges}
    if adopted.samples is not None:
        return samples_from(
            Path(adopted.samples),
            model.inputs,
            batch=batch,
            count=adopted.count,
            representative=representative,
            labels=adopted.labels,
            ranges=ranges,
        )
    if adopted.labels:
        raise UsageError("--labels without --samples", hint="labels belong to samples: give both in an .npz or .csv")

    def answers(rows: Tensors, size: int | None) -> Tensors:
        return reference_answers(model, rows, size)

    known, unread = model.known_values()
    with _memory_named(adopted.count):
        made = made_up(
            Askable(
                inputs=model.inputs,
                batch=batch,
                known=known,
                answers=answers,
                rounding_grows=lambda rows: rounding_grows(rows, answers),
            ),
            seed=adopted.seed,
            count=adopted.count,
            representative=representative,
            ranges=ranges,
            shapes={one.input: one.sizes for one in adopted.shapes},
        )
    return made if unread is None else replace(made, notes=(*made.notes, unread))


@contextmanager
def _memory_named(count: int | None) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        asked = "the made-up samples do" if count is None else f"--count {count}: so many samples do"
        raise UsageError(
            f"{asked} not fit into memory: {error}", hint="ask for less with --count, or for smaller ones with --shape"
        ) from error


def _batch_notes(batch: int | None) -> list[str]:
    if batch is None:
        return []
    return [f"The model's batch is fixed at {batch}: it is run at batch size {batch} only."]


def _written(model: Foreign, adopted: Adopted, folder: Path, samples: Samples, *, input_checks: bool) -> Signature:
    rows = _WARMUP_REQUESTS * (fixed_batch(model.inputs) or 1)
    warmup = {name: array[:rows] for name, array in samples.asked.items()}
    try:
        return model.write(folder / SAVED_MODEL, warmup, input_checks)
    except TripointError:
        raise
    except Exception as error:
        raise ModelFailed(
            f"{adopted.name} cannot be exported as a SavedModel: {type(error).__name__}: {reason_of(error)}",
            hint="the layer named cannot be traced as a graph: write it with TensorFlow or keras.ops operations",
        ) from error


def _scores(adopted: Adopted, signature: Signature, reference: Tensors) -> Facts | None:
    """The output that scores classes: the one named, else the only one that is a softmax."""
    asked = adopted.scores
    if asked is not None and asked not in reference:
        raise UsageError(
            f"--scores {asked}: the model has no such output", hint=f"its outputs are {', '.join(reference)}"
        )
    likely = [asked] if asked is not None else [name for name, array in reference.items() if _is_softmax(array)]
    if len(likely) != 1:
        return None
    (output,) = likely
    array = reference[output]
    if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] < 2:
        raise UsageError(
            f"--scores {output}: it is {array.dtype} of shape {list(array.shape[1:])} a sample",
            hint="scores are floating point numbers, one a class",
        )
    del signature
    return {"output": output, "classes": [str(number) for number in range(array.shape[1])]}


def _is_softmax(array: NDArray[Any]) -> bool:
    if array.ndim != 2 or array.shape[1] < 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
        return False
    sums = array.astype(np.float64).sum(axis=1)
    return bool((array >= 0).all() and np.allclose(sums, 1.0, atol=1e-3))


def _checked_labels(
    labels: NDArray[np.int64] | None, scores: Facts | None, reference: Tensors
) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    if scores is None:
        raise UsageError(
            "--labels: no output of the model is known to score classes",
            hint=f"name it with --scores; the outputs are {', '.join(reference)}",
        )
    classes = len(scores["classes"])
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise UsageError(
            f"--labels: they go from {labels.min()} to {labels.max()}, the output `{scores['output']}` scores "
            f"{classes} classes",
            hint="labels count the classes from 0",
        )
    return labels


def _save(folder: Path, samples: Samples, reference: Tensors, labels: NDArray[np.int64] | None) -> None:
    golden.save(golden.Golden(inputs=samples.asked, reference=reference, labels=labels), folder / golden.GOLDEN_FILE)
    golden.save_tensors(samples.representative, folder / REPRESENTATIVE_FILE)

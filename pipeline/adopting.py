"""The library behind `tripoint adopt`: a model that was made elsewhere, through to its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import adoption, main_job
from pipeline.adoption import Adopted, Beside, Range, Shape
from pipeline.config import Config
from pipeline.core.errors import UsageError
from pipeline.core.progress import Observer, nobody
from pipeline.main_job import Finished
from pipeline.model_files import Known, is_known, known, model_files
from pipeline.samples.from_files import samples_digest
from pipeline.sources import code_digest, source_of
from pipeline.store import digest_of_tree


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a model is to be taken in. Everything has a default; relative paths count from the current folder.

    `samples` is an .npz, .npy or .csv file or a folder of images; without it `count` samples are made up, from `seed`
    and within `ranges` (low and high by input name), dimensions that the model leaves open getting their size from
    `shapes` (one sample's sizes by input name) or 32. `labels` says that the samples hold the right classes, too;
    `scores` names the output that scores them. `trust` lets a file run the code that it carries or names.
    `custom_objects` are `module:Class` each. `beside` are .tflite files that others made from the same model. With
    `after`, names of layers, the part of the model behind these is taken in, and what is in front stays in the app.
    """

    name: str | None = None
    signature: str | None = None
    samples: Path | None = None
    count: int | None = None
    ranges: Mapping[str, tuple[float, float]] | None = None
    shapes: Mapping[str, Sequence[int]] | None = None
    labels: bool = False
    scores: str | None = None
    trust: bool = False
    custom_objects: Sequence[str] = ()
    seed: int = 0
    beside: Sequence[Path] = ()
    after: Sequence[str] = ()


def adopt(
    source: str,
    asked: Asked,
    config: Config,
    *,
    engine: str | None = None,
    only: tuple[str, ...] = (),
    allow_missing: bool = False,
    observer: Observer = nobody,
) -> Finished:
    """Take the model in and do what `tripoint run` does; the second time, and by its name ever after, from the store.

    `source` is a .keras or .h5 file, a SavedModel folder, or `module:function` that builds a Keras model. The model is
    loaded in a process of its own. Raises UsageError for a source that is none, and what `main_job.run` raises:
    ModelFailed when the model does not load, answer or export.
    """
    job = main_job.job(adopted(source, asked, config), config, engine=engine, only=only, allow_missing=allow_missing)
    return main_job.run(job, observer=observer)


def adopted(source: str, asked: Asked, config: Config) -> Adopted:
    """The model as it will be known, looked at from outside: nothing of it is loaded. Raises UsageError."""
    folder = Path.cwd()
    found = source_of(source, folder=folder)
    name = asked.name or found.suggested_name
    adoption.check_name(name, taken=model_files(config))
    if asked.count is not None and asked.count < 2:
        raise UsageError(f"--count {asked.count}: one sample shows nothing of how answers vary", hint="give 2 or more")
    if asked.after and found.kind == "saved_model":
        raise UsageError(
            f"--after {asked.after[0]}: a SavedModel has operations, but no layers to cut behind",
            hint="adopt the .keras file that it was exported from, or a function that builds the model",
        )
    samples = None if asked.samples is None else Path(folder, asked.samples).resolve()
    return Adopted(
        name=name,
        kind=found.kind,
        source=found.place,
        source_digest=found.digest,
        folder=str(folder),
        code_digest=code_digest(asked.custom_objects, folder=folder),
        signature=asked.signature,
        samples=None if samples is None else str(samples),
        samples_digest=None if samples is None else samples_digest(samples),
        count=asked.count,
        ranges=tuple(Range(input=key, low=low, high=high) for key, (low, high) in sorted((asked.ranges or {}).items())),
        shapes=tuple(Shape(input=key, sizes=tuple(sizes)) for key, sizes in sorted((asked.shapes or {}).items())),
        labels=asked.labels,
        scores=asked.scores,
        trust=asked.trust,
        custom_objects=tuple(asked.custom_objects),
        seed=asked.seed,
        after=tuple(dict.fromkeys(asked.after)),
        beside=_beside([Path(folder, file).resolve() for file in asked.beside]),
    )


def known_or_adopted(model: str, asked: Asked, config: Config) -> Known:
    """The model of that name or model file; else the one that lies at that path, or that a function builds.

    Raises UsageError when there is neither.
    """
    path = Path(model)
    elsewhere = path.suffix != ".py" and (path.exists() or ":" in model)
    return adopted(model, asked, config) if elsewhere and not is_known(model, config) else known(model, config)


def _beside(files: Sequence[Path]) -> tuple[Beside, ...]:
    if not files:
        return ()
    from export.published_tflite import precision_of_published

    names = [file.name for file in files]
    if len(set(names)) != len(names):
        raise UsageError(f"--beside: two files are called alike: {', '.join(names)}", hint="rename one of them")
    found = []
    for file in files:
        if not file.is_file():
            raise UsageError(f"--beside {file}: there is no such file", hint="correct the path")
        precision = precision_of_published(file)
        found.append(Beside(path=str(file), name=file.name, digest=digest_of_tree(file), precision=precision))
    return tuple(found)

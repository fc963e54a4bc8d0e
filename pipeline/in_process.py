"""The SavedModel in process, a target like the others: it tells an export fault and a conversion fault apart."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.artifact import Artifact
from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Tensors, batches, concatenated
from pipeline.core.target import Answers, RuntimeInfo, Session
from pipeline.workers import Workers


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """TensorFlow itself, loading the SavedModel and calling its signature, in a worker."""

    workers: Workers = field(compare=False, repr=False)

    def missing(self) -> str | None:
        return None

    def settings(self) -> Mapping[str, str]:
        return {"tensorflow": version("tensorflow")}

    @contextmanager
    def boot(self, scratch: Path) -> Iterator[Session]:
        del scratch
        yield session_in(self.workers.executor("in-process"))


def session_in(executor: Executor) -> Session:
    """The same runtime wherever the executor runs it: in this very process, where TensorFlow is there already."""
    return _InProcessSession(executor)


@dataclass(frozen=True, kw_only=False)
class _InProcessSession:
    executor: Executor

    @contextmanager
    def load(self, artifact: Artifact, variant: str) -> Iterator[_InProcessRunner]:
        del variant
        yield _InProcessRunner(self.executor, artifact)


@dataclass(frozen=True, kw_only=False)
class _InProcessRunner:
    executor: Executor
    artifact: Artifact

    @property
    def info(self) -> RuntimeInfo:
        return RuntimeInfo(runtime="TensorFlow", version=version("tensorflow"), details={"device": "CPU"})

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        names = self.artifact.signature.output_names
        try:
            answers = self.executor.submit(
                _answer, str(self.artifact.path), self.artifact.signature.name, dict(samples), batch_size
            ).result()
        except Exception as error:
            raise TargetFailed(
                f"{self.artifact.label} in process: {type(error).__name__}: {error}",
                hint="the export is at fault: `tripoint export` makes it anew",
            ) from error
        if set(answers.outputs) != set(names):
            raise TargetFailed(
                f"{self.artifact.label} in process answered {sorted(answers.outputs)}, not {sorted(names)}",
                hint="the export is at fault: `tripoint export` makes it anew",
            )
        return answers


@functools.lru_cache(maxsize=1)
def _loaded(path: str) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(path)


def _answer(path: str, signature: str, samples: Tensors, batch_size: int) -> Answers:
    import tensorflow as tf

    call = _loaded(path).signatures[signature]
    outputs: list[Tensors] = []
    seconds: list[float] = []
    for batch in batches(samples, batch_size):
        feed = {name: tf.constant(array) for name, array in batch.items()}
        started = time.perf_counter()
        outputs.append({name: tensor.numpy() for name, tensor in call(**feed).items()})
        seconds.append(time.perf_counter() - started)
    return Answers(outputs=concatenated(outputs), call_seconds=np.array(seconds))

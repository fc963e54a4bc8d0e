"""The rehearsal while a model trains: what it does in which browser, and that no failure of it is one of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.errors import ConversionFailed, TargetFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec
from pipeline.core.target import Session
from pipeline.lanes import RuntimeLane
from pipeline.model_files import ModelFile
from pipeline.rehearsal import Rehearsal, _zeros, rehearsing
from pipeline.workers import Workers

IMAGES = Signature(
    name="serving_default",
    inputs=(TensorSpec(name="image", dtype="float32", shape=(None, 8, 8, 1)),),
    outputs=(TensorSpec(name="digit", dtype="float32", shape=(None, 10)),),
)


@dataclass
class FakeWorkers:
    signature: Signature = IMAGES
    error: Exception | None = None
    exported_bytes: int = 0
    converted: list[Path] = field(default_factory=list)

    def call_alone(self, worker: str, stage: Callable[..., Any], folder: Path, /, *args: object) -> Any:
        if self.error is not None:
            raise self.error
        with (folder / "weights").open("wb") as file:
            file.truncate(self.exported_bytes)
        return self.signature.to_json()

    def call(
        self, worker: str, processes: int, stage: Callable[..., Any], folder: Path, /, *_: object, **__: Any
    ) -> Any:
        self.converted.append(folder)


@dataclass
class Page:
    """A session, its only lane and its only runner."""

    name: str
    diary: list[tuple[Any, ...]]
    error: Exception | None = None
    at_work: bool = False

    def before_steps(self, do: Callable[[Session], None]) -> Future[None] | None:
        done: Future[None] = Future()
        try:
            do(cast("Session", self))
            done.set_result(None)
        except Exception as error:  # noqa: BLE001  # as an executor does it
            done.set_exception(error)
        return None if self.at_work else done

    @contextmanager
    def load(self, artifact: Artifact, variant: str) -> Iterator[Page]:
        if self.error is not None:
            raise self.error
        self.diary.append((self.name, variant))
        yield self

    def run(self, samples: Tensors, *, batch_size: int) -> None:
        assert {name: array.shape for name, array in samples.items()} == {"image": (batch_size, 8, 8, 1)}
        self.diary.append((self.name, batch_size))


def rehearse(folder: Path, workers: FakeWorkers, *pages: Page) -> None:
    rehearsal = Rehearsal(
        file=ModelFile(name="digits", path=Path("digits.py")),
        workers=cast("Workers", workers),
        tfjs_worker="tfjs",
        lowering=True,
        batch_sizes=(1, 7),
        variants=[(cast("RuntimeLane", page), ("wasm", "cpu")) for page in pages],
    )
    with rehearsing(rehearsal, folder / "rehearsal"):
        pass


def test_every_backend_meets_every_batch_size_one_page_after_the_other(tmp_path: Path) -> None:
    """A shader that the rehearsal missed is compiled while nothing else is left to do."""
    diary: list[tuple[Any, ...]] = []
    rehearse(tmp_path, FakeWorkers(), Page("a", diary), Page("b", diary))
    assert diary == [(page, said) for page in "ab" for backend in ("wasm", "cpu") for said in (backend, 1, 7)]


@pytest.mark.parametrize("error", [ConversionFailed("no", hint=""), BrokenProcessPool("stopped")])
def test_a_model_that_cannot_be_converted_is_left_to_its_step(tmp_path: Path, error: Exception) -> None:
    """The run would end without the words of the step that says what is wrong."""
    diary: list[tuple[Any, ...]] = []
    rehearse(tmp_path, FakeWorkers(error=error), Page("a", diary))
    assert diary == []


def test_a_large_model_is_not_rehearsed(tmp_path: Path) -> None:
    """Three browsers would hold its weights while it trains, too."""
    workers = FakeWorkers(exported_bytes=60_000_000)
    rehearse(tmp_path, workers, Page("a", []))
    assert workers.converted == []


def test_a_browser_that_fails_is_left_to_its_step(tmp_path: Path) -> None:
    rehearse(tmp_path, FakeWorkers(), Page("a", [], error=TargetFailed("crashed", hint="")))


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec(name="text", dtype="string", shape=(None,)),
        TensorSpec(name="image", dtype="float32", shape=(None, None, None, 3)),
        TensorSpec(name="fixed", dtype="float32", shape=(1, 4)),
        TensorSpec(name="alone", dtype="float32", shape=()),
    ],
)
def test_a_model_of_other_shapes_is_not_rehearsed(tmp_path: Path, spec: TensorSpec) -> None:
    """Shapes that are not the real ones compile the wrong shaders."""
    signature = Signature(name="serving_default", inputs=(spec,), outputs=IMAGES.outputs)
    assert _zeros(signature, 7) is None
    diary: list[tuple[Any, ...]] = []
    rehearse(tmp_path, FakeWorkers(signature=signature), Page("a", diary))
    assert diary == []


def test_the_samples_are_of_the_signature() -> None:
    tokens = TensorSpec(name="tokens", dtype="int32", shape=(None, 5))
    samples = _zeros(Signature(name="s", inputs=(tokens, IMAGES.inputs[0]), outputs=()), 3)
    assert samples is not None
    assert {name: (array.shape, array.dtype) for name, array in samples.items()} == {
        "tokens": ((3, 5), np.dtype("int32")),
        "image": ((3, 8, 8, 1), np.dtype("float32")),
    }

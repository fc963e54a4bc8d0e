"""The corpus run: every model is written as somebody else would have saved it, adopted, and judged on every target."""

from __future__ import annotations

import fnmatch
import hashlib
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.runtime import EdgeProcess
from pipeline import main_job
from pipeline.adopting import Asked, adopted
from pipeline.config import BrowserConfig, Config, ModelConfig, ParityConfig, ServeConfig, StoreConfig
from pipeline.core.errors import TripointError
from pipeline.core.progress import nobody
from pipeline.model_files import ModelFile
from pipeline.standing import Standing, standing
from pipeline.workflow import Job
from tests.corpus.cells import Cell, cell_of, crashed, refused
from tests.corpus.corpus_model import ASKED
from tests.corpus.limits import LIMITS
from tests.corpus.registry import every_model, ours
from tests.corpus.results import CorpusResult, ModelResult
from tests.corpus.writing import Written, write_model
from web_demo.runtime import Browser

ROOT = Path(__file__).resolve().parents[2]
_BATCH_SIZES = (1, 7)
# InceptionResNetV2 was not served within 120 s where two cores had ten programs to run: no fault of the model.
_READY_WITHIN_SECONDS = 600.0
_ANSWER_WITHIN_SECONDS = 300.0
# A process that has converted many models has grown; the next one starts small.
_MODELS_A_CREW = 15


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What to run: patterns of names, and how much of the corpus they are looked for in."""

    only: tuple[str, ...] = ()
    every_member: bool = False
    targets: tuple[str, ...] = ()


def run(chosen: Chosen, folder: Path, *, say: Callable[[CorpusResult], None]) -> CorpusResult:
    """Everything that is chosen; `say` is told, after each model, what there is so far. Nothing is done twice.

    `folder` keeps models, results and reports.
    """
    started = time.perf_counter()
    names = [(name, hard_for) for name, hard_for in _described(chosen) if _is_chosen(name, chosen)]
    results: list[ModelResult] = []
    while len(results) < len(names):
        for result in _with_one_crew(names[len(results) :][:_MODELS_A_CREW], chosen, folder):
            results.append(result)
            say(_so_far(results, started))
    return _so_far(results, started)


def _so_far(results: Sequence[ModelResult], started: float) -> CorpusResult:
    return CorpusResult(
        made_at=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        models=tuple(results),
        seconds=time.perf_counter() - started,
    )


def _described(chosen: Chosen) -> list[tuple[str, str]]:
    others = every_model(every_member=chosen.every_member).values()
    return [*((name, "one of ours") for name in ours()), *((model.name, model.hard_for) for model in others)]


def _is_chosen(name: str, chosen: Chosen) -> bool:
    return not chosen.only or any(fnmatch.fnmatch(name, pattern) for pattern in chosen.only)


def _with_one_crew(names: Sequence[tuple[str, str]], chosen: Chosen, folder: Path) -> Iterator[ModelResult]:
    """Results until all names are through, or one was refused: a run that ends early stops the workers that it has."""
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    with standing(logs=folder / "logs", scratch=scratch, observer=nobody, kept=(EdgeProcess, Browser)) as shared:
        for name, hard_for in names:
            started = time.perf_counter()
            cells = _cells(name, chosen, folder, shared)
            yield ModelResult(name=name, hard_for=hard_for, cells=cells, seconds=time.perf_counter() - started)
            if any(cell.verdict in ("REFUSED", "CRASHED") for cell in cells):
                return
            if any(cell.verdict == "ERROR" for cell in cells):
                shared.restart()


def _cells(name: str, chosen: Chosen, folder: Path, shared: Standing) -> tuple[Cell, ...]:
    limits = LIMITS.get(name, {})
    try:
        finished = main_job.run(_job(name, chosen, folder, shared), observer=nobody, shared=shared)
    except TripointError as error:
        return (refused(error.problem, limits),)
    except Exception as error:  # noqa: BLE001  # a fault of ours; it is shown, and the other models are still wanted
        traceback.print_exc()
        return (crashed(error),)
    return tuple(cell_of(row, limits) for row in finished.report.rows)


def _job(name: str, chosen: Chosen, folder: Path, shared: Standing) -> Job:
    config = _config(folder)
    if name in ours():
        return main_job.job(ModelFile(name=name, path=ours()[name]), config, only=chosen.targets)
    written = _written(name, folder / "models", shared)
    asked = Asked(
        name=name,
        samples=None if written.samples is None else Path(written.samples),
        count=ASKED,
        signature=written.signature,
        trust=written.trust,
        custom_objects=written.custom_objects,
        beside=tuple(Path(file) for file in written.beside),
        after=written.after,
    )
    return main_job.job(adopted(written.model, asked, config), config, only=chosen.targets)


def _config(folder: Path) -> Config:
    return Config(
        folder=str(ROOT),
        store=StoreConfig(path=str(folder / "store"), build=str(folder / "build"), keep=1),
        models={name: ModelConfig(file=str(path)) for name, path in ours().items()},
        serve=ServeConfig(ready_within_seconds=_READY_WITHIN_SECONDS),
        browser=BrowserConfig(answer_within_seconds=_ANSWER_WITHIN_SECONDS),
        parity=ParityConfig(batch_sizes=_BATCH_SIZES),
    )


def _written(name: str, models: Path, shared: Standing) -> Written:
    """The model on disk: written anew only when the code of the corpus has changed."""
    place = models / name / _code_digest()
    note = place / "written.json"
    if note.is_file():
        return msgspec.json.decode(note.read_bytes(), type=Written)
    shutil.rmtree(models / name, ignore_errors=True)
    place.mkdir(parents=True)
    written = shared.workers.call("corpus", 1, write_model, name, place)
    note.write_bytes(msgspec.json.encode(written))
    return written


def _code_digest() -> str:
    files = sorted(Path(__file__).parent.rglob("*.py"))
    writing = [file for file in files if file.parent.name == "hand_made" or file.stem in _WRITES]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in writing)).hexdigest()[:12]


_WRITES = {"corpus_model", "keras_families", "mlperf_tiny", "writing"}

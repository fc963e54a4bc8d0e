"""The corpus holds: nothing that works is lost, nothing that is known not to work passes, and a surprise is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus import mlperf_tiny
from tests.corpus.cells import Cell, Word, surprise
from tests.corpus.limits import LIMITS
from tests.corpus.results import CorpusResult, ModelResult, as_html, as_markdown
from tests.corpus.run import Chosen, run

_KNOWN = {"edge/* int8": "SIGSEGV", "browser/*": "int32"}
# One of each kind of cause: loops and masks, branches, batches. Targets that answer quickly.
_QUICK = ("rnn-masked", "cond-constants", "fixed-batch")
_QUICK_TARGETS = ("saved_model", "edge/litert", "browser/wasm")


@pytest.mark.parametrize(
    ("name", "verdict", "reason", "complaint"),
    [
        ("edge/litert float32", "PASS", "", ""),
        ("edge/litert int8", "ERROR", "ended with SIGSEGV", ""),
        ("edge/litert int8", "PASS", "", "passes, although"),
        ("edge/litert int8", "ERROR", "the file does not load", "another reason"),
        ("edge/litert float32", "FAIL", "3 of 9 values differ", "nothing says why"),
        ("edge/litert float32", "INCONCLUSIVE", "the answers hardly vary", "nothing says why"),
        ("edge/litert float32", "SKIPPED", "not on this machine", "nothing says why"),
    ],
)
def test_only_what_is_known_is_no_surprise(name: str, verdict: Word, reason: str, complaint: str) -> None:
    """A corpus that takes any failure for a limit would stay green while everything breaks."""
    said = surprise(name, verdict, reason, _KNOWN)
    assert complaint in said if complaint else said == ""


def test_the_table_shows_every_limit_once_with_its_cells() -> None:
    cells = tuple(
        Cell(
            name=name,
            verdict="ERROR" if name.startswith("browser") else "PASS",
            reason="no such kernel <Einsum>" if name.startswith("browser") else "",
            size_bytes=2000,
            milliseconds=0.5,
            surprise="",
        )
        for name in ("saved_model float32", "browser/wasm float32", "browser/wasm uint8")
    )
    model = ModelResult(name="attention", hard_for="attention", cells=cells, seconds=3.0)
    result = CorpusResult(made_at="today", models=(model,), seconds=3.0)
    text = as_markdown(result)
    assert "| attention | ok | 0/2: ERR float32, ERR uint8 | 2 | 3 |" in text
    assert "  - browser/wasm float32, browser/wasm uint8: ERROR: no such kernel <Einsum>" in text
    assert "no such kernel &lt;Einsum&gt;" in as_html(result)


@pytest.mark.timeout(900)
def test_a_few_models_go_through(tmp_path: Path) -> None:
    """Loops that TF.js never began, masks that corrupted wasm's memory, constants that always won, a fixed batch."""
    result = run(Chosen(only=_QUICK, targets=_QUICK_TARGETS), tmp_path, say=lambda _: None)
    assert [model.name for model in result.models] == sorted(_QUICK, key=[*_order()].index)
    assert result.surprises == ()
    assert sum(cell.verdict == "PASS" for model in result.models for cell in model.cells) >= 2 * len(_QUICK)


def test_limits_are_those_of_models_that_there_are() -> None:
    """A limit of a model that was renamed would excuse nothing, and nobody would notice."""
    assert set(LIMITS) - set(_order()) - {"mlperf-kws", "mlperf-resnet8"} == set()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_whole_corpus_is_as_known(tmp_path: Path, require: Callable[[str | None], None]) -> None:
    require(mlperf_tiny.missing())
    assert run(Chosen(), tmp_path, say=lambda _: None).surprises == ()


def _order() -> list[str]:
    from tests.corpus.registry import every_model, ours

    return [*ours(), *every_model(every_member=True)]

"""The corpus run's result as one value, and its table for a terminal, a page and a browser."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.corpus.cells import ADOPTING, Cell

_MARKS = {
    "PASS": "ok",
    "FAIL": "FAIL",
    "SKIPPED": "skip",
    "ERROR": "ERR",
    "INCONCLUSIVE": "vac",
    "REFUSED": "no",
    "CRASHED": "CRASH",
}
_STYLE = """
body { font: 14px system-ui, sans-serif; margin: 1.5rem; } table { border-collapse: collapse; }
th, td { border: 1px solid #8884; padding: 2px 6px; text-align: left; vertical-align: top; }
thead th { position: sticky; top: 0; background: Canvas; writing-mode: vertical-rl; }
.PASS { background: #3c83; }
.FAIL, .ERROR, .CRASHED { background: #c333; } .INCONCLUSIVE, .SKIPPED, .REFUSED { background: #cc33; }
.surprise { outline: 2px solid #c33; }
:root { color-scheme: light dark; }
"""


class ModelResult(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `seconds` is what the model cost in the run that measured it."""

    name: str
    hard_for: str
    cells: tuple[Cell, ...]
    seconds: float

    @property
    def surprises(self) -> tuple[str, ...]:
        return tuple(
            f"{self.name}, {cell.name}: {cell.surprise}; {cell.reason}" for cell in self.cells if cell.surprise
        )


class CorpusResult(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of a run, and how long it took."""

    made_at: str
    models: tuple[ModelResult, ...]
    seconds: float

    @property
    def surprises(self) -> tuple[str, ...]:
        return tuple(line for model in self.models for line in model.surprises)


def write(result: CorpusResult, folder: Path) -> None:
    """Leave corpus.json, corpus.md and corpus.html in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    (folder / "corpus.md").write_text(as_markdown(result))
    (folder / "corpus.html").write_text(as_html(result))


def as_text(model: ModelResult) -> str:
    """One line for the terminal, as soon as the model is through."""
    counted = {
        mark: sum(_MARKS[cell.verdict] == mark for cell in model.cells) for mark in dict.fromkeys(_MARKS.values())
    }
    counts = ", ".join(f"{count} {mark}" for mark, count in counted.items() if count)
    state = "as known" if not model.surprises else f"{len(model.surprises)} otherwise than known"
    return f"{model.name:<24} {counts:<36} {model.seconds:6.1f} s  {state}"


def as_markdown(result: CorpusResult) -> str:
    """The table: a line a model, a column a group of cells, then every limit with its reason."""
    groups = _groups(result.models)
    lines = [
        f"| model | {' | '.join(groups)} | kB | s |",
        f"|---|{'---|' * (len(groups) + 2)}",
    ]
    for model in result.models:
        shown = [_shown([cell for cell in model.cells if cell.name in names]) for names in groups.values()]
        if any(cell.name == ADOPTING for cell in model.cells):
            shown[:1] = [model.cells[0].verdict.lower()]
        lines.append(f"| {model.name} | {' | '.join(shown)} | {_kilobytes(model)} | {model.seconds:.0f} |")
    lines += ["", "Limits:", ""]
    for model in result.models:
        lines += [f"- **{model.name}** ({model.hard_for})" for _ in [0] if _limits(model)]
        lines += [f"  - {limit}" for limit in _limits(model)]
    return "\n".join(lines) + "\n"


def as_html(result: CorpusResult) -> str:
    """The whole table in one file: a column a cell, the reason on hovering."""
    names = list(dict.fromkeys(cell.name for model in result.models for cell in model.cells))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    rows = []
    for model in result.models:
        by_name = {cell.name: cell for cell in model.cells}
        columns = "".join(_td(by_name.get(name)) for name in names)
        rows.append(
            f'<tr><th title="{html.escape(model.hard_for, quote=True)}">{html.escape(model.name)}</th>{columns}'
            f"<td>{model.seconds:.1f} s</td></tr>"
        )
    return (
        f"<!doctype html><meta charset=utf-8><title>Corpus</title><style>{_STYLE}</style>"
        f"<h1>Corpus, {result.made_at}</h1>"
        f"<table><thead><tr><th>model</th>{head}<th>time</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _td(cell: Cell | None) -> str:
    if cell is None:
        return "<td></td>"
    size = "" if cell.size_bytes is None else f"{cell.size_bytes / 1000:.0f} kB"
    time = "" if cell.milliseconds is None else f"{cell.milliseconds:.2g} ms"
    classes = f"{cell.verdict} surprise" if cell.surprise else cell.verdict
    return (
        f'<td class="{classes}" title="{html.escape(cell.reason, quote=True)}">'
        f"{_MARKS[cell.verdict]}<br><small>{size} {time}</small></td>"
    )


def _groups(models: Sequence[ModelResult]) -> dict[str, list[str]]:
    """Cells by what stands before their precision, in the order in which they come."""
    groups: dict[str, list[str]] = {}
    for model in models:
        for cell in model.cells:
            if cell.name != ADOPTING:
                names = groups.setdefault(cell.name.rpartition(" ")[0], [])
                if cell.name not in names:
                    names.append(cell.name)
    return groups


def _shown(cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    passed = sum(cell.verdict == "PASS" for cell in cells)
    if passed == len(cells):
        return "ok"
    others = ", ".join(
        f"{_MARKS[cell.verdict]} {cell.name.rpartition(' ')[2]}" for cell in cells if cell.verdict != "PASS"
    )
    return f"{passed}/{len(cells)}: {others}"


def _kilobytes(model: ModelResult) -> str:
    sizes = [cell.size_bytes for cell in model.cells if cell.size_bytes is not None]
    return f"{max(sizes) / 1000:.0f}" if sizes else ""


def _limits(model: ModelResult) -> list[str]:
    """Each reason once, with the cells that it holds for."""
    reasons: dict[str, list[str]] = {}
    for cell in model.cells:
        if cell.verdict != "PASS":
            reasons.setdefault(f"{cell.verdict}: {_short(cell.reason)}", []).append(cell.name)
    return [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]


def _short(reason: str) -> str:
    line = " ".join(reason.split()).replace("|", "/")
    return line if len(line) <= 220 else f"{line[:217]}..."

"""From what a run made to its preflight: the facts gathered, each artifact on each target judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from export.inventory import Inventory
from pipeline.cells import Cell
from pipeline.config import Config
from pipeline.core.artifact import Format
from pipeline.core.outcome import Errored
from pipeline.core.signature import Signature
from pipeline.preflight.explain import inventory_in
from pipeline.preflight.findings import Preflight, Trial
from pipeline.preflight.judge import Asked, line_of, notes_on
from pipeline.preflight.keeping import kept_in_app, with_advice
from pipeline.preflight.render import as_json, as_markdown
from pipeline.recipes import PREFLIGHT
from pipeline.steps import Result
from pipeline.store import Entry
from pipeline.workflow import Ran
from web_demo.kernels import installed_kernels
from web_demo.runtime import web_app_missing

JSON_FILE, MARKDOWN_FILE = "preflight.json", "preflight.md"


def preflight_of(ran: Ran, model: str, config: Config, cells: Sequence[Cell], loaded: Mapping[str, Trial]) -> Preflight:
    """The findings on these cells. `loaded` has what became of loading an artifact, by the cell's name.

    What TF.js can run, the build of the web app knows: without one, the browsers are not tried, and that is missing.
    """
    inventory = _inventory(ran)
    in_browsers = any(cell.target.consumes is Format.TFJS for cell in cells)
    missing = web_app_missing() if in_browsers else None
    kernels = installed_kernels() if in_browsers and missing is None else None
    signature = Signature.from_json(ran.exported.facts["signature"])
    lines = tuple(
        line_of(
            Asked(
                target=cell.target.name,
                kind=cell.target.consumes,
                precision=str(cell.precision),
                made=_trial(ran.artifacts.get(cell.artifact_step)),
                loaded=loaded.get(cell.name),
                backend=cell.target.variant if cell.target.consumes is Format.TFJS else None,
            ),
            inventory,
            kernels,
            lowering=config.convert.lowering,
        )
        for cell in cells
    )
    after, command = kept_in_app((obstacle for line in lines for obstacle in line.obstacles), ran.trained.facts)
    return Preflight(
        model=model,
        lines=with_advice(lines, after=after, command=command) if after else lines,
        missing=missing,
        after=after,
        notes=notes_on({spec.name: spec.dtype for spec in (*signature.inputs, *signature.outputs)}),
    )


def preflight_of_run(ran: Ran, model: str, config: Config) -> Preflight:
    """The findings on a whole run, whose recordings say what loads."""
    loaded = {cell.name: trial for cell in ran.cells if (trial := _trial(ran.recordings.get(cell.step))) is not None}
    return preflight_of(ran, model, config, ran.cells, loaded)


def write_preflight(found: Preflight, folder: Path) -> None:
    """Write it for machines and for people."""
    (folder / JSON_FILE).write_text(as_json(found) + "\n")
    (folder / MARKDOWN_FILE).write_text(as_markdown(found))


def _inventory(ran: Ran) -> Inventory:
    entry = ran.artifacts[PREFLIGHT]
    if not isinstance(entry, Entry):
        raise TypeError(f"preflight left no inventory: {entry.problem}")
    return inventory_in(entry.path)


def _trial(result: Result | None) -> Trial | None:
    match result:
        case None:
            return None
        case Errored(problem=problem, hint=hint):
            return Trial(problem=problem, hint=hint)
        case Entry():
            return Trial(problem=None)

"""What the bench found: a line a fault, the table, and whether it is enough."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.parity.report.wording import explained
from pipeline.parity.status import Error, Fail, Word, word
from tests.faults.fault import Fault
from tests.faults.rig import Run

NAMED_AT_LEAST = 0.9


@dataclass(frozen=True, kw_only=True)
class Result:
    """One fault's outcome. `layer` is None where none was to be found."""

    fault: str
    group: str
    target: str
    status: Word
    caught: bool
    cause: str
    named_rightly: bool
    sentence: str
    evidence: str
    seconds: float
    layer: str | None = None
    first_divergent_layer: str | None = None
    suspects: tuple[str, ...] = ()

    @property
    def layer_right(self) -> bool | None:
        """Whether `explain` names this very layer first; None where the fault lies in no single one."""
        return None if self.layer is None else self.layer == self.first_divergent_layer

    @property
    def line(self) -> str:
        mark = ("named" if self.named_rightly else "MISNAMED") if self.caught else "MISSED"
        layer = "" if self.layer is None else f" (layer {self.layer}, explained as {self.first_divergent_layer})"
        return f"{mark:9}{self.group}: {self.fault} [{self.target}] {self.status} {self.cause}{layer}: {self.sentence}"


def result_of(fault: Fault, run: Run, *, seconds: float) -> Result:
    """Whether the row failed or broke, and whether its diagnosis has the right name."""
    cause = "" if run.diagnosis is None else run.diagnosis.cause
    return Result(
        fault=fault.name,
        group=fault.group,
        target=run.row.label,
        status=word(run.row.status),
        caught=isinstance(run.row.status, (Fail, Error)),
        cause=cause,
        named_rightly=cause in fault.causes,
        sentence=" / ".join(
            [*([] if run.diagnosis is None else [run.diagnosis.sentence]), *explained(run.row.status)[:1]]
        ),
        evidence="" if run.diagnosis is None else run.diagnosis.evidence,
        seconds=seconds,
        layer=fault.layer,
        first_divergent_layer=None if run.explanation is None else run.explanation.first_divergent_layer,
        suspects=() if run.explanation is None else run.explanation.suspects,
    )


def not_inflicted(fault: Fault, traceback: str) -> Result:
    """A fault that the bench itself could not make: it counts as missed."""
    return Result(
        fault=fault.name,
        group=fault.group,
        target="-",
        status="ERROR",
        caught=False,
        cause="",
        named_rightly=False,
        sentence=f"could not be inflicted: {traceback}",
        evidence="",
        seconds=0.0,
    )


def enough(results: Sequence[Result]) -> bool:
    """All caught, and at least nine of ten named rightly."""
    named = sum(result.named_rightly for result in results)
    return len(results) > 0 and all(result.caught for result in results) and named >= NAMED_AT_LEAST * len(results)


def rendered(results: Sequence[Result]) -> str:
    """The table as Markdown, and the counts."""
    lines = ["| group | fault | on | caught | named | cause | first layer |", "|:--|:--|:--|:--|:--|:--|:--|"]
    for result in results:
        marks = " | ".join("yes" if mark else "NO" for mark in (result.caught, result.named_rightly))
        cells = (result.group, result.fault, result.target, marks, result.cause or "-", _layer(result))
        lines.append(f"| {' | '.join(cells)} |")
    count = len(results)
    caught, named = sum(result.caught for result in results), sum(result.named_rightly for result in results)
    lines += ["", f"{caught} of {count} faults caught, {named} of {count} named rightly."]
    for group in dict.fromkeys(result.group for result in results):
        layers = [result.layer_right for result in results if result.group == group and result.layer is not None]
        if layers:
            lines.append(f"First layer right in {sum(map(bool, layers))} of {len(layers)} faults of {group}.")
    return "\n".join(lines)


def _layer(result: Result) -> str:
    match result.layer_right:
        case None:
            return "-"
        case True:
            return f"yes: {result.layer}"
        case False:
            return f"NO: {result.first_divergent_layer or 'none'}, not {result.layer}"


def written(results: Sequence[Result], into: Path) -> None:
    """faults.json and faults.md."""
    into.mkdir(parents=True, exist_ok=True)
    (into / "faults.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    (into / "faults.md").write_text(rendered(results) + "\n")

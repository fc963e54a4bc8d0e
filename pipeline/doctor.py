"""What this machine has, what it lacks, and the command that mends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.core.errors import ExitStatus
from pipeline.core.progress import nobody
from pipeline.targets import targets
from pipeline.workers import workers

_ROOT = Path(__file__).resolve().parent.parent
_FREE_BYTES_WANTED = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at. `missing` is the reason with its mend, or None when all is well.

    `needed` is false for what only some runs want.
    """

    name: str
    found: str
    missing: str | None
    needed: bool = True


def targets_here(config: Config, model: str) -> list[Check]:
    """Every target, and whether its runtime can start on this machine. Starts nothing."""
    checks: list[Check] = []
    with workers(logs=Path(), observer=nobody) as crew:
        for target in targets(config, model, crew):
            missing = target.runtime.missing()
            settings = (
                "" if missing else ", ".join(f"{key} {value}" for key, value in target.runtime.settings().items())
            )
            checks.append(Check(name=target.name, found=f"{target.consumes}; {settings}", missing=missing))
    return checks


def examine(config: Config) -> list[Check]:
    """Environments, tools, space and every target."""
    return [
        _folder("edge environment", _ROOT / "edge/.venv/bin/python"),
        _folder("web app", _ROOT / "web_demo/dist/index.html"),
        _docker(),
        _space(config.store_path),
        *targets_here(config, "model"),
    ]


def exit_status(checks: Sequence[Check]) -> ExitStatus:
    """ENVIRONMENT when something that is needed is missing."""
    missing = any(check.missing is not None and check.needed for check in checks)
    return ExitStatus.ENVIRONMENT if missing else ExitStatus.AGREES


def as_json(checks: Sequence[Check]) -> str:
    return json.dumps([asdict(check) for check in checks], indent=2)


def as_text(checks: Sequence[Check]) -> str:
    width = max(len(check.name) for check in checks)
    return "\n".join(f"{_mark(check)}  {check.name:<{width}}  {check.missing or check.found}" for check in checks)


def _mark(check: Check) -> str:
    if check.missing is None:
        return "ok     "
    return "MISSING" if check.needed else "without"


def _folder(name: str, path: Path) -> Check:
    return Check(
        name=name, found=str(path.relative_to(_ROOT)), missing=None if path.exists() else "not set up; run: make setup"
    )


def _docker() -> Check:
    from serving.runtime import Server

    engine = Server(model_name="model", engine="docker")
    return Check(name="docker engine", found="ready", missing=engine.missing(), needed=False)


def _space(store: Path) -> Check:
    existing = next(folder for folder in (store, *store.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    missing = None if free > _FREE_BYTES_WANTED else f"only {free / 1e9:.1f} GB free for {store}; 2 GB are wanted"
    return Check(name="disk space", found=f"{free / 1e9:.0f} GB free", missing=missing)

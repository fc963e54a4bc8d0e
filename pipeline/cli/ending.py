"""How a command ends: errors as sentences, never as tracebacks, and an exit status that a machine can read."""

from __future__ import annotations

import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from pipeline.core.errors import ExitStatus, TripointError


class Terminated(KeyboardInterrupt):
    """SIGTERM, treated like Ctrl-C: every `with` block gets to clean up."""


class ErrorsForPeople(click.Group):
    """A group whose commands may raise TripointError."""

    def invoke(self, ctx: click.Context) -> Any:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            return super().invoke(ctx)
        except TripointError as error:
            _say(ctx, error.problem, error.hint)
            _quit(ctx, error.exit_status)
        except KeyboardInterrupt:
            click.echo("interrupted: what was running has been stopped, and nothing half-made was kept", err=True)
            _quit(ctx, ExitStatus.INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001  # the last place that can still say something useful
            log = _keep_traceback(error)
            _say(ctx, f"a fault of ours: {type(error).__name__}: {error}", f"please report it, with {log}")
            _quit(ctx, ExitStatus.CRASHED)


def wants_json(ctx: click.Context) -> bool:
    """True when the command was given --json, wherever it stands."""
    return "--json" in sys.argv or bool(ctx.params.get("as_json"))


def _say(ctx: click.Context, problem: str, hint: str) -> None:
    if wants_json(ctx):
        import json

        click.echo(json.dumps({"error": {"problem": problem, "hint": hint}}))
    click.echo(f"{click.style('error:', fg='red', bold=True)} {problem}", err=True)
    click.echo(f"{click.style('mend:', fg='green', bold=True)}  {hint}", err=True)


def _quit(ctx: click.Context, status: ExitStatus) -> NoReturn:
    ctx.exit(int(status))


def _keep_traceback(error: Exception) -> Path:
    with tempfile.NamedTemporaryFile("w", prefix="tripoint-fault-", suffix=".log", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    return Path(file.name)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated

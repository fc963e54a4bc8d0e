"""Commands that look: `report`, `demo`, `targets`, `doctor`, `config`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.options import json_option, model_argument, project, verbosity_of, working_options


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown", "junit", "path"]), default="text")
@model_argument
def report(*, model: str, form: str) -> None:
    """Show the report of the last run again, in another form. Exits as that run did."""
    from pipeline import main_job

    config, file = project(model)
    text, status = main_job.last_report(file, config, form=form)
    click.echo(text)
    sys.exit(int(status))


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0 lets the system choose.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the site into this folder instead of serving it.")
@working_options
@model_argument
def demo(*, model: str, port: int, out: Path | None, verbosity: str | None) -> None:
    """Open the model to a browser: draw, and see what it answers, on a web page served from this machine."""
    from pipeline import demo_job
    from pipeline.cli.progress import watching

    config, file = project(model)
    with watching(verbosity_of(verbosity)) as observer:
        prepared = demo_job.prepared(file, config, observer=observer)
    for line in demo_job.show(prepared, port=port, out=out):
        click.echo(line)


@click.command()
@json_option
@model_argument
def targets(*, model: str, as_json: bool) -> None:
    """List every target, and whether it can run here."""
    from pipeline import doctor as examination

    config, file = project(model)
    listed = examination.targets_here(config, file.name)
    click.echo(examination.as_json(listed) if as_json else examination.as_text(listed))


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Say what is missing on this machine, and the command that mends it. Exits with 3 when something is."""
    from pipeline import config as configuration
    from pipeline import doctor as examination

    checks = examination.examine(configuration.load(Path.cwd()))
    click.echo(examination.as_json(checks) if as_json else examination.as_text(checks))
    sys.exit(int(examination.exit_status(checks)))


@click.command("config")
def config_command() -> None:
    """Print the settings in force, with the defaults filled in, as JSON."""
    import msgspec

    from pipeline import config as configuration

    settings = configuration.load(Path.cwd())
    click.echo(msgspec.json.format(msgspec.json.encode(settings), indent=2).decode())

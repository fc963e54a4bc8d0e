"""`tripoint calibrate`: bounds from what was observed."""

from __future__ import annotations

import sys

import click

from pipeline.cli.options import json_option, model_argument, project, verbosity_of, working_options


@click.command()
@click.option("--write", is_flag=True, help="Keep what is proposed in tolerances.toml, which later runs enforce.")
@click.option("--engine", type=click.Choice(["auto", "docker", "native", "embedded"]), help="Model server to use.")
@click.option("--allow-missing", is_flag=True, help="Go on without what this machine lacks.")
@json_option
@working_options
@model_argument
def calibrate(
    *, model: str, write: bool, engine: str | None, allow_missing: bool, as_json: bool, verbosity: str | None
) -> None:
    r"""Propose tolerances from what the targets answer: three times the largest error, with the reason.

    Nothing is proposed for a target that differs, or that is further off than its precision explains. Exits with 10
    then.

    \b
    Example:
      tripoint calibrate digits
      tripoint calibrate digits --write && tripoint run digits
    """
    from pipeline import calibrating, main_job
    from pipeline.cli.progress import watching

    config, file = project(model)
    asked = main_job.job(file, config, engine=engine, allow_missing=allow_missing)
    with watching(verbosity_of(verbosity)) as observer:
        found = calibrating.calibrate(asked, write=write, observer=observer)
    click.echo(found.json() if as_json else found.text())
    sys.exit(int(found.exit_status))

"""`tripoint new`: a model file to start from."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
def new(*, name: str) -> None:
    r"""Write models/NAME.py into the project's folder: a model that runs as it is, to be made into your own.

    \b
    Example:
      tripoint new flowers && tripoint run flowers
    """
    from pipeline import config as configuration
    from pipeline import new_model

    click.echo(new_model.as_text(new_model.new_model(name, configuration.load(Path.cwd())), name))

"""`tripoint preflight`: where will the model run, and what is in the way."""

from __future__ import annotations

import sys

import click

from pipeline.cli.options import (
    json_option,
    lowering_option,
    model_argument,
    settings,
    source_options,
    verbosity_of,
    working_options,
)


@click.command()
@click.option("--quick", is_flag=True, help="Look at the exported model only: convert nothing, load nothing.")
@source_options
@lowering_option
@json_option
@working_options
@model_argument
def preflight(
    *,
    model: str,
    quick: bool,
    signature: str | None,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    trust: bool,
    custom_objects: tuple[str, ...],
    after: tuple[str, ...],
    no_lowering: bool,
    as_json: bool,
    verbosity: str | None,
) -> None:
    r"""Say for every target and precision whether the model will run there, and what is in the way where it will not.

    MODEL is a name, or a model that was made elsewhere, as `tripoint adopt` takes it; that is taken in, and known by
    its name from then on. Exits with 10 when something is in the way somewhere.

    \b
    Example:
      tripoint preflight digits
      tripoint preflight my_model.keras --quick
      tripoint preflight my_model.keras --after text_vectorization
    """
    from pipeline import preflight_job
    from pipeline.adopting import Asked, known_or_adopted
    from pipeline.cli.progress import watching
    from pipeline.preflight import render

    asked = Asked(signature=signature, shapes=dict(shapes), trust=trust, custom_objects=custom_objects, after=after)
    config = settings()
    file = known_or_adopted(model, asked, config)
    with watching(verbosity_of(verbosity)) as observer:
        found = preflight_job.preflight(
            file,
            config.of_model(file.name),
            quick=quick,
            lowering=False if no_lowering else None,
            observer=observer,
        )
    click.echo(render.as_json(found) if as_json else render.as_text(found))
    sys.exit(int(found.exit_status))

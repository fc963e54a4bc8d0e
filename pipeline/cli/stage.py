"""`tripoint train`, `export` and `convert`: one stage each, with what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.cli.options import (
    json_option,
    lowering_option,
    model_argument,
    project,
    training_options,
    verbosity_of,
    working_options,
)

if TYPE_CHECKING:
    from pipeline.workflow import Job


def _bring_up_to_date(asked: Job, *, as_json: bool, verbosity: str | None) -> None:
    from pipeline import main_job
    from pipeline.cli.progress import watching

    with watching(verbosity_of(verbosity)) as observer:
        made = main_job.bring_up_to_date(asked, observer=observer)
    click.echo(main_job.made_as_json(made) if as_json else main_job.made_as_text(made))


@click.command()
@training_options
@click.option("--resume", is_flag=True, help="Go on from where an interrupted training stopped.")
@json_option
@working_options
@model_argument
def train(
    *, model: str, epochs: int | None, seed: int | None, resume: bool, as_json: bool, verbosity: str | None
) -> None:
    r"""Train the model and keep it as a .keras file, with what it answers for the test split.

    \b
    Example:
      tripoint train digits --epochs 5 --seed 1
    """
    from pipeline import main_job

    config, file = project(model)
    asked = main_job.job(file, config, epochs=epochs, seed=seed, resume=resume, until="train")
    _bring_up_to_date(asked, as_json=as_json, verbosity=verbosity)


@click.command()
@click.option("--no-input-checks", is_flag=True, help="Leave the signature bare: wrong shapes reach the model.")
@json_option
@working_options
@model_argument
def export(*, model: str, no_input_checks: bool, as_json: bool, verbosity: str | None) -> None:
    """Export the trained model as a SavedModel, in the versioned folder that TensorFlow Serving wants."""
    from pipeline import main_job

    config, file = project(model)
    _bring_up_to_date(
        main_job.job(file, config, until="export", input_checks=False if no_input_checks else None),
        as_json=as_json,
        verbosity=verbosity,
    )


@click.command()
@lowering_option
@json_option
@working_options
@model_argument
def convert(*, model: str, no_lowering: bool, as_json: bool, verbosity: str | None) -> None:
    """Convert the SavedModel to TFLite and TF.js, in every precision that tripoint.toml names."""
    from pipeline import main_job

    config, file = project(model)
    asked = main_job.job(file, config, until="convert", lowering=False if no_lowering else None)
    _bring_up_to_date(asked, as_json=as_json, verbosity=verbosity)

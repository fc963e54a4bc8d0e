"""`tripoint run` and `tripoint parity`: the main job, whole or from the artifacts on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

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
    from pipeline.config import Config
    from pipeline.main_job import Finished
    from pipeline.model_files import Known
    from pipeline.workflow import Job


def _shared(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option(
            "--engine", type=click.Choice(["auto", "docker", "native", "embedded"]), help="Model server to use."
        ),
        click.option("--image", help="Docker image of the model server, by tag or digest."),
        click.option("--target", "only", multiple=True, metavar="PATTERN", help="Only such targets, as `browser/*`."),
        click.option(
            "--allow-missing", is_flag=True, help="Go on without what this machine lacks; the report lists it."
        ),
        lowering_option,
        json_option,
        working_options,
        model_argument,
    ):
        command = option(command)
    return command


@click.command()
@_shared
@training_options
@click.option("--resume", is_flag=True, help="Go on from where an interrupted training stopped.")
def run(
    *,
    model: str,
    engine: str | None,
    image: str | None,
    only: tuple[str, ...],
    allow_missing: bool,
    no_lowering: bool,
    epochs: int | None,
    seed: int | None,
    resume: bool,
    as_json: bool,
    verbosity: str | None,
) -> None:
    r"""Train, export, convert, serve, run everywhere, compare, report: whatever of it is not up to date.

    \b
    Example:
      tripoint run digits
      tripoint run digits --engine docker --target 'server/*'
    """
    from pipeline import main_job

    config, file = project(model)
    asked = main_job.job(
        file,
        config,
        engine=engine,
        image=image,
        only=only,
        allow_missing=allow_missing,
        lowering=False if no_lowering else None,
        epochs=epochs,
        seed=seed,
        resume=resume,
    )
    _run_and_exit(asked, as_json=as_json, verbosity=verbosity)


@click.command()
@_shared
@click.option(
    "--save-golden",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep inputs, reference answers and tolerances in this file.",
)
@click.option(
    "--golden",
    "golden_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Hold the artifacts in build/MODEL/ against such a file, without TensorFlow.",
)
@click.option(
    "--search",
    "search_seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Instead of comparing, look so long on each line for inputs that are worse; as `tripoint search`.",
)
def parity(
    *,
    model: str,
    save_golden: Path | None,
    golden_file: Path | None,
    search_seconds: float | None,
    engine: str | None,
    image: str | None,
    only: tuple[str, ...],
    allow_missing: bool,
    no_lowering: bool,
    as_json: bool,
    verbosity: str | None,
) -> None:
    r"""Run the artifacts that exist on their targets, and compare. Trains nothing: `tripoint run` does that.

    \b
    Example:
      tripoint parity digits --target 'edge/*'
      tripoint parity digits --save-golden digits.safetensors
      tripoint parity digits --golden digits.safetensors --target edge/litert
      tripoint parity digits --search 60 --target 'edge/*'
    """
    from pipeline import main_job

    if sum(each is not None for each in (save_golden, golden_file, search_seconds)) > 1:
        raise click.UsageError("--golden, --save-golden and --search are three things to do; give one of them")
    config, file = project(model)
    if search_seconds is not None:
        _search_and_exit(file, config, only, seconds=search_seconds, as_json=as_json, verbosity=verbosity)
    asked = main_job.job(
        file,
        config,
        engine=engine,
        image=image,
        only=only,
        allow_missing=allow_missing,
        lowering=False if no_lowering else None,
        from_artifacts=True,
    )
    if golden_file is not None:
        _check_and_exit(asked, golden_file, as_json=as_json, verbosity=verbosity)
    _run_and_exit(asked, as_json=as_json, verbosity=verbosity, save_golden=save_golden)


def _check_and_exit(asked: Job, file: Path, *, as_json: bool, verbosity: str | None) -> NoReturn:
    from pipeline import golden_check
    from pipeline.cli.progress import watching
    from pipeline.parity.report.report_json import render_json

    with watching(verbosity_of(verbosity)) as observer:
        checked = golden_check.check(asked, file, observer=observer)
    text = checked.text(width=_width(), colour=sys.stdout.isatty())
    click.echo(render_json(checked.report) if as_json else text)
    sys.exit(int(checked.exit_status))


def _search_and_exit(
    file: Known, config: Config, only: tuple[str, ...], *, seconds: float, as_json: bool, verbosity: str | None
) -> NoReturn:
    from pipeline import explain_job
    from pipeline.cli.progress import watching

    with watching(verbosity_of(verbosity)) as observer:
        found = explain_job.searched_on(file, config, only, seconds=seconds, observer=observer)
    click.echo(found.json if as_json else found.text)
    sys.exit(0)


def _run_and_exit(asked: Job, *, as_json: bool, verbosity: str | None, save_golden: Path | None = None) -> NoReturn:
    from pipeline import golden_check, main_job
    from pipeline.cli.progress import watching

    with watching(verbosity_of(verbosity)) as observer:
        result = main_job.run(asked, observer=observer)
    if save_golden is not None:
        golden_check.save_golden(result, save_golden)
    show(result, as_json=as_json)
    sys.exit(int(result.exit_status))


def show(result: Finished, *, as_json: bool) -> None:
    """Print what a whole run found."""
    from pipeline import main_job

    click.echo(
        main_job.as_json(result) if as_json else main_job.as_text(result, width=_width(), colour=sys.stdout.isatty())
    )


def _width() -> int:
    import shutil

    return shutil.get_terminal_size(fallback=(140, 24)).columns

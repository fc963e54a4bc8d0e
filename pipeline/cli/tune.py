"""`tripoint tune`: the smallest variant of a model that is good enough."""

from __future__ import annotations

import sys

import click

from pipeline.cli.options import json_option, model_argument, project, verbosity_of, working_options


@click.command()
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="BOUND",
    help="What must hold: top1>=0.99*ref, agreement>=0.98, sqnr>=40, error<=1.05*ref. May be repeated; all must hold.",
)
@click.option("--format", "formats", type=click.Choice(["tflite", "tfjs"]), multiple=True, help="Only this format.")
@click.option(
    "--layers", type=click.IntRange(0), default=12, show_default=True, help="Layers to look at one by one, at most."
)
@json_option
@working_options
@model_argument
def tune(
    *,
    model: str,
    budgets: tuple[str, ...],
    formats: tuple[str, ...],
    layers: int,
    as_json: bool,
    verbosity: str | None,
) -> None:
    r"""Find the smallest TFLite and TF.js variant that meets a budget, by trying precisions and layers kept in float.

    Variants run on LiteRT and in a browser on wasm. Exits with 10 when none of a format meets the budget.

    \b
    Example:
      tripoint tune digits --budget "top1>=0.99*ref" --budget "sqnr>=40"
    """
    from pipeline import main_job, tuning_job
    from pipeline.cli.progress import watching
    from pipeline.tuning import tuned

    config, file = project(model)
    bounds = tuning_job.parsed_budgets(budgets)
    with watching(verbosity_of(verbosity)) as observer:
        result = tuning_job.tune(
            main_job.job(file, config),
            bounds,
            formats=tuning_job.parsed_formats(formats),
            layers=layers,
            observer=observer,
        )
    click.echo(tuned.as_json(result) if as_json else tuned.as_text(result))
    sys.exit(int(result.exit_status))

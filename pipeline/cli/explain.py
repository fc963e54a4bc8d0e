"""`tripoint explain` and `tripoint repro`: where an artifact goes wrong, and the smallest case of it."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import json_option, project, verbosity_of, working_options

_artifact_option = click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="Take this .tflite file, TF.js folder or SavedModel version folder instead of the model's own.",
)
_row_argument = click.argument("row", nargs=-1, required=True, metavar="[MODEL] TARGET [PRECISION]")


@click.command()
@_artifact_option
@click.option(
    "--beside",
    metavar="TARGET",
    help="Instead, hold the kernels of two edge targets beside each other: one quantized file, operation by operation.",
)
@click.option("--rest", metavar="HOST:PORT", help="Look into the server that answers REST there, and start none.")
@click.option("--grpc", metavar="HOST:PORT", help="The same server's gRPC door, or the only one.")
@click.option("--served-as", metavar="NAME", help="What that server calls the model; its name here.")
@json_option
@working_options
@_row_argument
def explain(
    *,
    row: tuple[str, ...],
    artifact: Path | None,
    beside: str | None,
    rest: str | None,
    grpc: str | None,
    served_as: str | None,
    as_json: bool,
    verbosity: str | None,
) -> None:
    r"""Find the first layer that differs from the trained model's, on a target as the report names it.

    A server is looked into by experiment: other versions, signatures, inputs, its two doors side by side.

    \b
    Example:
      tripoint explain digits edge/litert int8
      tripoint explain browser/wasm float16 --artifact damaged/
      tripoint explain digits server/rest --rest models.example.org:8501
      tripoint explain digits edge/litert int8 --beside edge/tflite-runtime
    """
    from pipeline import explain_job, explaining
    from pipeline.cli.progress import watching

    asked = explain_job.parsed(row, layers=False)
    config, file = project(asked.model)
    elsewhere = explaining.Elsewhere(rest=rest, grpc=grpc, served_as=served_as)
    if beside is not None:
        with watching(verbosity_of(verbosity)) as observer:
            kernels = explaining.kernels_beside(asked, beside, file, config, artifact=artifact, observer=observer)
        click.echo(explaining.kernels_told(kernels, as_json=as_json))
        return
    with watching(verbosity_of(verbosity)) as observer:
        told = explaining.told(asked, file, config, artifact=artifact, elsewhere=elsewhere, observer=observer)
    click.echo(told.json if as_json else f"{told.text}\n\npicture  {told.page}")


@click.command()
@_artifact_option
@working_options
@_row_argument
def repro(*, row: tuple[str, ...], artifact: Path | None, verbosity: str | None) -> None:
    r"""Make the smallest case of a difference: a folder with a model, one input, both answers and a short script.

    The script needs NumPy and the runtime, or Node.js, and nothing of Tripoint.

    \b
    Example:
      tripoint repro digits edge/litert int8
    """
    from pipeline import explain_job
    from pipeline.cli.progress import watching

    asked = explain_job.parsed(row)
    config, file = project(asked.model)
    with (
        watching(verbosity_of(verbosity)) as observer,
        explain_job.subject(asked, file, config, artifact=artifact, observer=observer) as subject,
    ):
        explanation, folder = explain_job.reproduced(subject, config)
    click.echo(f"{explanation.sentence}\n\ncase  {folder}")


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=30.0, help="How long to look; 30.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the mutations; 0.")
@_artifact_option
@json_option
@working_options
@_row_argument
def search(
    *, row: tuple[str, ...], seconds: float, seed: int, artifact: Path | None, as_json: bool, verbosity: str | None
) -> None:
    r"""Look for the inputs on which a target differs most, starting from the test split, and keep them as a file.

    \b
    Example:
      tripoint search digits edge/litert int8 --seconds 60
    """
    from pipeline import explain_job
    from pipeline.cli.progress import watching

    asked = explain_job.parsed(row, layers=False)
    config, file = project(asked.model)
    with (
        watching(verbosity_of(verbosity)) as observer,
        explain_job.subject(asked, file, config, artifact=artifact, observer=observer) as subject,
    ):
        found, kept = explain_job.searched(subject, config, seconds=seconds, seed=seed)
    click.echo(found.as_json(kept) if as_json else f"{found.sentence}\n\ninputs  {kept}")

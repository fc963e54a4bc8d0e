"""`tripoint serve`: the exported model behind a model server, until Ctrl-C."""

from __future__ import annotations

import click

from pipeline.cli.options import model_argument, project


@click.command()
@click.option("--engine", type=click.Choice(["auto", "docker", "native", "embedded"]), help="Model server to use.")
@click.option("--image", help="Docker image of the model server, by tag or digest.")
@click.option("--clean", is_flag=True, help="Only remove containers that a killed machine left behind.")
@model_argument
def serve(*, model: str, engine: str | None, image: str | None, clean: bool) -> None:
    r"""Serve the model over REST and gRPC on this machine, until Ctrl-C.

    \b
    Example:
      tripoint serve digits --engine docker
    """
    from pipeline import serving_job

    if clean:
        click.echo(serving_job.clean())
        return
    config, file = project(model)
    for line in serving_job.serve(file, config, engine=engine, image=image):
        click.echo(line)

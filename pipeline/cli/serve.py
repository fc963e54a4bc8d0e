"""`tripoint serve`: the exported model behind a model server, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from pipeline.cli.options import model_argument, project, verbosity_of, working_options

if TYPE_CHECKING:
    from serving.runtime import EngineName


@click.command()
@click.option("--engine", type=click.Choice(["auto", "docker", "native", "embedded"]), help="Model server to use.")
@click.option("--image", help="Docker image of the model server, by tag or digest.")
@click.option("--rest-port", type=click.IntRange(0, 65535), default=0, help="REST port; 0 lets the system choose.")
@click.option("--grpc-port", type=click.IntRange(0, 65535), default=0, help="gRPC port; 0 lets the system choose.")
@click.option("--clean", is_flag=True, help="Only remove containers that a killed machine left behind.")
@working_options
@model_argument
def serve(
    *,
    model: str,
    engine: str | None,
    image: str | None,
    rest_port: int,
    grpc_port: int,
    clean: bool,
    verbosity: str | None,
) -> None:
    r"""Serve the model over REST and gRPC on this machine, until Ctrl-C.

    \b
    Example:
      tripoint serve digits --engine docker
    """
    from pipeline import serving_job
    from pipeline.cli.progress import watching

    if clean:
        click.echo(serving_job.clean())
        return
    config, file = project(model)
    with watching(verbosity_of(verbosity)) as observer:
        ran = serving_job.exported(file, config, observer=observer)
        settings = serving_job.server(
            file.name,
            config,
            engine=cast("EngineName | None", engine),
            image=image,
            rest_port=rest_port,
            grpc_port=grpc_port,
            observer=observer,
        )
    for line in serving_job.serve(ran, settings):
        click.echo(line)

"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pipeline.cli.progress import Verbosity
    from pipeline.config import Config
    from pipeline.model_files import Known

F = TypeVar("F", bound=Callable[..., Any])

_NO_WAIT = "tripoint.no_wait"

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
lowering_option = click.option(
    "--no-lowering", is_flag=True, help="Convert the graph as it is, without rewriting what a target lacks."
)


class _ShapeOf(click.ParamType[tuple[str, tuple[int, ...]]]):
    """`input=size,size`"""

    name = "input=size,..."

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        matched = re.fullmatch(r"(?P<input>.+)=(?P<sizes>[1-9]\d*(,[1-9]\d*)*)", value)
        if matched is None:
            self.fail(f"{value!r} is no shape of a sample: write it like `image=64,64,3`", param, ctx)
        return matched["input"], tuple(int(size) for size in matched["sizes"].split(","))


def source_options(command: F) -> F:
    """What it takes to load a model that was made elsewhere."""
    for option in (
        click.option(
            "--shape", "shapes", type=_ShapeOf(), multiple=True, help="Sizes of a made-up sample, where they vary."
        ),
        click.option(
            "--custom-objects", multiple=True, metavar="MODULE:NAME", help="A class or function that the file needs."
        ),
        click.option(
            "--trust", is_flag=True, help="Let the file run code that it carries or names, as Lambda layers do."
        ),
        click.option(
            "--after",
            multiple=True,
            metavar="LAYER",
            help="Take only the part of a Keras model behind this layer; what is in front stays in the app.",
        ),
        click.option("--signature", help="Which signature of a SavedModel; else the only one, or `serving_default`."),
    ):
        command = option(command)
    return command


def working_options(command: F) -> F:
    """What every command has that makes something: `-q` and `-v`, given to it as one `verbosity`, and `--no-wait`."""
    command = click.option(
        "--no-wait",
        is_flag=True,
        expose_value=False,
        callback=_remember_no_wait,
        help="Fail at once when another run is using the model.",
    )(command)
    command = click.option(
        "-v", "--verbose", "verbosity", flag_value="verbose", help="Say what each step does and takes."
    )(command)
    return click.option(
        "-q", "--quiet", "verbosity", flag_value="quiet", default="normal", help="Print the result only."
    )(command)


def _remember_no_wait(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001  # as Click calls it
    ctx.meta[_NO_WAIT] = value


def model_argument(command: F) -> F:
    return click.argument("model", default="digits", metavar="[MODEL]")(command)


def training_options(command: F) -> F:
    command = click.option("--seed", type=click.IntRange(0), help="Seed of weights and order; else the model's own.")(
        command
    )
    return click.option("--epochs", type=click.IntRange(1), help="Epochs to train; else as many as the model says.")(
        command
    )


def settings() -> Config:
    """The config that holds here, changed by what the command was told with --no-wait."""
    import msgspec

    from pipeline import config

    found = config.load(Path.cwd())
    if not click.get_current_context().meta.get(_NO_WAIT):
        return found
    return msgspec.structs.replace(found, store=msgspec.structs.replace(found.store, wait=False))


def project(model: str) -> tuple[Config, Known]:
    """The config that holds here and the model asked for."""
    from pipeline import model_files

    found = settings()
    known = model_files.known(model, found)
    return found.of_model(known.name), known


def verbosity_of(value: str | None) -> Verbosity:
    """Click's flag value as what `watching` takes."""
    match value:
        case "quiet":
            return "quiet"
        case "verbose":
            return "verbose"
        case _:
            return "normal"

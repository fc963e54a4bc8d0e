"""`tripoint adopt`: a model that was made elsewhere, taken in and through to its verdict."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from pipeline.cli.options import json_option, settings, source_options, verbosity_of, working_options


class _RangeOf(click.ParamType[tuple[str, float, float]]):
    """`input=low:high`"""

    name = "input=low:high"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float, float]:
        matched = re.fullmatch(r"(?P<input>.+)=(?P<low>[^:=]+):(?P<high>[^:=]+)", value)
        if matched is None:
            self.fail(f"{value!r} is no range: write it like `image=0:255`", param, ctx)
        try:
            return matched["input"], float(matched["low"]), float(matched["high"])
        except ValueError:
            self.fail(f"{value!r}: low and high have to be numbers", param, ctx)


@click.command()
@click.argument("source")
@click.option("--name", help="What the model is called from now on; else after the file, folder or function.")
@source_options
@click.option(
    "--samples", type=click.Path(path_type=Path), help="Inputs to compare on: .npz, .npy, .csv or a folder of images."
)
@click.option("--count", type=click.IntRange(1), help="How many samples to take, or to make up.")
@click.option("--range", "ranges", type=_RangeOf(), multiple=True, help="What made-up values, or pixels, lie between.")
@click.option("--labels", is_flag=True, help="The samples hold an array `labels`: the right classes.")
@click.option("--scores", metavar="OUTPUT", help="The output that scores classes; else the only softmax.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of made-up samples, and of a function's weights.")
@click.option(
    "--beside",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A .tflite file that others made of this model: compared as lines of its own.",
)
@click.option("--engine", type=click.Choice(["auto", "docker", "native", "embedded"]), help="Model server to use.")
@click.option("--target", "only", multiple=True, metavar="PATTERN", help="Only such targets, as `browser/*`.")
@click.option("--allow-missing", is_flag=True, help="Go on without what this machine lacks; the report lists it.")
@json_option
@working_options
def adopt(
    *,
    source: str,
    name: str | None,
    signature: str | None,
    samples: Path | None,
    count: int | None,
    ranges: tuple[tuple[str, float, float], ...],
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    labels: bool,
    scores: str | None,
    trust: bool,
    custom_objects: tuple[str, ...],
    seed: int,
    beside: tuple[Path, ...],
    after: tuple[str, ...],
    engine: str | None,
    only: tuple[str, ...],
    allow_missing: bool,
    as_json: bool,
    verbosity: str | None,
) -> None:
    r"""Bring a trained model: export, convert, serve, run everywhere, compare, report. Its name then works everywhere.

    SOURCE is a .keras or .h5 file, a SavedModel folder (a version, or the folder that holds versions), or a function
    that builds a Keras model: package.module:function or file.py:function.

    \b
    Example:
      tripoint adopt my_model.keras --samples test.npz
      tripoint adopt reviews.keras --after text_vectorization --samples reviews.csv
      tripoint adopt saved_model/ --name kws --range input=-100:100
      tripoint adopt keras.applications:MobileNetV2 --seed 1
    """
    from pipeline import adopting
    from pipeline.cli.progress import watching
    from pipeline.cli.run import show

    asked = adopting.Asked(
        name=name,
        signature=signature,
        samples=samples,
        count=count,
        ranges={key: (low, high) for key, low, high in ranges},
        shapes=dict(shapes),
        labels=labels,
        scores=scores,
        trust=trust,
        custom_objects=custom_objects,
        seed=seed,
        beside=beside,
        after=after,
    )
    with watching(verbosity_of(verbosity)) as observer:
        result = adopting.adopt(
            source,
            asked,
            settings(),
            engine=engine,
            only=only,
            allow_missing=allow_missing,
            observer=observer,
        )
    show(result, as_json=as_json)
    sys.exit(int(result.exit_status))

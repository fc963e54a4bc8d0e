"""`python -m tests.corpus`: the corpus run from a terminal; see docs/corpus.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tests.corpus import mlperf_tiny, results
from tests.corpus.registry import every_model, ours
from tests.corpus.run import ROOT, Chosen, run

QUICK = ("rnn-masked", "cond-constants", "nested-outputs", "fixed-batch")


@click.command()
@click.option("--only", multiple=True, metavar="PATTERN", help="Only models with such names; may be repeated.")
@click.option("--target", "targets", multiple=True, metavar="PATTERN", help="Only such targets, as `edge/*`.")
@click.option("--quick", is_flag=True, help=f"Only {', '.join(QUICK)}.")
@click.option("--list", "listed", is_flag=True, help="Name the models, and run nothing.")
@click.option(
    "--into", type=click.Path(path_type=Path), default=ROOT / "build/corpus", help="Where models and results are kept."
)
def main(*, only: tuple[str, ...], targets: tuple[str, ...], quick: bool, listed: bool, into: Path) -> None:
    """Run the corpus; end with 1 when a cell is otherwise than known. CORPUS_ALL=1 takes every member of a family."""
    chosen = Chosen(
        only=(*only, *(QUICK if quick else ())), every_member=os.environ.get("CORPUS_ALL") == "1", targets=targets
    )
    if listed:
        for name in ours():
            click.echo(f"{name:<24} one of ours")
        for model in every_model(every_member=chosen.every_member).values():
            click.echo(f"{model.name:<24} {model.hard_for}")
        return
    missing = mlperf_tiny.missing()
    if missing is not None:
        click.echo(f"without MLPerf Tiny: {missing}", err=True)

    def say(so_far: results.CorpusResult) -> None:
        click.echo(results.as_text(so_far.models[-1]))
        results.write(so_far, into)

    result = run(chosen, into, say=say)
    for line in result.surprises:
        click.echo(line, err=True)
    click.echo(f"{len(result.models)} models in {result.seconds:.0f} s: {into / 'corpus.html'}")
    strict = missing is not None and os.environ.get("TRIPOINT_STRICT") == "1"
    sys.exit(1 if result.surprises or strict or not result.models else 0)


if __name__ == "__main__":
    main()

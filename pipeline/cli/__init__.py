"""The command line. Only Click is imported here: `tripoint --help` must not wait for anything heavier."""

from __future__ import annotations

import click

from pipeline.cli.adopt import adopt
from pipeline.cli.calibrate import calibrate
from pipeline.cli.ending import ErrorsForPeople
from pipeline.cli.explain import explain, repro, search
from pipeline.cli.look import config_command, demo, doctor, report, targets
from pipeline.cli.new import new
from pipeline.cli.preflight import preflight
from pipeline.cli.run import parity, run
from pipeline.cli.serve import serve
from pipeline.cli.stage import convert, export, train
from pipeline.cli.tune import tune


@click.group(cls=ErrorsForPeople, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tripoint", prog_name="tripoint")
def main() -> None:
    """Take a trained tf.keras model to a server, an edge CPU and a browser, and prove that it answers alike there.

    MODEL is the name of a file in models/, a name in tripoint.toml, the path of a model file, or the name that an
    adopted model got.

    Exit status: 0 all targets agree, 10 some target differs, 3 something on this machine is missing or broke,
    2 wrong usage, 1 a fault of ours, 130 interrupted.
    """


for command in (
    run,
    new,
    adopt,
    train,
    export,
    preflight,
    convert,
    tune,
    parity,
    calibrate,
    explain,
    repro,
    search,
    report,
    serve,
    demo,
    targets,
    doctor,
    config_command,
):
    main.add_command(command)

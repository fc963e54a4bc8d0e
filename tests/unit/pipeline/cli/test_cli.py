"""The command line: what a script relies on, and what a newcomer reads."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.cli.ending import ErrorsForPeople
from pipeline.core.errors import EnvironmentProblem, ExitStatus
from scripts.cli_docs import cli_page


def test_the_page_says_what_help_says(repository: Path) -> None:
    """A user would read of options that are not there; `make docs` writes the page anew."""
    assert (repository / "docs/cli.md").read_text() == cli_page()


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help(name: str) -> None:
    """A command nobody can learn."""
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert main.commands[name].help


@click.group(cls=ErrorsForPeople)
def failing() -> None:
    """Fail in some way."""


@failing.command()
@click.option("--json", "as_json", is_flag=True)
def environment(*, as_json: bool) -> None:
    raise EnvironmentProblem("the disk is full", hint="free some space")


@failing.command()
def fault() -> None:
    raise ZeroDivisionError("never")


@failing.command()
def interrupted() -> None:
    raise KeyboardInterrupt


def test_an_error_is_a_sentence_with_its_mend() -> None:
    """A user would get a traceback."""
    result = CliRunner().invoke(failing, ["environment"])
    assert result.exit_code == ExitStatus.ENVIRONMENT
    assert result.stderr == "error: the disk is full\nmend:  free some space\n"
    assert result.stdout == ""


def test_a_fault_of_ours_keeps_its_traceback_for_the_report(tmp_path: Path) -> None:
    """Nobody could find the fault from what a user sends."""
    result = CliRunner().invoke(failing, ["fault"])
    assert result.exit_code == ExitStatus.CRASHED
    assert "a fault of ours: ZeroDivisionError: never" in result.stderr
    log = Path(result.stderr.split("please report it, with ")[1].strip())
    assert "in fault" in log.read_text()
    log.unlink()


def test_an_interrupt_has_its_own_status() -> None:
    """CI could not tell a cancelled run from a failed one."""
    result = CliRunner().invoke(failing, ["interrupted"])
    assert result.exit_code == ExitStatus.INTERRUPTED
    assert "Traceback" not in result.stderr

"""Prints docs/cli.md from the commands' own help, so that the two cannot differ: `make docs`."""

from __future__ import annotations

import click

from pipeline.cli import main

_HEAD = """# The command line

Made from `--help` by `make docs`; a test holds the two together.

| exit status | means |
|---|---|
| 0 | every target that was asked for agrees with the trained model |
| 1 | a fault of ours |
| 2 | what was asked for cannot be: an unknown name, a wrong option, a model file that raises |
| 3 | something on this machine is missing or broke: Docker, a browser, a server, the disk |
| 10 | some target differs from the trained model |
| 130 | interrupted |
"""


def cli_page() -> str:
    """The whole page."""
    parts = [_HEAD, _section("tripoint", main)]
    parts += [_section(f"tripoint {name}", command) for name, command in sorted(main.commands.items())]
    return "\n".join(parts)


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=100)
    context.max_content_width = 100
    return f"## {name}\n\n```\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    print(cli_page(), end="")

"""The command line: one file per group of commands. What a user can get wrong ends in one sentence, not a traceback."""

from __future__ import annotations

import sys

import typer

from isthmus import __version__
from isthmus.cli import account, cloud, coverage, credentials, image, imports, serve
from isthmus.cli.common import Failure, explained

app = typer.Typer(
    name="isthmus",
    help="Isthmus lets every tool that speaks to AWS run a private cloud. Begin with: [bold]isthmus serve[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve", help=serve.HELP)(serve.serve)
app.add_typer(account.app, name="account")
app.add_typer(credentials.app, name="credentials")
app.add_typer(image.app, name="image")
app.add_typer(cloud.app, name="cloud")
app.add_typer(imports.app, name="import")
app.command("coverage", help=coverage.HELP)(coverage.coverage)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"isthmus {__version__}")
        raise typer.Exit


@app.callback()
def _all(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Tell it.")) -> None:
    return


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 could not be done, 2 not a valid command."""
    try:
        app()
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if not isinstance(error, (Failure, *explained())):
            raise
        sys.stderr.write(f"isthmus: {error}\n")
        sys.exit(1)

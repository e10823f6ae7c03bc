"""`isthmus account`: who may use the service."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli import common
from isthmus.cli.common import ConfigFile, Failure, State

app = typer.Typer(help="Accounts: each has its own machines, keys and everything else.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="A name for people; clients see the number.")],
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Make an account. It has no key yet.

    Example: isthmus account create team-blue && isthmus credentials create --account team-blue
    """
    if not name.strip() or len(name) > 128 or not name.isprintable():
        raise Failure("An account's name has 1 to 128 printable characters.")
    with common.store(common.settings(config_file, state)) as store:
        if any(one.name == name for one in store.accounts()):
            raise Failure(f"There is an account named {name} already.")
        typer.echo(store.create_account(name).id)


@app.command("list")
def show(config_file: ConfigFile = None, state: State = None) -> None:
    """List the accounts with their numbers."""
    with common.store(common.settings(config_file, state)) as store:
        table = common.table("ACCOUNT", "NAME", "CREATED", "KEYS")
        keys = [one.account for one in store.credentials()]
        for one in store.accounts():
            table.add_row(one.id, one.name, f"{one.created:%Y-%m-%d %H:%M}", str(keys.count(one.id)))
    common.show(table)

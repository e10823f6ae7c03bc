"""What all commands share: their options, and how they get at the store and the clouds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus import config, opening
from isthmus.config import Settings
from isthmus.errors import Fault
from isthmus.options import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from isthmus.gateway import Gateway
    from isthmus.store import Account, Store

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="Settings in TOML; see isthmus.example.toml.")
]
State = Annotated[Path | None, typer.Option("--state", metavar="DIR", help="Where Isthmus keeps what it knows.")]


_WIDEST = 2000
_LARGEST = 1 << 20


class Failure(Exception):
    """What keeps a command from being done, in one sentence for its user."""


def explained() -> tuple[type[Exception], ...]:
    """The exceptions whose text is such a sentence."""
    store = sys.modules.get("isthmus.store.errors")
    return (ConfigError, Fault, *((store.StoreError,) if store else ()))


def settings(file: Path | None, state: Path | None) -> Settings:
    return config.load(file, flags(state=state))


def flags(**given: object) -> Mapping[str, object]:
    """Options of the command line under their names in the settings; paths as texts, as a file would have them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


@contextmanager
def store(known: Settings) -> Iterator[Store]:
    """The store, opened; made if there is none."""
    from isthmus.serving import welcome
    from isthmus.store import Store

    welcome.prepare(known)
    opened = Store.open(known.store_url, opening.master_key(known))
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def gateway(known: Settings) -> Iterator[Gateway]:
    """The store and all clouds, opened."""
    from isthmus.gateway import Gateway
    from isthmus.serving import welcome

    welcome.prepare(known)
    opened = Gateway.open(known)
    try:
        yield opened
    finally:
        opened.close()


def find_account(opened: Store, word: str) -> Account:
    """An account by its number or its name. Without a word: the one named default, or the only one there is."""
    everybody = opened.accounts()
    if not everybody:
        raise Failure("There is no account yet: start the service with isthmus serve, or isthmus account create NAME.")
    if not word:
        found = [one for one in everybody if one.name == "default"] or (everybody if len(everybody) == 1 else [])
        if not found:
            raise Failure("Say which account is meant: --account NAME. isthmus account list shows them all.")
    else:
        found = [one for one in everybody if word in (one.id, one.name)]
    if len(found) > 1:
        raise Failure(f"Several accounts are named {word}: say its number instead.")
    if not found:
        raise Failure(f"There is no account {word}.{_like(word, everybody)}")
    return found[0]


def _like(word: str, everybody: object) -> str:
    from isthmus.options import nearest

    return nearest(word, {one.name: one for one in everybody})  # type: ignore[attr-defined]


def text_of(file: str) -> str:
    """All of a small file, or of standard input for `-`."""
    try:
        if file == "-":
            given = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with Path(file).expanduser().open("rb") as opened:
                given = opened.read(_LARGEST + 1)
        if len(given) > _LARGEST:
            raise Failure(f"{file} is too large to hold a credential.")
        return given.decode("utf-8")
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Failure(f"{file} is not a text in UTF-8.") from None


def asked(what: str, option: str, *, hidden: bool = False) -> str:
    """An answer of who sits at the terminal. Raises Failure if nobody does."""
    if not sys.stdin.isatty():
        raise Failure(f"The {what} is missing: say it with {option}.")
    return str(typer.prompt(what, hide_input=hidden, err=True))


def demand_pair(key: str, secret: str) -> None:
    """Raises Failure for what cannot be an API key of CloudStack's and its secret."""
    if any(not word.isprintable() or " " in word or not word for word in (key, secret)):
        raise Failure("An API key and its secret are printable and have no spaces.")


def table(*columns: str) -> Table:
    """A table without frills, that a person and awk can read."""
    from rich.table import Table

    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def show(made: Table) -> None:
    """Print a table: as wide as the terminal, or as its contents where nobody watches."""
    from rich.console import Console

    for column in made.columns[:1]:
        column.no_wrap = True
        column.min_width = max(len(str(cell)) for cell in (column.header, *column.cells))
    terminal = Console(highlight=False)
    console = terminal if terminal.is_terminal else Console(highlight=False, width=_WIDEST)
    with console.capture() as text:
        console.print(made)
    typer.echo("\n".join(line.rstrip() for line in text.get().splitlines()))

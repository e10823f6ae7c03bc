"""Reads one table of settings: every key is asked for, or refused; every value has a type, or is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class ConfigError(Exception):
    """A setting that cannot be used, in one sentence that names it and where it was given."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service listens; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Table:
    """One table on its way into a dataclass. `origins` says where a value that is not from `source` came from."""

    def __init__(
        self, values: Mapping[str, object], source: str, path: str = "", origins: Mapping[str, str] | None = None
    ) -> None:
        self._values = values
        self._source = source
        self._path = path
        self._origins = origins or {}
        self._known: dict[str, None] = {}

    def get(self, key: str, read: Callable[[object], T], default: T) -> T:
        """The value of a key, or the default where there is none."""
        self._known[key] = None
        return self._read(key, read) if key in self._values else default

    def need(self, key: str, read: Callable[[object], T]) -> T:
        """The value of a key that has no default."""
        self._known[key] = None
        if key not in self._values:
            raise self.error(key, "is missing")
        return self._read(key, read)

    def _read(self, key: str, read: Callable[[object], T]) -> T:
        try:
            return read(self._values[key])
        except ValueError as error:
            raise self.error(key, str(error)) from None

    def table(self, key: str) -> Table:
        """The table under a key; an empty one where there is none."""
        return Table(self.get(key, table, {}), self._source, self._name(key), self._origins)

    def tables(self) -> Iterator[tuple[str, Table]]:
        """All of a table whose keys are names of the user's choice."""
        for key in self._values:
            yield key, self.table(key)

    def close(self) -> None:
        """Refuse what nobody asked for."""
        for key in self._values:
            if key not in self._known:
                raise ConfigError(f"{self._origin(key)}: {self._where()}unknown key {key!r}.{self._nearest(key)}")

    def error(self, key: str, reason: str) -> ConfigError:
        return ConfigError(f"{self._origin(key)}: {self._name(key)} {reason}.")

    def _name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _origin(self, key: str) -> str:
        return self._origins.get(self._name(key), self._source)

    def _where(self) -> str:
        return f"in [{self._path}], " if self._path else ""

    def _nearest(self, key: str) -> str:
        return nearest(key, self._known)


def nearest(word: str, known: Mapping[str, object]) -> str:
    """A hint at the known name that comes nearest, or at all of them."""
    if found := difflib.get_close_matches(word, known, n=1, cutoff=0.5):
        return f" Did you mean {found[0]!r}?"
    return f" Known are: {', '.join(sorted(known))}." if known else " It takes none."


def table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {_shown(value)}")
    return value


def text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"must be a text that is not empty, not {_shown(value)}")
    return value


def matching(pattern: str, what: str) -> Callable[[object], str]:
    """A text of this form; `what` completes the sentence "must be ..."."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {what}, not {_shown(value)}")
        return value

    return read


def choice(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {_shown(value)}")
        return value

    return read


def whole(low: int, high: int) -> Callable[[object], int]:
    """A whole number between two bounds; digits in a text count, as the environment has nothing else."""

    def read(value: object) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,15}", value) else value
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {_shown(value)}")
        return number

    return read


_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def flag(value: object) -> bool:
    found = _FLAGS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError(f"must be true or false, not {_shown(value)}")
    return found


def path(value: object) -> Path:
    try:
        return Path(text(value)).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"names a user without a home: {_shown(value)}") from None


def address(value: object) -> Address:
    found = re.fullmatch(
        r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:\[\]/]+)):([0-9]{1,5})", value if isinstance(value, str) else ""
    )
    if not found or int(found[3]) > 65535:
        raise ValueError(f"must be HOST:PORT or [IPV6]:PORT, not {_shown(value)}")
    return Address(found[1] or found[2], int(found[3]))


def names(value: object) -> Mapping[str, str]:
    """A list of names, or a table from our names to the other side's."""
    if isinstance(value, list) and value and all(isinstance(one, str) and one for one in value):
        if len(set(value)) == len(value):
            return {one: one for one in value}
    elif isinstance(value, dict) and value and all(isinstance(one, str) and one for one in value.values()):
        return value
    raise ValueError(
        f"must be a list of different names, or a table from names to the cloud's own, not {_shown(value)}"
    )


def ranges(value: object) -> tuple[str, ...]:
    """A list of IPv4 ranges."""
    if isinstance(value, list):
        try:
            return tuple(str(IPv4Network(one)) for one in value)
        except (ValueError, TypeError):
            pass
    raise ValueError(f"must be a list of ranges like 192.0.2.0/24, not {_shown(value)}")


def one_range(value: object) -> str:
    """One IPv4 range."""
    try:
        return str(IPv4Network(text(value)))
    except ValueError:
        raise ValueError(f"must be a range like 192.0.2.0/24, not {_shown(value)}") from None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


@dataclass(frozen=True, slots=True)
class Merged:
    """Settings of all sources in one, still unchecked. `origins` names the source of what is not the file's."""

    values: Mapping[str, object] = field(repr=False)
    source: str
    origins: Mapping[str, str] = field(default_factory=dict)

"""Clouds that a command adds to a file of settings: written as TOML, and read again before anything is changed."""

from __future__ import annotations

import json
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus import config
from isthmus.cli.common import Failure, flags
from isthmus.config import Settings
from isthmus.options import Merged

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDEST = 100


def load(file: Path | None, state: Path | None) -> tuple[Settings, frozenset[str]]:
    """The settings before a cloud is added, of a file that may be new, and the zones that its clouds have."""
    merged = config.merge(file if file and file.exists() else None, flags(state=state))
    settings = config.build(merged)
    clouds = settings.clouds.values() if merged.values.get("clouds") else ()
    return settings, frozenset(zone for cloud in clouds for zone in cloud.zones)


def free_zones(region: str, taken: frozenset[str]) -> Iterator[str]:
    """Names for zones that there are none of yet."""
    names = (f"{region}{letter}" for letter in string.ascii_lowercase)
    yield from (name for name in names if name not in taken)
    raise Failure(f"The region {region} has no more than 26 zones: name the cloud's zones in the settings yourself.")


def text(clouds: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables of clouds by their names."""
    return "\n".join(f"[clouds.{name}]\n{lines(said)}" for name, said in clouds.items())


def lines(said: Mapping[str, Any]) -> str:
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in said.items() if value != {})


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    """Of texts, flags and tables of texts. JSON's texts are TOML's, but for DEL."""
    if isinstance(value, Mapping):
        pairs = [f"{_key(name)} = {_value(one)}" for name, one in value.items()]
        return f"{{ {', '.join(pairs)} }}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def added(file: Path, clouds: Mapping[str, Mapping[str, Any]]) -> str:
    """The settings of a file, which may be new, with clouds added. Raises Failure or ConfigError if they cannot be."""
    before = config.read(file) if file.exists() else ""
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    after = before + gap + text(clouds)
    try:
        config.build(Merged(tomllib.loads(after), str(file), {}))
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{file} has its clouds in a form that none can be added to: {error}.") from None
    return after


def write(file: Path, after: str) -> None:
    """Put settings in place, with the mode that the file has. Raises Failure, and changes nothing then."""
    draft = file.with_name(f".{file.name}.new")
    try:
        draft.write_text(after, "utf-8")
        if file.exists():
            draft.chmod(file.stat().st_mode & 0o777)
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Failure(f"{file} cannot be written: {error.strerror}.") from None

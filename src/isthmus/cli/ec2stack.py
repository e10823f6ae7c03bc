"""`isthmus import ec2stack`: take over what Apache CloudStack's own EC2 gateway was told.

Sources: its `configure.py` and its migrations, of 2014: the settings as Python's assignments, later as profiles of an
INI file, and one table of keys.
"""

from __future__ import annotations

import ast
import configparser
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus import config
from isthmus.cli import cloudstack, common, fragment
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.cli.formats import Pair
from isthmus.errors import Denied
from isthmus.options import nearest

if TYPE_CHECKING:
    from isthmus.config import Settings
    from isthmus.providers.cloudstack.survey import Survey

SETTINGS, KEYS = "ec2stack.conf", "ec2stack.sqlite"
_PLACE = ("cloudstack_protocol", "cloudstack_host", "cloudstack_port", "cloudstack_path")
VOLUME_TYPES = ("gp3", "gp2", "standard")
"""What was made of its one disk offering, whatever type a client asked for."""


@dataclass(frozen=True, slots=True)
class Old:
    """What ec2stack was told."""

    url: str
    zone: str
    disk: str
    """The disk offering of all volumes."""
    types: Mapping[str, str]
    """Instance types, each with a service offering."""
    pairs: Sequence[Pair]


def take(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help=f"Where {SETTINGS} and {KEYS} are, such as ~/.ec2stack.")
    ],
    cloud: Annotated[
        str, typer.Option("--cloud", metavar="NAME", help="The CloudStack in the settings; added if there is none.")
    ] = cloudstack.KIND,
    profile: Annotated[str, typer.Option(metavar="NAME", help="The profile in its settings.")] = "initial",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken over.")] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Take over ec2stack's settings and the keys that were registered with it, so that its clients need no new ones.

    Its CloudStack is added to the settings of --config, with its zone, its map of instance types and its disk offering.
    Each registered pair is tried in CloudStack, and kept encrypted for the account that CloudStack says. ec2stack's
    files stay as they are; running it again takes over what is new. Clients only get another endpoint; they may sign as
    they did (signature version 2) or as newer ones do. Ids of instances and all else are other ones: ec2stack showed
    CloudStack's own.

    Example: isthmus import ec2stack ~/.ec2stack --config isthmus.toml --dry-run
    """
    if config_file is None:
        raise Failure("Say which file of settings it is to be added to, which may be new: --config isthmus.toml")
    old = _read(directory.expanduser(), profile)
    known, _ = fragment.load(config_file, state)
    there = known.clouds.get(cloud) if config_file.exists() else None
    if there and there.kind != cloudstack.KIND:
        raise Failure(f"The cloud {cloud} is no CloudStack: name another one with --cloud.")
    url = there.options["url"] if there else old.url
    results, good = _tried(url, old.pairs)
    if there is None:
        made = _cloud(old, _seen(old, good), cloud, config_file, state)
        if dry_run:
            typer.echo(fragment.text(made))
        else:
            fragment.write(config_file, fragment.added(config_file, made))
    if not dry_run:
        settings = common.settings(config_file, state)
        results |= {pair.access_key: _keep(settings, cloud, pair) for pair in good}
    table = common.table("KEY", "WOULD BE" if dry_run else "IS")
    for key, said in results.items():
        table.add_row(key, said)
    common.show(table)


def _tried(url: str, pairs: Iterable[Pair]) -> tuple[dict[str, str], list[Pair]]:
    """What becomes of each key, and the pairs that CloudStack takes. Raises Faults of a CloudStack that is away."""
    from isthmus.providers.cloudstack import survey

    said: dict[str, str] = {}
    good: list[Pair] = []
    for pair in pairs:
        try:
            said[pair.access_key] = f"of the account {survey.whose(url, *pair).name}"
            good.append(pair)
        except Denied as fault:
            said[pair.access_key] = f"left: {fault}"
    return said, good


def _seen(old: Old, good: Sequence[Pair]) -> Survey:
    from isthmus.providers.cloudstack import survey

    if not good:
        raise Failure(f"None of the {len(old.pairs)} registered keys is good in CloudStack: there is nobody to ask by.")
    return survey.look(old.url, *good[0])


def _cloud(old: Old, found: Survey, name: str, file: Path, state: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """The cloud in the settings. Raises Failure for a zone that is not there."""
    zones = {one.name: one for one in found.zones}
    if old.zone not in zones:
        raise Failure(f"CloudStack shows no zone {old.zone} to these keys.{nearest(old.zone, zones)}")
    offered = {one.name for one in found.sizes}
    for ours, theirs in old.types.items():
        if theirs not in offered:
            typer.echo(f"{ours} is left out: there is no service offering {theirs} of one size", err=True)
    known, taken = fragment.load(file, state)
    said: dict[str, Any] = {"kind": cloudstack.KIND, "url": old.url}
    said["zones"] = {next(fragment.free_zones(known.region, taken)): old.zone}
    said |= {"security_groups": True} if zones[old.zone].grouped else {}
    said |= {"expunge": True} if found.expunges else {}
    said["flavors"] = {ours: theirs for ours, theirs in old.types.items() if theirs in offered}
    said["volume_types"] = {kind: old.disk for kind in VOLUME_TYPES if old.disk in {one.name for one in found.disks}}
    return {name: said}


def _keep(settings: Settings, cloud: str, pair: Pair) -> str:
    with common.store(settings) as store:
        if known := store.credential(pair.access_key):
            owner = common.find_account(store, known.account)
            return f"of the account {owner.name} ({owner.id}) already"
        owner = cloudstack.register(settings, store, cloud, pair)
        return f"of the account {owner.name} ({owner.id})"


def _read(directory: Path, profile: str) -> Old:
    """Raises Failure, or ConfigError for what cannot be read."""
    text = config.read(directory / SETTINGS)
    said, types = _profile(text, profile) if re.search(r"^\s*\[", text, re.MULTILINE) else _assigned(text)
    for name in (*_PLACE, "cloudstack_default_zone"):
        if not said.get(name):
            raise Failure(f"{directory / SETTINGS} does not say {name}.")
    protocol, host, port, path = (said[name] for name in _PLACE)
    url = f"{protocol}://{host}:{port}/{path.lstrip('/')}"
    disk = said.get("cloudstack_custom_disk_offering", "")
    return Old(url, said["cloudstack_default_zone"], disk, types, _pairs(directory / KEYS))


def _profile(text: str, name: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        raise Failure(f"{SETTINGS} is no INI file.") from None
    if not parser.has_section(name):
        known = {one: None for one in parser.sections() if not one.endswith(("instancemap", "resourcemap"))}
        raise Failure(f"{SETTINGS} has no profile {name}.{nearest(name, known)}")
    types = f"{name}instancemap"
    return dict(parser[name]), dict(parser[types]) if parser.has_section(types) else {}


def _assigned(text: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Of the first versions: constants that are given names, and nothing that is done."""
    found: dict[str, Any] = {}
    try:
        for line in ast.parse(text).body:
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                found[line.targets[0].id.lower()] = ast.literal_eval(line.value)
    except (SyntaxError, ValueError):
        raise Failure(f"{SETTINGS} is neither an INI file nor a list of constants.") from None
    types = found.pop("instance_type_map", {})
    return {name: str(value) for name, value in found.items()}, dict(types)


def _pairs(file: Path) -> Sequence[Pair]:
    """The registered keys. Raises Failure."""
    if not file.is_file():
        raise Failure(f"There is no {file}.")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("select apikey, secretkey from users order by apikey").fetchall()
    except sqlite3.Error as error:
        raise Failure(f"{file} cannot be read: {error}.") from None
    return [Pair(key, secret) for key, secret in rows if key and secret]

"""`isthmus cloud add cloudstack` and `isthmus cloud map cloudstack`, and the keys of CloudStack's users."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import common, fragment, mapping
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.cli.formats import Pair

if TYPE_CHECKING:
    from isthmus.config import CloudSettings, Settings
    from isthmus.providers.cloudstack.survey import Survey
    from isthmus.store import Account, Store

KIND = "cloudstack"
_URL = re.compile(r"(https?://[^\s/?#]+)(/[^\s?#]*)?")
_PATH = "/client/api"

Url = Annotated[str, typer.Option("--url", metavar="URL", help="Of its API: https://cloud.example.org/client/api.")]
Key = Annotated[str, typer.Option("--key", metavar="KEY", help="The API key of an administrator, or of a user.")]
Secret = Annotated[
    str, typer.Option("--secret", metavar="FILE|-", help="Where its secret key is read; - is standard input.")
]
Authorities = Annotated[
    Path | None, typer.Option("--cacert", metavar="FILE", help="Who may have signed its certificate.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Do not verify its certificate.")]


def add(
    url: Url = "",
    key: Key = "",
    secret: Secret = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the cloud is to be called.")] = KIND,
    cacert: Authorities = None,
    insecure: Insecure = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the settings.")] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Look at a CloudStack, and add it to the settings.

    What is not given is asked for. Zones, service offerings, disk offerings and templates are found; which instance
    type and which volume type is which offering is proposed, for you to change; what the keys may not do is told.
    Nothing is changed in CloudStack.

    With an administrator's keys each user can sign with the keys that CloudStack gave out, as they are. The
    administrator's secret goes into a file beside the settings that only its owner can read.

    With a user's keys this user can sign, and the pair is kept encrypted in the store. Others are added with
    isthmus credentials import --cloud NAME.

    Zones with security groups and zones with VPCs become two clouds.

    Examples:

      isthmus cloud add cloudstack --config isthmus.toml

      isthmus cloud add cloudstack -c isthmus.toml --url URL --key KEY --secret FILE
    """
    if config_file is None and not dry_run:
        raise Failure("Say which file of settings it is to be added to, which may be new: --config isthmus.toml")
    found, pair, given = _looked(url, key, secret, cacert, insecure)
    tell(found)
    secret_file = (config_file or Path("isthmus.toml")).absolute().with_name(f"{name}.secret")
    login = {"api_key": pair.access_key, "secret_key_file": str(secret_file)} if found.judges else {}
    clouds = tables(found, name, {**given, **login}, config_file, state)
    if dry_run or config_file is None:
        typer.echo(fragment.text(clouds), nl=False)
        return
    after = fragment.added(config_file, clouds)
    if found.judges:
        _write(secret_file, pair.secret)
    fragment.write(config_file, after)
    if not found.judges:
        settings = common.settings(config_file, state)
        with common.store(settings) as store:
            owner = register(settings, store, next(iter(clouds)), pair)
        typer.echo(f"The key {pair.access_key} belongs to the account {owner.name} ({owner.id}) now.")
    typer.echo(f"{config_file} has the cloud {' and the cloud '.join(clouds)} now.")
    typer.echo(f"Next: isthmus serve --config {config_file}")


def propose(
    url: Url = "", key: Key = "", secret: Secret = "", cacert: Authorities = None, insecure: Insecure = False
) -> None:
    """Propose which instance types and volume types a CloudStack's offerings are, by their sizes.

    The lines are for the cloud's table in the settings, where you may change them. An offering that is in no line is an
    instance type under its own name; disk offerings of one size only are left out.

    Example: isthmus cloud map cloudstack --url URL --key KEY --secret FILE
    """
    found, _, _ = _looked(url, key, secret, cacert, insecure)
    types, volumes = maps(found)
    typer.echo(fragment.lines({"flavors": types, "volume_types": volumes}), nl=False)
    names = {theirs: ours for ours, theirs in types.items()}
    table = common.table("INSTANCE TYPE", "SERVICE OFFERING", "VCPUS", "MIB")
    for one in found.sizes:
        table.add_row(names.get(one.name, one.name), one.name, str(one.cpus), str(one.memory))
    typer.echo("")
    common.show(table)


def maps(found: Survey) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Instance types and volume types, each with an offering's name."""
    slow = [one.name for one in found.disks if not one.iops]
    fast = [one.name for one in found.disks if one.iops]
    return mapping.instance_types(found.sizes), mapping.volume_types(slow, fast)


def tables(
    found: Survey, name: str, given: Mapping[str, Any], file: Path | None, state: Path | None
) -> Mapping[str, Mapping[str, Any]]:
    """The cloud in the settings: a table for each kind of zone that there is. Raises Failure."""
    if not found.zones:
        raise Failure("CloudStack shows no zone to these keys.")
    known, taken = fragment.load(file, state)
    free = fragment.free_zones(known.region, taken)
    types, volumes = maps(found)
    made: dict[str, Mapping[str, Any]] = {}
    for grouped in sorted({one.grouped for one in found.zones}):
        mine = {next(free): one.name for one in found.zones if one.grouped is grouped}
        kind = {"security_groups": True} if grouped else {}
        kind |= {"expunge": True} if found.expunges else {}
        more = {"flavors": types, "volume_types": volumes}
        called = f"{name}-groups" if made else name
        made[called] = {"kind": KIND, "zones": mine, **given, **kind, **more}
    if there := [one for one in made if taken and one in known.clouds]:
        raise Failure(f"There is a cloud {there[0]} already: name this one otherwise, with --name.")
    return made


def tell(found: Survey) -> None:
    """What was seen, on standard error."""
    said = [f"CloudStack {found.version}".strip() + f", seen by the account {found.owner.name}"]
    for zone in found.zones:
        said.append(f"zone  {zone.name}: {'security groups' if zone.grouped else 'VPCs'}")
        said[-1] += "" if zone.enabled else ", disabled"
    said.append(f"      {len(found.sizes)} service offerings, {len(found.disks)} disk offerings of a size to choose")
    said.append(f"      {found.templates} templates to launch")
    said += [f"NO    {what}: these keys have no right to {', '.join(gone)}" for what, gone in found.lacks.items()]
    users = "all users can sign with keys of their own" if found.judges else "these are a user's keys, who can sign"
    typer.echo("\n".join([*said, f"      {users}"]), err=True)


def register(settings: Settings, store: Store, cloud: str, pair: Pair, account: Account | None = None) -> Account:
    """Keep a pair of CloudStack's, after a call that it signs said whose it is; whose account it is then.

    It is a login at all configured clouds of the same CloudStack. For an account that is said to be a project of the
    user's it is one there. Raises Failure, Faults and StoreError.
    """
    from isthmus.core import registering
    from isthmus.providers.cloudstack import survey

    given = settings.clouds[cloud]
    if given.kind != KIND:
        raise Failure(f"The cloud {cloud} is no CloudStack: leave --cloud out.")
    native = store.tenant_of(account.id, cloud) if account else ""
    whose = survey.whose(given.options["url"], *pair, native, verify=_verified(given))
    same = [one.name for one in settings.clouds.values() if one.options.get("url") == given.options["url"]]
    others = [one for one in same if one != cloud]
    owner = account.id if account else store.account_for(cloud, whose.tenant, whose.name, *others)
    if not owner:
        raise Failure(f"The tenant {whose.tenant} is no account any more: isthmus account tenant says whose it is.")
    registering.keep(store, owner, same, whose, *pair)
    return common.find_account(store, owner)


def _verified(given: CloudSettings) -> bool | str:
    return str(given.options["cacert"]) if "cacert" in given.options else bool(given.options.get("verify", True))


def _looked(
    url: str, key: str, secret: str, cacert: Path | None, insecure: bool
) -> tuple[Survey, Pair, Mapping[str, Any]]:
    """What there is at a URL, the keys that it was seen with, and what the settings say of the way there."""
    from isthmus.providers.cloudstack import survey

    at = _api(url or common.asked("URL of CloudStack's API", "--url"))
    api = key or common.asked("API key", "--key")
    told = common.text_of(secret).strip() if secret else common.asked("Secret key", "--secret", hidden=True)
    common.demand_pair(api, told)
    given: dict[str, Any] = {"url": at}
    given |= {"cacert": str(cacert.absolute())} if cacert else {"verify": False} if insecure else {}
    verify = given.get("cacert", not insecure)
    return survey.look(at, api, told, verify=verify), Pair(api, told), given


def _api(url: str) -> str:
    found = _URL.fullmatch(url.strip())
    if not found:
        raise Failure(f"--url is a URL like https://cloud.example.org{_PATH}.")
    return found[1] + (found[2] if found[2] and found[2] != "/" else _PATH)


def _write(file: Path, secret: str) -> None:
    from isthmus.serving import welcome

    try:
        welcome.write_private(file, secret + "\n")
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}.") from None

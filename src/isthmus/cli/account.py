"""`isthmus account`: who may use the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import common, formats
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.options import nearest

if TYPE_CHECKING:
    from isthmus.config import Settings
    from isthmus.store import Store

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


@app.command("tenant")
def tenant(
    account: Annotated[str, typer.Argument(help="The account's name or number.")],
    cloud: Annotated[str, typer.Argument(help="The cloud's name in the configuration.")],
    native: Annotated[
        str,
        typer.Argument(
            metavar="TENANT", help="The cloud's id of it: of OpenStack's project, of CloudStack's account or project."
        ),
    ],
    secrets: Annotated[
        str, typer.Option("--secrets", metavar="FILE|-", help="Where its login there is read; - is standard input.")
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Let it be another tenant than the one that it is on this cloud.")
    ] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Say which tenant of a cloud an account is, before anybody of it signs with the cloud's own credentials.

    With --secrets the keys that Isthmus gives out work there as well: they are the tenant's login, as lines NAME=VALUE
    or as an object in JSON. On OpenStack they are application_credential_id and application_credential_secret, or
    username, password, user_domain_id and project_id; on CloudStack api_key and secret_key, for a project those of a
    user who is in it. They are tried, and kept encrypted; those that were kept before are forgotten. A running service
    follows within a second.

    An account that is a tenant of several clouds needs a login at each: without, it is told so.

    An account that is another tenant of the cloud already stays that one, unless --replace is said: nobody of the
    account would see the instances of the other tenant any more.

    Examples:

      isthmus account tenant team-blue private 3f8c0d5e7a9b4c6d8e0f1a2b3c4d5e6f

      openstack application credential create isthmus -f shell --prefix application_credential_ | \
        isthmus account tenant team-blue private "$OS_PROJECT_ID" --secrets -
    """
    settings = common.settings(config_file, state)
    if cloud not in settings.clouds:
        raise Failure(f"There is no cloud {cloud}.{nearest(cloud, settings.clouds)}")
    if not native or len(native) > 255 or not native.isprintable():
        raise Failure("A tenant's id has 1 to 255 printable characters.")
    kept = formats.secrets(common.text_of(secrets)) if secrets else {}
    with common.store(settings) as store:
        owner = common.find_account(store, account)
        before = store.tenant_of(owner.id, cloud)
        if before not in ("", native) and not replace:
            raise Failure(
                f"The account {owner.name} ({owner.id}) is {before} on {cloud} already: its instances would vanish "
                f"from view. Say --replace to let it be {native} instead."
            )
        if kept:
            _try(settings, cloud, native, kept)
        store.set_tenant(owner.id, cloud, native, kept)
        lost = _is_lost(settings, store, owner.id, cloud)
    typer.echo(f"The account {owner.name} ({owner.id}) is {native} on {cloud} now.")
    if lost:
        typer.echo(
            f"WARNING: no login of {native} is kept for {cloud}: who does not sign with that cloud's own credentials "
            "gets no listing of the account at all, as what it has there cannot be told. Say --secrets.",
            err=True,
        )


@app.command("unmap")
def unmap(
    account: Annotated[str, typer.Argument(help="The account's name or number.")],
    cloud: Annotated[str, typer.Argument(help="The cloud's name in the configuration.")],
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Let an account be nobody on a cloud any more, and its tenant there nobody here.

    Whatever signs with the tenant's own credentials is refused, the account's keys no longer reach the cloud, and its
    logins there are forgotten; a running service follows within a second. Nothing in the cloud is touched, and the
    account keeps its ids: isthmus account tenant lets it be the tenant again.

    Example: isthmus account unmap team-blue private
    """
    settings = common.settings(config_file, state)
    with common.store(settings) as store:
        owner = common.find_account(store, account)
        tenant = store.end_tenant(owner.id, cloud)
    if not tenant:
        raise Failure(
            f"The account {owner.name} ({owner.id}) is no tenant of {cloud}.{nearest(cloud, settings.clouds)}"
        )
    typer.echo(f"The account {owner.name} ({owner.id}) is nobody on {cloud} now, and {tenant} is nobody here.")


def _is_lost(settings: Settings, store: Store, account: str, cloud: str) -> bool:
    """Whether an account that has things elsewhere has no login kept for a cloud that needs one."""
    known = store.tenant(account, cloud)
    if (known and (known.settings or known.logins)) or not any(
        store.tenant_of(account, one) for one in settings.clouds if one != cloud
    ):
        return False
    with common.gateway(settings) as gateway:
        return gateway.world.clouds[cloud].admits


def _try(settings: Settings, cloud: str, native: str, kept: Mapping[str, str]) -> None:
    """Raises Failure or a Fault for secrets that the cloud does not take for this tenant."""
    with common.gateway(settings) as gateway:
        opened = gateway.world.clouds[cloud]
        if not opened.remote:
            raise Failure(f"The cloud {cloud} knows no logins: leave --secrets out.")
        opened.session(native, kept)

"""`isthmus cloud`: what there is behind the service, and how more is added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import cloudstack, common
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.options import nearest

if TYPE_CHECKING:
    from isthmus.config import Settings
    from isthmus.providers import Cloud, Session
    from isthmus.store import Store

app = typer.Typer(help="The clouds behind the service.", no_args_is_help=True)

FAMILIES = ("compute", "volumes", "images", "networks", "firewalls", "addresses", "keys", "metrics")


adding = typer.Typer(help="Look at a cloud, and add it to the settings.", no_args_is_help=True)
adding.command("cloudstack")(cloudstack.add)
mapping = typer.Typer(help="Propose which of AWS's types a cloud's own sizes are.", no_args_is_help=True)
mapping.command("cloudstack")(cloudstack.propose)
app.add_typer(adding, name="add")
app.add_typer(mapping, name="map")


@adding.callback()
@mapping.callback()
def _kinds() -> None:
    return


@app.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[CLOUD]...", help="By default all.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended of what is broken.")] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Tell what each configured cloud can and cannot do, and why, and what is not as it shall be.

    Of the local cloud the disks are looked at that no machine uses; the service may run meanwhile. Of a CloudStack with
    VPCs it is told which subnets are not filtered by their security groups yet.

    Exit code 1: a cloud cannot be reached, or something is broken that has not been mended.

    Examples:

      isthmus cloud check --config my.toml

      isthmus cloud check local --repair
    """
    settings = common.settings(config_file, state)
    for name in names or ():
        if name not in settings.clouds:
            raise Failure(f"There is no cloud {name}.{nearest(name, settings.clouds)}")
    failed = False
    with common.gateway(settings) as gateway:
        for name, cloud in gateway.world.clouds.items():
            if names and name not in names:
                continue
            known = settings.clouds[name]
            typer.echo(f"{name} ({known.kind}), zones: {', '.join(known.zones)}")
            try:
                for line in report(cloud, cloud.session(settings.operator)):
                    typer.echo(f"  {line}")
                for what, mended in cloud.check(repair=repair, tenants=_tenants(gateway.world.store, name)):
                    failed = failed or not mended
                    typer.echo(f"  {'MENDED  ' if mended else 'BROKEN  '}  {what}")
            except Exception as error:
                if not isinstance(error, common.explained()):
                    raise
                failed = True
                typer.echo(f"  FAILED    {error}")
    raise typer.Exit(1 if failed else 0)


def _tenants(store: Store, cloud: str) -> dict[str, Mapping[str, Any]]:
    """Those of a cloud that have an account here, each with the secrets that are kept."""
    known = (store.tenant(one.id, cloud) for one in store.accounts())
    return {one.tenant: one.secrets("") for one in known if one}


@app.command("clean")
def clean(
    name: Annotated[str, typer.Argument(metavar="CLOUD")],
    everything: Annotated[bool, typer.Option("--all", help="Remove the cloud with all that is in it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether --all is meant.")] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Remove what a cloud keeps on this host and nothing needs any more: processes, sockets, files of disks.

    The service may run meanwhile, but not with --all, which ends all machines and removes all disks, snapshots and
    images of the cloud. A cloud that keeps nothing on this host is left as it is.

    Examples:

      isthmus cloud clean local

      isthmus cloud clean local --all
    """
    settings = common.settings(config_file, state)
    if name not in settings.clouds:
        raise Failure(f"There is no cloud {name}.{nearest(name, settings.clouds)}")
    if everything:
        if _is_served(settings):
            raise Failure("The service is running: stop it first.")
        if not yes and not typer.confirm(f"Remove the cloud {name} with all its machines, disks and images?"):
            raise Failure("Nothing was removed.")
    with common.gateway(settings) as gateway:
        untouched = True
        for what in gateway.world.clouds[name].clean(everything=everything):
            typer.echo(what)
            untouched = False
        if untouched:
            typer.echo(f"There is nothing to remove of {name}.")


@app.command("machines")
def machines(
    name: Annotated[str, typer.Argument(metavar="CLOUD")], config_file: ConfigFile = None, state: State = None
) -> None:
    """Tell how each instance of a cloud runs on this host.

    Of the local cloud: its state, which way it is connected (namespaces or slirp), its accelerator (kvm or tcg), its
    process and whom that belongs to. Of clouds elsewhere nothing runs here.

    Examples:

      isthmus cloud machines local
    """
    settings = common.settings(config_file, state)
    if name not in settings.clouds:
        raise Failure(f"There is no cloud {name}.{nearest(name, settings.clouds)}")
    with common.gateway(settings) as gateway:
        found = list(gateway.world.clouds[name].machines())
    for line in found or [f"Nothing of {name} runs on this host."]:
        typer.echo(line)


def _is_served(settings: Settings) -> bool:
    from isthmus.serving.duties import Presence

    if not settings.run.is_dir():
        return False
    presence = Presence(settings.run / "present")
    presence.close()
    return not presence.alone


def report(cloud: Cloud, session: Session) -> Iterator[str]:
    """What there is to say of one cloud, a line for each fact."""
    from isthmus.providers import Capability

    found = cloud.health()
    for name, value in found.details.items():
        yield f"{name}: {value}"
    for reason in found.degraded:
        yield f"DEGRADED  {reason}"
    for family in FAMILIES:
        if getattr(session, family) is None:
            yield f"no        {family}: this cloud has none"
    for capability in Capability:
        missing = cloud.lacks.get(capability)
        yield f"yes       {capability}" if missing is None else f"no        {capability}: {missing}"

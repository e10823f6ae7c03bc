"""`isthmus coverage`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from isthmus.cli import common
from isthmus.cli.common import ConfigFile, State

HELP = """Tell which EC2 actions are served, and which are not and why.

[bold]Examples[/bold]

  isthmus coverage

  isthmus coverage --json | jq '.actions[] | select(.served | not) | .action'"""

_NOT_YET = "Isthmus does not serve this action."

NEEDS: Mapping[str, tuple[str, ...]] = {
    "CreateImage": ("images", "IMAGE_OF_SERVER"),
    "GetConsoleOutput": ("compute", "CONSOLE"),
    "GetPasswordData": ("compute", "PASSWORD"),
    "ModifyImageAttribute": ("images", "IMAGE_SHARE"),
    "ModifySnapshotAttribute": ("volumes", "SNAPSHOT_SHARE"),
    "ModifyVolume": ("volumes", "VOLUME_RESIZE"),
    "RegisterImage": ("images", "IMAGE_OF_SNAPSHOT"),
    "RunInstances": ("compute", "LAUNCH"),
}
"""The family and the capability without which an action always fails on a cloud."""

PARTS = {"AttachVolume": "ATTACH_RUNNING", "CreateSnapshot": "SNAPSHOT_ATTACHED"}
"""The capability without which an action sometimes fails on a cloud."""

_FAMILIES = {
    "Address": "addresses",
    "Image": "images",
    "Instance": "compute",
    "KeyPair": "keys",
    "SecurityGroup": "firewalls",
    "Snapshot": "volumes",
    "Subnet": "networks",
    "Volume": "volumes",
    "Vpc": "networks",
}
"""The family that a cloud must have, by a word in an action's name; the longest word in it counts."""


def coverage(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    settings = common.settings(config_file, state)
    with common.gateway(settings) as gateway:
        found = list(actions(gateway.world.clouds, settings.operator))
    served = sum(one["served"] for one in found)
    if as_json:
        counts = {"served": served, "unsupported": len(found) - served}
        typer.echo(json.dumps({"service": "ec2", "counts": counts, "actions": found}, indent=1))
        return
    table = common.table("ACTION", "SERVED", *settings.clouds, "REASON")
    for one in found:
        clouds = ["yes" if cloud["served"] else "no" for cloud in one["clouds"].values()]
        reasons = dict.fromkeys(cloud["reason"] for cloud in one["clouds"].values() if cloud["reason"])
        table.add_row(one["action"], "yes" if one["served"] else "no", *clouds, one["reason"] or " ".join(reasons))
    common.show(table)
    typer.echo(f"{served} of {len(found)} actions are served.")


def actions(clouds: Mapping[str, Any], tenant: str) -> Iterator[dict[str, Any]]:
    """Every action of EC2's model, with what becomes of it here and on each cloud."""
    from isthmus.aws.ec2 import ec2

    for name in sorted(ec2.codec.model.names):
        served = name in ec2.actions
        reason = "" if served else ec2.unsupported.get(name, _NOT_YET)
        yield {
            "action": name,
            "served": served,
            "reason": reason,
            "clouds": {cloud.name: _on(cloud, tenant, name, served, reason) for cloud in clouds.values()},
        }


def _on(cloud: Any, tenant: str, name: str, served: bool, reason: str) -> dict[str, Any]:
    from isthmus.providers import Capability

    if not served:
        return {"served": False, "reason": reason}
    family, *needed = NEEDS.get(name, (_family(name),))
    if family and getattr(cloud.session(tenant), family) is None:
        return {"served": False, "reason": f"This cloud has no {family}."}
    for capability in needed:
        if Capability[capability] in cloud.lacks:
            return {"served": False, "reason": cloud.lacks[Capability[capability]]}
    part = Capability[PARTS[name]] if name in PARTS else None
    return {"served": True, "reason": f"In part: {cloud.lacks[part]}" if part in cloud.lacks else ""}


def _family(action: str) -> str:
    words = [word for word in _FAMILIES if word in action]
    return _FAMILIES[max(words, key=len)] if words else ""

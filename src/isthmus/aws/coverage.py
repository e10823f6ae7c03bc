"""What is served: every action of EC2's model, and what each cloud makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isthmus.aws.ec2 import ec2
from isthmus.context import Context, World
from isthmus.providers import Capability

# what an action needs of a cloud beyond Isthmus itself: a family of the contract, or a capability within one
NEEDS: Mapping[str, tuple[str | Capability, ...]] = {
    "AllocateAddress": ("addresses",),
    "AssociateAddress": ("addresses",),
    "AttachVolume": ("volumes",),
    "AuthorizeSecurityGroupEgress": ("firewalls", Capability.EGRESS_RULES),
    "AuthorizeSecurityGroupIngress": ("firewalls",),
    "CopyImage": ("images", Capability.IMAGE_COPY),
    "CopySnapshot": ("volumes", Capability.SNAPSHOT_COPY),
    "CreateImage": ("images", Capability.IMAGE_OF_SERVER),
    "CreateSecurityGroup": ("firewalls",),
    "CreateSnapshot": ("volumes",),
    "CreateVolume": ("volumes",),
    "DeleteSecurityGroup": ("firewalls",),
    "DeleteSnapshot": ("volumes",),
    "DeleteVolume": ("volumes",),
    "DeregisterImage": ("images",),
    "DetachVolume": ("volumes",),
    "DisassociateAddress": ("addresses",),
    "EnableEbsEncryptionByDefault": ("volumes", Capability.ENCRYPTION),
    "GetConsoleOutput": ("compute", Capability.CONSOLE),
    "GetPasswordData": ("compute", Capability.PASSWORD),
    "ModifyImageAttribute": ("images", Capability.IMAGE_SHARE),
    "ModifyInstanceAttribute": ("compute",),
    "ModifySnapshotAttribute": ("volumes", Capability.SNAPSHOT_SHARE),
    "ModifyVolume": ("volumes", Capability.VOLUME_RESIZE),
    "RebootInstances": ("compute", Capability.LAUNCH),
    "RegisterImage": ("images", Capability.IMAGE_OF_SNAPSHOT),
    "RequestSpotInstances": ("compute", Capability.LAUNCH),
    "ReleaseAddress": ("addresses",),
    "ResetImageAttribute": ("images", Capability.IMAGE_SHARE),
    "ResetSnapshotAttribute": ("volumes", Capability.SNAPSHOT_SHARE),
    "RevokeSecurityGroupEgress": ("firewalls",),
    "RevokeSecurityGroupIngress": ("firewalls",),
    "RunInstances": ("compute", Capability.LAUNCH),
    "StartInstances": ("compute", Capability.LAUNCH),
    "StopInstances": ("compute",),
    "TerminateInstances": ("compute",),
}
_UNSERVED = "Isthmus does not serve this action."


@dataclass(frozen=True, slots=True)
class Coverage:
    """One action: `reason` says why it is not served; `clouds` says the same for each cloud, empty where it is."""

    action: str
    served: bool
    reason: str
    clouds: Mapping[str, str]


def coverage(world: World) -> Iterator[Coverage]:
    """Every EC2 action of the model, by name."""
    context = Context(world.operator, world)
    for action in sorted(ec2.codec.operations):
        served = action in ec2.actions
        reason = "" if served else ec2.unsupported.get(action, _UNSERVED)
        clouds = {name: reason or _missing(context, name, action) for name in world.clouds}
        yield Coverage(action, served, reason, clouds)


def _missing(cx: Context, cloud: str, action: str) -> str:
    """Why a cloud cannot do a served action; empty if it can."""
    lacks = cx.world.clouds[cloud].lacks
    for need in NEEDS.get(action, ()):
        if isinstance(need, Capability):
            if need in lacks:
                return lacks[need]
        elif getattr(cx.session(cloud), need) is None:
            return f"This cloud has no {need}."
    return ""

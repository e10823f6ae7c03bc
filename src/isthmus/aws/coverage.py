"""What is served: every action of EC2's model, and what each cloud makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isthmus.aws.ec2 import ec2
from isthmus.providers import Capability, Cloud

# what an action needs of a cloud beyond Isthmus itself: a family of the contract, or a capability within one
NEEDS: Mapping[str, tuple[str | Capability, ...]] = {
    "AcceptVpcPeeringConnection": ("networks", Capability.PEERING),
    "AllocateAddress": ("addresses",),
    "AssignPrivateIpAddresses": ("ports", Capability.PORT_ADDRESSES),
    "AssociateAddress": ("addresses",),
    "AssociateDhcpOptions": ("networks", Capability.DHCP),
    "AssociateRouteTable": ("networks", Capability.ROUTES),
    "AssociateVpcCidrBlock": ("networks", Capability.NETWORK_RANGES),
    "AttachInternetGateway": ("networks", Capability.NETWORKS),
    "AttachNetworkInterface": ("ports", Capability.PORTS),
    "AttachVolume": ("volumes",),
    "AuthorizeSecurityGroupEgress": ("firewalls",),
    "AuthorizeSecurityGroupIngress": ("firewalls",),
    "CopyImage": ("images", Capability.IMAGE_COPY),
    "CopySnapshot": ("volumes", Capability.SNAPSHOT_COPY),
    "CopyVolumes": ("volumes", Capability.VOLUME_COPY),
    "CreateDefaultSubnet": ("networks", Capability.NETWORKS),
    "CreateDefaultVpc": ("networks", Capability.NETWORKS),
    "CreateFleet": ("compute", Capability.LAUNCH),
    "CreateImage": ("images", Capability.IMAGE_OF_SERVER),
    "CreateNatGateway": ("ports", Capability.PORTS),
    "CreateNetworkAclEntry": ("networks", Capability.ACLS),
    "CreateNetworkInterface": ("ports", Capability.PORTS),
    "CreateRoute": ("networks", Capability.ROUTES),
    "CreateSecurityGroup": ("firewalls",),
    "CreateSnapshot": ("volumes",),
    "CreateSubnet": ("networks", Capability.NETWORKS),
    "CreateVolume": ("volumes",),
    "CreateVpc": ("networks", Capability.NETWORKS),
    "CreateVpcPeeringConnection": ("networks", Capability.NETWORKS),
    "DeleteFleets": ("compute",),
    "DeleteNetworkAclEntry": ("networks", Capability.ACLS),
    "DeleteNetworkInterface": ("ports", Capability.PORTS),
    "DeleteRoute": ("networks", Capability.ROUTES),
    "DeleteSecurityGroup": ("firewalls",),
    "DeleteSnapshot": ("volumes",),
    "DeleteSubnet": ("networks", Capability.NETWORKS),
    "DeleteVolume": ("volumes",),
    "DeleteVpc": ("networks", Capability.NETWORKS),
    "DeregisterImage": ("images",),
    "DetachInternetGateway": ("networks", Capability.NETWORKS),
    "DetachNetworkInterface": ("ports", Capability.PORTS),
    "DetachVolume": ("volumes",),
    "DisableVgwRoutePropagation": ("networks", Capability.ROUTES),
    "DisassociateAddress": ("addresses",),
    "DisassociateRouteTable": ("networks", Capability.ROUTES),
    "DisassociateVpcCidrBlock": ("networks", Capability.NETWORK_RANGES),
    "EnableEbsEncryptionByDefault": ("volumes", Capability.ENCRYPTION),
    "EnableVgwRoutePropagation": ("networks", Capability.ROUTES),
    "GetConsoleOutput": ("compute", Capability.CONSOLE),
    "GetPasswordData": ("compute", Capability.PASSWORD),
    "ModifyImageAttribute": ("images", Capability.IMAGE_SHARE),
    "ModifyInstanceAttribute": ("compute",),
    "ModifySecurityGroupRules": ("firewalls",),
    "ModifySnapshotAttribute": ("volumes", Capability.SNAPSHOT_SHARE),
    "ModifyVolume": ("volumes", Capability.VOLUME_RESIZE),
    "RebootInstances": ("compute", Capability.LAUNCH),
    "RegisterImage": ("images", Capability.IMAGE_OF_SNAPSHOT),
    "ReleaseAddress": ("addresses",),
    "ReplaceNetworkAclAssociation": ("networks", Capability.ACLS),
    "ReplaceNetworkAclEntry": ("networks", Capability.ACLS),
    "ReplaceRoute": ("networks", Capability.ROUTES),
    "ReplaceRouteTableAssociation": ("networks", Capability.ROUTES),
    "RequestSpotInstances": ("compute", Capability.LAUNCH),
    "ResetImageAttribute": ("images", Capability.IMAGE_SHARE),
    "ResetSnapshotAttribute": ("volumes", Capability.SNAPSHOT_SHARE),
    "RevokeSecurityGroupEgress": ("firewalls",),
    "RevokeSecurityGroupIngress": ("firewalls",),
    "RunInstances": ("compute", Capability.LAUNCH),
    "StartInstances": ("compute", Capability.LAUNCH),
    "StopInstances": ("compute",),
    "TerminateInstances": ("compute",),
    "UnassignPrivateIpAddresses": ("ports", Capability.PORT_ADDRESSES),
    "UpdateSecurityGroupRuleDescriptionsEgress": ("firewalls",),
    "UpdateSecurityGroupRuleDescriptionsIngress": ("firewalls",),
}
# what an action does on some requests only, where a cloud lacks this
PARTS: Mapping[str, Capability] = {
    "AttachVolume": Capability.ATTACH_RUNNING,
    "AuthorizeSecurityGroupEgress": Capability.EGRESS_RULES,
    "AuthorizeSecurityGroupIngress": Capability.PEER_RULES,
    "CopyVolumes": Capability.SNAPSHOT_ATTACHED,
    "CreatePlacementGroup": Capability.PLACEMENT,
    "CreateSnapshot": Capability.SNAPSHOT_ATTACHED,
    "ModifySecurityGroupRules": Capability.PEER_RULES,
    "ModifyVolume": Capability.VOLUME_RETYPE,
    "RevokeSecurityGroupEgress": Capability.EGRESS_RULES,
    "RunInstances": Capability.SERVER_PORTS,
}
_UNSERVED = "Isthmus does not serve this action."


@dataclass(frozen=True, slots=True)
class Served:
    """Whether, and why not or not wholly; the reason is empty where there is nothing to say."""

    served: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """One action, in Isthmus and on each cloud by name."""

    action: str
    here: Served
    clouds: Mapping[str, Served]


def coverage(clouds: Mapping[str, Cloud], tenant: str) -> Iterator[Coverage]:
    """Every EC2 action of the model, by name."""
    for action in sorted(ec2.codec.operations):
        here = Served(True) if action in ec2.actions else Served(False, ec2.unsupported.get(action, _UNSERVED))
        on = {name: _on(cloud, tenant, action) if here.served else here for name, cloud in clouds.items()}
        yield Coverage(action, here, on)


def _on(cloud: Cloud, tenant: str, action: str) -> Served:
    for need in NEEDS.get(action, ()):
        if isinstance(need, Capability):
            if need in cloud.lacks:
                return Served(False, cloud.lacks[need])
        elif getattr(cloud.session(tenant), need) is None:
            return Served(False, f"This cloud has no {need}.")
    part = PARTS.get(action)
    return Served(True, f"In part: {cloud.lacks[part]}" if part and part in cloud.lacks else "")

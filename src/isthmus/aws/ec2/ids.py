"""The forms of EC2's ids: a prefix and at most 17 hexadecimal digits. A malformed one is refused as such.

Ids have 8 or 17 digits; one with another number of them is well formed, and none that there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from isthmus.aws.codec import Codec, Shape
from isthmus.aws.errors import AwsError

# the model's name of the shape, or of a structure and its member; the prefix; the error code.
# codes from the EC2 API's table of error codes
FORMS = {
    "InstanceId": ("i", "InvalidInstanceID.Malformed"),
    "InstanceIdForResolver": ("i", "InvalidInstanceID.Malformed"),
    "InstanceIdWithVolumeResolver": ("i", "InvalidInstanceID.Malformed"),
    "VolumeId": ("vol", "InvalidVolumeID.Malformed"),
    "VolumeIdWithResolver": ("vol", "InvalidVolumeID.Malformed"),
    "SnapshotId": ("snap", "InvalidSnapshotID.Malformed"),
    "ImageId": ("ami|aki|ari", "InvalidAMIID.Malformed"),
    "KernelId": ("aki", "InvalidAMIID.Malformed"),
    "RamdiskId": ("ari", "InvalidAMIID.Malformed"),
    "SecurityGroupId": ("sg", "InvalidGroupId.Malformed"),
    "AllocationId": ("eipalloc", "InvalidAllocationID.Malformed"),
    "ElasticIpAssociationId": ("eipassoc", "InvalidAssociationID.Malformed"),
    "NetworkInterfaceId": ("eni", "InvalidNetworkInterfaceId.Malformed"),
    "NetworkInterfaceAttachmentId": ("eni-attach", "InvalidAttachmentID.Malformed"),
    "IamInstanceProfileAssociationId": ("iip-assoc", "InvalidAssociationID.Malformed"),
    "VpcId": ("vpc", "InvalidVpcID.Malformed"),
    "SubnetId": ("subnet", "InvalidSubnetID.Malformed"),
    "RouteTableId": ("rtb", "InvalidRouteTableID.Malformed"),
    "RouteTableAssociationId": ("rtbassoc", "InvalidAssociationID.Malformed"),
    # an id of another kind is well formed, and none that there is
    "InternetGatewayId": ("[a-z]{1,10}", "InvalidInternetGatewayId.Malformed"),
    "VpcCidrAssociationId": ("vpc-cidr-assoc", "InvalidVpcCidrBlockAssociationID.Malformed"),
    "NetworkAclId": ("acl", "InvalidNetworkAclID.Malformed"),
    "NetworkAclAssociationId": ("aclassoc", "InvalidAssociationID.Malformed"),
    "DhcpOptionsId": ("dopt", "InvalidDhcpOptionsId.Malformed"),
    "NatGatewayId": ("nat", "NatGatewayMalformed"),
    "EgressOnlyInternetGatewayId": ("eigw", "InvalidEgressOnlyInternetGatewayId.Malformed"),
    "VpcPeeringConnectionId": ("pcx", "InvalidVpcPeeringConnectionId.Malformed"),
    "VpcPeeringConnectionIdWithResolver": ("pcx", "InvalidVpcPeeringConnectionId.Malformed"),
    "VpcEndpointId": ("vpce", "InvalidVpcEndpointId.Malformed"),
    "PrefixListResourceId": ("pl", "InvalidPrefixListId.Malformed"),
    "DescribeManagedPrefixListsRequest.PrefixListIds": ("pl", "InvalidPrefixListId.Malformed"),
    "VpnGatewayId": ("vgw", "InvalidVpnGatewayID.Malformed"),
    "CustomerGatewayId": ("cgw", "InvalidCustomerGatewayId.Malformed"),
    "VpnConnectionId": ("vpn", "InvalidVpnConnectionID.Malformed"),
    "LaunchTemplateId": ("lt", "InvalidLaunchTemplateId.Malformed"),
    "PlacementGroupId": ("pg", "InvalidPlacementGroupId.Malformed"),
    "SpotInstanceRequestId": ("sir", "InvalidSpotInstanceRequestID.Malformed"),
    "CapacityReservationId": ("cr", "InvalidCapacityReservationId.Malformed"),
    "FleetId": ("fleet", "InvalidFleetId.Malformed"),
    "FleetLaunchTemplateOverridesRequest.ImageId": ("ami|aki|ari", "InvalidAMIID.Malformed"),
    "KeyPairId": ("key", "InvalidKeyPair.Format"),
    "SecurityGroupRuleId": ("sgr", "InvalidSecurityGroupRuleId.Malformed"),
    "SecurityGroupRuleIdList.": ("sgr", "InvalidSecurityGroupRuleId.Malformed"),
    "SecurityGroupRuleDescription.SecurityGroupRuleId": ("sgr", "InvalidSecurityGroupRuleId.Malformed"),
    "TaggableResourceId": ("[a-z]{1,20}(?:-[a-z]{1,20}){0,3}", "InvalidID"),
    "CopySnapshotRequest.SourceSnapshotId": ("snap", "InvalidSnapshotID.Malformed"),
    "CopyImageRequest.SourceImageId": ("ami|aki|ari", "InvalidAMIID.Malformed"),
    "UserIdGroupPair.GroupId": ("sg", "InvalidGroupId.Malformed"),
    "UserIdGroupPair.VpcId": ("vpc", "InvalidVpcID.Malformed"),
    "InstanceNetworkInterfaceSpecification.SubnetId": ("subnet", "InvalidSubnetID.Malformed"),
}
LATER = frozenset({"NetworkInterfaceAttachmentChanges.AttachmentId"})
"""Ids of which the action first demands what goes with them."""
_Path = tuple[str, ...]
_DEEPEST = 5


def check(codec: Codec, operation: str, request: Mapping[str, Any]) -> None:
    """Raises AwsError for the first id in a request that is none."""
    for path, form, code in _places(codec, operation):
        for value in _at(request, path):
            if not form.fullmatch(value):
                raise AwsError(code, f'Invalid id: "{value[:128]}"')


@cache
def _places(codec: Codec, operation: str) -> list[tuple[_Path, re.Pattern[str], str]]:
    """Where an operation's input has ids, and their forms."""
    shape = codec.operations[operation].input
    found = _walk(codec, shape, (), 0) if shape else ()
    return [(path, _compiled(prefix), code) for path, (prefix, code) in found]


@cache
def _compiled(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{prefix})-[0-9a-f]{{1,17}}")


def _walk(codec: Codec, shape: Shape, path: _Path, depth: int) -> Iterator[tuple[_Path, tuple[str, str]]]:
    members = [shape.element] if shape.element else shape.members.values()
    for member in members:
        here = (*path, member.name) if member.name else path
        form = FORMS.get(member.shape) or FORMS.get(f"{shape.name}.{member.name}")
        if form and f"{shape.name}.{member.name}" not in LATER:
            yield here, form
        elif member.type_name in ("structure", "list") and member.name != "Filters" and depth < _DEEPEST:
            yield from _walk(codec, codec.shape(member.shape), here, depth + 1)


def _at(value: Any, path: _Path) -> Iterator[str]:
    """The strings at a path, through lists."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif isinstance(value, str):
        yield value
    elif path and isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])

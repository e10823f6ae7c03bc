"""How EC2 says what a cloud refuses: one table. Codes and texts follow the EC2 API's "Error codes" page."""

from __future__ import annotations

import re

from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.errors import (
    Conflict,
    Denied,
    Fault,
    Incomplete,
    Invalid,
    NoCapacity,
    NotFound,
    NotTaken,
    QuotaExceeded,
    Throttled,
    Unauthorized,
    Unavailable,
    Unsupported,
)

_NOT_FOUND = {
    "server": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "volume": ("InvalidVolume.NotFound", "The volume '{}' does not exist."),
    "snapshot": ("InvalidSnapshot.NotFound", "The snapshot '{}' does not exist."),
    "image": ("InvalidAMIID.NotFound", "The image id '[{}]' does not exist"),
    "kernel": ("InvalidAMIID.NotFound", "The kernel '{}' does not exist"),
    "ramdisk": ("InvalidAMIID.NotFound", "The ramdisk '{}' does not exist"),
    "network": ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "subnet": ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "port": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    "attached-port": ("InvalidAttachmentID.NotFound", "The attachment '{}' does not exist"),
    "firewall": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "rule": ("InvalidPermission.NotFound", "The specified rule does not exist in this security group."),
    "rule-id": ("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '{}' does not exist"),
    "public-address": ("InvalidAddress.NotFound", "Address '{}' not found."),
    "address": ("InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist"),
    "profile-association": ("InvalidAssociationID.NotFound", "The association '{}' does not exist"),
    "association": ("InvalidAssociationID.NotFound", "The association ID '{}' does not exist"),
    "key": ("InvalidKeyPair.NotFound", "The key pair '{}' does not exist"),
    "zone": ("InvalidParameterValue", "Invalid availability zone: [{}]"),
    "flavor": ("InvalidParameterValue", "Invalid value '{}' for InstanceType."),
    "launch-template": (
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID {}, does not exist.",
    ),
    "launch-template-name": (
        "InvalidLaunchTemplateName.NotFoundException",
        "The specified launch template, with template name {}, does not exist.",
    ),
    "launch-template-version": ("InvalidLaunchTemplateId.VersionNotFound", "The version '{}' does not exist."),
    "placement-group": ("InvalidPlacementGroup.Unknown", "The Placement Group '{}' is unknown."),
    "spot-request": ("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '{}' does not exist"),
    "capacity-reservation": (
        "InvalidCapacityReservationId.NotFound",
        "The capacity reservation ID '{}' does not exist.",
    ),
    "fleet": ("InvalidFleetId.NotFound", "The fleet ID '{}' does not exist"),
    "route-table": ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    "route-association": ("InvalidAssociationID.NotFound", "The association ID '{}' does not exist"),
    "route": ("InvalidRoute.NotFound", "The route '{}' does not exist"),
    "internet-gateway": ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist"),
    "gateway-attachment": ("Gateway.NotAttached", "The gateway '{}' is not attached"),
    "acl": ("InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist"),
    "acl-rule": ("InvalidNetworkAclEntry.NotFound", "The network acl entry '{}' does not exist"),
    "acl-association": ("InvalidAssociationID.NotFound", "The association ID '{}' does not exist"),
    "dhcp-options": ("InvalidDhcpOptionID.NotFound", "The dhcpOption ID '{}' does not exist"),
    "nat-gateway": ("NatGatewayNotFound", "The Nat Gateway {} was not found"),
    "egress-gateway": (
        "InvalidGatewayID.NotFound",
        "The egressOnlyInternetGateway ID '{}' does not exist",
    ),
    "peering": (
        "InvalidVpcPeeringConnectionID.NotFound",
        "The vpcPeeringConnection ID '{}' does not exist",
    ),
    "endpoint": ("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{}' does not exist"),
    "prefix-list": ("InvalidPrefixListID.NotFound", "The prefix list ID '{}' does not exist"),
    "vpn-gateway": ("InvalidVpnGatewayID.NotFound", "The vpnGateway ID '{}' does not exist"),
    "vpn-attachment": ("InvalidVpnGatewayAttachment.NotFound", "The vpnGateway '{}' is not attached"),
    "customer-gateway": ("InvalidCustomerGatewayID.NotFound", "The customerGateway ID '{}' does not exist"),
    "vpn-connection": ("InvalidVpnConnectionID.NotFound", "The vpnConnection ID '{}' does not exist"),
    "resource": ("InvalidID", "The ID '{}' is not valid"),
}
_CONFLICT = {
    ("server", "state"): "IncorrectInstanceState",
    ("volume", "state"): "IncorrectState",
    ("volume", "in-use"): "VolumeInUse",
    ("volume", "not-attached"): "IncorrectState",
    ("volume", "device"): "InvalidParameterValue",
    ("snapshot", "in-use"): "InvalidSnapshot.InUse",
    ("snapshot", "locked"): "SnapshotLocked",
    ("snapshot", "state"): "IncorrectState",
    ("image", "protected"): "OperationNotPermitted",
    ("image", "state"): "InvalidAMIID.Unavailable",
    ("image", "duplicate"): "InvalidAMIName.Duplicate",
    ("firewall", "in-use"): "DependencyViolation",
    ("firewall", "duplicate"): "InvalidGroup.Duplicate",
    ("firewall", "state"): "CannotDelete",
    ("rule", "duplicate"): "InvalidPermission.Duplicate",
    ("device", "in-use"): "InvalidParameterValue",
    ("address", "in-use"): "InvalidIPAddress.InUse",
    ("port", "in-use"): "InvalidNetworkInterface.InUse",
    ("port", "state"): "OperationNotPermitted",
    ("index", "in-use"): "InvalidParameterValue",
    ("address", "associated"): "Resource.AlreadyAssociated",
    ("key", "duplicate"): "InvalidKeyPair.Duplicate",
    ("launch-template", "duplicate"): "InvalidLaunchTemplateName.AlreadyExistsException",
    ("placement-group", "duplicate"): "InvalidPlacementGroup.Duplicate",
    ("placement-group", "in-use"): "InvalidPlacementGroup.InUse",
    ("network", "in-use"): "DependencyViolation",
    ("network", "duplicate"): "CidrConflict",
    ("default-network", "duplicate"): "DefaultVpcAlreadyExists",
    ("subnet", "duplicate"): "InvalidSubnet.Conflict",
    ("internet-gateway", "attached"): "Resource.AlreadyAssociated",
    ("internet-gateway", "network"): "InvalidParameterValue",
    ("internet-gateway", "in-use"): "DependencyViolation",
    ("acl", "in-use"): "DependencyViolation",
    ("acl-rule", "duplicate"): "NetworkAclEntryAlreadyExists",
    ("dhcp-options", "in-use"): "DependencyViolation",
    ("network", "no-gateway"): "Gateway.NotAttached",
    ("peering", "duplicate"): "VpcPeeringConnectionAlreadyExists",
    ("peering", "state"): "InvalidStateTransition",
    ("vpn-gateway", "attached"): "InvalidVpnGatewayState",
    ("vpn-gateway", "in-use"): "IncorrectState",
    ("customer-gateway", "in-use"): "IncorrectState",
    ("vpn-connection", "dynamic"): "InvalidParameterValue",
    ("route-table", "in-use"): "DependencyViolation",
    ("route-table", "associated"): "Resource.AlreadyAssociated",
    ("route", "duplicate"): "RouteAlreadyExists",
    ("subnet", "in-use"): "DependencyViolation",
}
ANY_QUOTA = "ResourceLimitExceeded"
QUOTA = {
    "server": "InstanceLimitExceeded",
    "cpu": "VcpuLimitExceeded",
    "volume": "VolumeLimitExceeded",
    "snapshot": "SnapshotLimitExceeded",
    "image": "AMILimitExceeded",
    "address": "AddressLimitExceeded",
    "port": "NetworkInterfaceLimitExceeded",
    "firewall": "SecurityGroupLimitExceeded",
    "rule": "RulesPerSecurityGroupLimitExceeded",
    "key": "KeyPairLimitExceeded",
    "network": "VpcLimitExceeded",
    "subnet": "SubnetLimitExceeded",
    "route-table": "RouteTableLimitExceeded",
    "vpn-gateway": "VpnGatewayLimitExceeded",
    "customer-gateway": "CustomerGatewayLimitExceeded",
    "vpn-connection": "VpnConnectionLimitExceeded",
    "nat-gateway": "NatGatewayLimitExceeded",
    "peering": "OutstandingVpcPeeringConnectionLimitExceeded",
    "active-peering": "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
    "endpoint": "VpcEndpointLimitExceeded",
    "acl": "NetworkAclLimitExceeded",
    "acl-rule": "NetworkAclEntryLimitExceeded",
    "route": "RouteLimitExceeded",
    "internet-gateway": "InternetGatewayLimitExceeded",
    "tag": "TagLimitExceeded",
    "guard": "SecurityGroupsPerInterfaceLimitExceeded",
    "range": "CidrLimitExceeded",
    "capacity-reservation": "InstanceLimitExceeded",
    "placement-group": "PlacementGroupLimitExceeded",
    "spot-request": "MaxSpotInstanceCountExceeded",
    "attached-port": "AttachmentLimitExceeded",
    "private-address": "PrivateIpAddressLimitExceeded",
}
_CAPACITY = {
    "server": ("InsufficientInstanceCapacity", 500),
    "volume": ("InsufficientVolumeCapacity", 500),
    "address": ("InsufficientAddressCapacity", 500),
    "public-address": ("InsufficientAddressCapacity", 500),
    "subnet": ("InsufficientFreeAddressesInSubnet", 400),
}
_INVALID = {"disks": "InvalidBlockDeviceMapping", "public": "InvalidKey.Format"}


_EC2_ID = re.compile(r"[a-z-]{1,20}-[0-9a-f]{1,17}")


def say(cx: Context, fault: Fault) -> AwsError:
    """The EC2 error for a fault, without the cloud's own ids."""
    text = _told(cx, fault)
    match fault:
        case NotFound():
            code, form = _NOT_FOUND.get(fault.kind, ("InvalidID", "The ID '{}' is not valid"))
            return AwsError(code, text if fault.reason else form.format(_known(cx, fault.kind, fault.native)))
        case Conflict():
            return AwsError(_CONFLICT.get((fault.kind, fault.code), "IncorrectState"), text)
        case QuotaExceeded():
            return AwsError(QUOTA.get(fault.kind, ANY_QUOTA), text)
        case NoCapacity():
            code, status = _CAPACITY.get(fault.kind, ("InsufficientCapacity", 500))
            return AwsError(code, text, status)
        case Incomplete():
            return AwsError("MissingParameter", text)
        case Invalid():
            return AwsError(_INVALID.get(fault.field, "InvalidParameterValue"), text)
        case NotTaken():
            return AwsError("AuthFailure", text)
        case Unauthorized():
            return AwsError("UnauthorizedOperation", text)
        case Denied():
            return AwsError("OperationNotPermitted", text)
        case Unsupported():
            return AwsError("UnsupportedOperation", text)
        case Throttled():
            return AwsError("RequestLimitExceeded", text)
        case Unavailable():
            return AwsError("Unavailable", text, 503)
    return AwsError("InternalError", "An internal error has occurred.", 500)


def _told(cx: Context, fault: Fault) -> str:
    """A fault's text with the id that clients know in place of the cloud's own."""
    text, native = str(fault), getattr(fault, "native", "")
    if not native or native not in text or _EC2_ID.fullmatch(native):
        return text
    known = _known(cx, getattr(fault, "kind", ""), native)
    return text.replace(native, "that was named" if known == native else known)


def _known(cx: Context, kind: str, native: str) -> str:
    """The id of what a cloud names so, as far as it is on record; else the name itself."""
    if not native or _EC2_ID.fullmatch(native):
        return native
    records = cx.view().of_kind(kind).values()
    return next((record.id for record in records if record.native == native), native)

"""The network interfaces of a launch: described one by one, or as a whole by the instance's subnet and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.aws.ec2.interfaces import REFUSES, addresses_of, description
from isthmus.aws.errors import AwsError
from isthmus.core.launching import PortOrder

_MEMBERS = frozenset(
    {
        *("AssociatePublicIpAddress", "DeleteOnTermination", "Description", "DeviceIndex", "Groups", "InterfaceType"),
        *("NetworkCardIndex", "NetworkInterfaceId", "PrivateIpAddress", "PrivateIpAddresses", "SubnetId"),
        *("SecondaryPrivateIpAddressCount",),
    }
)
_INSTANCE = ("SubnetId", "SecurityGroupIds", "SecurityGroups", "PrivateIpAddress")
_OWN = ("SubnetId", "PrivateIpAddress", "PrivateIpAddresses", "Groups", "SecondaryPrivateIpAddressCount")


def port_orders(req: Mapping[str, Any]) -> tuple[PortOrder, ...]:
    """The interfaces asked for, in the order of their index. Raises AwsError for what EC2 would refuse."""
    said: Sequence[Mapping[str, Any]] = req.get("NetworkInterfaces", ())
    if not said:
        return (
            PortOrder(
                subnet=req.get("SubnetId", ""),
                address=req.get("PrivateIpAddress", ""),
                groups=tuple(req.get("SecurityGroupIds", ())),
            ),
        )
    if any(req.get(name) for name in _INSTANCE):
        message = "Network interfaces and an instance-level subnet ID or security groups may not be specified together."
        raise AwsError("InvalidParameterCombination", message)
    orders = sorted((_order(one, len(said)) for one in said), key=lambda one: one.index)
    if orders[0].index or len({one.index for one in orders}) < len(orders):
        raise AwsError("InvalidParameterValue", "Interfaces have a device index each, one of them the index 0.")
    return tuple(orders)


def _order(one: Mapping[str, Any], interfaces: int) -> PortOrder:
    for name, value in one.items():
        if name not in _MEMBERS and value:
            reason = REFUSES.get(name, "There is nothing like it here.")
            raise AwsError("UnsupportedOperation", f"NetworkInterfaces.{name} is not supported. {reason}")
    if one.get("InterfaceType", "interface") != "interface" or one.get("NetworkCardIndex"):
        raise AwsError("UnsupportedOperation", "Interfaces are of the type interface, and on the card of the index 0.")
    if "DeviceIndex" not in one and interfaces > 1:
        raise AwsError("InvalidParameterValue", "Each network interface requires a device index.")
    known = one.get("NetworkInterfaceId", "")
    if known and any(one.get(name) for name in _OWN):
        message = "A network interface ID and a subnet, addresses or groups may not be specified together."
        raise AwsError("InvalidParameterCombination", message)
    if known and one.get("DeleteOnTermination"):
        message = "A network interface may not specify a network interface ID and delete on termination as true."
        raise AwsError("InvalidParameterCombination", message)
    address, others, count = addresses_of(one)
    return PortOrder(
        index=one.get("DeviceIndex", 0),
        port=known,
        subnet=one.get("SubnetId", ""),
        address=address,
        secondary=tuple(others),
        count=count,
        groups=tuple(one.get("Groups", ())),
        description=description(one.get("Description", "")),
        delete_with_server=one.get("DeleteOnTermination", not known),
    )


def public_address(req: Mapping[str, Any]) -> bool | None:
    """Whether a public address is asked for; None leaves it to the subnet."""
    said: Sequence[Mapping[str, Any]] = req.get("NetworkInterfaces", ())
    asked = [one["AssociatePublicIpAddress"] for one in said if one.get("AssociatePublicIpAddress") is not None]
    if not asked:
        return False if any(one.get("NetworkInterfaceId") for one in said) or len(said) > 1 else None
    if asked[0] and (len(said) > 1 or said[0].get("NetworkInterfaceId")):
        message = "The associatePublicIPAddress parameter can only be specified for a single new network interface."
        raise AwsError("InvalidParameterCombination", message)
    return bool(asked[0])

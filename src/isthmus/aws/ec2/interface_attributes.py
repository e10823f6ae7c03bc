"""Attributes of network interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.interfaces import describe, faces
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import ports
from isthmus.core.registry import Found
from isthmus.model import Port

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeNetworkInterfaceAttributeRequestTypeDef,
        ModifyNetworkInterfaceAttributeRequestTypeDef,
        ResetNetworkInterfaceAttributeRequestTypeDef,
    )

# attribute -> the member of the answer, and what stands in it by a NetworkInterface of the model
_READ: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
    "description": ("Description", lambda said: {"Value": said["Description"]}),
    "groupSet": ("Groups", lambda said: said["Groups"]),
    "sourceDestCheck": ("SourceDestCheck", lambda said: {"Value": said["SourceDestCheck"]}),
    "attachment": ("Attachment", lambda said: said.get("Attachment")),
    "associatePublicIpAddress": ("AssociatePublicIpAddress", lambda said: False),
}


@ec2.action("DescribeNetworkInterfaceAttribute")
def describe_network_interface_attribute(
    cx: Context, req: DescribeNetworkInterfaceAttributeRequestTypeDef
) -> Mapping[str, Any]:
    found = ports.one(cx, req["NetworkInterfaceId"])
    name = req.get("Attribute", "")
    if name not in _READ:
        raise AwsError("InvalidParameterCombination" if not name else "InvalidParameterValue", "Name one attribute.")
    member, read = _READ[name]
    value = read(next(faces(cx, [found])))
    return {"NetworkInterfaceId": found.id, **({} if value is None else {member: value})}


@ec2.action(
    "ModifyNetworkInterfaceAttribute",
    refuses={
        "EnaSrdSpecification": "Networks have no Scalable Reliable Datagram.",
        "EnablePrimaryIpv6": "Interfaces have IPv4 addresses only.",
        "ConnectionTrackingSpecification": "How long connections are tracked is the cloud's own matter.",
        "AssociatePublicIpAddress": "A public address is given at launch, or is an elastic one.",
        "AssociatedSubnetIds": "An interface is in one subnet.",
    },
)
def modify_network_interface_attribute(
    cx: Context, req: ModifyNetworkInterfaceAttributeRequestTypeDef
) -> Mapping[str, Any]:
    found = ports.own(cx, req["NetworkInterfaceId"])
    wanted = {name: value for name, value in req.items() if name in _CHANGES}
    if len(wanted) != 1:
        raise AwsError("InvalidParameterCombination", "Exactly one attribute can be modified at a time.")
    [(name, value)] = wanted.items()
    _CHANGES[name](cx, found, value)
    return {}


@ec2.action("ResetNetworkInterfaceAttribute")
def reset_network_interface_attribute(
    cx: Context, req: ResetNetworkInterfaceAttributeRequestTypeDef
) -> Mapping[str, Any]:
    """The only attribute that can be reset is the source check; without a name, it is meant."""
    found = ports.own(cx, req["NetworkInterfaceId"])
    if req.get("SourceDestCheck", "") not in ("", "true", "sourceDestCheck"):
        raise AwsError("InvalidParameterValue", "The source check is reset to true.")
    _source_check(cx, found, {"Value": True})
    return {}


def _description(cx: Context, found: Found[Port], value: Mapping[str, Any]) -> None:
    describe(cx, found, value.get("Value", ""))


def _source_check(cx: Context, found: Found[Port], value: Mapping[str, Any]) -> None:
    ports.api(cx.session(found.cloud)).set_source_check(found.noun.native, value.get("Value", True))


def _groups(cx: Context, found: Found[Port], value: list[str]) -> None:
    if not value:
        raise AwsError("InvalidParameterValue", "An interface has at least one security group.")
    ports.set_firewalls(cx, found, value)


def _attachment(cx: Context, found: Found[Port], value: Mapping[str, Any]) -> None:
    for name in ("DefaultEnaQueueCount", "EnaQueueCount"):
        if value.get(name):
            raise AwsError("UnsupportedOperation", "The number of queues is the cloud's own choice.")
    for name in ("AttachmentId", "DeleteOnTermination"):
        if name not in value:
            raise AwsError("MissingParameter", f"The request must contain the parameter Attachment.{name}")
    attachment, keep = value["AttachmentId"], value["DeleteOnTermination"]
    if ports.attached(cx, attachment).id != found.id:
        raise AwsError("InvalidParameterCombination", f"The attachment {attachment} is not one of {found.id}.")
    ports.api(cx.session(found.cloud)).set_delete_with_server(found.noun.native, keep)


_CHANGES: Mapping[str, Callable[[Context, Found[Port], Any], None]] = {
    "Description": _description,
    "SourceDestCheck": _source_check,
    "Groups": _groups,
    "Attachment": _attachment,
}

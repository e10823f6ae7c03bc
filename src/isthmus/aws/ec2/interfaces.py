"""Network interfaces: what they are, and making them and attaching them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.aws.codec import Item
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.faces import Look
from isthmus.aws.ec2.portfaces import PortFace, interface
from isthmus.aws.errors import AwsError
from isthmus.aws.rendered import rendered
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import instances, networks, ports, wiring
from isthmus.core.ids import Kind
from isthmus.core.notes import note
from isthmus.core.quotas import demand
from isthmus.core.registry import Found
from isthmus.errors import Conflict, QuotaExceeded
from isthmus.model import Port, ServerState

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AssignPrivateIpAddressesRequestTypeDef,
        AttachNetworkInterfaceRequestTypeDef,
        CreateNetworkInterfaceRequestTypeDef,
        DeleteNetworkInterfaceRequestTypeDef,
        DescribeNetworkInterfacesRequestTypeDef,
        DetachNetworkInterfaceRequestTypeDef,
        UnassignPrivateIpAddressesRequestTypeDef,
    )

_NO_IPV6 = "Interfaces have IPv4 addresses only."
_NO_PREFIXES = "Addresses are given out one by one."
REFUSES = {
    "Ipv6AddressCount": _NO_IPV6,
    "Ipv6Addresses": _NO_IPV6,
    "EnablePrimaryIpv6": _NO_IPV6,
    "Ipv4Prefixes": _NO_PREFIXES,
    "Ipv4PrefixCount": _NO_PREFIXES,
    "Ipv6Prefixes": _NO_IPV6,
    "Ipv6PrefixCount": _NO_IPV6,
    "ConnectionTrackingSpecification": "How long connections are tracked is the cloud's own matter.",
    "Operator": "There are no managed interfaces.",
}
LARGEST_DESCRIPTION = 255


class Face(NamedTuple):
    """An interface with its server and tags."""

    port: PortFace
    instance: str
    zone_id: str
    tags: tuple[tuple[str, str], ...]
    managed: bool

    @property
    def id(self) -> str:
        return self.port.id

    @property
    def account(self) -> str:
        return self.port.account


@ec2.listing("DescribeNetworkInterfaces", key="NetworkInterfaceId", ordered=True, exclusive="NetworkInterfaceIds")
def describe_network_interfaces(cx: Context, req: DescribeNetworkInterfacesRequestTypeDef) -> Iterator[Item]:
    """IncludeManagedResources changes nothing: a NAT gateway's interface is its requester's, and always shown."""
    wanted = ports.find_ports(cx, req.get("NetworkInterfaceIds"))
    return faces(cx, wanted)


def faces(cx: Context, wanted: Iterable[Found[Port]]) -> Iterator[Item]:
    """Interfaces, rendered."""
    look, servers = Look(cx), instances.index(cx)
    public = look.public()
    for found in wanted:
        one = servers.by_native.get((found.cloud, found.noun.server)) if found.noun.server else None
        port = look.port(found.cloud, found.noun, public.get((found.cloud, found.noun.native), ()))
        managed = port.kind != "interface"
        zone_id = cx.world.zone_id(port.zone)
        yield render(Face(port, one.id if one else "", zone_id, tuple(found.tags.items()), managed))


@rendered
def render(face: Face) -> dict[str, Any]:
    """A NetworkInterface of the model: what an instance says of it, and more."""
    port = face.port
    said = interface(port)
    for one in (said, *said["PrivateIpAddresses"]):
        if (public := one.get("Association")) and "_AllocationId" in public:
            more = {"AllocationId": public["_AllocationId"], "AssociationId": public["_AssociationId"]}
            one["Association"] = {**public, **more}
    attachment = said.pop("Attachment")
    if port.port.server:
        said["Attachment"] = {**attachment, "InstanceOwnerId": face.account}
        if face.instance:
            said["Attachment"]["InstanceId"] = face.instance
    elif face.managed:
        said["Status"] = "in-use"
    else:
        said["Status"] = "available"
    return {
        **said,
        "AvailabilityZone": port.zone,
        "AvailabilityZoneId": face.zone_id,
        "RequesterManaged": face.managed,
        "TagSet": tag_set(dict(face.tags)),
    }


@ec2.action("CreateNetworkInterface", makes=["network-interface"], refuses=REFUSES)
def create_network_interface(cx: Context, req: CreateNetworkInterfaceRequestTypeDef) -> Mapping[str, Any]:
    if req.get("InterfaceType", "interface") != "interface":
        raise AwsError("UnsupportedOperation", f"The interface type {req['InterfaceType']} is not supported.")
    found = create(cx, req)
    answer: dict[str, Any] = {"NetworkInterface": next(faces(cx, [found]))}
    return {**answer, "ClientToken": cx.token} if cx.token else answer


def create(cx: Context, said: Mapping[str, Any], *, delete_with_server: bool = False) -> Found[Port]:
    """An interface as CreateNetworkInterface or a launch says it. Raises AwsError for what EC2 would refuse."""
    address, others, count = addresses_of(said)
    data = {"description": description(said.get("Description", ""))}
    groups = said.get("Groups", ())
    return ports.create(
        cx, said["SubnetId"], groups, address, others, count, data, delete_with_server=delete_with_server
    )


def description(text: str) -> str:
    if len(text) > LARGEST_DESCRIPTION:
        raise AwsError("InvalidParameterValue", f"A description has at most {LARGEST_DESCRIPTION} characters.")
    return text


def addresses_of(said: Mapping[str, Any]) -> tuple[str, list[str], int]:
    """The first address asked for (empty: any), the others by themselves, and how many more."""
    first = said.get("PrivateIpAddress", "")
    items = said.get("PrivateIpAddresses", ())
    primaries = [item.get("PrivateIpAddress", "") for item in items if item.get("Primary")]
    others = [item.get("PrivateIpAddress", "") for item in items if not item.get("Primary")]
    if len(primaries) > 1 or (first and primaries and primaries[0] != first):
        raise AwsError("InvalidParameterCombination", "An interface has one primary address.")
    first = first or "".join(primaries)
    return first, [one for one in others if one != first], _count(said, others)


def _count(said: Mapping[str, Any], others: Sequence[str]) -> int:
    """How many addresses of the cloud's choice are asked for."""
    count: int = said.get("SecondaryPrivateIpAddressCount", 0)
    if count and others:
        raise AwsError("InvalidParameterCombination", "Secondary addresses are given by number or by count, not both.")
    if count < 0:
        raise AwsError("InvalidParameterValue", "A count of addresses is not negative.")
    return count


@ec2.action("DeleteNetworkInterface")
def delete_network_interface(cx: Context, req: DeleteNetworkInterfaceRequestTypeDef) -> Mapping[str, Any]:
    found = ports.own(cx, req["NetworkInterfaceId"])
    if found.noun.server:
        raise AwsError("InvalidParameterValue", f"Network interface '{found.id}' is currently in use.")
    ports.delete(cx, found)
    if network := networks.networks(cx).by_native.get((found.cloud, found.noun.network)):  # others may delete it next
        wiring.settle(cx, network)
    return {}


@ec2.action(
    "AttachNetworkInterface",
    refuses={
        "NetworkCardIndex": "A server has one network card, of the index 0.",
        "EnaSrdSpecification": "Networks have no Scalable Reliable Datagram.",
        "EnaQueueCount": "The number of queues is the cloud's own choice.",
    },
)
def attach_network_interface(cx: Context, req: AttachNetworkInterfaceRequestTypeDef) -> Mapping[str, Any]:
    found = ports.own(cx, req["NetworkInterfaceId"])
    [one] = instances.pick(cx, [req["InstanceId"]])
    if req["DeviceIndex"] < 1:
        raise AwsError("InvalidParameterValue", "An interface is attached at an index from 1.")
    if any(port.index == req["DeviceIndex"] for port in one.server.ports):
        message = f"Instance '{one.id}' already has an interface attached at device index '{req['DeviceIndex']}'."
        raise AwsError("InvalidParameterValue", message)
    if one.server.state not in (ServerState.RUNNING, ServerState.STOPPED):
        raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is not running or stopped.")
    if one.cloud != found.cloud:
        raise AwsError("InvalidParameterCombination", f"{found.id} and {one.id} are in different zones.")
    demand(cx, "interfaces_per_server", len(one.server.ports), one.id)
    clouds = ports.api(cx.session(one.cloud))
    clouds.attach_port(found.noun.native, one.server.native, req["DeviceIndex"])
    try:  # again: others may have come in at the same time
        demand(cx, "interfaces_per_server", len(instances.pick(cx, [one.id])[0].server.ports), one.id, more=0)
    except QuotaExceeded:
        clouds.detach_port(found.noun.native)
        raise
    after = ports.one(cx, found.id)
    return {"AttachmentId": ports.attachment_id(after.cloud, after.noun), "NetworkCardIndex": 0}


@ec2.action("DetachNetworkInterface")
def detach_network_interface(cx: Context, req: DetachNetworkInterfaceRequestTypeDef) -> Mapping[str, Any]:
    """Force changes nothing: no cloud waits for the guest."""
    found = ports.attached(cx, req["AttachmentId"])
    if found.noun.index == 0:
        raise AwsError("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
    ports.api(cx.session(found.cloud)).detach_port(found.noun.native)
    return {}


@ec2.action("AssignPrivateIpAddresses", refuses={"Ipv4Prefixes": _NO_PREFIXES, "Ipv4PrefixCount": _NO_PREFIXES})
def assign_private_ip_addresses(cx: Context, req: AssignPrivateIpAddressesRequestTypeDef) -> Mapping[str, Any]:
    found = ports.own(cx, req["NetworkInterfaceId"])
    wanted = req.get("PrivateIpAddresses", ())
    count = _count(req, ())
    if bool(wanted) == bool(count):
        message = "Specify either addresses or a positive count of secondary addresses."
        raise AwsError("InvalidParameterCombination" if wanted else "MissingParameter", message)
    demand(cx, "addresses_per_interface", len(found.noun.addresses), found.id, len(wanted) + count)
    _move(cx, found, wanted, allowed=req.get("AllowReassignment", False))
    new = ports.add_addresses(cx, ports.one(cx, found.id), wanted, count)
    said = [{"PrivateIpAddress": one} for one in wanted or new]
    return {"NetworkInterfaceId": found.id, "AssignedPrivateIpAddresses": said, "AssignedIpv4Prefixes": []}


def _move(cx: Context, found: Found[Port], wanted: Sequence[str], *, allowed: bool) -> None:
    """Take addresses off other interfaces of the subnet that have them as secondary ones, if that is allowed."""
    others = [one for one in ports.index(cx) if one.cloud == found.cloud and one.noun.subnet == found.noun.subnet]
    for other in others:
        held = [one for one in wanted if one in other.noun.secondary]
        if held and allowed and other.id != found.id:
            ports.api(cx.session(other.cloud)).remove_addresses(other.noun.native, held)


@ec2.action("UnassignPrivateIpAddresses", refuses={"Ipv4Prefixes": _NO_PREFIXES})
def unassign_private_ip_addresses(cx: Context, req: UnassignPrivateIpAddressesRequestTypeDef) -> Mapping[str, Any]:
    found = ports.own(cx, req["NetworkInterfaceId"])
    wanted = req.get("PrivateIpAddresses", ())
    for one in wanted:
        if one not in found.noun.secondary:
            message = f"Some of the specified addresses are not assigned to interface {found.id} as secondary ones"
            raise AwsError("InvalidParameterValue", message)
    ports.api(cx.session(found.cloud)).remove_addresses(found.noun.native, wanted)
    return {}


def describe(cx: Context, found: Found[Port], text: str) -> None:
    note(cx, Kind.PORT, found, description=description(text))

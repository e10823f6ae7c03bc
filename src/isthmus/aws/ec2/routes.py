"""Routes of a route table, and those it takes over from VPN gateways."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.ranges import cidr
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import hops, instances, networks, ports, routes, vpn
from isthmus.core.kept import Kept
from isthmus.core.routes import Entry
from isthmus.core.wiring import changing
from isthmus.model import Hop

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateRouteRequestTypeDef,
        DeleteRouteRequestTypeDef,
        DisableVgwRoutePropagationRequestTypeDef,
        EnableVgwRoutePropagationRequestTypeDef,
        ReplaceRouteRequestTypeDef,
    )

_ABSENT = "There is no such gateway on a private cloud."
_REFUSES = {
    "TransitGatewayId": _ABSENT,
    "LocalGatewayId": _ABSENT,
    "CarrierGatewayId": _ABSENT,
    "CoreNetworkArn": _ABSENT,
    "OdbNetworkArn": _ABSENT,
    "VpcEndpointId": "Endpoints of gateway load balancers are not served.",
}
# parameter -> what it leads to; a GatewayId is told by its prefix
_TARGETS = {
    "EgressOnlyInternetGatewayId": Hop.EGRESS,
    "NatGatewayId": Hop.NAT,
    "NetworkInterfaceId": Hop.PORT,
    "VpcPeeringConnectionId": Hop.PEER,
}
_GATEWAYS = {"igw": Hop.INTERNET, "vgw": hops.VPN}
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


@ec2.action("CreateRoute", refuses=_REFUSES)
def create_route(cx: Context, req: CreateRouteRequestTypeDef) -> Mapping[str, Any]:
    table = routes.one(cx, req["RouteTableId"])
    entry = _entry(cx, table, req)
    with changing(cx, table.data["network"]):
        routes.add(cx, table, entry)
    return {"Return": True}


@ec2.action("ReplaceRoute", refuses=_REFUSES)
def replace_route(cx: Context, req: ReplaceRouteRequestTypeDef) -> Mapping[str, Any]:
    table = routes.one(cx, req["RouteTableId"])
    if req.get("LocalTarget"):
        raise AwsError("UnsupportedOperation", "The local route always leads into the network.")
    entry = _entry(cx, table, req)
    with changing(cx, table.data["network"]):
        routes.exchange(cx, table, entry)
    return {}


@ec2.action("DeleteRoute")
def delete_route(cx: Context, req: DeleteRouteRequestTypeDef) -> Mapping[str, Any]:
    table = routes.one(cx, req["RouteTableId"])
    to = _destination(req)
    if to in networks.one_network(cx, table.data["network"]).noun.ranges:
        raise AwsError("InvalidParameterValue", f"cannot remove local route {to} in route table {table.id}")
    for entry in routes.entries(table):
        if entry.to == to and entry.hop == hops.ENDPOINT:
            message = f"cannot remove VPC endpoint route {entry.target} in route table {table.id}"
            raise AwsError("InvalidParameterValue", message)
    with changing(cx, table.data["network"]):
        routes.remove(cx, table, to)
    return {}


@ec2.action("EnableVgwRoutePropagation")
def enable_vgw_route_propagation(cx: Context, req: EnableVgwRoutePropagationRequestTypeDef) -> Mapping[str, Any]:
    return _propagate(cx, req, on=True)


@ec2.action("DisableVgwRoutePropagation")
def disable_vgw_route_propagation(cx: Context, req: DisableVgwRoutePropagationRequestTypeDef) -> Mapping[str, Any]:
    return _propagate(cx, req, on=False)


def _propagate(cx: Context, req: Mapping[str, Any], *, on: bool) -> Mapping[str, Any]:
    table, gateway = routes.one(cx, req["RouteTableId"]), req["GatewayId"]
    vpn.gateways(cx, [gateway])
    if on:
        hops.demand(cx, networks.one_network(cx, table.data["network"]), hops.VPN, gateway)
    with changing(cx, table.data["network"]):
        routes.propagate(cx, table, gateway, on=on)
    return {}


def _entry(cx: Context, table: Kept, req: Mapping[str, Any]) -> Entry:
    """The route that a request describes. Raises AwsError for one that cannot be, NotFound for an unknown target."""
    to = _destination(req)
    vpc = networks.one_network(cx, table.data["network"])
    if to.startswith("pl-"):
        raise AwsError("InvalidParameterValue", f"The route to {to} is that of an endpoint; make it by the endpoint.")
    wanted = ip_network(to)
    for one in vpc.noun.ranges:
        local = ip_network(one)
        if wanted.version == local.version and wanted.subnet_of(local):  # type: ignore[arg-type]
            message = f"Route destination doesn't support values within {one}: it is the local route's."
            raise AwsError("InvalidParameterValue", message)
    hop, target = _target(cx, req)
    if (hop == Hop.EGRESS) != (wanted.version == 6):
        raise AwsError("InvalidParameterValue", "An egress-only internet gateway is for IPv6 routes, others for IPv4.")
    hops.demand(cx, vpc, hop, target)
    return Entry(to, hop, target)


def _destination(req: Mapping[str, Any]) -> str:
    given = [name for name in _DESTINATIONS if req.get(name)]
    if len(given) != 1:
        code = "InvalidParameterCombination" if given else "MissingParameter"
        raise AwsError(code, "The request must contain exactly one destination.")
    [name] = given
    if name == "DestinationPrefixListId":
        return str(req[name])
    return str(cidr(req[name], version=6 if "Ipv6" in name else 4))


def _target(cx: Context, req: Mapping[str, Any]) -> tuple[str, str]:
    """What a route is to lead to. Raises AwsError unless there is exactly one."""
    found: list[tuple[str, str]] = [(hop, req[name]) for name, hop in _TARGETS.items() if req.get(name)]
    if gateway := req.get("GatewayId"):
        hop = _GATEWAYS.get(gateway.partition("-")[0])
        if hop is None:
            raise AwsError("InvalidGatewayID.NotFound", f"The gateway ID '{gateway[:64]}' does not exist")
        found.append((hop, gateway))
    if instance := req.get("InstanceId"):
        found.append((Hop.PORT, _interface(cx, instance)))
    if len(found) != 1:
        code = "InvalidParameterCombination" if found else "MissingParameter"
        raise AwsError(code, "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, ...")
    return found[0]


def _interface(cx: Context, instance: str) -> str:
    """The only interface of an instance. Raises AwsError if there are more."""
    [one] = instances.pick(cx, [instance])
    if len(one.server.ports) != 1:
        message = f"There are multiple interfaces attached to instance '{instance}'. Please specify an interface ID."
        raise AwsError("InvalidInstanceID", message)
    return ports.port_id(one.cloud, one.server.ports[0])

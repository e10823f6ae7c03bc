"""Route tables and what uses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import hops, networks, routes
from isthmus.core.kept import Kept
from isthmus.core.registry import Found
from isthmus.core.routes import Association, Entry
from isthmus.core.wiring import changing
from isthmus.model import Hop, Network

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AssociateRouteTableRequestTypeDef,
        CreateRouteTableRequestTypeDef,
        DeleteRouteTableRequestTypeDef,
        DescribeRouteTablesRequestTypeDef,
        DisassociateRouteTableRequestTypeDef,
        ReplaceRouteTableAssociationRequestTypeDef,
    )

# what a route leads to -> the member that names it
_TARGET = {
    Hop.INTERNET: "GatewayId",
    Hop.EGRESS: "EgressOnlyInternetGatewayId",
    Hop.NAT: "NatGatewayId",
    Hop.PORT: "NetworkInterfaceId",
    Hop.PEER: "VpcPeeringConnectionId",
    hops.VPN: "GatewayId",
    hops.ENDPOINT: "GatewayId",
}
_ORIGIN = {"table": "CreateRouteTable", "route": "CreateRoute", "propagation": "EnableVgwRoutePropagation"}


@ec2.listing("DescribeRouteTables", key="RouteTableId", exclusive="RouteTableIds")
def describe_route_tables(cx: Context, req: DescribeRouteTablesRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    users, vpcs = routes.users(cx), networks.networks(cx).by_id
    for table in routes.find(cx, req.get("RouteTableIds")):
        if vpc := vpcs.get(table.data["network"]):
            yield _table(cx, table, vpc, users.get(table.id, ()))


@ec2.action("CreateRouteTable", makes=["route-table"])
def create_route_table(cx: Context, req: CreateRouteTableRequestTypeDef) -> Mapping[str, Any]:
    vpc = networks.one_network(cx, req["VpcId"])
    answer: dict[str, Any] = {"RouteTable": _table(cx, routes.create(cx, vpc), vpc, ())}
    return {**answer, "ClientToken": cx.token} if cx.token else answer


@ec2.action("DeleteRouteTable")
def delete_route_table(cx: Context, req: DeleteRouteTableRequestTypeDef) -> Mapping[str, Any]:
    routes.delete(cx, req["RouteTableId"])
    return {}


@ec2.action("AssociateRouteTable", refuses={"PublicIpv4Pool": "Pools of addresses have no routes."})
def associate_route_table(cx: Context, req: AssociateRouteTableRequestTypeDef) -> Mapping[str, Any]:
    table = routes.one(cx, req["RouteTableId"])
    if req.get("GatewayId"):
        raise AwsError("UnsupportedOperation", "A gateway has no route table of its own; associate a subnet.")
    if "SubnetId" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter subnetId")
    subnet = networks.one_subnet(cx, req["SubnetId"])
    with changing(cx, table.data["network"]):
        known = routes.associate(cx, table, subnet)
    return {"AssociationId": known, "AssociationState": {"State": "associated"}}


@ec2.action("DisassociateRouteTable")
def disassociate_route_table(cx: Context, req: DisassociateRouteTableRequestTypeDef) -> Mapping[str, Any]:
    held = routes.association(cx, req["AssociationId"])
    with changing(cx, routes.one(cx, held.table).data["network"]):
        routes.disassociate(cx, held)
    return {}


@ec2.action("ReplaceRouteTableAssociation")
def replace_route_table_association(cx: Context, req: ReplaceRouteTableAssociationRequestTypeDef) -> Mapping[str, Any]:
    held, table = routes.association(cx, req["AssociationId"]), routes.one(cx, req["RouteTableId"])
    with changing(cx, routes.one(cx, held.table).data["network"]):
        known = routes.reassociate(cx, held, table)
    return {"NewAssociationId": known, "AssociationState": {"State": "associated"}}


def _table(cx: Context, table: Kept, vpc: Found[Network], users: Sequence[Association]) -> dict[str, Any]:
    """A RouteTable of the model."""
    return {
        "RouteTableId": table.id,
        "VpcId": vpc.id,
        "OwnerId": cx.account,
        "Associations": [_association(held) for held in users],
        "PropagatingVgws": [
            {"GatewayId": known}
            for known in routes.propagating(table)
            if hops.alive(cx, vpc, Entry("", hops.VPN, known))
        ],
        "Routes": [
            *(_local(cidr) for cidr in vpc.noun.ranges),
            *(_route(cx, vpc, entry) for entry in routes.entries(table)),
        ],
        "Tags": tag_set(table.tags),
    }


def _association(held: Association) -> dict[str, Any]:
    said = {
        "Main": not held.subnet,
        "RouteTableAssociationId": held.id,
        "RouteTableId": held.table,
        "AssociationState": {"State": "associated"},
    }
    return {**said, "SubnetId": held.subnet} if held.subnet else said


def _local(cidr: str) -> dict[str, Any]:
    return {"DestinationCidrBlock": cidr, "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}


def _route(cx: Context, vpc: Found[Network], entry: Entry) -> dict[str, Any]:
    """A Route of the model."""
    said = {
        destination(entry.to): entry.to,
        _TARGET[entry.hop]: entry.target,
        "Origin": _ORIGIN[entry.made],
        "State": "active" if hops.alive(cx, vpc, entry) else "blackhole",
    }
    if entry.hop == Hop.PORT and (server := hops.server_of(cx, entry)):
        said |= {"InstanceId": server, "InstanceOwnerId": cx.account}
    return said


def destination(to: str) -> str:
    """The member that names where a route leads."""
    if to.startswith("pl-"):
        return "DestinationPrefixListId"
    return "DestinationIpv6CidrBlock" if ":" in to else "DestinationCidrBlock"

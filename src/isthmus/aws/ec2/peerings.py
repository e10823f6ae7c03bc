"""VPC peering connections, within an account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import networks, peerings
from isthmus.core.ids import Kind
from isthmus.core.kept import Kept
from isthmus.errors import NotFound

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AcceptVpcPeeringConnectionRequestTypeDef,
        CreateVpcPeeringConnectionRequestTypeDef,
        DeleteVpcPeeringConnectionRequestTypeDef,
        DescribeVpcPeeringConnectionsRequestTypeDef,
        ModifyVpcPeeringConnectionOptionsRequestTypeDef,
        RejectVpcPeeringConnectionRequestTypeDef,
    )

_OTHERS = "VPCs of two accounts, or of two regions, cannot be connected here: no cloud routes between tenants."
_MESSAGES = {
    "pending-acceptance": "Pending Acceptance by {account}",
    "active": "Active",
    "rejected": "Rejected",
    "deleted": "Deleted by {account}",
    "expired": "Expired",
    "failed": "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range",
}
_OPTIONS = (
    "AllowDnsResolutionFromRemoteVpc",
    "AllowEgressFromLocalClassicLinkToRemoteVpc",
    "AllowEgressFromLocalVpcToRemoteClassicLink",
)


@ec2.listing("DescribeVpcPeeringConnections", key="VpcPeeringConnectionId", exclusive="VpcPeeringConnectionIds")
def describe_vpc_peering_connections(
    cx: Context, req: DescribeVpcPeeringConnectionsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    return (_peering(cx, one) for one in peerings.find(cx, req.get("VpcPeeringConnectionIds")))


@ec2.action("CreateVpcPeeringConnection", makes=["vpc-peering-connection"])
def create_vpc_peering_connection(cx: Context, req: CreateVpcPeeringConnectionRequestTypeDef) -> Mapping[str, Any]:
    asker = networks.one_network(cx, req["VpcId"])
    if req.get("PeerOwnerId", cx.account) != cx.account or req.get("PeerRegion", cx.world.region) != cx.world.region:
        raise AwsError("UnsupportedOperation", _OTHERS)
    if "PeerVpcId" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter peerVpcId")
    other = networks.one_network(cx, req["PeerVpcId"])
    made = _peering(cx, peerings.create(cx, asker, other))
    made["Status"] = {"Code": "initiating-request", "Message": f"Initiating Request to {cx.account}"}
    return {"VpcPeeringConnection": made}


@ec2.action("AcceptVpcPeeringConnection")
def accept_vpc_peering_connection(cx: Context, req: AcceptVpcPeeringConnectionRequestTypeDef) -> Mapping[str, Any]:
    if "VpcPeeringConnectionId" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter vpcPeeringConnectionId")
    return {"VpcPeeringConnection": _peering(cx, peerings.accept(cx, req["VpcPeeringConnectionId"]))}


@ec2.action("RejectVpcPeeringConnection")
def reject_vpc_peering_connection(cx: Context, req: RejectVpcPeeringConnectionRequestTypeDef) -> Mapping[str, Any]:
    peerings.reject(cx, req["VpcPeeringConnectionId"])
    return {"Return": True}


@ec2.action("DeleteVpcPeeringConnection")
def delete_vpc_peering_connection(cx: Context, req: DeleteVpcPeeringConnectionRequestTypeDef) -> Mapping[str, Any]:
    peerings.delete(cx, req["VpcPeeringConnectionId"])
    return {"Return": True}


@ec2.action("ModifyVpcPeeringConnectionOptions")
def modify_vpc_peering_connection_options(
    cx: Context, req: ModifyVpcPeeringConnectionOptionsRequestTypeDef
) -> Mapping[str, Any]:
    """The options can be set to what they are: names of the other VPC's servers mean their private addresses anyway."""
    [found] = peerings.find(cx, [req["VpcPeeringConnectionId"]])
    if found.gone:
        raise NotFound(Kind.PEERING, found.id)
    said: Mapping[str, Any] = req
    answer = {}
    for side in ("AccepterPeeringConnectionOptions", "RequesterPeeringConnectionOptions"):
        if side in said:
            if any(said[side].values()):
                raise AwsError("UnsupportedOperation", "No cloud resolves names across a peering, or has ClassicLink.")
            answer[side] = dict.fromkeys(_OPTIONS, False)
    return answer


def _peering(cx: Context, one: Kept) -> dict[str, Any]:
    """A VpcPeeringConnection of the model."""
    code, both = peerings.status(cx, one), peerings.sides(one)
    said: dict[str, Any] = {
        "VpcPeeringConnectionId": one.id,
        "RequesterVpcInfo": _side(cx, both.asker, code),
        "AccepterVpcInfo": _side(cx, both.other, code),
        "Status": {"Code": code, "Message": _MESSAGES[code].format(account=cx.account)},
        "Tags": tag_set(one.tags),
    }
    return {**said, "ExpirationTime": one.created + peerings.EXPIRES} if code == peerings.PENDING else said


def _side(cx: Context, network: str, code: str) -> dict[str, Any]:
    """A VpcPeeringConnectionVpcInfo."""
    said: dict[str, Any] = {"VpcId": network, "OwnerId": cx.account, "Region": cx.world.region}
    found = networks.networks(cx).by_id.get(network)
    if found:
        said["CidrBlock"] = found.noun.cidr
        said["CidrBlockSet"] = [{"CidrBlock": cidr} for cidr in found.noun.ranges]
    return {**said, "PeeringOptions": dict.fromkeys(_OPTIONS, False)} if code == peerings.ACTIVE else said

"""Egress-only internet gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import egress, networks
from isthmus.core.kept import Kept

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateEgressOnlyInternetGatewayRequestTypeDef,
        DeleteEgressOnlyInternetGatewayRequestTypeDef,
        DescribeEgressOnlyInternetGatewaysRequestTypeDef,
    )


@ec2.listing("DescribeEgressOnlyInternetGateways", key="EgressOnlyInternetGatewayId")
def describe_egress_only_internet_gateways(
    cx: Context, req: DescribeEgressOnlyInternetGatewaysRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    return (_gateway(one) for one in egress.find(cx, req.get("EgressOnlyInternetGatewayIds")))


@ec2.action("CreateEgressOnlyInternetGateway", makes=["egress-only-internet-gateway"])
def create_egress_only_internet_gateway(
    cx: Context, req: CreateEgressOnlyInternetGatewayRequestTypeDef
) -> Mapping[str, Any]:
    made = egress.create(cx, networks.one_network(cx, req["VpcId"]))
    answer: dict[str, Any] = {"EgressOnlyInternetGateway": _gateway(made)}
    return {**answer, "ClientToken": cx.token} if cx.token else answer


@ec2.action("DeleteEgressOnlyInternetGateway")
def delete_egress_only_internet_gateway(
    cx: Context, req: DeleteEgressOnlyInternetGatewayRequestTypeDef
) -> Mapping[str, Any]:
    egress.delete(cx, req["EgressOnlyInternetGatewayId"])
    return {"ReturnCode": True}


def _gateway(one: Kept) -> dict[str, Any]:
    """An EgressOnlyInternetGateway of the model."""
    return {
        "EgressOnlyInternetGatewayId": one.id,
        "Attachments": [{"State": "attached", "VpcId": one.data["network"]}],
        "Tags": tag_set(one.tags),
    }

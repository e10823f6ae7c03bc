"""Internet gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import addresses, gateways, networks
from isthmus.core.kept import Kept
from isthmus.core.wiring import changing

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AttachInternetGatewayRequestTypeDef,
        CreateInternetGatewayRequestTypeDef,
        DeleteInternetGatewayRequestTypeDef,
        DescribeInternetGatewaysRequestTypeDef,
        DetachInternetGatewayRequestTypeDef,
        InternetGatewayTypeDef,
    )


@ec2.listing("DescribeInternetGateways", key="InternetGatewayId", exclusive="InternetGatewayIds")
def describe_internet_gateways(
    cx: Context, req: DescribeInternetGatewaysRequestTypeDef
) -> Iterator[InternetGatewayTypeDef]:
    return (_gateway(one) for one in gateways.find(cx, req.get("InternetGatewayIds")))


@ec2.action("CreateInternetGateway", makes=["internet-gateway"])
def create_internet_gateway(cx: Context, req: CreateInternetGatewayRequestTypeDef) -> Mapping[str, Any]:
    return {"InternetGateway": _gateway(gateways.create(cx))}


@ec2.action("AttachInternetGateway")
def attach_internet_gateway(cx: Context, req: AttachInternetGatewayRequestTypeDef) -> Mapping[str, Any]:
    vpc = networks.one_network(cx, req["VpcId"]).id
    gateways.find(cx, [req["InternetGatewayId"]])
    with changing(cx, vpc):
        gateways.attach(cx, req["InternetGatewayId"], vpc)
    return {}


@ec2.action("DetachInternetGateway")
def detach_internet_gateway(cx: Context, req: DetachInternetGatewayRequestTypeDef) -> Mapping[str, Any]:
    found = networks.one_network(cx, req["VpcId"])
    gateways.find(cx, [req["InternetGatewayId"]])
    with changing(cx, found.id):
        gateways.detach(cx, req["InternetGatewayId"], found.id)
        addresses.demand_none(cx, found)  # after that: who associates one looks for the gateway afterwards
    return {}


@ec2.action("DeleteInternetGateway")
def delete_internet_gateway(cx: Context, req: DeleteInternetGatewayRequestTypeDef) -> Mapping[str, Any]:
    gateways.delete(cx, req["InternetGatewayId"])
    return {}


def _gateway(one: Kept) -> InternetGatewayTypeDef:
    vpc = one.data["network"]
    return {
        "InternetGatewayId": one.id,
        "OwnerId": one.account,
        "Attachments": [{"State": "available", "VpcId": vpc}] if vpc else [],  # type: ignore[typeddict-item]
        "Tags": tag_set(one.tags),  # type: ignore[typeddict-item]
    }

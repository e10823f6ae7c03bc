"""Virtual private gateways, and customer gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.launch import zone_of
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import networks, vpn
from isthmus.core.kept import Kept
from isthmus.core.wiring import changing

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AttachVpnGatewayRequestTypeDef,
        CreateCustomerGatewayRequestTypeDef,
        CreateVpnGatewayRequestTypeDef,
        DeleteCustomerGatewayRequestTypeDef,
        DeleteVpnGatewayRequestTypeDef,
        DescribeCustomerGatewaysRequestTypeDef,
        DescribeVpnGatewaysRequestTypeDef,
        DetachVpnGatewayRequestTypeDef,
    )

TYPE = "ipsec.1"
_ASN_HERE, _ASN_THERE = 64512, 65000
_PRIVATE_ASNS = (range(64512, 65535), range(4200000000, 4294967295))


@ec2.listing("DescribeVpnGateways", key="VpnGatewayId")
def describe_vpn_gateways(cx: Context, req: DescribeVpnGatewaysRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    return (_gateway(one) for one in vpn.gateways(cx, req.get("VpnGatewayIds")))


@ec2.action("CreateVpnGateway", makes=["vpn-gateway"])
def create_vpn_gateway(cx: Context, req: CreateVpnGatewayRequestTypeDef) -> Mapping[str, Any]:
    _demand_type(req["Type"])
    asn = req.get("AmazonSideAsn", _ASN_HERE)
    if not any(asn in span for span in _PRIVATE_ASNS):
        raise AwsError("InvalidParameterValue", f"The ASN {asn} is not a private one.")
    made = vpn.create_gateway(cx, asn, zone_of(cx, req))
    return {"VpnGateway": {**_gateway(made), "State": "pending"}}


@ec2.action("AttachVpnGateway")
def attach_vpn_gateway(cx: Context, req: AttachVpnGatewayRequestTypeDef) -> Mapping[str, Any]:
    vpc = networks.one_network(cx, req["VpcId"]).id
    vpn.attach(cx, req["VpnGatewayId"], vpc)
    return {"VpcAttachment": {"State": "attaching", "VpcId": vpc}}


@ec2.action("DetachVpnGateway")
def detach_vpn_gateway(cx: Context, req: DetachVpnGatewayRequestTypeDef) -> Mapping[str, Any]:
    vpc = networks.one_network(cx, req["VpcId"]).id
    with changing(cx, vpc):
        vpn.detach(cx, req["VpnGatewayId"], vpc)
    return {}


@ec2.action("DeleteVpnGateway")
def delete_vpn_gateway(cx: Context, req: DeleteVpnGatewayRequestTypeDef) -> Mapping[str, Any]:
    vpn.delete_gateway(cx, req["VpnGatewayId"])
    return {}


@ec2.listing("DescribeCustomerGateways", key="CustomerGatewayId")
def describe_customer_gateways(cx: Context, req: DescribeCustomerGatewaysRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    return (_customer(one) for one in vpn.customers(cx, req.get("CustomerGatewayIds")))


@ec2.action(
    "CreateCustomerGateway",
    makes=["customer-gateway"],
    refuses={"CertificateArn": "There is no certificate manager; tunnels have pre-shared keys."},
)
def create_customer_gateway(cx: Context, req: CreateCustomerGatewayRequestTypeDef) -> Mapping[str, Any]:
    _demand_type(req["Type"])
    given = [req[name] for name in ("IpAddress", "PublicIp") if req.get(name)]
    if len(given) != 1:
        raise AwsError("MissingParameter", "The request must contain the parameter ipAddress")
    asn = req.get("BgpAsnExtended") or req.get("BgpAsn") or _ASN_THERE
    if not 1 <= asn <= 4294967294:
        raise AwsError("InvalidParameterValue", f"The ASN {asn} is none.")
    made = vpn.create_customer(cx, _address(given[0]), asn, req.get("DeviceName", "")[:255])
    return {"CustomerGateway": _customer(made)}


@ec2.action("DeleteCustomerGateway")
def delete_customer_gateway(cx: Context, req: DeleteCustomerGatewayRequestTypeDef) -> Mapping[str, Any]:
    vpn.delete_customer(cx, req["CustomerGatewayId"])
    return {}


def _demand_type(given: str) -> None:
    if given != TYPE:
        raise AwsError("InvalidParameterValue", f"Invalid value '{given[:32]}' for type; it is {TYPE}.")


def _address(text: str) -> str:
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or found.version != 4 or found.is_unspecified or found.is_multicast:
        raise AwsError("InvalidParameterValue", f"Value ({text[:64]}) for parameter ipAddress is invalid.")
    return str(found)


def _gateway(one: Kept) -> dict[str, Any]:
    """A VpnGateway of the model."""
    vpc = one.data["network"]
    said: dict[str, Any] = {
        "VpnGatewayId": one.id,
        "State": "deleted" if one.gone else "available",
        "Type": TYPE,
        "AmazonSideAsn": one.data["asn"],
        "VpcAttachments": [{"State": "attached", "VpcId": vpc}] if vpc else [],
        "Tags": tag_set(one.tags),
    }
    return {**said, "AvailabilityZone": one.data["zone"]} if one.data["zone"] else said


def _customer(one: Kept) -> dict[str, Any]:
    """A CustomerGateway of the model."""
    asn = one.data["asn"]
    said: dict[str, Any] = {
        "CustomerGatewayId": one.id,
        "State": "deleted" if one.gone else "available",
        "Type": TYPE,
        "IpAddress": one.data["address"],
        "BgpAsn" if asn < 1 << 31 else "BgpAsnExtended": str(asn),
        "Tags": tag_set(one.tags),
    }
    return {**said, "DeviceName": one.data["device"]} if one.data["device"] else said

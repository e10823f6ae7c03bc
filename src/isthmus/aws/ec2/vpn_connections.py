"""VPN connections and their static routes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.ranges import cidr
from isthmus.aws.ec2.vpn_configuration import configuration
from isthmus.aws.ec2.vpn_gateways import TYPE
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import vpn
from isthmus.core.kept import Kept

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateVpnConnectionRequestTypeDef,
        CreateVpnConnectionRouteRequestTypeDef,
        DeleteVpnConnectionRequestTypeDef,
        DeleteVpnConnectionRouteRequestTypeDef,
        DescribeVpnConnectionsRequestTypeDef,
    )

_DOWN = "No cloud behind this service ends tunnels."
_ANY = "0.0.0.0/0"
# what an option may only be, since it cannot be otherwise here
_ONLY: Mapping[str, Any] = {
    "EnableAcceleration": False,
    "TunnelInsideIpVersion": "ipv4",
    "OutsideIpAddressType": "PublicIpv4",
}
_OWN = frozenset({"StaticRoutesOnly", "TunnelOptions", "LocalIpv4NetworkCidr", "RemoteIpv4NetworkCidr"})
_KEY = re.compile(r"[A-Za-z1-9._][A-Za-z0-9._]{7,63}")


@ec2.listing("DescribeVpnConnections", key="VpnConnectionId")
def describe_vpn_connections(cx: Context, req: DescribeVpnConnectionsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    return (_connection(cx, one) for one in vpn.connections(cx, req.get("VpnConnectionIds")))


@ec2.action(
    "CreateVpnConnection",
    makes=["vpn-connection"],
    refuses={
        "TransitGatewayId": "There are no transit gateways.",
        "VpnConcentratorId": "There are no concentrators.",
        "PreSharedKeyStorage": "Keys are kept encrypted in the store.",
    },
)
def create_vpn_connection(cx: Context, req: CreateVpnConnectionRequestTypeDef) -> Mapping[str, Any]:
    if req["Type"] != TYPE:
        raise AwsError("InvalidParameterValue", f"Invalid value '{req['Type'][:32]}' for type; it is {TYPE}.")
    vpn.customers(cx, [req["CustomerGatewayId"]])
    if "VpnGatewayId" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter vpnGatewayId")
    options: Mapping[str, Any] = req.get("Options", {})
    for name, value in options.items():
        if name not in _OWN and value != _ONLY.get(name):
            raise AwsError("UnsupportedOperation", f"The option {name} cannot be {value} here.")
    data = {
        "static": options.get("StaticRoutesOnly", False),
        "local": str(cidr(options.get("LocalIpv4NetworkCidr", _ANY), version=4)),
        "remote": str(cidr(options.get("RemoteIpv4NetworkCidr", _ANY), version=4)),
    }
    wanted = _tunnels(options.get("TunnelOptions", ()))
    made = vpn.connect(cx, req["VpnGatewayId"], req["CustomerGatewayId"], wanted, data)
    return {"VpnConnection": {**_connection(cx, made), "State": "pending"}}


@ec2.action("DeleteVpnConnection")
def delete_vpn_connection(cx: Context, req: DeleteVpnConnectionRequestTypeDef) -> Mapping[str, Any]:
    vpn.disconnect(cx, req["VpnConnectionId"])
    return {}


@ec2.action("CreateVpnConnectionRoute")
def create_vpn_connection_route(cx: Context, req: CreateVpnConnectionRouteRequestTypeDef) -> Mapping[str, Any]:
    [found] = vpn.connections(cx, [req["VpnConnectionId"]])
    vpn.add_route(cx, found.id, str(cidr(req["DestinationCidrBlock"], version=4)))
    return {}


@ec2.action("DeleteVpnConnectionRoute")
def delete_vpn_connection_route(cx: Context, req: DeleteVpnConnectionRouteRequestTypeDef) -> Mapping[str, Any]:
    [found] = vpn.connections(cx, [req["VpnConnectionId"]])
    vpn.remove_route(cx, found.id, str(cidr(req["DestinationCidrBlock"], version=4)))
    return {}


def _tunnels(said: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The inner range and the key of each tunnel, as far as they are given."""
    if len(said) > vpn.TUNNELS:
        raise AwsError("InvalidParameterValue", "A connection has two tunnels.")
    for one in said:
        for name, value in one.items():
            if name not in ("TunnelInsideCidr", "PreSharedKey") and value:
                raise AwsError("UnsupportedOperation", f"TunnelOptions.{name} is not supported. {_DOWN}")
    found = [(_inside(one.get("TunnelInsideCidr", "")), _key(one.get("PreSharedKey", ""))) for one in said]
    ranges = [inside for inside, _ in found if inside]
    if len(set(ranges)) < len(ranges):
        raise AwsError("InvalidParameterValue", "The tunnels of a connection have different inside ranges.")
    return found


def _inside(text: str) -> str:
    if not text:
        return ""
    found = cidr(text, version=4)
    fits = isinstance(found, IPv4Network) and found.prefixlen == 30 and found.subnet_of(vpn.INSIDE)
    if not fits or found in vpn.RESERVED:
        raise AwsError("InvalidParameterValue", f"Value ({text[:32]}) for parameter tunnelInsideCidr is invalid.")
    return str(found)


def _key(text: str) -> str:
    if text and not _KEY.fullmatch(text):
        raise AwsError("InvalidParameterValue", "A key has 8 to 64 letters, digits, dots and underscores.")
    return text


def _connection(cx: Context, one: Kept) -> dict[str, Any]:
    """A VpnConnection of the model, with its customer's ASN to be found by."""
    data = one.data
    tunnels = vpn.tunnels(cx, one)
    said: dict[str, Any] = {
        "VpnConnectionId": one.id,
        "State": "deleted" if one.gone else "available",
        "Type": TYPE,
        "Category": "VPN",
        "CustomerGatewayId": data["customer"],
        "VpnGatewayId": data["gateway"],
        "GatewayAssociationState": "not-associated" if one.gone else "associated",
        "Options": {
            "StaticRoutesOnly": data["static"],
            "EnableAcceleration": False,
            "LocalIpv4NetworkCidr": data["local"],
            "RemoteIpv4NetworkCidr": data["remote"],
            "OutsideIpAddressType": "PublicIpv4",
            "TunnelInsideIpVersion": "ipv4",
            "TunnelOptions": [
                {"OutsideIpAddress": each.outside, "TunnelInsideCidr": each.inside, "PreSharedKey": each.key}
                for each in tunnels
            ],
        },
        "Routes": [{"DestinationCidrBlock": to, "Source": "Static", "State": "available"} for to in data["routes"]],
        "VgwTelemetry": [
            {
                "OutsideIpAddress": each.outside,
                "Status": "DOWN",
                "StatusMessage": _DOWN,
                "AcceptedRouteCount": 0,
                "LastStatusChange": one.created,
            }
            for each in tunnels
        ],
        "Tags": tag_set(one.tags),
    }
    if tunnels:
        [gateway], [customer] = vpn.gateways(cx, [data["gateway"]]), vpn.customers(cx, [data["customer"]])
        said["_BgpAsn"] = str(customer.data["asn"])
        said["CustomerGatewayConfiguration"] = configuration(one, gateway, customer, tunnels)
    return said

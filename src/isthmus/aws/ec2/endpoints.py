"""VPC endpoints of the kind gateway, and the services they lead to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.faults import say
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import endpoints, networks
from isthmus.core.kept import Kept
from isthmus.errors import Fault

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateVpcEndpointRequestTypeDef,
        DeleteVpcEndpointsRequestTypeDef,
        DescribeVpcEndpointServicesRequestTypeDef,
        DescribeVpcEndpointsRequestTypeDef,
        ModifyVpcEndpointRequestTypeDef,
    )

_NO_PORTS = "Endpoints are of the kind Gateway here: they have routes, and no interfaces."
_REFUSES = {
    "SubnetIds": _NO_PORTS,
    "SecurityGroupIds": _NO_PORTS,
    "SubnetConfigurations": _NO_PORTS,
    "ServiceRegion": "Services are those of this region.",
    "ResourceConfigurationArn": _NO_PORTS,
    "ServiceNetworkArn": _NO_PORTS,
    "DnsOptions": _NO_PORTS,
    "PrivateDnsEnabled": _NO_PORTS,
}
_OPEN = json.dumps(
    {"Version": "2008-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
)
_LARGEST_POLICY = 20480


@ec2.listing("DescribeVpcEndpoints", key="VpcEndpointId")
def describe_vpc_endpoints(cx: Context, req: DescribeVpcEndpointsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    held = endpoints.tables(cx)
    return (_endpoint(cx, one, held.get(one.id, ())) for one in endpoints.find(cx, req.get("VpcEndpointIds")))


@ec2.action("CreateVpcEndpoint", makes=["vpc-endpoint"], refuses=_REFUSES)
def create_vpc_endpoint(cx: Context, req: CreateVpcEndpointRequestTypeDef) -> Mapping[str, Any]:
    kind = req.get("VpcEndpointType", "Gateway")
    if kind != "Gateway":
        raise AwsError("UnsupportedOperation", f"The endpoint type {kind} is not supported. {_NO_PORTS}")
    _demand_ipv4(req)
    vpc = networks.one_network(cx, req["VpcId"])
    if "ServiceName" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter serviceName")
    service = _service(cx, req["ServiceName"])
    tables = list(dict.fromkeys(req.get("RouteTableIds", ())))
    made = endpoints.create(cx, vpc, service, tables, _policy(req.get("PolicyDocument", "")))
    answer: dict[str, Any] = {"VpcEndpoint": _endpoint(cx, made, tables)}
    return {**answer, "ClientToken": cx.token} if cx.token else answer


@ec2.action(
    "ModifyVpcEndpoint",
    refuses={
        "AddSubnetIds": _NO_PORTS,
        "RemoveSubnetIds": _NO_PORTS,
        "AddSecurityGroupIds": _NO_PORTS,
        "RemoveSecurityGroupIds": _NO_PORTS,
        "PrivateDnsEnabled": _NO_PORTS,
        "SubnetConfigurations": _NO_PORTS,
        "DnsOptions": _NO_PORTS,
    },
)
def modify_vpc_endpoint(cx: Context, req: ModifyVpcEndpointRequestTypeDef) -> Mapping[str, Any]:
    _demand_ipv4(req)
    [found] = endpoints.find(cx, [req["VpcEndpointId"]])
    policy = None
    if req.get("ResetPolicy"):
        policy = _OPEN
    elif "PolicyDocument" in req:
        policy = _policy(req["PolicyDocument"])
    add = list(dict.fromkeys(req.get("AddRouteTableIds", ())))
    remove = list(dict.fromkeys(req.get("RemoveRouteTableIds", ())))
    if both := set(add) & set(remove):
        raise AwsError("InvalidParameterCombination", f"{min(both)} cannot be both added and removed.")
    endpoints.change(cx, found, add, remove, policy)
    return {"Return": True}


@ec2.action("DeleteVpcEndpoints")
def delete_vpc_endpoints(cx: Context, req: DeleteVpcEndpointsRequestTypeDef) -> Mapping[str, Any]:
    failed = []
    for known in dict.fromkeys(req["VpcEndpointIds"]):
        try:
            endpoints.delete(cx, known)
        except Fault as fault:
            error = say(cx, fault)
            failed.append({"ResourceId": known, "Error": {"Code": error.code, "Message": error.message}})
    return {"Unsuccessful": failed}


def fold(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Services by name, and in full."""
    return {"ServiceNames": [item["ServiceName"] for item in items], "ServiceDetails": items}


@ec2.listing("DescribeVpcEndpointServices", key="ServiceName", fold=fold)
def describe_vpc_endpoint_services(
    cx: Context, req: DescribeVpcEndpointServicesRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    """ServiceRegions may name this region alone; others have no services here."""
    regions = req.get("ServiceRegions") or [cx.world.region]
    wanted = [_service(cx, name) for name in req.get("ServiceNames", ())] or list(cx.world.services)
    return (_detail(cx, service_name(cx, one)) for one in dict.fromkeys(wanted) if cx.world.region in regions)


def _endpoint(cx: Context, one: Kept, tables: Sequence[str]) -> dict[str, Any]:
    """A VpcEndpoint of the model."""
    return {
        "VpcEndpointId": one.id,
        "VpcEndpointType": "Gateway",
        "VpcId": one.data["network"],
        "ServiceName": service_name(cx, one.data["service"]),
        "State": "available",
        "PolicyDocument": one.data["policy"],
        "RouteTableIds": list(tables),
        "SubnetIds": [],
        "Groups": [],
        "NetworkInterfaceIds": [],
        "DnsEntries": [],
        "PrivateDnsEnabled": False,
        "RequesterManaged": False,
        "OwnerId": cx.account,
        "CreationTimestamp": one.created,
        "Tags": tag_set(one.tags),
    }


def _detail(cx: Context, name: str) -> dict[str, Any]:
    """A ServiceDetail of the model."""
    return {
        "ServiceName": name,
        "ServiceType": [{"ServiceType": "Gateway"}],
        "AvailabilityZones": list(cx.world.places),
        "Owner": "amazon",
        "VpcEndpointPolicySupported": True,
        "AcceptanceRequired": False,
        "ManagesVpcEndpoints": False,
        "Tags": [],
    }


def service_name(cx: Context, service: str) -> str:
    return f"com.amazonaws.{cx.world.region}.{service}"


def _service(cx: Context, name: str) -> str:
    """The service of a name. Raises AwsError."""
    for service in cx.world.services:
        if service_name(cx, service) == name:
            return service
    raise AwsError("InvalidServiceName", f"The Vpc Endpoint Service '{name[:128]}' does not exist")


def _demand_ipv4(req: Mapping[str, Any]) -> None:
    if req.get("IpAddressType", "ipv4") != "ipv4":
        raise AwsError("UnsupportedOperation", "Networks have IPv4 addresses only.")


def _policy(text: str) -> str:
    """A policy as it was given, which nothing acts on. Raises AwsError for what is no JSON."""
    if not text:
        return _OPEN
    try:
        fits = isinstance(json.loads(text), dict) and len(text) <= _LARGEST_POLICY
    except ValueError:
        fits = False
    if not fits:
        raise AwsError("InvalidPolicyDocument", "The policy is not a JSON document that an endpoint can have.")
    return text

"""The formats of ids: 17 digits for every kind of resource, which nobody can change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeIdentityIdFormatRequestTypeDef,
        DescribeIdFormatRequestTypeDef,
        DescribePrincipalIdFormatRequestTypeDef,
        IdFormatTypeDef,
    )

# source: DescribeIdFormat in the EC2 API reference
_RESOURCES = (
    *("bundle", "conversion-task", "customer-gateway", "dhcp-options", "elastic-ip-allocation"),
    *("elastic-ip-association", "export-task", "flow-log", "image", "import-task", "instance", "internet-gateway"),
    *("network-acl", "network-acl-association", "network-interface", "network-interface-attachment", "prefix-list"),
    *("reservation", "route-table", "route-table-association", "security-group", "snapshot", "subnet"),
    *("subnet-cidr-block-association", "volume", "vpc", "vpc-cidr-block-association", "vpc-endpoint"),
    *("vpc-peering-connection", "vpn-connection", "vpn-gateway"),
)
_PRINCIPAL = re.compile(r"arn:aws:iam::(\d{12}):(?:root|user/.+|role/.+)|all")


@ec2.listing("DescribeIdFormat", key="Resource")
def describe_id_format(cx: Context, req: DescribeIdFormatRequestTypeDef) -> Iterator[IdFormatTypeDef]:
    return _formats(req.get("Resource", ""))


@ec2.listing("DescribeIdentityIdFormat", key="Resource")
def describe_identity_id_format(cx: Context, req: DescribeIdentityIdFormatRequestTypeDef) -> Iterator[IdFormatTypeDef]:
    principal = _PRINCIPAL.fullmatch(req["PrincipalArn"])
    if principal is None or principal[1] not in (None, cx.account):
        raise AwsError("InvalidParameterValue", "The PrincipalArn is not one of this account's.")
    return _formats(req.get("Resource", ""))


@ec2.listing("DescribePrincipalIdFormat", key="Arn")
def describe_principal_id_format(
    cx: Context,
    req: DescribePrincipalIdFormatRequestTypeDef,
) -> Iterator[Mapping[str, Any]]:
    """Those who chose a format of their own: nobody can."""
    for resource in req.get("Resources", ()):
        _demand_known(resource)
    return iter(())


@ec2.action("DescribeAggregateIdFormat")
def describe_aggregate_id_format(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"UseLongIdsAggregated": True, "Statuses": list(_formats(""))}


def _formats(resource: str) -> Iterator[IdFormatTypeDef]:
    if resource:
        _demand_known(resource)
    return ({"Resource": one, "UseLongIds": True} for one in _RESOURCES if resource in ("", one))


def _demand_known(resource: str) -> None:
    if resource not in _RESOURCES:
        raise AwsError("InvalidParameterValue", f"Value ({resource[:128]}) for parameter resource is invalid.")

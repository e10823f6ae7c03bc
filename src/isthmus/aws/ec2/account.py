"""Account attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import networks

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import DescribeAccountAttributesRequestTypeDef


@ec2.listing("DescribeAccountAttributes", key="AttributeName")
def describe_account_attributes(
    cx: Context, req: DescribeAccountAttributesRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    default = networks.default_network(cx, cx.place().cloud).id
    most = cx.world.limits.quota
    values = {
        "supported-platforms": "VPC",
        "default-vpc": default,
        "max-instances": str(most("instances")),
        "max-elastic-ips": str(most("addresses")),
        "vpc-max-elastic-ips": str(most("addresses")),
        "vpc-max-security-groups-per-interface": str(most("groups_per_server")),
    }
    for name in req.get("AttributeNames") or values:
        if name not in values:
            raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter attributeName is invalid.")
        yield {"AttributeName": name, "AttributeValues": [{"AttributeValue": values[name]}]}

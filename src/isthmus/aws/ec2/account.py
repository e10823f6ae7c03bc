"""Account attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import networks, quotas

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import DescribeAccountAttributesRequestTypeDef


@ec2.listing("DescribeAccountAttributes", key="AttributeName")
def describe_account_attributes(
    cx: Context, req: DescribeAccountAttributesRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    for name in req.get("AttributeNames") or _VALUES:
        if name not in _VALUES:
            raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter attributeName is invalid.")
        yield {"AttributeName": name, "AttributeValues": [{"AttributeValue": str(_VALUES[name](cx))}]}


_VALUES: Mapping[str, Callable[[Context], object]] = {
    "supported-platforms": lambda _: "VPC",
    "default-vpc": lambda cx: networks.default_network(cx, cx.place().cloud).id,
    "max-instances": lambda cx: quotas.most(cx, "instances"),
    "max-elastic-ips": lambda cx: quotas.most(cx, "addresses"),
    "vpc-max-elastic-ips": lambda cx: quotas.most(cx, "addresses"),
    "vpc-max-security-groups-per-interface": lambda cx: cx.world.limits.quota("groups_per_server"),
}

"""Tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws import tagging
from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import tags

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import DescribeTagsRequestTypeDef, TagDescriptionTypeDef

RESOURCE_TYPES = {
    "i": "instance",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "aki": "image",
    "ari": "image",
    "vpc": "vpc",
    "subnet": "subnet",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eipalloc": "elastic-ip",
    "key": "key-pair",
    "eni": "network-interface",
    "lt": "launch-template",
    "cr": "capacity-reservation",
    "sir": "spot-instances-request",
    "pg": "placement-group",
    "rtb": "route-table",
    "acl": "network-acl",
    "dopt": "dhcp-options",
    "igw": "internet-gateway",
    "eigw": "egress-only-internet-gateway",
    "nat": "natgateway",
    "pcx": "vpc-peering-connection",
    "vpce": "vpc-endpoint",
    "vgw": "vpn-gateway",
    "cgw": "customer-gateway",
    "vpn": "vpn-connection",
    "fleet": "fleet",
}


@ec2.action("CreateTags")
def create_tags(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    tags.add(cx, req["Resources"], tagging.checked(req["Tags"]))
    return {}


@ec2.action("DeleteTags")
def delete_tags(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    given = req.get("Tags")
    for tag in given or ():
        if tag.get("Key", "").lower().startswith("aws:"):
            raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use.")
    wanted = None if given is None else {tag.get("Key", ""): tag.get("Value") for tag in given}
    tags.remove(cx, req["Resources"], wanted)
    return {}


@ec2.listing("DescribeTags", key=("ResourceId", "Key"), ordered=True, least=5)
def describe_tags(cx: Context, req: DescribeTagsRequestTypeDef) -> Iterator[TagDescriptionTypeDef]:
    kinds = cx.hints.get("resource-type")
    prefixes = None if kinds is None else [prefix for prefix, kind in RESOURCE_TYPES.items() if kind in kinds]
    for one, key, value in tags.labels(cx, cx.hints.get("resource-id"), prefixes, cx.hints.get("key")):
        kind: Any = RESOURCE_TYPES.get(one.rpartition("-")[0], "")
        yield {"ResourceId": one, "ResourceType": kind, "Key": key, "Value": value}

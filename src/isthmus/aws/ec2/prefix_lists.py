"""Prefix lists: those of the services that endpoints lead to. An account has none of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.endpoints import service_name
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import endpoints

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeManagedPrefixListsRequestTypeDef,
        DescribePrefixListsRequestTypeDef,
        GetManagedPrefixListEntriesRequestTypeDef,
    )

_OWNER = "AWS"


@ec2.listing("DescribePrefixLists", key="PrefixListId")
def describe_prefix_lists(cx: Context, req: DescribePrefixListsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    for known, service in _lists(cx, req.get("PrefixListIds", ())):
        cidrs = list(cx.world.services[service])
        yield {"PrefixListId": known, "PrefixListName": service_name(cx, service), "Cidrs": cidrs}


@ec2.listing("DescribeManagedPrefixLists", key="PrefixListId")
def describe_managed_prefix_lists(
    cx: Context, req: DescribeManagedPrefixListsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    """As AWS says of its own lists, without a version or a number of entries."""
    for known, service in _lists(cx, req.get("PrefixListIds", ())):
        yield {
            "PrefixListId": known,
            "PrefixListName": service_name(cx, service),
            "PrefixListArn": f"arn:aws:ec2:{cx.world.region}:aws:prefix-list/{known}",
            "AddressFamily": "IPv4",
            "State": "create-complete",
            "OwnerId": _OWNER,
            "Tags": [],
        }


@ec2.listing("GetManagedPrefixListEntries", key="Cidr")
def get_managed_prefix_list_entries(
    cx: Context, req: GetManagedPrefixListEntriesRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    if "TargetVersion" in req:
        raise AwsError("UnsupportedOperation", "Lists of services have no versions.")
    service = endpoints.service_of(cx, req["PrefixListId"])
    return ({"Cidr": cidr} for cidr in cx.world.services[service])


def _lists(cx: Context, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """The ids of lists, each with its service. Raises NotFound."""
    for known in wanted:
        endpoints.service_of(cx, known)
    for service in cx.world.services:
        known = endpoints.prefixes_id(cx, service)
        if not wanted or known in wanted:
            yield known, service

"""Sets of DHCP options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import dhcp, networks
from isthmus.core.kept import Kept
from isthmus.core.wiring import changing
from isthmus.model import CLOUDS_OWN

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AssociateDhcpOptionsRequestTypeDef,
        CreateDhcpOptionsRequestTypeDef,
        DeleteDhcpOptionsRequestTypeDef,
        DescribeDhcpOptionsRequestTypeDef,
    )

# option -> the most values it has; source: "DHCP option sets" in the VPC User Guide
_MOST = {
    "domain-name": 4,
    "domain-name-servers": 4,
    "ntp-servers": 4,
    "netbios-name-servers": 4,
    "netbios-node-type": 1,
}
_ADDRESSES = frozenset({"domain-name-servers", "ntp-servers", "netbios-name-servers"})
_OWN = "AmazonProvidedDNS"
"""EC2's word for the cloud's own name server."""
_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,253}(?: [A-Za-z0-9_.-]{1,253})*")


@ec2.listing("DescribeDhcpOptions", key="DhcpOptionsId", exclusive="DhcpOptionsIds")
def describe_dhcp_options(cx: Context, req: DescribeDhcpOptionsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    return (_options(cx, one) for one in dhcp.find(cx, req.get("DhcpOptionsIds")))


@ec2.action("CreateDhcpOptions", makes=["dhcp-options"])
def create_dhcp_options(cx: Context, req: CreateDhcpOptionsRequestTypeDef) -> Mapping[str, Any]:
    said: dict[str, list[str]] = {}
    for one in req["DhcpConfigurations"]:
        name, values = one.get("Key", ""), list(one.get("Values", ()))
        if name in said:
            raise AwsError("InvalidParameterValue", f"The option {name} is given twice.")
        said[name] = _checked(name, values)
    return {"DhcpOptions": _options(cx, dhcp.create(cx, said))}


@ec2.action("DeleteDhcpOptions")
def delete_dhcp_options(cx: Context, req: DeleteDhcpOptionsRequestTypeDef) -> Mapping[str, Any]:
    dhcp.delete(cx, req["DhcpOptionsId"])
    return {}


@ec2.action("AssociateDhcpOptions")
def associate_dhcp_options(cx: Context, req: AssociateDhcpOptionsRequestTypeDef) -> Mapping[str, Any]:
    """The id `default` is that of no set: the VPC says what its cloud says by itself."""
    vpc = networks.one_network(cx, req["VpcId"])
    with changing(cx, vpc.id):
        dhcp.associate(cx, vpc, req["DhcpOptionsId"])
    return {}


def _options(cx: Context, one: Kept) -> dict[str, Any]:
    """A DhcpOptions of the model."""
    return {
        "DhcpOptionsId": one.id,
        "OwnerId": cx.account,
        "DhcpConfigurations": [
            {"Key": name, "Values": [{"Value": _OWN if value == CLOUDS_OWN else value} for value in values]}
            for name, values in dhcp.options(one).items()
        ],
        "Tags": tag_set(one.tags),
    }


def _checked(name: str, values: Sequence[str]) -> list[str]:
    """The values of an option as they are kept. Raises AwsError for what is no option, or cannot have these values."""
    if name == "ipv6-address-preferred-lease-time":
        raise AwsError("UnsupportedOperation", "Networks have IPv4 addresses only.")
    if name not in _MOST:
        message = f"Value ({name[:64]}) for parameter name is invalid. Unknown DHCP option"
        raise AwsError("InvalidParameterValue", message)
    given = [part.strip() for value in values for part in (value.split(",") if name in _ADDRESSES else [value])]
    if not 1 <= len(given) <= _MOST[name] or not all(_fits(name, value) for value in given):
        raise AwsError(
            "InvalidParameterValue", f"Value ({', '.join(given)[:64]}) for the DHCP option {name} is invalid."
        )
    return [CLOUDS_OWN if value == _OWN else value for value in given] if name in _ADDRESSES else given


def _fits(name: str, value: str) -> bool:
    if name == "netbios-node-type":
        return value in ("1", "2", "4", "8")
    if name == "domain-name":
        return _DOMAIN.fullmatch(value) is not None
    if name == "domain-name-servers" and value == _OWN:
        return True
    try:
        return ip_address(value).version == 4
    except ValueError:
        return False

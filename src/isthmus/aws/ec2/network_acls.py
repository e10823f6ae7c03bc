"""Network ACLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2 import protocols
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.ranges import cidr
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import acls, networks
from isthmus.core.acls import Association
from isthmus.core.kept import Kept
from isthmus.core.wiring import changing
from isthmus.model import AclRule, Direction

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateNetworkAclRequestTypeDef,
        DeleteNetworkAclEntryRequestTypeDef,
        DeleteNetworkAclRequestTypeDef,
        DescribeNetworkAclsRequestTypeDef,
        ReplaceNetworkAclAssociationRequestTypeDef,
    )

LAST = 32767
"""The number of the rule that stands at the end of every ACL, and drops what no other fits."""


@ec2.listing("DescribeNetworkAcls", key="NetworkAclId", exclusive="NetworkAclIds")
def describe_network_acls(cx: Context, req: DescribeNetworkAclsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    users: dict[str, list[Association]] = {}
    for held in acls.associations(cx):
        users.setdefault(held.acl, []).append(held)
    vpcs = networks.networks(cx).by_id
    for acl in acls.find(cx, req.get("NetworkAclIds")):
        if acl.data["network"] in vpcs:
            yield _acl(cx, acl, users.get(acl.id, ()))


@ec2.action("CreateNetworkAcl", makes=["network-acl"])
def create_network_acl(cx: Context, req: CreateNetworkAclRequestTypeDef) -> Mapping[str, Any]:
    vpc = networks.one_network(cx, req["VpcId"])
    answer: dict[str, Any] = {"NetworkAcl": _acl(cx, acls.create(cx, vpc), ())}
    return {**answer, "ClientToken": cx.token} if cx.token else answer


@ec2.action("DeleteNetworkAcl")
def delete_network_acl(cx: Context, req: DeleteNetworkAclRequestTypeDef) -> Mapping[str, Any]:
    acls.delete(cx, req["NetworkAclId"])
    return {}


@ec2.action("CreateNetworkAclEntry")
def create_network_acl_entry(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    acl = acls.one(cx, req["NetworkAclId"])
    rule = _rule(req)
    with changing(cx, acl.data["network"]):
        acls.add(cx, acl, rule)
    return {}


@ec2.action("ReplaceNetworkAclEntry")
def replace_network_acl_entry(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    acl = acls.one(cx, req["NetworkAclId"])
    rule = _rule(req)
    with changing(cx, acl.data["network"]):
        acls.exchange(cx, acl, rule)
    return {}


@ec2.action("DeleteNetworkAclEntry")
def delete_network_acl_entry(cx: Context, req: DeleteNetworkAclEntryRequestTypeDef) -> Mapping[str, Any]:
    acl = acls.one(cx, req["NetworkAclId"])
    number = _number(req["RuleNumber"])
    with changing(cx, acl.data["network"]):
        acls.remove(cx, acl, number, _direction(req["Egress"]))
    return {}


@ec2.action("ReplaceNetworkAclAssociation")
def replace_network_acl_association(cx: Context, req: ReplaceNetworkAclAssociationRequestTypeDef) -> Mapping[str, Any]:
    held, acl = acls.association(cx, req["AssociationId"]), acls.one(cx, req["NetworkAclId"])
    with changing(cx, acl.data["network"]):
        known = acls.reassociate(cx, held, acl)
    return {"NewAssociationId": known}


def _acl(cx: Context, acl: Kept, users: Sequence[Association]) -> dict[str, Any]:
    """A NetworkAcl of the model."""
    return {
        "NetworkAclId": acl.id,
        "VpcId": acl.data["network"],
        "OwnerId": cx.account,
        "IsDefault": acls.is_default(cx, acl),
        "Associations": [
            {"NetworkAclAssociationId": held.id, "NetworkAclId": held.acl, "SubnetId": held.subnet} for held in users
        ],
        "Entries": [
            entry
            for direction in (Direction.EGRESS, Direction.INGRESS)
            for entry in (
                *(_entry(rule) for rule in acls.rules(acl) if rule.direction == direction),
                _entry(AclRule(LAST, direction, False, "-1", "0.0.0.0/0")),
            )
        ],
        "Tags": tag_set(acl.tags),
    }


def _entry(rule: AclRule) -> dict[str, Any]:
    """A NetworkAclEntry of the model."""
    said: dict[str, Any] = {
        "Ipv6CidrBlock" if ":" in rule.cidr else "CidrBlock": rule.cidr,
        "Egress": rule.direction is Direction.EGRESS,
        "Protocol": protocols.number(rule.protocol),
        "RuleAction": "allow" if rule.allow else "deny",
        "RuleNumber": rule.number,
    }
    if rule.protocol in protocols.WITH_PORTS:
        said["PortRange"] = {"From": rule.low, "To": rule.high}
    elif rule.protocol in protocols.ICMP:
        said["IcmpTypeCode"] = {"Type": rule.low, "Code": rule.high}
    return said


def _rule(req: Mapping[str, Any]) -> AclRule:
    """The rule that a request describes. Raises AwsError for one that cannot be."""
    given = [name for name in ("CidrBlock", "Ipv6CidrBlock") if req.get(name)]
    if len(given) != 1:
        code = "InvalidParameterCombination" if given else "MissingParameter"
        raise AwsError(code, "An entry has either a CidrBlock or an Ipv6CidrBlock.")
    if req["RuleAction"] not in ("allow", "deny"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{req['RuleAction']}' for ruleAction.")
    protocol = protocols.named(req["Protocol"])
    span, icmp = req.get("PortRange", {}), req.get("IcmpTypeCode", {})
    if protocol in protocols.ICMP and not icmp:
        raise AwsError("MissingParameter", "An entry for ICMP has an IcmpTypeCode.")
    low, high = (
        (icmp.get("Type"), icmp.get("Code")) if protocol in protocols.ICMP else (span.get("From"), span.get("To"))
    )
    protocol, low, high = protocols.ports(req["Protocol"], low, high)
    return AclRule(
        number=_number(req["RuleNumber"]),
        direction=_direction(req["Egress"]),
        allow=req["RuleAction"] == "allow",
        protocol=protocol,
        cidr=str(cidr(req[given[0]], version=6 if given[0] == "Ipv6CidrBlock" else 4)),
        low=low,
        high=high,
    )


def _number(number: int) -> int:
    if not 1 <= number < LAST:
        raise AwsError("InvalidParameterValue", f"A rule number is between 1 and {LAST - 1}.")
    return number


def _direction(egress: bool) -> Direction:
    return Direction.EGRESS if egress else Direction.INGRESS

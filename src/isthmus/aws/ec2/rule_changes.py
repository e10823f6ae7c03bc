"""Changes of security group rules, and which groups name which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.groups import Face, Look, description_of, group_of, permissions, rules_asked, rules_of
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import firewalls, networks, rules
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.core.rule_ids import listed
from isthmus.errors import NotFound
from isthmus.model import Direction, Firewall, Rule

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeSecurityGroupReferencesRequestTypeDef,
        DescribeStaleSecurityGroupsRequestTypeDef,
        GetSecurityGroupsForVpcRequestTypeDef,
        ModifySecurityGroupRulesRequestTypeDef,
    )

# how a single rule names its peer -> where an IpPermission does
_PEERS = {
    "CidrIpv4": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "PrefixListId": ("PrefixListIds", "PrefixListId"),
    "ReferencedGroupId": ("UserIdGroupPairs", "GroupId"),
}


@ec2.action("ModifySecurityGroupRules")
def modify_security_group_rules(cx: Context, req: ModifySecurityGroupRulesRequestTypeDef) -> Mapping[str, Any]:
    found = rules.settled(cx, firewalls.one(cx, req["GroupId"]))
    held = dict(listed(cx.view(), found))
    wanted: dict[str, Rule] = {}
    for update in req["SecurityGroupRules"]:
        known = update["SecurityGroupRuleId"]
        if known in wanted:
            raise AwsError("InvalidParameterValue", f"The rule {known} must not appear multiple times.")
        if known not in held:
            raise NotFound("rule-id", known)
        wanted[known] = _changed(cx, found, held[known], update.get("SecurityGroupRule", {}))
    if len({rule.key for rule in wanted.values()}) < len(wanted):
        raise AwsError("InvalidParameterValue", "The same permission must not appear multiple times")
    rules.change(cx, found, wanted)
    return {"Return": True}


@ec2.action("UpdateSecurityGroupRuleDescriptionsIngress")
def update_security_group_rule_descriptions_ingress(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    return _describe(cx, req, Direction.INGRESS)


@ec2.action("UpdateSecurityGroupRuleDescriptionsEgress")
def update_security_group_rule_descriptions_egress(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    return _describe(cx, req, Direction.EGRESS)


@ec2.listing("GetSecurityGroupsForVpc", key="GroupId")
def get_security_groups_for_vpc(cx: Context, req: GetSecurityGroupsForVpcRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    networks.one_network(cx, req["VpcId"])
    look = Look(cx)
    for found in firewalls.index(cx):
        face = look.face(found)
        if face.network == req["VpcId"]:
            said = {"GroupId": face.id, "GroupName": found.noun.name, "Description": found.noun.description}
            yield {**said, "OwnerId": face.account, "PrimaryVpcId": face.network, "Tags": tag_set(found.tags)}


@ec2.action("DescribeSecurityGroupReferences")
def describe_security_group_references(
    cx: Context, req: DescribeSecurityGroupReferencesRequestTypeDef
) -> Mapping[str, Any]:
    look = Look(cx)
    said = []
    for found in firewalls.find_firewalls(cx, req["GroupId"]):
        others = (one for one in firewalls.index(cx) if found in _elsewhere(cx, one).values())
        vpcs = {look.face(one).network for one in others}
        said += [{"GroupId": found.id, "ReferencingVpcId": vpc} for vpc in sorted(vpcs)]
    return {"SecurityGroupReferenceSet": said}


@ec2.listing("DescribeStaleSecurityGroups", key="GroupId")
def describe_stale_security_groups(
    cx: Context, req: DescribeStaleSecurityGroupsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    """Groups whose rules name groups of networks that theirs is not, or no longer, connected with.

    Groups that are gone are named by none: a cloud does not delete a group that another one names.
    """
    network = networks.one_network(cx, req["VpcId"])
    look = Look(cx)
    for found in firewalls.index(cx):
        if (found.cloud, found.noun.network) == (network.cloud, network.noun.native):
            face = look.face(found)
            peers = _unconnected(cx, found)
            stale = [ruled.rule for ruled in face.rules if ruled.rule.peer in peers]
            if stale:
                yield {
                    "GroupId": face.id,
                    "GroupName": found.noun.name,
                    "Description": found.noun.description,
                    "VpcId": face.network,
                    "StaleIpPermissions": _stale(face, stale, Direction.INGRESS),
                    "StaleIpPermissionsEgress": _stale(face, stale, Direction.EGRESS),
                }


def _elsewhere(cx: Context, group: Found[Firewall]) -> dict[str, Found[Firewall]]:
    """The groups of other networks that a group's rules name, by native id."""
    known = firewalls.index(cx).by_native
    named = {rule.peer: known.get((group.cloud, rule.peer)) for rule in group.noun.rules if rule.peer}
    return {native: one for native, one in named.items() if one and one.noun.network != group.noun.network}


def _unconnected(cx: Context, group: Found[Firewall]) -> set[str]:
    """Native ids of the groups that a group's rules name, of networks that its own is not connected with."""
    elsewhere = _elsewhere(cx, group)
    if not elsewhere:
        return set()
    connected = networks.api(cx.session(group.cloud)).wiring_of(group.noun.network).peers
    return {native for native, one in elsewhere.items() if one.noun.network not in connected}


def _stale(face: Face, stale: Sequence[Rule], direction: Direction) -> list[dict[str, Any]]:
    """StaleIpPermissions of the model: those of groups only."""
    said = permissions(face, stale, direction)
    return [{name: value for name, value in one.items() if name != "Ipv6Ranges"} for one in said]


def _changed(cx: Context, found: Found[Firewall], held: Rule, asked: Mapping[str, Any]) -> Rule:
    """A rule as an update wants it: as a whole, or only described anew."""
    if set(asked) == {"Description"}:
        return replace(held, description=description_of(asked["Description"]))
    named = [name for name in _PEERS if asked.get(name)]
    if len(named) != 1:
        raise AwsError("InvalidParameterValue", f"A rule names exactly one of {', '.join(_PEERS)}.")
    place, member = _PEERS[named[0]]
    peer = {member: asked[named[0]], "Description": asked.get("Description", "")}
    ports = {name: asked[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in asked}
    [rule] = rules_of(cx, found, {**ports, place: [peer]}, held.direction)
    return rule


def _describe(cx: Context, req: Mapping[str, Any], direction: Direction) -> Mapping[str, Any]:
    found = rules.settled(cx, group_of(cx, req))
    held = {ruled.id: ruled.rule for ruled in listed(cx.view(), found) if ruled.rule.direction is direction}
    given = req.get("SecurityGroupRuleDescriptions", ())
    if given and req.get("IpPermissions"):
        raise AwsError("InvalidParameterCombination", "Rules are given by IpPermissions or by their ids, not both.")
    if given:
        texts = {one.get("SecurityGroupRuleId", ""): description_of(one.get("Description", "")) for one in given}
    else:
        ids = {rule.key: known for known, rule in held.items()}
        texts = {ids.get(rule.key, ""): rule.description for rule in rules_asked(cx, found, req, direction)}
    for known in texts:
        if known not in held:
            raise NotFound("rule-id" if given else Kind.RULE, known)
    rules.describe(cx, found, texts)
    return {"Return": True}

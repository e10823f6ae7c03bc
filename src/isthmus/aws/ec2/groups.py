"""Security groups and their rules."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.aws.codec import Item
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.protocols import ICMP, WITH_PORTS, ports
from isthmus.aws.errors import AwsError
from isthmus.aws.rendered import rendered
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import firewalls, networks, rules
from isthmus.core.ids import Kind
from isthmus.core.registry import NO_TAGS, Found
from isthmus.core.rule_ids import Ruled, listed
from isthmus.errors import NotFound
from isthmus.model import Direction, Firewall, Rule

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateSecurityGroupRequestTypeDef,
        DeleteSecurityGroupRequestTypeDef,
        DescribeSecurityGroupRulesRequestTypeDef,
        DescribeSecurityGroupsRequestTypeDef,
    )


class Face(NamedTuple):
    id: str
    account: str
    found: Found[Firewall]
    network: str
    rules: Sequence[Ruled]
    peers: tuple[tuple[str, str], ...]
    """Native ids of the groups that rules name, with the ids clients know."""
    region: str


# source: CreateSecurityGroup in the EC2 API reference, of groups of a VPC
_WORDS = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


@ec2.listing("DescribeSecurityGroups", key="GroupId", ordered=True, exclusive="GroupIds")
def describe_security_groups(cx: Context, req: DescribeSecurityGroupsRequestTypeDef) -> Iterator[Item]:
    names = req.get("GroupNames", ())
    for name in names:
        firewalls.named(cx, name)
    look = Look(cx)
    for found in firewalls.find_firewalls(cx, req.get("GroupIds")):
        if not names or found.noun.name in names:
            yield render(look.face(found))


@ec2.action("CreateSecurityGroup", makes=["security-group"])
def create_security_group(cx: Context, req: CreateSecurityGroupRequestTypeDef) -> Mapping[str, Any]:
    name, description = req["GroupName"], req["Description"]
    for text, what in ((name, "GroupName"), (description, "GroupDescription")):
        if not text:
            raise AwsError("MissingParameter", f"The request must contain the parameter {what}")
        if not _WORDS.fullmatch(text):
            message = f"{what} has at most 255 characters: letters, digits, spaces and ._-:/()#,@[]+=&;{{}}!$*"
            raise AwsError("InvalidParameterValue", message)
    if name.startswith("sg-"):
        raise AwsError("InvalidParameterValue", "Invalid value for group name: it may not begin with sg-.")
    if name == firewalls.DEFAULT:
        raise AwsError("InvalidParameterValue", "Cannot use reserved security group name: default")
    found = firewalls.create(cx, name, description, req.get("VpcId", ""))
    answer = {"GroupId": found.id, "SecurityGroupArn": _arn(cx.world.region, cx.account, found.id)}
    return {**answer, "Tags": tag_set(found.tags)} if found.tags else answer


@ec2.action("DeleteSecurityGroup")
def delete_security_group(cx: Context, req: DeleteSecurityGroupRequestTypeDef) -> Mapping[str, Any]:
    found = group_of(cx, req)
    if found.noun.name == firewalls.DEFAULT:
        raise AwsError("CannotDelete", f'the specified group: "{found.id}" name: "default" cannot be deleted by a user')
    for other in firewalls.index(cx):
        if other.id != found.id and any(rule.peer == found.noun.native for rule in other.noun.rules):
            raise AwsError("DependencyViolation", f"resource {found.id} has a dependent object")
    firewalls.delete(cx, found.id)
    return {"Return": True, "GroupId": found.id}


@ec2.action("AuthorizeSecurityGroupIngress", makes=["security-group-rule"])
def authorize_security_group_ingress(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    return _authorize(cx, req, Direction.INGRESS)


@ec2.action("AuthorizeSecurityGroupEgress", makes=["security-group-rule"])
def authorize_security_group_egress(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    return _authorize(cx, req, Direction.EGRESS)


@ec2.action("RevokeSecurityGroupIngress")
def revoke_security_group_ingress(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    return _revoke(cx, req, Direction.INGRESS)


@ec2.action("RevokeSecurityGroupEgress")
def revoke_security_group_egress(cx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
    return _revoke(cx, req, Direction.EGRESS)


@ec2.listing("DescribeSecurityGroupRules", key="SecurityGroupRuleId", exclusive="SecurityGroupRuleIds")
def describe_security_group_rules(
    cx: Context, req: DescribeSecurityGroupRulesRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    tags = cx.view().tags
    look = Look(cx)
    every = {
        ruled.id: _rule_said(face, ruled, tags)
        for found in firewalls.index(cx)
        if (face := look.face(found))
        for ruled in face.rules
    }
    wanted = req.get("SecurityGroupRuleIds") or list(every)
    for one in wanted:
        if one not in every:
            raise NotFound("rule-id", one)
    return iter([every[one] for one in wanted])


@rendered
def render(face: Face) -> dict[str, Any]:
    """A SecurityGroup of the model."""
    wall = face.found.noun
    held = [ruled.rule for ruled in face.rules]
    said: dict[str, Any] = {
        "GroupId": face.id,
        "GroupName": wall.name,
        "Description": wall.description,
        "OwnerId": face.account,
        "VpcId": face.network,
        "SecurityGroupArn": _arn(face.region, face.account, face.id),
        "IpPermissions": permissions(face, held, Direction.INGRESS),
        "IpPermissionsEgress": permissions(face, held, Direction.EGRESS),
    }
    return {**said, "Tags": tag_set(face.found.tags)} if face.found.tags else said


class Look:
    """Ids for the native ones that groups name, looked up once a request."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._view = cx.view()
        self._walls = firewalls.index(cx)
        self._networks = networks.networks(cx).by_native

    def face(self, found: Found[Firewall]) -> Face:
        natives = {rule.peer for rule in found.noun.rules if rule.peer}
        peers = tuple((native, self._walls.id_of(Kind.FIREWALL, found.cloud, native)) for native in sorted(natives))
        network = self._networks.get((found.cloud, found.noun.network))
        known = network.id if network else networks.default_network(self._cx, found.cloud).id
        held = listed(self._view, found)
        return Face(found.id, found.account, found, known, held, peers, self._cx.world.region)


def _arn(region: str, account: str, group: str) -> str:
    return f"arn:aws:ec2:{region}:{account}:security-group/{group}"


def permissions(face: Face, held: Sequence[Rule], direction: Direction) -> list[dict[str, Any]]:
    """The rules of a direction as EC2 groups them: one IpPermission for each protocol and port range."""
    alike: dict[tuple[str, int, int], list[Rule]] = {}
    for rule in held:
        if rule.direction is direction:
            alike.setdefault((rule.protocol, rule.low, rule.high), []).append(rule)
    return [_permission(face, *key, same) for key, same in alike.items()]


def _permission(face: Face, protocol: str, low: int, high: int, held: Sequence[Rule]) -> dict[str, Any]:
    peers = dict(face.peers)
    said: dict[str, Any] = {
        "IpProtocol": protocol,
        "IpRanges": [_with({"CidrIp": rule.cidr}, rule) for rule in held if rule.cidr and ":" not in rule.cidr],
        "Ipv6Ranges": [_with({"CidrIpv6": rule.cidr}, rule) for rule in held if ":" in rule.cidr],
        "PrefixListIds": [],
        "UserIdGroupPairs": [
            _with({"UserId": face.account, "GroupId": peers[rule.peer]}, rule) for rule in held if rule.peer
        ],
    }
    if protocol in WITH_PORTS | ICMP:
        said["FromPort"], said["ToPort"] = low, high
    return said


def _with(said: dict[str, Any], rule: Rule) -> dict[str, Any]:
    return {**said, "Description": rule.description} if rule.description else said


def _rule_said(face: Face, ruled: Ruled, tags: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A SecurityGroupRule of the model."""
    known, rule = ruled
    peers = dict(face.peers)
    said: dict[str, Any] = {
        "SecurityGroupRuleId": known,
        "GroupId": face.id,
        "GroupOwnerId": face.account,
        "IsEgress": rule.direction is Direction.EGRESS,
        "IpProtocol": rule.protocol,
        "FromPort": rule.low,
        "ToPort": rule.high,
        "SecurityGroupRuleArn": f"arn:aws:ec2:{face.region}:{face.account}:security-group-rule/{known}",
        "Tags": tag_set(tags.get(known, NO_TAGS)),
    }
    if rule.cidr:
        said["CidrIpv6" if ":" in rule.cidr else "CidrIpv4"] = rule.cidr
    else:
        said["ReferencedGroupInfo"] = {"GroupId": peers[rule.peer], "UserId": face.account}
    return _with(said, rule)


def _authorize(cx: Context, req: Mapping[str, Any], direction: Direction) -> Mapping[str, Any]:
    found = group_of(cx, req)
    ids = rules.add(cx, found, rules_asked(cx, found, req, direction))
    if tags := cx.tags.get("security-group-rule"):
        with cx.store.change(cx.account) as change:
            change.tag(ids, tags)
    after = Look(cx).face(firewalls.one(cx, found.id))
    made = {ruled.id: ruled for ruled in after.rules}
    said = [_rule_said(after, made[one], cx.view().tags) for one in ids if one in made]
    return {"Return": True, "SecurityGroupRules": said}


def _revoke(cx: Context, req: Mapping[str, Any], direction: Direction) -> Mapping[str, Any]:
    found = rules.settled(cx, group_of(cx, req))
    if wanted := req.get("SecurityGroupRuleIds"):
        by_id = {one: rule for one, rule in listed(cx.view(), found) if rule.direction is direction}
        for one in wanted:
            if one not in by_id:
                raise NotFound("rule-id", one)
        going = [by_id[one] for one in wanted]
    else:
        going = rules_asked(cx, found, req, direction)
    face = Look(cx).face(found)
    said = [_revoked(_rule_said(face, ruled, {})) for ruled in rules.remove(cx, found, going)]
    return {"Return": True, "RevokedSecurityGroupRules": said, "UnknownIpPermissions": []}


def _revoked(said: dict[str, Any]) -> dict[str, Any]:
    """A RevokedSecurityGroupRule: the same with fewer members."""
    peer = said.pop("ReferencedGroupInfo", None)
    names = ("SecurityGroupRuleArn", "Tags", "GroupOwnerId")
    cut = {name: value for name, value in said.items() if name not in names}
    return {**cut, "ReferencedGroupId": peer["GroupId"]} if peer else cut


def group_of(cx: Context, req: Mapping[str, Any]) -> Found[Firewall]:
    if group := req.get("GroupId"):
        return firewalls.one(cx, group)
    if name := req.get("GroupName"):
        return firewalls.named(cx, name)
    raise AwsError("MissingParameter", "The request must contain the parameter groupName or groupId")


def rules_asked(cx: Context, found: Found[Firewall], req: Mapping[str, Any], direction: Direction) -> list[Rule]:
    """The rules a request names, in the new spelling or the flat old one."""
    permissions = list(req.get("IpPermissions", ()))
    if flat := _flat(req):
        if permissions:
            raise AwsError("InvalidParameterCombination", "Rules are given by IpPermissions or singly, not both.")
        permissions = [flat]
    if not permissions:
        raise AwsError("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
    asked = [rule for permission in permissions for rule in rules_of(cx, found, permission, direction)]
    if len({rule.key for rule in asked}) < len(asked):
        raise AwsError("InvalidParameterValue", "The same permission must not appear multiple times")
    return asked


def _flat(req: Mapping[str, Any]) -> dict[str, Any]:
    permission = {name: req[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in req}
    if req.get("CidrIp"):
        permission["IpRanges"] = [{"CidrIp": req["CidrIp"]}]
    if req.get("SourceSecurityGroupName"):
        pair = {"GroupName": req["SourceSecurityGroupName"], "UserId": req.get("SourceSecurityGroupOwnerId", "")}
        permission = {"IpProtocol": "-1", **permission, "UserIdGroupPairs": [pair]}
    return permission


def rules_of(
    cx: Context, found: Found[Firewall], permission: Mapping[str, Any], direction: Direction
) -> Iterator[Rule]:
    """The rules of one IpPermission. Raises AwsError for what no firewall understands."""
    if permission.get("PrefixListIds"):
        raise AwsError("UnsupportedOperation", "A rule names ranges: take those that the prefix list has.")
    said = permission.get("IpProtocol", "")
    protocol, low, high = ports(str(said), permission.get("FromPort"), permission.get("ToPort"))
    peers = [
        *((_cidr(item.get("CidrIp", ""), 4), "", item) for item in permission.get("IpRanges", ())),
        *((_cidr(item.get("CidrIpv6", ""), 6), "", item) for item in permission.get("Ipv6Ranges", ())),
        *(("", _peer(cx, found, item), item) for item in permission.get("UserIdGroupPairs", ())),
    ]
    if not peers:
        raise AwsError("InvalidParameterValue", "A permission needs at least one range or group.")
    for cidr, peer, item in peers:
        yield Rule(direction, protocol, low, high, cidr, peer, description_of(item.get("Description", "")))


def _cidr(text: str, version: int) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or network.version != version or "/" not in text:
        raise AwsError("InvalidParameterValue", f"CIDR block {text} is malformed")
    return str(network)


def _peer(cx: Context, found: Found[Firewall], item: Mapping[str, Any]) -> str:
    if item.get("VpcPeeringConnectionId"):
        raise AwsError("UnsupportedOperation", "A rule names groups of its own VPC: no cloud knows those of a peer.")
    owner = item.get("UserId", "")
    if owner and owner != cx.account:
        raise NotFound(Kind.FIREWALL, item.get("GroupId") or item.get("GroupName", ""))
    if item.get("GroupId"):
        return firewalls.one(cx, item["GroupId"]).noun.native
    return firewalls.named(cx, item.get("GroupName", ""), found.cloud).noun.native


def description_of(text: str) -> str:
    if len(text) > 255 or not text.isprintable():
        raise AwsError("InvalidParameterValue", "A rule's description has at most 255 printable characters.")
    return text

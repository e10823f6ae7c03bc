"""Security group rules that change and keep their ids, and which groups name which."""

from __future__ import annotations

from dataclasses import replace

import pytest
from asking import refusal, tagged, tags, where

from isthmus.errors import Unsupported
from isthmus.model import Direction, Rule

NOBODY = "sgr-0123456789abcdef0"
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "0.0.0.0/0"}
WEB = {**SSH, "FromPort": 80, "ToPort": 80}


@pytest.fixture
def group(ec2):
    return ec2.create_security_group(GroupName="web", Description="the web")["GroupId"]


def allow(ec2, group, rule, **tagged_with):
    """The id of a new rule, which is spelt as in a change."""
    permission = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
    permission["IpRanges"] = [{"CidrIp": rule["CidrIpv4"]}]
    asked = {"TagSpecifications": tagged("security-group-rule", **tagged_with)} if tagged_with else {}
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission], **asked)
    return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]


def change(ec2, group, *updates, **by_id):
    asked = [{"SecurityGroupRuleId": known, "SecurityGroupRule": rule} for known, rule in updates]
    return ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=asked)["Return"]


def rules(ec2, group, *, egress=False):
    found = ec2.describe_security_group_rules(Filters=where(group_id=group))["SecurityGroupRules"]
    return {one["SecurityGroupRuleId"]: one for one in found if one["IsEgress"] is egress}


def said(rule):
    names = ("IpProtocol", "FromPort", "ToPort", "CidrIpv4", "Description")
    return {name: rule[name] for name in names if name in rule}


def records(house):
    return {known for known, one in house.store.view(house.account[0]).of_kind("rule").items() if one}


def test_a_changed_rule_keeps_its_id_and_its_tags(ec2, group):
    known = allow(ec2, group, SSH, Name="door")

    assert change(ec2, group, (known, {**WEB, "CidrIpv4": "10.0.0.0/8", "Description": "now the web"})) is True
    [(kept, rule)] = rules(ec2, group).items()
    assert kept == known
    assert said(rule) == {**WEB, "CidrIpv4": "10.0.0.0/8", "Description": "now the web"}
    assert rule["Tags"] == tags(Name="door")
    [permission] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert permission["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "now the web"}]


def test_a_rule_like_the_one_that_was_changed_is_another(house, ec2, group):
    first = allow(ec2, group, SSH, Name="first")
    change(ec2, group, (first, WEB))

    second = allow(ec2, group, SSH)
    assert second != first
    found = rules(ec2, group)
    assert {known: rule["FromPort"] for known, rule in found.items()} == {first: 80, second: 22}
    assert found[second]["Tags"] == []
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[first])
    house.mend()
    assert {known: rule["FromPort"] for known, rule in rules(ec2, group).items()} == {second: 22}


def test_a_rule_can_be_changed_time_and_again(ec2, group):
    known = allow(ec2, group, SSH)
    for port in (80, 443, 22, 80, 22):
        change(ec2, group, (known, {**SSH, "FromPort": port, "ToPort": port}))
        assert {one: rule["FromPort"] for one, rule in rules(ec2, group).items()} == {known: port}
    assert allow(ec2, group, WEB) != known


def test_several_rules_change_at_once_also_of_both_directions(ec2, group):
    first, second = allow(ec2, group, SSH), allow(ec2, group, WEB)
    [outward] = rules(ec2, group, egress=True)
    anywhere = {"IpProtocol": "-1", "CidrIpv4": "10.0.0.0/8"}

    change(ec2, group, (first, {**SSH, "FromPort": 1}), (second, {**WEB, "Description": "w"}), (outward, anywhere))
    found = rules(ec2, group)
    assert {known: (rule["FromPort"], rule.get("Description")) for known, rule in found.items()} == {
        first: (1, None),
        second: (80, "w"),
    }
    assert {one: rule["CidrIpv4"] for one, rule in rules(ec2, group, egress=True).items()} == {outward: "10.0.0.0/8"}


def test_a_rule_can_name_another_kind_of_peer(ec2, group):
    known = allow(ec2, group, SSH)
    ports = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}

    change(ec2, group, (known, {**ports, "ReferencedGroupId": group}))
    assert rules(ec2, group)[known]["ReferencedGroupInfo"]["GroupId"] == group
    change(ec2, group, (known, {**ports, "CidrIpv6": "2001:db8::/32"}))
    assert rules(ec2, group)[known]["CidrIpv6"] == "2001:db8::/32"


def test_a_rule_is_described_anew(ec2, group):
    known = allow(ec2, group, SSH)

    change(ec2, group, (known, {"Description": "only that"}))
    assert said(rules(ec2, group)[known]) == {**SSH, "Description": "only that"}
    change(ec2, group, (known, {**SSH, "Description": "as a whole"}))
    assert said(rules(ec2, group)[known]) == {**SSH, "Description": "as a whole"}
    change(ec2, group, (known, SSH))
    assert said(rules(ec2, group)[known]) == SSH
    code = refusal(allow, ec2=ec2, group=group, rule=SSH)
    assert code == "InvalidPermission.Duplicate"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([("rule", {**SSH, "FromPort": 80, "ToPort": 80})], "InvalidPermission.Duplicate"),
        ([("rule", {**SSH, "FromPort": 1}), (NOBODY, SSH)], "InvalidSecurityGroupRuleId.NotFound"),
        ([("rule", {**SSH, "FromPort": 1}), ("rule", {**SSH, "FromPort": 2})], "InvalidParameterValue"),
        ([("rule", {**SSH, "FromPort": 1}), ("other", {**SSH, "FromPort": 1})], "InvalidParameterValue"),
        ([("rule", {**SSH, "FromPort": 23})], "InvalidParameterValue"),
        ([("rule", {**SSH, "CidrIpv4": "10.0.0.0/33"})], "InvalidParameterValue"),
        ([("rule", {**SSH, "CidrIpv6": "::/0"})], "InvalidParameterValue"),
        ([("rule", {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1})], "InvalidParameterValue"),
        ([("rule", {"IpProtocol": "tcp", "CidrIpv4": "10.0.0.0/8"})], "MissingParameter"),
        ([("rule", {"Description": "d" * 256})], "InvalidParameterValue"),
        ([("rule", {**SSH, "ReferencedGroupId": "sg-0123456789abcdef0", "CidrIpv4": ""})], "InvalidGroup.NotFound"),
        ([("sgr-x", SSH)], "InvalidSecurityGroupRuleId.Malformed"),
        ([], "MissingParameter"),
    ],
)
def test_a_refused_change_changes_nothing(ec2, group, asked, code):
    ids = {"rule": allow(ec2, group, SSH), "other": allow(ec2, group, WEB)}
    before = rules(ec2, group)

    updates = [{"SecurityGroupRuleId": ids.get(one, one), "SecurityGroupRule": rule} for one, rule in asked]
    assert refusal(ec2.modify_security_group_rules, GroupId=group, SecurityGroupRules=updates) == code
    assert rules(ec2, group) == before


def test_a_rule_of_another_group_is_not_found(ec2, stranger, group):
    other = ec2.create_security_group(GroupName="db", Description="d")["GroupId"]
    known = allow(ec2, group, SSH)
    asked = {"SecurityGroupRules": [{"SecurityGroupRuleId": known, "SecurityGroupRule": WEB}]}

    code = refusal(ec2.modify_security_group_rules, GroupId=other, **asked)
    assert code == "InvalidSecurityGroupRuleId.NotFound"
    assert refusal(stranger.modify_security_group_rules, GroupId=group, **asked) == "InvalidGroup.NotFound"


class Stubborn:
    """The firewalls of a cloud that keeps one rule."""

    def __init__(self, inner, kept):
        self._inner, self._kept = inner, kept

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def remove_rules(self, native, going):
        if any(rule.low == self._kept for rule in going):
            raise Unsupported("this rule stays")
        self._inner.remove_rules(native, going)


@pytest.fixture
def stubborn(house, monkeypatch):
    """The cloud does not remove rules of port 22."""
    session = house.cloud.session

    def with_stubborn(tenant):
        found = session(tenant)
        return replace(found, firewalls=Stubborn(found.firewalls, 22))

    monkeypatch.setattr(house.cloud, "session", with_stubborn)


def test_a_rule_that_the_cloud_keeps_is_what_it_was(ec2, group, stubborn):
    known = allow(ec2, group, SSH, Name="door")
    change(ec2, group, (known, {"Description": "mine"}))
    before = rules(ec2, group)

    asked = {"SecurityGroupRules": [{"SecurityGroupRuleId": known, "SecurityGroupRule": WEB}]}
    assert refusal(ec2.modify_security_group_rules, GroupId=group, **asked) == "UnsupportedOperation"
    assert rules(ec2, group) == before


@pytest.mark.parametrize("how", ["revoke", "delete"])
def test_what_was_on_record_of_a_rule_goes_with_it(house, ec2, group, how):
    first = allow(ec2, group, SSH)
    change(ec2, group, (first, WEB))
    second = allow(ec2, group, SSH)
    assert records(house) == {first, second}

    if how == "revoke":
        ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[first, second])
    else:
        ec2.delete_security_group(GroupId=group)
    assert records(house) == set()
    assert refusal(ec2.create_tags, Resources=[second], Tags=tags(a="b")) == "InvalidSecurityGroupRuleId.NotFound"


def test_records_of_rules_that_vanished_are_dropped(house, ec2, group):
    known = allow(ec2, group, SSH, Name="door")
    change(ec2, group, (known, WEB))
    firewalls = house.cloud.session(house.account[0]).firewalls
    [native] = [one.native for one in firewalls.list_firewalls() if one.ref == group]
    firewalls.remove_rules(native, [Rule(Direction.INGRESS, "tcp", 80, 80, "0.0.0.0/0")])

    house.mend()
    assert records(house) == set()
    assert ec2.describe_tags()["Tags"] == []


def test_a_rule_that_vanished_is_not_taken_for_a_new_one_like_it(house, ec2, group):
    known = allow(ec2, group, SSH, Name="door")
    change(ec2, group, (known, WEB))
    firewalls = house.cloud.session(house.account[0]).firewalls
    [native] = [one.native for one in firewalls.list_firewalls() if one.ref == group]
    firewalls.remove_rules(native, [Rule(Direction.INGRESS, "tcp", 80, 80, "0.0.0.0/0")])

    again = allow(ec2, group, WEB)
    assert again != known
    assert rules(ec2, group)[again]["Tags"] == []


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_descriptions_are_changed_by_permission_and_by_id(ec2, group, direction):
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    asked = {"GroupId": group, "IpPermissions": [{**permission, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]}
    [made] = getattr(ec2, f"authorize_security_group_{direction}")(**asked)["SecurityGroupRules"]
    known = made["SecurityGroupRuleId"]
    update = getattr(ec2, f"update_security_group_rule_descriptions_{direction}")

    def description():
        return rules(ec2, group, egress=direction == "egress")[known].get("Description")

    ranges = [{"CidrIp": "10.0.0.0/8", "Description": "us"}]
    assert update(GroupId=group, IpPermissions=[{**permission, "IpRanges": ranges}])["Return"] is True
    assert description() == "us"
    update(GroupName="web", SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": known, "Description": "them"}])
    assert description() == "them"
    update(GroupId=group, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": known}])
    assert description() is None


def test_only_rules_that_are_there_are_described(ec2, group):
    known = allow(ec2, group, SSH)
    ingress = ec2.update_security_group_rule_descriptions_ingress
    by_id = {"SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": known, "Description": "d"}]}
    absent = {"SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": NOBODY}]}
    permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}

    egress = refusal(ec2.update_security_group_rule_descriptions_egress, GroupId=group, **by_id)
    assert egress == "InvalidSecurityGroupRuleId.NotFound"
    assert refusal(ingress, GroupId=group, **absent) == "InvalidSecurityGroupRuleId.NotFound"
    assert refusal(ingress, GroupId=group, IpPermissions=[permission]) == "InvalidPermission.NotFound"
    assert refusal(ingress, GroupId=group, IpPermissions=[permission], **by_id) == "InvalidParameterCombination"
    assert refusal(ingress, GroupId=group) == "MissingParameter"
    assert "Description" not in rules(ec2, group)[known]


def test_the_groups_of_a_vpc_are_told(ec2, group):
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_security_group(GroupName="db", Description="d", VpcId=vpc)["GroupId"]

    found = ec2.get_security_groups_for_vpc(VpcId=vpc)["SecurityGroupForVpcs"]
    assert {one["GroupName"]: one["PrimaryVpcId"] for one in found} == {"db": vpc, "default": vpc}
    named = ec2.get_security_groups_for_vpc(VpcId=vpc, Filters=where(group_name="db"))["SecurityGroupForVpcs"]
    assert [one["GroupId"] for one in named] == [other]
    for number in range(4):
        ec2.create_security_group(GroupName=f"g{number}", Description="d", VpcId=vpc)
    pages = ec2.get_paginator("get_security_groups_for_vpc").paginate(VpcId=vpc, PaginationConfig={"PageSize": 5})
    assert [len(page["SecurityGroupForVpcs"]) for page in pages] == [5, 1]
    code = refusal(ec2.get_security_groups_for_vpc, VpcId="vpc-0123456789abcdef0")
    assert code == "InvalidVpcID.NotFound"


def test_groups_that_other_vpcs_name_are_told_and_stale_ones_too(ec2, group):
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_security_group(GroupName="db", Description="d", VpcId=vpc)["GroupId"]
    own = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["VpcId"]
    for known, peer in ((other, group), (other, other), (group, group)):
        permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": peer}]}
        ec2.authorize_security_group_ingress(GroupId=known, IpPermissions=[permission])

    told = ec2.describe_security_group_references(GroupId=[group, other])["SecurityGroupReferenceSet"]
    assert told == [{"GroupId": group, "ReferencingVpcId": vpc}]
    [stale] = ec2.describe_stale_security_groups(VpcId=vpc)["StaleSecurityGroupSet"]
    assert (stale["GroupId"], stale["VpcId"]) == (other, vpc)
    [permission] = stale["StaleIpPermissions"]
    assert [pair["GroupId"] for pair in permission["UserIdGroupPairs"]] == [group]
    assert stale["StaleIpPermissionsEgress"] == []
    assert ec2.describe_stale_security_groups(VpcId=own)["StaleSecurityGroupSet"] == []
    code = refusal(ec2.describe_security_group_references, GroupId=["sg-0123456789abcdef0"])
    assert code == "InvalidGroup.NotFound"

"""Security groups and their rules, in the spelling of today and in the flat old one."""

from __future__ import annotations

import pytest
from asking import instance, refusal, tagged, tags, where

NOBODY = "sg-0123456789abcdef0"
ANYWHERE = [{"CidrIp": "0.0.0.0/0"}]
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": ANYWHERE}
EVERYTHING = {"IpProtocol": "-1", "IpRanges": ANYWHERE}


@pytest.fixture
def group(ec2):
    return ec2.create_security_group(GroupName="web", Description="the web")["GroupId"]


def described(ec2, known):
    [found] = ec2.describe_security_groups(GroupIds=[known])["SecurityGroups"]
    return found


def rules(ec2, known, *, egress=False):
    found = ec2.describe_security_group_rules(Filters=where(group_id=known))["SecurityGroupRules"]
    return [one for one in found if one["IsEgress"] is egress]


def allow(ec2, known, *permissions):
    return ec2.authorize_security_group_ingress(GroupId=known, IpPermissions=list(permissions))


def test_a_new_group_lets_nothing_in_and_everything_out(house, ec2):
    made = ec2.create_security_group(
        GroupName="web", Description="the web", TagSpecifications=tagged("security-group", Name="w")
    )

    found = described(ec2, made["GroupId"])
    assert (found["GroupName"], found["Description"], found["OwnerId"]) == ("web", "the web", house.account[0])
    assert found["VpcId"] == ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    assert found["Tags"] == made["Tags"] == tags(Name="w")
    assert found["SecurityGroupArn"] == made["SecurityGroupArn"]
    assert found["IpPermissions"] == []
    [out] = found["IpPermissionsEgress"]
    assert (out["IpProtocol"], out["IpRanges"], "FromPort" in out) == ("-1", ANYWHERE, False)
    ec2.get_waiter("security_group_exists").wait(GroupIds=[made["GroupId"]])


def test_the_default_group_lets_its_own_members_in(ec2):
    [found] = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]

    [inside] = found["IpPermissions"]
    assert inside["IpProtocol"] == "-1"
    assert [one["GroupId"] for one in inside["UserIdGroupPairs"]] == [found["GroupId"]]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"GroupName": "web"}, "InvalidGroup.Duplicate"),
        ({"GroupName": "default"}, "InvalidParameterValue"),
        ({"GroupName": 'name%"'}, "InvalidParameterValue"),
        ({"GroupName": "sg-1234"}, "InvalidParameterValue"),
        ({"GroupName": "n" * 256}, "InvalidParameterValue"),
        ({"Description": "d" * 256}, "InvalidParameterValue"),
        ({"Description": ""}, "MissingParameter"),
        ({"GroupName": ""}, "MissingParameter"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
        ({"VpcId": "vpc-x"}, "InvalidVpcID.Malformed"),
    ],
)
def test_a_refused_group_is_not_made(ec2, group, asked, code):
    assert refusal(ec2.create_security_group, **{"GroupName": "db", "Description": "d", **asked}) == code
    assert {one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]} == {"default", "web"}


def test_more_groups_than_the_cloud_allows_are_refused(build):
    ec2 = build(quota={"firewall": 2}).client()
    ec2.create_security_group(GroupName="web", Description="d")

    code = refusal(ec2.create_security_group, GroupName="db", Description="d")
    assert code == "SecurityGroupLimitExceeded"


@pytest.mark.parametrize("said", ["GroupId", "GroupName"])
def test_a_deleted_group_is_gone_with_its_tags(ec2, group, said):
    ec2.create_tags(Resources=[group], Tags=tags(a="b"))
    ec2.delete_security_group(**{said: {"GroupId": group, "GroupName": "web"}[said]})

    assert refusal(ec2.describe_security_groups, GroupIds=[group]) == "InvalidGroup.NotFound"
    assert refusal(ec2.describe_security_groups, GroupNames=["web"]) == "InvalidGroup.NotFound"
    assert refusal(ec2.delete_security_group, GroupId=group) == "InvalidGroup.NotFound"
    assert not ec2.describe_tags()["Tags"]
    assert ec2.create_security_group(GroupName="web", Description="again")["GroupId"] != group


def test_a_group_in_use_is_not_deleted(house, ec2, image, group):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, SecurityGroupIds=[group])[
        "Instances"
    ][0]["InstanceId"]
    house.settle()

    assert refusal(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    assert [one["GroupId"] for one in instance(ec2, made)["SecurityGroups"]] == [group]
    ec2.terminate_instances(InstanceIds=[made])
    house.settle()
    ec2.delete_security_group(GroupId=group)


def test_a_group_that_another_names_is_not_deleted(ec2, group):
    other = ec2.create_security_group(GroupName="db", Description="d")["GroupId"]
    peer = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": group}]}
    allow(ec2, other, peer)

    assert refusal(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=[peer])
    ec2.delete_security_group(GroupId=group)


def test_a_group_that_names_itself_can_be_deleted(ec2, group):
    allow(ec2, group, {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]})

    [inside] = described(ec2, group)["IpPermissions"]
    assert [one["GroupId"] for one in inside["UserIdGroupPairs"]] == [group]
    ec2.delete_security_group(GroupId=group)


def test_the_default_group_stays(ec2):
    [found] = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]

    assert refusal(ec2.delete_security_group, GroupId=found["GroupId"]) == "CannotDelete"
    assert refusal(ec2.delete_security_group) == "MissingParameter"


def test_rules_are_told_by_protocol_and_ports_and_each_has_an_id(house, ec2, group):
    answer = allow(
        ec2,
        group,
        {**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "us"}, {"CidrIp": "192.0.2.7/32"}]},
        {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": ANYWHERE},
        {"IpProtocol": "17", "FromPort": 53, "ToPort": 53, "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]},
        {"IpProtocol": "50", "IpRanges": ANYWHERE},
    )

    assert answer["Return"] is True
    made = answer["SecurityGroupRules"]
    assert len({one["SecurityGroupRuleId"] for one in made}) == 5
    by_id = {one["SecurityGroupRuleId"]: one for one in rules(ec2, group)}
    assert by_id == {one["SecurityGroupRuleId"]: one for one in made}
    first = made[0]
    assert (first["GroupId"], first["GroupOwnerId"], first["IsEgress"]) == (group, house.account[0], False)
    assert (first["IpProtocol"], first["FromPort"], first["ToPort"]) == ("tcp", 22, 22)
    assert (first["CidrIpv4"], first["Description"]) == ("10.0.0.0/8", "us")
    found = {one["IpProtocol"]: one for one in described(ec2, group)["IpPermissions"]}
    assert sorted(found) == ["50", "icmp", "tcp", "udp"]
    assert found["tcp"]["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "us"}, {"CidrIp": "192.0.2.7/32"}]
    assert (found["icmp"]["FromPort"], found["icmp"]["ToPort"]) == (8, -1)
    assert found["udp"]["Ipv6Ranges"] == [{"CidrIpv6": "2001:db8::/32"}]
    assert "FromPort" not in found["50"]


def test_a_peer_can_be_named(ec2, group):
    other = ec2.create_security_group(GroupName="db", Description="d")["GroupId"]
    made = allow(ec2, group, {**SSH, "IpRanges": [], "UserIdGroupPairs": [{"GroupName": "db", "Description": "x"}]})

    [rule] = made["SecurityGroupRules"]
    assert (rule["ReferencedGroupInfo"]["GroupId"], rule["Description"]) == (other, "x")
    by_peer = ec2.describe_security_groups(Filters=[{"Name": "ip-permission.group-id", "Values": [other]}])
    assert [one["GroupId"] for one in by_peer["SecurityGroups"]] == [group]


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        (
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "CidrIp": "10.0.0.0/8"},
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        ),
        ({"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}, EVERYTHING),
        ({"SourceSecurityGroupName": "web"}, {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupName": "web"}]}),
    ],
)
def test_the_flat_old_spelling_says_the_same(ec2, group, flat, expected):
    ec2.authorize_security_group_ingress(GroupName="web", **flat)
    [rule] = rules(ec2, group)
    code = refusal(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[expected])
    assert code == "InvalidPermission.Duplicate"
    ec2.revoke_security_group_ingress(GroupName="web", **flat)
    assert rules(ec2, group) == []
    [again] = allow(ec2, group, expected)["SecurityGroupRules"]
    assert again["SecurityGroupRuleId"] == rule["SecurityGroupRuleId"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"IpPermissions": [SSH], "IpProtocol": "tcp", "CidrIp": "10.0.0.0/8"}, "InvalidParameterCombination"),
        ({"IpPermissions": [{**SSH, "IpProtocol": "tpc"}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{**SSH, "IpProtocol": "256"}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{**SSH, "FromPort": 23}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{**SSH, "ToPort": 65536}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{"IpProtocol": "tcp", "IpRanges": ANYWHERE}]}, "MissingParameter"),
        ({"IpPermissions": [{**SSH, "IpRanges": []}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/33"}]}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{**SSH, "IpRanges": [{"CidrIp": "10.0.0.1"}]}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{**SSH, "IpRanges": [{"CidrIp": "2001:db8::/32"}]}]}, "InvalidParameterValue"),
        ({"IpPermissions": [{**SSH, "PrefixListIds": [{"PrefixListId": "pl-1"}]}]}, "UnsupportedOperation"),
        ({"IpPermissions": [{**SSH, "UserIdGroupPairs": [{"GroupId": NOBODY}]}]}, "InvalidGroup.NotFound"),
        ({"IpPermissions": [SSH, SSH]}, "InvalidParameterValue"),
        (
            {"IpPermissions": [{**SSH, "IpRanges": [{**ANYWHERE[0], "Description": "d" * 256}]}]},
            "InvalidParameterValue",
        ),
        ({"GroupId": NOBODY, "IpPermissions": [SSH]}, "InvalidGroup.NotFound"),
        ({"GroupId": "", "GroupName": "nobody's", "IpPermissions": [SSH]}, "InvalidGroup.NotFound"),
        ({"GroupId": "", "IpPermissions": [SSH]}, "MissingParameter"),
    ],
)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_a_refused_rule_changes_nothing(ec2, group, asked, code, direction):
    if direction == "egress" and "GroupName" in asked:
        pytest.skip("outgoing rules are of groups by their ids")
    before = described(ec2, group)

    call = getattr(ec2, f"authorize_security_group_{direction}")
    assert refusal(call, **{"GroupId": group, **asked}) == code
    assert described(ec2, group) == before


def test_of_several_rules_either_all_are_made_or_none(ec2, group):
    allow(ec2, group, SSH)
    web = {**SSH, "FromPort": 80, "ToPort": 80}

    assert refusal(allow, ec2=ec2, known=group) == "MissingParameter"
    code = refusal(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[web, SSH])
    assert code == "InvalidPermission.Duplicate"
    assert [one["FromPort"] for one in rules(ec2, group)] == [22]
    code = refusal(ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[SSH, web])
    assert code == "InvalidPermission.NotFound"
    assert [one["FromPort"] for one in rules(ec2, group)] == [22]


def test_a_rule_that_differs_in_its_description_only_is_there_already(ec2, group):
    allow(ec2, group, SSH)
    described_ = {**SSH, "IpRanges": [{**ANYWHERE[0], "Description": "all of us"}]}

    code = refusal(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[described_])
    assert code == "InvalidPermission.Duplicate"
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[described_])
    assert rules(ec2, group) == []


def test_rules_are_revoked_by_their_ids(ec2, group):
    made = allow(ec2, group, SSH, {**SSH, "FromPort": 80, "ToPort": 80})["SecurityGroupRules"]
    first, second = (one["SecurityGroupRuleId"] for one in made)

    asked = {"GroupId": group, "SecurityGroupRuleIds": [first, "sgr-0123456789abcdef0"]}
    assert refusal(ec2.revoke_security_group_ingress, **asked) == "InvalidSecurityGroupRuleId.NotFound"
    asked = {"GroupId": group, "SecurityGroupRuleIds": [first]}
    assert refusal(ec2.revoke_security_group_egress, **asked) == "InvalidSecurityGroupRuleId.NotFound"
    answer = ec2.revoke_security_group_ingress(**asked)
    assert answer["Return"] is True
    assert [one["SecurityGroupRuleId"] for one in answer["RevokedSecurityGroupRules"]] == [first]
    assert [one["SecurityGroupRuleId"] for one in rules(ec2, group)] == [second]
    unknown = {"SecurityGroupRuleIds": [first]}
    assert refusal(ec2.describe_security_group_rules, **unknown) == "InvalidSecurityGroupRuleId.NotFound"


def test_what_terraform_revokes_of_a_new_group(ec2, group):
    """With FromPort and ToPort 0 for all protocols, as its provider sends it."""
    everything = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0}
    asked = {"GroupId": group, "IpPermissions": [{**everything, "IpRanges": ANYWHERE}]}

    assert ec2.revoke_security_group_egress(**asked)["Return"] is True
    assert described(ec2, group)["IpPermissionsEgress"] == []
    v6 = {"GroupId": group, "IpPermissions": [{**everything, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]}
    assert refusal(ec2.revoke_security_group_egress, **v6) == "InvalidPermission.NotFound"
    made = ec2.authorize_security_group_egress(**asked)["SecurityGroupRules"]
    assert [(one["IsEgress"], one["IpProtocol"], one["CidrIpv4"]) for one in made] == [(True, "-1", "0.0.0.0/0")]
    assert refusal(ec2.authorize_security_group_egress, **asked) == "InvalidPermission.Duplicate"


def test_the_same_rule_in_and_out_is_two_rules(ec2, group):
    [inwards] = allow(ec2, group, SSH)["SecurityGroupRules"]
    asked = {"GroupId": group, "IpPermissions": [SSH]}
    [outwards] = ec2.authorize_security_group_egress(**asked)["SecurityGroupRules"]

    assert inwards["SecurityGroupRuleId"] != outwards["SecurityGroupRuleId"]
    ec2.revoke_security_group_ingress(**asked)
    assert outwards["SecurityGroupRuleId"] in {one["SecurityGroupRuleId"] for one in rules(ec2, group, egress=True)}


def test_rules_are_tagged_when_made_and_later(ec2, group):
    [made] = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[SSH], TagSpecifications=tagged("security-group-rule", Name="ssh")
    )["SecurityGroupRules"]
    known = made["SecurityGroupRuleId"]
    assert made["Tags"] == tags(Name="ssh")
    ec2.create_tags(Resources=[known], Tags=tags(more="x"))

    found = ec2.describe_security_group_rules(Filters=[{"Name": "tag:more", "Values": ["x"]}])["SecurityGroupRules"]
    assert [one["SecurityGroupRuleId"] for one in found] == [known]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[known])
    assert not ec2.describe_tags()["Tags"]
    assert refusal(ec2.create_tags, Resources=[known], Tags=tags(a="b")) == "InvalidSecurityGroupRuleId.NotFound"


def test_a_strangers_group_is_not_there(ec2, stranger, group):
    [rule] = allow(ec2, group, SSH)["SecurityGroupRules"]
    before = described(ec2, group)

    for call in (stranger.delete_security_group, stranger.describe_security_groups):
        asked = {"GroupIds": [group]} if call == stranger.describe_security_groups else {"GroupId": group}
        assert refusal(call, **asked) == "InvalidGroup.NotFound"
    for verb in ("authorize", "revoke"):
        for direction in ("ingress", "egress"):
            call = getattr(stranger, f"{verb}_security_group_{direction}")
            assert refusal(call, GroupId=group, IpPermissions=[SSH]) == "InvalidGroup.NotFound"
    theirs = stranger.create_security_group(GroupName="web", Description="theirs")["GroupId"]
    for pair in ({"GroupId": group}, {"GroupId": group, "UserId": before["OwnerId"]}):
        permission = {"IpProtocol": "-1", "UserIdGroupPairs": [pair]}
        asked = {"GroupId": theirs, "IpPermissions": [permission]}
        assert refusal(stranger.authorize_security_group_ingress, **asked) == "InvalidGroup.NotFound"
    asked = {"SecurityGroupRuleIds": [rule["SecurityGroupRuleId"]]}
    assert refusal(stranger.describe_security_group_rules, **asked) == "InvalidSecurityGroupRuleId.NotFound"
    assert refusal(stranger.create_tags, Resources=[group], Tags=tags(a="b")) == "InvalidGroup.NotFound"
    assert described(ec2, group) == before
    assert described(stranger, theirs)["IpPermissions"] == []


def test_groups_are_found_by_what_they_are(house, ec2, group):
    allow(ec2, group, {**SSH, "IpRanges": [{"CidrIp": "10.1.0.0/16"}]})
    ec2.create_tags(Resources=[group], Tags=tags(Name="w"))
    wanted = {
        "group-id": group,
        "group-name": "w*",
        "description": "the web",
        "ip-permission.cidr": "10.1.0.0/16",
        "ip-permission.from-port": "22",
        "ip-permission.to-port": "22",
        "ip-permission.protocol": "tcp",
        "tag:Name": "w",
        "tag-key": "Name",
    }
    for name, value in wanted.items():
        found = ec2.describe_security_groups(Filters=[{"Name": name, "Values": [value]}])["SecurityGroups"]
        assert [one["GroupId"] for one in found] == [group], name
    vpc = described(ec2, group)["VpcId"]
    for filters in (
        where(vpc_id=vpc),
        where(owner_id=house.account[0]),
        where(egress__ip_permission__cidr="0.0.0.0/0"),
    ):
        assert len(ec2.describe_security_groups(Filters=filters)["SecurityGroups"]) == 2
    both = where(group_name="default", vpc_id=vpc)
    assert len(ec2.describe_security_groups(Filters=both)["SecurityGroups"]) == 1

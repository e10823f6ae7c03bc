"""Network ACLs."""

from __future__ import annotations

import pytest
from asking import refusal, tags, where

from isthmus.model import AclRule, Direction


@pytest.fixture
def acl(ec2, vpc):
    return ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]


def one(ec2, acl):
    [found] = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    return found


def entry(acl, number=100, **asked):
    said = {"Protocol": "6", "RuleAction": "allow", "CidrBlock": "10.3.0.0/18", "PortRange": {"From": 80, "To": 81}}
    return {"NetworkAclId": acl, "RuleNumber": number, "Egress": False, **said, **asked}


def test_a_vpc_begins_with_an_acl_that_lets_all_pass(house, ec2, vpc, subnet):
    [found] = ec2.describe_network_acls(Filters=where(vpc_id=vpc))["NetworkAcls"]

    assert (found["IsDefault"], found["OwnerId"], found["VpcId"]) == (True, house.account[0], vpc)
    assert [held["SubnetId"] for held in found["Associations"]] == [subnet]
    said = [(one["Egress"], one["RuleNumber"], one["RuleAction"]) for one in found["Entries"]]
    assert said == [(True, 100, "allow"), (True, 32767, "deny"), (False, 100, "allow"), (False, 32767, "deny")]
    assert {one["Protocol"] for one in found["Entries"]} == {"-1"}
    code = refusal(ec2.delete_network_acl, NetworkAclId=found["NetworkAclId"])
    assert code == "InvalidParameterValue"


def test_a_new_acl_lets_nothing_pass(ec2, vpc):
    wanted = [{"ResourceType": "network-acl", "Tags": tags(Name="n")}]
    made = ec2.create_network_acl(VpcId=vpc, TagSpecifications=wanted)["NetworkAcl"]

    assert (made["IsDefault"], made["Associations"], made["Tags"]) == (False, [], tags(Name="n"))
    assert [(one["RuleNumber"], one["RuleAction"]) for one in made["Entries"]] == [(32767, "deny"), (32767, "deny")]
    ec2.delete_network_acl(NetworkAclId=made["NetworkAclId"])
    code = refusal(ec2.describe_network_acls, NetworkAclIds=[made["NetworkAclId"]])
    assert code == "InvalidNetworkAclID.NotFound"


def test_entries_come_change_and_go(ec2, acl):
    ec2.create_network_acl_entry(**entry(acl))
    assert refusal(ec2.create_network_acl_entry, **entry(acl)) == "NetworkAclEntryAlreadyExists"
    ec2.create_network_acl_entry(**entry(acl, Egress=True))
    [held] = [each for each in one(ec2, acl)["Entries"] if each["RuleNumber"] == 100 and not each["Egress"]]
    assert held == {
        "CidrBlock": "10.3.0.0/18",
        "Egress": False,
        "PortRange": {"From": 80, "To": 81},
        "Protocol": "6",
        "RuleAction": "allow",
        "RuleNumber": 100,
    }

    icmp = entry(acl, Protocol="icmp", IcmpTypeCode={"Type": 8, "Code": -1}, RuleAction="deny")
    del icmp["PortRange"]
    ec2.replace_network_acl_entry(**icmp)
    [held] = [each for each in one(ec2, acl)["Entries"] if each["RuleNumber"] == 100 and not each["Egress"]]
    assert (held["Protocol"], held["IcmpTypeCode"]) == ("1", {"Type": 8, "Code": -1})

    ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=False)
    asked = {"NetworkAclId": acl, "RuleNumber": 100, "Egress": False}
    assert refusal(ec2.delete_network_acl_entry, **asked) == "InvalidNetworkAclEntry.NotFound"
    assert refusal(ec2.replace_network_acl_entry, **entry(acl)) == "InvalidNetworkAclEntry.NotFound"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"number": 0}, "InvalidParameterValue"),
        ({"number": 32767}, "InvalidParameterValue"),
        ({"Protocol": "nonsense"}, "InvalidParameterValue"),
        ({"PortRange": {"From": 81, "To": 80}}, "InvalidParameterValue"),
        ({"PortRange": {}}, "MissingParameter"),
        ({"CidrBlock": "nonsense"}, "InvalidParameterValue"),
        ({"RuleAction": "drop"}, "InvalidParameterValue"),
        ({"Ipv6CidrBlock": "::/0"}, "InvalidParameterCombination"),
        ({"Protocol": "1"}, "MissingParameter"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(ec2, acl, asked, code):
    assert refusal(ec2.create_network_acl_entry, **entry(acl, **asked)) == code


def test_an_acl_has_at_most_twenty_entries_of_each_direction(ec2, acl):
    for number in range(1, 21):
        ec2.create_network_acl_entry(**entry(acl, number))

    assert refusal(ec2.create_network_acl_entry, **entry(acl, 21)) == "NetworkAclEntryLimitExceeded"
    ec2.create_network_acl_entry(**entry(acl, 21, Egress=True))


def test_a_subnet_uses_another_acl_and_its_cloud_is_told(house, ec2, vpc, subnet, acl):
    ec2.create_network_acl_entry(**entry(acl))
    [first] = ec2.describe_network_acls(Filters=where(**{"association.subnet-id": subnet}))["NetworkAcls"]
    old = first["Associations"][0]["NetworkAclAssociationId"]

    new = ec2.replace_network_acl_association(AssociationId=old, NetworkAclId=acl)["NewAssociationId"]

    [held] = one(ec2, acl)["Associations"]
    assert (held["NetworkAclAssociationId"], held["SubnetId"], held["NetworkAclId"]) == (new, subnet, acl)
    code = refusal(ec2.replace_network_acl_association, AssociationId=old, NetworkAclId=acl)
    assert code == "InvalidAssociationID.NotFound"
    assert refusal(ec2.delete_network_acl, NetworkAclId=acl) == "DependencyViolation"
    networks = house.cloud.session(house.account[0]).networks
    [native] = [network.native for network in networks.list_networks() if network.ref == vpc]
    [wired] = networks.wiring_of(native).subnets
    assert wired.acl == (AclRule(100, Direction.INGRESS, True, "tcp", "10.3.0.0/18", 80, 81),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default", "false"),
        ("entry.rule-number", "100"),
        ("entry.cidr", "10.3.0.0/18"),
        ("entry.port-range.from", "80"),
        ("entry.protocol", "6"),
        ("entry.rule-action", "allow"),
    ],
)
def test_an_acl_is_found_by_what_it_is(ec2, vpc, acl, name, value):
    ec2.create_network_acl_entry(**entry(acl))
    asked = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": name, "Values": [value]}]

    found = ec2.describe_network_acls(Filters=asked)["NetworkAcls"]
    assert acl in [each["NetworkAclId"] for each in found]


def test_a_vpc_with_an_acl_of_its_own_stays(ec2, vpc, acl):
    assert refusal(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"


def test_the_first_acl_of_a_vpc_counts_changed_or_not(house, ec2, vpc, acl):
    house.world.limits.quotas.update(acls_per_vpc=3)
    [first] = ec2.describe_network_acls(Filters=where(vpc_id=vpc, default="true"))["NetworkAcls"]
    ec2.delete_network_acl_entry(NetworkAclId=first["NetworkAclId"], RuleNumber=100, Egress=False)

    ec2.create_network_acl(VpcId=vpc)
    assert refusal(ec2.create_network_acl, VpcId=vpc) == "NetworkAclLimitExceeded"
    ec2.create_network_acl(VpcId=ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"])
    ec2.delete_network_acl(NetworkAclId=acl)
    ec2.create_network_acl(VpcId=vpc)

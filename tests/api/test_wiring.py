"""The cloud is told what the records say, and what it refuses is taken back: that alone."""

from __future__ import annotations

import pytest
from asking import refusal, tags, where

from isthmus.core.undo import without
from isthmus.errors import Conflict
from isthmus.providers.memory.networks import MemoryNetworks


@pytest.fixture
def table(ec2, vpc, subnet):
    known = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=known, SubnetId=subnet)
    return known


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen when the cloud is told next, and let the cloud then refuse or do what it was told."""

    def arrange(happens, *, refused):
        wire = MemoryNetworks.wire

        def late(self, native, wiring):
            monkeypatch.setattr(MemoryNetworks, "wire", wire)
            happens()
            if refused:
                raise Conflict("network", native, "not now", "in-use")
            wire(self, native, wiring)

        monkeypatch.setattr(MemoryNetworks, "wire", late)

    return arrange


def entry(acl, number):
    rule = {"Protocol": "-1", "RuleAction": "deny", "CidrBlock": "10.0.0.0/8", "Egress": False}
    return {"NetworkAclId": acl, "RuleNumber": number, **rule}


def destinations(ec2, table):
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return [one["DestinationCidrBlock"] for one in found["Routes"][1:]]


def test_what_others_made_and_changed_meanwhile_stays(ec2, subnet, table, gateway, meanwhile):
    made = {}

    def happens():
        made["vpc"] = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        made["table"] = ec2.create_route_table(VpcId=made["vpc"])["RouteTable"]["RouteTableId"]
        ec2.create_tags(Resources=[made["table"]], Tags=tags(Name="n"))
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})

    meanwhile(happens, refused=True)
    asked = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    assert refusal(ec2.create_route, **asked) == "DependencyViolation"

    assert destinations(ec2, table) == []
    [found] = ec2.describe_route_tables(RouteTableIds=[made["table"]])["RouteTables"]
    assert (found["VpcId"], found["Tags"]) == (made["vpc"], tags(Name="n"))
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["MapPublicIpOnLaunch"]


def test_of_two_changes_of_one_table_the_refused_one_alone_is_taken_back(ec2, table, gateway, meanwhile):
    asked = {"RouteTableId": table, "GatewayId": gateway}
    meanwhile(lambda: ec2.create_route(**asked, DestinationCidrBlock="198.51.100.0/24"), refused=True)

    code = refusal(ec2.create_route, **asked, DestinationCidrBlock="192.0.2.0/24")

    assert (code, destinations(ec2, table)) == ("DependencyViolation", ["198.51.100.0/24"])


def test_of_two_changes_of_a_first_acl_the_refused_one_alone_is_taken_back(ec2, vpc, subnet, meanwhile):
    """Nobody has changed it before: there is no record of it yet."""
    [acl] = ec2.describe_network_acls(Filters=where(vpc_id=vpc))["NetworkAcls"]
    known = acl["NetworkAclId"]
    meanwhile(lambda: ec2.create_network_acl_entry(**entry(known, 2)), refused=True)

    assert refusal(ec2.create_network_acl_entry, **entry(known, 1)) == "DependencyViolation"

    [found] = ec2.describe_network_acls(NetworkAclIds=[known])["NetworkAcls"]
    assert [one["RuleNumber"] for one in found["Entries"] if not one["Egress"]] == [2, 100, 32767]


def test_what_was_deleted_comes_back_with_its_tags(ec2, vpc, subnet, meanwhile):
    made = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    known = made["EgressOnlyInternetGatewayId"]
    [table] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]
    route = {"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": known}
    ec2.create_route(RouteTableId=table["RouteTableId"], **route)
    ec2.create_tags(Resources=[known], Tags=tags(Name="n"))
    meanwhile(lambda: None, refused=True)

    asked = {"EgressOnlyInternetGatewayId": known}
    assert refusal(ec2.delete_egress_only_internet_gateway, **asked) == "DependencyViolation"

    [found] = ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"]
    assert (found["EgressOnlyInternetGatewayId"], found["Tags"]) == (known, tags(Name="n"))


def test_what_was_buried_is_there_again(ec2, vpc, meanwhile):
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=other)["VpcPeeringConnection"]
    asked = {"VpcPeeringConnectionId": made["VpcPeeringConnectionId"]}
    ec2.accept_vpc_peering_connection(**asked)
    meanwhile(lambda: None, refused=True)

    assert refusal(ec2.delete_vpc_peering_connection, **asked) == "DependencyViolation"

    [found] = ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
    assert found["Status"]["Code"] == "active"
    ec2.delete_vpc_peering_connection(**asked)


def test_who_tells_the_cloud_later_than_another_tells_it_all(house, ec2, table, gateway, meanwhile):
    """What the first had to tell is old by the time that it does; the fixture asks the cloud in the end."""
    asked = {"RouteTableId": table, "GatewayId": gateway}
    meanwhile(lambda: ec2.create_route(**asked, DestinationCidrBlock="198.51.100.0/24"), refused=False)

    ec2.create_route(**asked, DestinationCidrBlock="192.0.2.0/24")

    assert destinations(ec2, table) == ["192.0.2.0/24", "198.51.100.0/24"]


def test_a_subnet_that_the_cloud_does_not_wire_is_made_all_the_same(house, ec2, vpc, meanwhile):
    meanwhile(lambda: None, refused=True)

    assert ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")

    house.mend()


@pytest.mark.parametrize(
    ("before", "after", "now", "left"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}),
        ({}, {"a": 2}, {"a": 2, "b": 1}, {"b": 1}),
        ({"a": 1}, {}, {}, {"a": 1}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2, 3]}, {"a": [1, 3]}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1, 3]}, {"a": [1, 3, 2]}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
    ],
)
def test_a_change_is_taken_out_of_what_is_held_now(before, after, now, left):
    assert without(before, after, now) == left


def test_a_subnet_that_goes_meanwhile_stands_in_nobodys_way(ec2, vpc, subnet, gateway, meanwhile):
    meanwhile(lambda: ec2.delete_subnet(SubnetId=subnet), refused=False)

    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)

    [found] = ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"]
    assert found["Attachments"] == []

"""Subnets: made, changed and deleted."""

from __future__ import annotations

import pytest
from asking import refusal, tags, where


def make(ec2, vpc, cidr="10.7.1.0/24", **asked):
    return ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, **asked)["Subnet"]


def one(ec2, subnet):
    [found] = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    return found


def test_a_new_subnet_is_pending_and_then_available(ec2, vpc):
    wanted = [{"ResourceType": "subnet", "Tags": tags(Name="n")}]
    made = make(ec2, vpc, AvailabilityZone="us-east-1b", TagSpecifications=wanted)

    assert made["State"] == "pending"
    found = one(ec2, made["SubnetId"])
    assert (found["State"], found["VpcId"], found["AvailabilityZone"]) == ("available", vpc, "us-east-1b")
    assert (found["CidrBlock"], found["AvailableIpAddressCount"]) == ("10.7.1.0/24", 251)
    assert (found["DefaultForAz"], found["MapPublicIpOnLaunch"]) == (False, False)
    assert found["Tags"] == tags(Name="n")


def test_without_a_zone_a_subnet_is_in_the_first_one(ec2, vpc):
    assert make(ec2, vpc)["AvailabilityZone"] == "us-east-1a"
    by_id = make(ec2, vpc, "10.7.2.0/24", AvailabilityZoneId="use1-az2")
    assert by_id["AvailabilityZone"] == "us-east-1b"


@pytest.mark.parametrize("cidr", ["10.8.0.0/24", "10.7.0.0/29", "10.6.0.0/15", "10.0.0.0/8"])
def test_a_subnet_lies_within_its_vpc_and_is_not_too_small(ec2, vpc, cidr):
    assert refusal(ec2.create_subnet, VpcId=vpc, CidrBlock=cidr) == "InvalidSubnet.Range"


def test_subnets_do_not_overlap(ec2, vpc):
    make(ec2, vpc)

    assert refusal(ec2.create_subnet, VpcId=vpc, CidrBlock="10.7.1.128/25") == "InvalidSubnet.Conflict"


def test_an_unknown_zone_is_refused(ec2, vpc):
    asked = {"VpcId": vpc, "CidrBlock": "10.7.1.0/24", "AvailabilityZone": "eu-west-1a"}
    assert refusal(ec2.create_subnet, **asked) == "InvalidParameterValue"


def test_a_public_address_on_launch_is_switched(ec2, vpc):
    subnet = make(ec2, vpc)["SubnetId"]

    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})

    assert one(ec2, subnet)["MapPublicIpOnLaunch"] is True
    ec2.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": False})
    asked = {"SubnetId": subnet, "AssignIpv6AddressOnCreation": {"Value": True}}
    assert refusal(ec2.modify_subnet_attribute, **asked) == "UnsupportedOperation"


def test_a_deleted_subnet_is_gone(ec2, vpc):
    subnet = make(ec2, vpc)["SubnetId"]

    ec2.delete_subnet(SubnetId=subnet)

    assert refusal(ec2.describe_subnets, SubnetIds=[subnet]) == "InvalidSubnetID.NotFound"
    assert refusal(ec2.delete_subnet, SubnetId=subnet) == "InvalidSubnetID.NotFound"
    ec2.delete_vpc(VpcId=vpc)


def test_a_subnet_with_an_interface_stays(ec2, vpc):
    subnet = make(ec2, vpc)["SubnetId"]
    port = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]

    assert refusal(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"

    ec2.delete_network_interface(NetworkInterfaceId=port)
    ec2.delete_subnet(SubnetId=subnet)


def test_an_instance_in_a_subnet_of_one_s_own(house, ec2, vpc, image):
    subnet = make(ec2, vpc)["SubnetId"]
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=subnet)
    [instance] = made["Instances"]
    house.settle()

    assert (instance["VpcId"], instance["SubnetId"]) == (vpc, subnet)
    assert instance["PrivateIpAddress"].startswith("10.7.1.")
    [group] = ec2.describe_security_groups(Filters=where(vpc_id=vpc))["SecurityGroups"]
    assert [one["GroupId"] for one in instance["SecurityGroups"]] == [group["GroupId"]]
    assert refusal(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    assert one(ec2, subnet)["AvailableIpAddressCount"] == 250

"""Subnets hold as many addresses as their range has, less the five that are EC2's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import refusal
from botocore.exceptions import ClientError

FULL = "InsufficientFreeAddressesInSubnet"
ROOM = 16 - 5


@pytest.fixture
def subnet(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    return ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/28")["Subnet"]["SubnetId"]


def free(ec2, subnet):
    [found] = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    return found["AvailableIpAddressCount"]


def make(ec2, subnet, **asked):
    return ec2.create_network_interface(SubnetId=subnet, **asked)["NetworkInterface"]["NetworkInterfaceId"]


def interfaces(ec2):
    return ec2.describe_network_interfaces()["NetworkInterfaces"]


def test_the_smallest_subnet_has_room_for_eleven_interfaces(ec2, subnet):
    made = []
    for left in range(ROOM, 0, -1):
        assert free(ec2, subnet) == left
        made.append(make(ec2, subnet))

    assert refusal(ec2.create_network_interface, SubnetId=subnet) == FULL
    assert (free(ec2, subnet), len(interfaces(ec2))) == (0, ROOM)

    ec2.delete_network_interface(NetworkInterfaceId=made[3])
    assert free(ec2, subnet) == 1
    make(ec2, subnet)
    assert free(ec2, subnet) == 0


def test_a_full_subnet_is_the_client_s_error_and_not_worth_a_retry(ec2, subnet):
    make(ec2, subnet, SecondaryPrivateIpAddressCount=ROOM - 1)

    with pytest.raises(ClientError) as refused:
        ec2.create_network_interface(SubnetId=subnet)

    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (FULL, 400)


def test_further_addresses_take_room_too(ec2, subnet):
    port = make(ec2, subnet, SecondaryPrivateIpAddressCount=4)
    assert free(ec2, subnet) == ROOM - 5

    add = {"NetworkInterfaceId": port, "SecondaryPrivateIpAddressCount": 7}
    assert refusal(ec2.assign_private_ip_addresses, **add) == FULL
    assert refusal(ec2.create_network_interface, SubnetId=subnet, SecondaryPrivateIpAddressCount=6) == FULL
    assert (free(ec2, subnet), len(interfaces(ec2))) == (ROOM - 5, 1)

    added = ec2.assign_private_ip_addresses(**{**add, "SecondaryPrivateIpAddressCount": 6})
    assert free(ec2, subnet) == 0
    given = [one["PrivateIpAddress"] for one in added["AssignedPrivateIpAddresses"]]
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=port, PrivateIpAddresses=given)
    assert free(ec2, subnet) == 6


def test_a_launch_takes_room_and_its_end_gives_it_back(house, ec2, subnet, image):
    asked = {"ImageId": image, "InstanceType": "t3.micro", "SubnetId": subnet}
    made = ec2.run_instances(MinCount=1, MaxCount=8, **asked)["Instances"]
    assert free(ec2, subnet) == ROOM - 8

    assert refusal(ec2.run_instances, MinCount=4, MaxCount=4, **asked) == FULL
    house.settle()
    assert free(ec2, subnet) == ROOM - 8
    assert len(ec2.describe_volumes()["Volumes"]) == 8

    assert len(ec2.run_instances(MinCount=1, MaxCount=9, **asked)["Instances"]) == 3
    assert free(ec2, subnet) == 0

    ec2.terminate_instances(InstanceIds=[one["InstanceId"] for one in made])
    house.settle()
    assert free(ec2, subnet) == 8


def test_of_many_at_once_as_many_come_in_as_there_is_room_for(house, ec2, subnet):
    def attempt(_):
        try:
            make(house.client(), subnet)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ""

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(attempt, range(ROOM + 4)))

    assert told == [""] * ROOM + [FULL] * 4
    assert (free(ec2, subnet), len(interfaces(ec2))) == (0, ROOM)

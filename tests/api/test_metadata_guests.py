"""What guests are told of a cloud: looked up over the memory cloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from asking import instance, where
from house import House

from isthmus.imds.guests import lookup
from isthmus.imds.tree import tree

Tell = Callable[[str], Mapping[str, Mapping[str, str]]]


@pytest.fixture
def subnets(ec2: Any) -> list[str]:
    """Of the default network: in one zone the default one, and a further one of the network's further range."""
    [first] = ec2.describe_subnets(Filters=where(availability_zone="us-east-1a"))["Subnets"]
    ec2.associate_vpc_cidr_block(VpcId=first["VpcId"], CidrBlock="10.99.0.0/16")
    asked = {"VpcId": first["VpcId"], "CidrBlock": "10.99.7.0/24", "AvailabilityZone": "us-east-1a"}
    return [first["SubnetId"], ec2.create_subnet(**asked)["Subnet"]["SubnetId"]]


@pytest.fixture
def told(house: House) -> Tell:
    """What the metadata of an instance says of each of its interfaces, by its id."""

    def told(known: str) -> Mapping[str, Mapping[str, str]]:
        account = house.account[0]
        record = house.store.view(account).records[known]
        guest = lookup(house.world, "memory")(account, record.native)
        assert guest
        begin = "meta-data/network/interfaces/macs/"
        found: dict[str, dict[str, str]] = {}
        for path, leaf in tree(guest).items():
            if path.startswith(begin):
                mac, _, name = path.removeprefix(begin).partition("/")
                found.setdefault(mac, {})[name] = leaf.decode()
        return {leaves["interface-id"]: {"at": mac, **leaves} for mac, leaves in found.items()}

    return told


@pytest.fixture
def launched(house: House, ec2: Any, image: str, subnets: list[str]) -> Any:
    """An instance with two interfaces, of which the second has three addresses and a security group of its own."""
    [group] = ec2.describe_security_groups(Filters=where(group_name="default"))["SecurityGroups"]
    asked = {"GroupName": "back", "Description": "back", "VpcId": group["VpcId"]}
    own = ec2.create_security_group(**asked)["GroupId"]
    faces = [
        {"DeviceIndex": 0, "SubnetId": subnets[0]},
        {"DeviceIndex": 2, "SubnetId": subnets[1], "Groups": [own], "SecondaryPrivateIpAddressCount": 2},
    ]
    kind = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    made = ec2.run_instances(**kind, NetworkInterfaces=faces)["Instances"][0]
    house.settle()
    return instance(ec2, made["InstanceId"])


def test_a_guest_is_told_of_each_interface_what_the_api_says(ec2: Any, launched: Any, told: Tell) -> None:
    said = told(launched["InstanceId"])
    vpc = "172.31.0.0/16\n10.99.0.0/16"

    faces = launched["NetworkInterfaces"]
    assert {face["NetworkInterfaceId"] for face in faces} == said.keys()
    for face in faces:
        leaves = said[face["NetworkInterfaceId"]]
        assert leaves["at"] == leaves["mac"] == face["MacAddress"].lower()
        assert leaves["device-number"] == str(face["Attachment"]["DeviceIndex"])
        assert leaves["local-ipv4s"].split("\n") == [one["PrivateIpAddress"] for one in face["PrivateIpAddresses"]]
        assert (leaves["subnet-id"], leaves["vpc-id"]) == (face["SubnetId"], face["VpcId"])
        assert (leaves["vpc-ipv4-cidr-block"], leaves["vpc-ipv4-cidr-blocks"]) == ("172.31.0.0/16", vpc)
        assert leaves["security-group-ids"].split("\n") == [group["GroupId"] for group in face["Groups"]]
        assert leaves["security-groups"].split("\n") == [group["GroupName"] for group in face["Groups"]]
        assert leaves["owner-id"] == face["OwnerId"]
        [subnet] = ec2.describe_subnets(SubnetIds=[face["SubnetId"]])["Subnets"]
        assert leaves["subnet-ipv4-cidr-block"] == subnet["CidrBlock"]
    [second] = [leaves for leaves in said.values() if leaves["device-number"] == "2"]
    assert second["security-groups"] == "back"
    assert len(second["local-ipv4s"].split("\n")) == 3


def test_a_guest_is_told_which_private_address_a_public_one_stands_for(ec2: Any, launched: Any, told: Tell) -> None:
    [second] = [one for one in launched["NetworkInterfaces"] if one["Attachment"]["DeviceIndex"] == 2]
    private = second["PrivateIpAddresses"][1]["PrivateIpAddress"]
    made = ec2.allocate_address()
    ec2.associate_address(
        AllocationId=made["AllocationId"], NetworkInterfaceId=second["NetworkInterfaceId"], PrivateIpAddress=private
    )

    leaves = told(launched["InstanceId"])[second["NetworkInterfaceId"]]

    assert leaves["public-ipv4s"] == made["PublicIp"]
    assert leaves[f"ipv4-associations/{made['PublicIp']}"] == private


def test_interfaces_and_addresses_come_and_go_in_what_a_guest_is_told(
    ec2: Any, launched: Any, subnets: list[str], told: Tell
) -> None:
    known = launched["InstanceId"]
    port = ec2.create_network_interface(SubnetId=subnets[0])["NetworkInterface"]["NetworkInterfaceId"]
    assert len(told(known)) == 2

    attached = ec2.attach_network_interface(InstanceId=known, NetworkInterfaceId=port, DeviceIndex=1)["AttachmentId"]
    assert told(known)[port]["device-number"] == "1"

    [new] = ec2.assign_private_ip_addresses(NetworkInterfaceId=port, SecondaryPrivateIpAddressCount=1)[
        "AssignedPrivateIpAddresses"
    ]
    assert told(known)[port]["local-ipv4s"].split("\n")[1:] == [new["PrivateIpAddress"]]

    ec2.unassign_private_ip_addresses(NetworkInterfaceId=port, PrivateIpAddresses=[new["PrivateIpAddress"]])
    assert "\n" not in told(known)[port]["local-ipv4s"]
    ec2.detach_network_interface(AttachmentId=attached)
    assert port not in told(known)

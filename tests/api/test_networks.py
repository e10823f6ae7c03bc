"""VPCs, subnets and network interfaces, as far as they can be read."""

from __future__ import annotations

import ipaddress

import pytest
from asking import instance, refusal, tags, where


@pytest.fixture
def vpc(ec2):
    [found] = ec2.describe_vpcs()["Vpcs"]
    return found


def test_an_account_has_a_default_vpc(house, ec2, vpc):
    assert (vpc["IsDefault"], vpc["State"], vpc["InstanceTenancy"]) == (True, "available", "default")
    assert vpc["OwnerId"] == house.account[0]
    [block] = vpc["CidrBlockAssociationSet"]
    assert block["CidrBlock"] == vpc["CidrBlock"] == "172.31.0.0/16"
    assert block["CidrBlockState"]["State"] == "associated"
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc["VpcId"]])
    [said] = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
    assert said["AttributeValues"] == [{"AttributeValue": vpc["VpcId"]}]


def test_the_default_vpc_has_a_subnet_in_each_zone(ec2, vpc):
    subnets = {one["AvailabilityZone"]: one for one in ec2.describe_subnets()["Subnets"]}

    assert sorted(subnets) == ["us-east-1a", "us-east-1b"]
    for one in subnets.values():
        assert (one["VpcId"], one["DefaultForAz"], one["State"]) == (vpc["VpcId"], True, "available")
        network = ipaddress.ip_network(one["CidrBlock"])
        assert network.subnet_of(ipaddress.ip_network(vpc["CidrBlock"]))
        assert 0 < one["AvailableIpAddressCount"] < network.num_addresses
        assert one["SubnetArn"].endswith(f"subnet/{one['SubnetId']}")
    assert subnets["us-east-1b"]["AvailabilityZoneId"] == "use1-az2"
    ec2.get_waiter("subnet_available").wait(SubnetIds=[one["SubnetId"] for one in subnets.values()])


def test_an_instance_takes_an_address_of_its_subnet(house, ec2, launched):
    held = instance(ec2, launched)
    before = ec2.describe_subnets(SubnetIds=[held["SubnetId"]])["Subnets"][0]
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    after = ec2.describe_subnets(SubnetIds=[held["SubnetId"]])["Subnets"][0]
    assert after["AvailableIpAddressCount"] == before["AvailableIpAddressCount"] + 1
    address = ipaddress.ip_address(held["PrivateIpAddress"])
    assert address in ipaddress.ip_network(before["CidrBlock"])


def test_ids_that_are_nobodys_are_refused(ec2, stranger, launched, vpc):
    held = instance(ec2, launched)
    port = held["NetworkInterfaces"][0]["NetworkInterfaceId"]

    for client, asked in ((stranger, vpc["VpcId"]), (ec2, "vpc-0123456789abcdef0")):
        assert refusal(client.describe_vpcs, VpcIds=[asked]) == "InvalidVpcID.NotFound"
    for client, asked in ((stranger, held["SubnetId"]), (ec2, "subnet-0123456789abcdef0")):
        assert refusal(client.describe_subnets, SubnetIds=[asked]) == "InvalidSubnetID.NotFound"
    for client, asked in ((stranger, port), (ec2, "eni-0123456789abcdef0")):
        code = refusal(client.describe_network_interfaces, NetworkInterfaceIds=[asked])
        assert code == "InvalidNetworkInterfaceID.NotFound"
    assert refusal(ec2.describe_vpcs, VpcIds=["vpc-x"]) == "InvalidVpcID.Malformed"
    assert refusal(ec2.describe_subnets, SubnetIds=["subnet-x"]) == "InvalidSubnetID.Malformed"
    assert stranger.describe_network_interfaces()["NetworkInterfaces"] == []
    assert stranger.describe_vpcs()["Vpcs"][0]["VpcId"] != vpc["VpcId"]


def test_an_instance_has_one_interface(house, ec2, launched):
    group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    ec2.modify_instance_attribute(InstanceId=launched, Groups=[group])
    address = ec2.allocate_address()
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=launched)

    held = instance(ec2, launched)
    [found] = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert found["NetworkInterfaceId"] == held["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert found["Attachment"]["InstanceId"] == launched
    assert found["Attachment"]["InstanceOwnerId"] == found["OwnerId"] == house.account[0]
    assert (found["Attachment"]["DeviceIndex"], found["Attachment"]["Status"]) == (0, "attached")
    assert (found["SubnetId"], found["VpcId"]) == (held["SubnetId"], held["VpcId"])
    assert (found["Status"], found["AvailabilityZone"]) == ("in-use", "us-east-1a")
    assert [one["GroupId"] for one in found["Groups"]] == [group]
    assert found["Association"]["PublicIp"] == address["PublicIp"]
    assert found["Association"]["AllocationId"] == address["AllocationId"]
    assert found["Association"]["AssociationId"].startswith("eipassoc-")
    [private] = found["PrivateIpAddresses"]
    assert (private["Primary"], private["PrivateIpAddress"]) == (True, held["PrivateIpAddress"])
    wanted = {
        "group-id": group,
        "subnet-id": held["SubnetId"],
        "vpc-id": held["VpcId"],
        "attachment.instance-id": launched,
        "private-ip-address": held["PrivateIpAddress"],
        "addresses.private-ip-address": held["PrivateIpAddress"],
        "association.public-ip": address["PublicIp"],
        "association.allocation-id": address["AllocationId"],
        "mac-address": found["MacAddress"],
        "status": "in-use",
        "network-interface-id": found["NetworkInterfaceId"],
    }
    for name, value in wanted.items():
        answer = ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}])
        assert answer["NetworkInterfaces"] == [found], name
        answer = ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": ["nothing"]}])
        assert answer["NetworkInterfaces"] == [], name
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_vpcs_and_subnets_are_found_by_what_they_are(ec2, vpc):
    [wanted] = ec2.describe_subnets(Filters=where(availability_zone="us-east-1b"))["Subnets"]
    ec2.create_tags(Resources=[vpc["VpcId"], wanted["SubnetId"]], Tags=tags(Name="net"))
    for name, value in {
        "vpc-id": vpc["VpcId"],
        "is-default": "true",
        "isDefault": "true",
        "cidr": "172.31.0.0/16",
        "cidr-block-association.cidr-block": "172.31.0.0/16",
        "state": "available",
        "owner-id": vpc["OwnerId"],
        "dhcp-options-id": vpc["DhcpOptionsId"],
        "tag:Name": "net",
    }.items():
        found = ec2.describe_vpcs(Filters=[{"Name": name, "Values": [value]}])["Vpcs"]
        assert [one["VpcId"] for one in found] == [vpc["VpcId"]], name
    for name, value in {
        "subnet-id": wanted["SubnetId"],
        "availability-zone": "us-east-1b",
        "availability-zone-id": "use1-az2",
        "availabilityZone": "us-east-1b",
        "cidr-block": wanted["CidrBlock"],
        "tag:Name": "net",
    }.items():
        found = ec2.describe_subnets(Filters=[{"Name": name, "Values": [value]}])["Subnets"]
        assert [one["SubnetId"] for one in found] == [wanted["SubnetId"]], name
    both = where(vpc_id=vpc["VpcId"], default_for_az="true")
    assert len(ec2.describe_subnets(Filters=both)["Subnets"]) == 2

"""Elastic IP addresses: allocated, associated, moved and released."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from asking import instance, refusal, tagged, tags, where
from house import ZONES

from isthmus.aws.front import Front
from isthmus.context import Place
from isthmus.providers.memory import Memory

NOBODY = "eipalloc-0123456789abcdef0"


@pytest.fixture
def made(ec2):
    return ec2.allocate_address(Domain="vpc")


@pytest.fixture
def other(house, ec2, image):
    """A second running instance."""
    answer = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    house.settle()
    return answer["Instances"][0]["InstanceId"]


def described(ec2, known):
    [found] = ec2.describe_addresses(AllocationIds=[known])["Addresses"]
    return found


def associate(ec2, made, known, **asked):
    return ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=known, **asked)["AssociationId"]


def test_an_allocated_address_is_the_accounts(ec2):
    made = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", Name="front"))

    found = described(ec2, made["AllocationId"])
    assert (found["PublicIp"], found["Domain"]) == (made["PublicIp"], made["Domain"]) == (made["PublicIp"], "vpc")
    assert found["PublicIpv4Pool"] == "amazon"
    assert found["NetworkBorderGroup"] == "us-east-1"
    assert found["Tags"] == tags(Name="front")
    assert {"AssociationId", "InstanceId", "PrivateIpAddress"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Domain": "moon"}, "InvalidParameterValue"),
        ({"NetworkBorderGroup": "moon"}, "InvalidParameterValue"),
        ({"PublicIpv4Pool": "ipv4pool-ec2-1"}, "UnsupportedOperation"),
        ({"CustomerOwnedIpv4Pool": "x"}, "UnsupportedOperation"),
        ({"Address": "8.8.8.8"}, "InvalidParameterValue"),
    ],
)
def test_a_refused_address_is_not_allocated(ec2, asked, code):
    assert refusal(ec2.allocate_address, **asked) == code
    assert ec2.describe_addresses()["Addresses"] == []


def test_a_certain_address_can_be_had_again(ec2, made):
    assert refusal(ec2.allocate_address, Address=made["PublicIp"]) == "InvalidIPAddress.InUse"
    ec2.release_address(AllocationId=made["AllocationId"])

    again = ec2.allocate_address(Address=made["PublicIp"], PublicIpv4Pool="amazon")
    assert again["PublicIp"] == made["PublicIp"]
    assert again["AllocationId"] != made["AllocationId"]


@pytest.mark.parametrize("settings", [{"addresses": 1}, {"quota": {"address": 1}}])
def test_more_addresses_than_are_allowed_are_refused(build, settings):
    ec2 = build(**settings).client()
    ec2.allocate_address()

    assert refusal(ec2.allocate_address) == "AddressLimitExceeded"
    assert len(ec2.describe_addresses()["Addresses"]) == 1


def test_an_associated_address_is_the_instances(house, ec2, launched, made):
    association = associate(ec2, made, launched)

    found, held = described(ec2, made["AllocationId"]), instance(ec2, launched)
    assert association.startswith("eipassoc-")
    assert (found["AssociationId"], found["InstanceId"]) == (association, launched)
    assert found["PrivateIpAddress"] == held["PrivateIpAddress"]
    [interface] = held["NetworkInterfaces"]
    assert found["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    assert found["NetworkInterfaceOwnerId"] == house.account[0]
    assert held["PublicIpAddress"] == interface["Association"]["PublicIp"] == made["PublicIp"]
    assert associate(ec2, made, launched) == association  # once more is the same


@pytest.mark.parametrize("said", ["allocation", "number", "interface"])
def test_an_association_can_be_asked_for_in_three_ways(ec2, launched, made, said):
    port = instance(ec2, launched)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    asked = {
        "allocation": {"AllocationId": made["AllocationId"], "InstanceId": launched},
        "number": {"PublicIp": made["PublicIp"], "InstanceId": launched},
        "interface": {"AllocationId": made["AllocationId"], "NetworkInterfaceId": port},
    }[said]
    ec2.associate_address(**asked)

    assert described(ec2, made["AllocationId"])["InstanceId"] == launched


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"InstanceId": "launched"}, "MissingParameter"),
        ({"AllocationId": "made"}, "MissingParameter"),
        ({"AllocationId": NOBODY, "InstanceId": "launched"}, "InvalidAllocationID.NotFound"),
        ({"AllocationId": "eipalloc-x", "InstanceId": "launched"}, "InvalidAllocationID.Malformed"),
        ({"PublicIp": "198.51.100.250", "InstanceId": "launched"}, "InvalidAddress.NotFound"),
        ({"AllocationId": "made", "InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        (
            {"AllocationId": "made", "NetworkInterfaceId": "eni-0123456789abcdef0"},
            "InvalidNetworkInterfaceID.NotFound",
        ),
        (
            {"AllocationId": "made", "InstanceId": "launched", "PrivateIpAddress": "10.9.8.7"},
            "InvalidParameterValue",
        ),
    ],
)
def test_a_refused_association_changes_nothing(ec2, launched, made, asked, code):
    real = {"made": made["AllocationId"], "launched": launched}

    asked = {name: real.get(value, value) for name, value in asked.items()}
    assert refusal(ec2.associate_address, **asked) == code
    assert "InstanceId" not in described(ec2, made["AllocationId"])


def test_an_association_moves_unless_that_is_forbidden(ec2, launched, other, made):
    first = associate(ec2, made, launched)

    asked = {"AllocationId": made["AllocationId"], "InstanceId": other}
    assert refusal(ec2.associate_address, **asked, AllowReassociation=False) == "Resource.AlreadyAssociated"
    assert described(ec2, made["AllocationId"])["InstanceId"] == launched
    second = associate(ec2, made, other)
    assert second != first
    assert described(ec2, made["AllocationId"])["InstanceId"] == other
    assert "PublicIpAddress" not in instance(ec2, launched)
    assert refusal(ec2.disassociate_address, AssociationId=first) == "InvalidAssociationID.NotFound"


def test_a_second_address_takes_the_firsts_place(ec2, launched, made):
    later = ec2.allocate_address()
    associate(ec2, made, launched)

    asked = {"AllocationId": later["AllocationId"], "InstanceId": launched}
    assert refusal(ec2.associate_address, **asked, AllowReassociation=False) == "Resource.AlreadyAssociated"
    associate(ec2, later, launched)
    assert instance(ec2, launched)["PublicIpAddress"] == later["PublicIp"]
    assert "InstanceId" not in described(ec2, made["AllocationId"])


def test_nothing_is_associated_with_a_terminated_instance(house, ec2, launched, made):
    ec2.terminate_instances(InstanceIds=[launched])

    asked = {"AllocationId": made["AllocationId"], "InstanceId": launched}
    assert refusal(ec2.associate_address, **asked) == "IncorrectInstanceState"
    house.settle()
    assert refusal(ec2.associate_address, **asked) == "IncorrectInstanceState"


def test_a_disassociated_address_stays_the_accounts(ec2, launched, made):
    association = associate(ec2, made, launched)
    ec2.disassociate_address(AssociationId=association)

    assert "InstanceId" not in described(ec2, made["AllocationId"])
    assert "PublicIpAddress" not in instance(ec2, launched)
    assert refusal(ec2.disassociate_address, AssociationId=association) == "InvalidAssociationID.NotFound"
    assert refusal(ec2.disassociate_address) == "MissingParameter"


def test_what_a_vpcs_address_does_is_undone_by_ids_alone(ec2, launched, made):
    association, number = associate(ec2, made, launched), made["PublicIp"]

    for undo, ids in (
        (ec2.disassociate_address, {"AssociationId": association}),
        (ec2.release_address, {"AllocationId": made["AllocationId"]}),
    ):
        assert refusal(undo, PublicIp=number) == "InvalidParameterValue"
        assert refusal(undo, **ids, PublicIp=number) == "InvalidParameterCombination"
        assert refusal(undo, PublicIp="198.51.100.250") == "AuthFailure"
        assert refusal(undo, PublicIp="x") == "InvalidParameterValue"
    assert described(ec2, made["AllocationId"])["AssociationId"] == association


def test_numbers_and_ids_name_addresses_together(ec2, made):
    other = ec2.allocate_address()

    found = ec2.describe_addresses(PublicIps=[made["PublicIp"]], AllocationIds=[other["AllocationId"]])["Addresses"]
    assert {one["PublicIp"] for one in found} == {made["PublicIp"], other["PublicIp"]}
    assert refusal(ec2.describe_addresses, PublicIps=["x"]) == "InvalidParameterValue"


def test_nothing_is_associated_where_no_gateway_is(house, ec2, image, made):
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    port = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]

    asked = {"AllocationId": made["AllocationId"], "NetworkInterfaceId": port}
    assert refusal(ec2.associate_address, **asked) == "Gateway.NotAttached"
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert ec2.associate_address(**asked)["AssociationId"]


def test_an_address_in_use_is_not_released(ec2, launched, made):
    association = associate(ec2, made, launched)

    assert refusal(ec2.release_address, AllocationId=made["AllocationId"]) == "InvalidIPAddress.InUse"
    assert described(ec2, made["AllocationId"])["AssociationId"] == association
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=made["AllocationId"])


def test_a_released_address_is_gone_with_its_tags(ec2, made):
    ec2.create_tags(Resources=[made["AllocationId"]], Tags=tags(a="b"))
    ec2.release_address(AllocationId=made["AllocationId"])

    unknown = refusal(ec2.describe_addresses, AllocationIds=[made["AllocationId"]])
    assert unknown == "InvalidAllocationID.NotFound"
    assert refusal(ec2.describe_addresses, PublicIps=[made["PublicIp"]]) == "InvalidAddress.NotFound"
    assert refusal(ec2.release_address, AllocationId=made["AllocationId"]) == "InvalidAllocationID.NotFound"
    assert refusal(ec2.release_address, PublicIp=made["PublicIp"]) == "AuthFailure"
    assert refusal(ec2.release_address) == "MissingParameter"
    assert not ec2.describe_tags()["Tags"]


def test_the_address_of_a_terminated_instance_is_free_again(house, ec2, launched, made):
    associate(ec2, made, launched)
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    assert "InstanceId" not in described(ec2, made["AllocationId"])
    ec2.release_address(AllocationId=made["AllocationId"])


def test_a_stopped_instance_keeps_its_address(house, ec2, launched, made):
    associate(ec2, made, launched)
    ec2.stop_instances(InstanceIds=[launched])
    house.settle()

    assert instance(ec2, launched)["PublicIpAddress"] == made["PublicIp"]


def test_attributes_of_addresses_are_none(ec2, made):
    answer = ec2.describe_addresses_attribute(AllocationIds=[made["AllocationId"]], Attribute="domain-name")

    assert answer["Addresses"] == [{"PublicIp": made["PublicIp"], "AllocationId": made["AllocationId"]}]
    unknown = refusal(ec2.describe_addresses_attribute, AllocationIds=[NOBODY], Attribute="domain-name")
    assert unknown == "InvalidAllocationID.NotFound"


def test_a_strangers_address_is_not_there(ec2, stranger, launched, made):
    association = associate(ec2, made, launched)
    known, number = made["AllocationId"], made["PublicIp"]

    assert refusal(stranger.describe_addresses, AllocationIds=[known]) == "InvalidAllocationID.NotFound"
    assert refusal(stranger.describe_addresses, PublicIps=[number]) == "InvalidAddress.NotFound"
    assert refusal(stranger.release_address, AllocationId=known) == "InvalidAllocationID.NotFound"
    assert refusal(stranger.disassociate_address, AssociationId=association) == "InvalidAssociationID.NotFound"
    assert refusal(stranger.disassociate_address, PublicIp=number) == "AuthFailure"
    theirs = stranger.allocate_address()
    asked = {"AllocationId": theirs["AllocationId"], "InstanceId": launched}
    assert refusal(stranger.associate_address, **asked) == "InvalidInstanceID.NotFound"
    assert refusal(ec2.associate_address, **asked) == "InvalidAllocationID.NotFound"
    assert refusal(stranger.create_tags, Resources=[known], Tags=tags(a="b")) == "InvalidAllocationID.NotFound"
    assert described(ec2, known)["AssociationId"] == association


def test_addresses_are_found_by_what_they_are(ec2, launched, made):
    association = associate(ec2, made, launched)
    ec2.allocate_address()
    ec2.create_tags(Resources=[made["AllocationId"]], Tags=tags(Name="front"))
    wanted = {
        "allocation-id": made["AllocationId"],
        "association-id": association,
        "instance-id": launched,
        "network-interface-id": instance(ec2, launched)["NetworkInterfaces"][0]["NetworkInterfaceId"],
        "private-ip-address": instance(ec2, launched)["PrivateIpAddress"],
        "public-ip": made["PublicIp"],
        "tag:Name": "fr*",
        "tag-key": "Name",
    }
    for name, value in wanted.items():
        found = ec2.describe_addresses(Filters=[{"Name": name, "Values": [value]}])["Addresses"]
        assert [one["AllocationId"] for one in found] == [made["AllocationId"]], name
    assert len(ec2.describe_addresses(Filters=where(domain="vpc"))["Addresses"]) == 2
    [found] = ec2.describe_addresses(PublicIps=[made["PublicIp"]])["Addresses"]
    assert found["AllocationId"] == made["AllocationId"]


def test_each_further_cloud_has_addresses_in_a_network_border_group_of_its_own(house):
    more = Memory("second", ("hall",), clock=house.clock, settle=timedelta(0))
    places = {**house.world.places, "us-east-1x": Place("us-east-1x", "second", "hall")}
    house.front = Front(replace(house.world, memo={}, places=places, clouds={**house.world.clouds, "second": more}))
    ec2 = house.client()

    groups = {
        one["ZoneName"]: one["NetworkBorderGroup"] for one in ec2.describe_availability_zones()["AvailabilityZones"]
    }
    ours, theirs = (ec2.allocate_address(NetworkBorderGroup=one) for one in ("us-east-1", "us-east-1x"))

    assert groups == {**dict.fromkeys(ZONES, "us-east-1"), "us-east-1x": "us-east-1x"}
    assert "us-east-1x" == theirs["NetworkBorderGroup"]
    assert [theirs["PublicIp"]] == [one.address for one in more.session(house.account[0]).addresses.list_addresses()]
    assert ours["PublicIp"] in [one["PublicIp"] for one in ec2.describe_addresses()["Addresses"]]

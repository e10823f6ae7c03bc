"""Network interfaces: by themselves, on instances, and made at a launch."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import instance, refusal, state, tags, where


@pytest.fixture
def subnet(ec2):
    [found] = ec2.describe_subnets(Filters=where(availability_zone="us-east-1a"))["Subnets"]
    return found["SubnetId"]


def make(ec2, subnet, **asked):
    return ec2.create_network_interface(SubnetId=subnet, **asked)["NetworkInterface"]


def one(ec2, port):
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[port])["NetworkInterfaces"]
    return found


def run(house, ec2, image, **asked):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, **asked)["Instances"][0]
    house.settle()
    return instance(ec2, made["InstanceId"])


def test_a_new_interface_is_available(house, ec2, subnet):
    wanted = [{"ResourceType": "network-interface", "Tags": tags(Name="n")}]
    made = make(ec2, subnet, Description="mine", TagSpecifications=wanted)

    found = one(ec2, made["NetworkInterfaceId"])
    assert (found["Status"], found["SubnetId"], found["Description"]) == ("available", subnet, "mine")
    assert (found["OwnerId"], found["RequesterManaged"], found["SourceDestCheck"]) == (house.account[0], False, True)
    assert [group["GroupName"] for group in found["Groups"]] == ["default"]
    [address] = found["PrivateIpAddresses"]
    assert (address["Primary"], address["PrivateIpAddress"]) == (True, found["PrivateIpAddress"])
    assert found["TagSet"] == tags(Name="n")
    assert "Attachment" not in found
    assert found["MacAddress"] == made["MacAddress"]


def test_an_interface_has_the_addresses_it_is_given(ec2, subnet):
    asked = [{"PrivateIpAddress": "172.31.0.50", "Primary": True}, {"PrivateIpAddress": "172.31.0.51"}]
    made = make(ec2, subnet, PrivateIpAddresses=asked)
    counted = make(ec2, subnet, PrivateIpAddress="172.31.0.60", SecondaryPrivateIpAddressCount=2)

    assert [held["PrivateIpAddress"] for held in made["PrivateIpAddresses"]] == ["172.31.0.50", "172.31.0.51"]
    assert [held["Primary"] for held in counted["PrivateIpAddresses"]] == [True, False, False]
    assert counted["PrivateIpAddress"] == "172.31.0.60"
    assert refusal(make, ec2=ec2, subnet=subnet, PrivateIpAddress="172.31.0.51") == "InvalidIPAddress.InUse"
    assert refusal(make, ec2=ec2, subnet=subnet, PrivateIpAddress="10.0.0.1") == "InvalidParameterValue"


def test_addresses_are_assigned_and_unassigned(ec2, subnet):
    port = make(ec2, subnet)["NetworkInterfaceId"]

    answer = ec2.assign_private_ip_addresses(NetworkInterfaceId=port, SecondaryPrivateIpAddressCount=2)
    given = [held["PrivateIpAddress"] for held in answer["AssignedPrivateIpAddresses"]]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=port, PrivateIpAddresses=["172.31.0.99"])

    held = [each["PrivateIpAddress"] for each in one(ec2, port)["PrivateIpAddresses"]]
    assert sorted(held[1:]) == sorted([*given, "172.31.0.99"])
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=port, PrivateIpAddresses=given)
    assert [each["PrivateIpAddress"] for each in one(ec2, port)["PrivateIpAddresses"]] == [held[0], "172.31.0.99"]
    asked = {"NetworkInterfaceId": port, "PrivateIpAddresses": [held[0]]}
    assert refusal(ec2.unassign_private_ip_addresses, **asked) == "InvalidParameterValue"
    assert refusal(ec2.assign_private_ip_addresses, NetworkInterfaceId=port) == "MissingParameter"


def test_an_address_moves_only_if_that_is_allowed(ec2, subnet):
    first = make(ec2, subnet, PrivateIpAddresses=[{"PrivateIpAddress": "172.31.0.70"}])["NetworkInterfaceId"]
    second = make(ec2, subnet)["NetworkInterfaceId"]
    asked = {"NetworkInterfaceId": second, "PrivateIpAddresses": ["172.31.0.70"]}
    assert refusal(ec2.assign_private_ip_addresses, **asked) == "InvalidIPAddress.InUse"

    ec2.assign_private_ip_addresses(**asked, AllowReassignment=True)

    assert len(one(ec2, first)["PrivateIpAddresses"]) == 1
    assert one(ec2, second)["PrivateIpAddresses"][1]["PrivateIpAddress"] == "172.31.0.70"


def test_of_several_interfaces_one_is_named(ec2, subnet, launched):
    port = make(ec2, subnet)["NetworkInterfaceId"]
    attachment = ec2.attach_network_interface(NetworkInterfaceId=port, InstanceId=launched, DeviceIndex=1)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    change = ec2.modify_network_interface_attribute

    assert refusal(ec2.associate_address, AllocationId=address, InstanceId=launched) == "InvalidInstanceID"
    assert ec2.associate_address(AllocationId=address, NetworkInterfaceId=port)["AssociationId"]
    incomplete = {"AttachmentId": attachment["AttachmentId"]}
    assert refusal(change, NetworkInterfaceId=port, Attachment=incomplete) == "MissingParameter"


def test_an_interface_is_attached_and_detached(house, ec2, subnet, launched):
    port = make(ec2, subnet, Description="second")["NetworkInterfaceId"]
    asked = {"NetworkInterfaceId": port, "InstanceId": launched}
    assert refusal(ec2.attach_network_interface, **asked, DeviceIndex=0) == "InvalidParameterValue"

    attachment = ec2.attach_network_interface(**asked, DeviceIndex=2)["AttachmentId"]

    found = one(ec2, port)
    assert (found["Status"], found["Attachment"]["Status"]) == ("in-use", "attached")
    assert (found["Attachment"]["AttachmentId"], found["Attachment"]["DeviceIndex"]) == (attachment, 2)
    assert (found["Attachment"]["InstanceId"], found["Attachment"]["DeleteOnTermination"]) == (launched, False)
    held = instance(ec2, launched)["NetworkInterfaces"]
    assert [each["Attachment"]["DeviceIndex"] for each in held] == [0, 2]
    assert held[1]["Description"] == "second"
    assert refusal(ec2.attach_network_interface, **asked, DeviceIndex=3) == "InvalidNetworkInterface.InUse"
    assert refusal(ec2.delete_network_interface, NetworkInterfaceId=port) == "InvalidParameterValue"

    ec2.detach_network_interface(AttachmentId=attachment)
    assert one(ec2, port)["Status"] == "available"
    assert refusal(ec2.detach_network_interface, AttachmentId=attachment) == "InvalidAttachmentID.NotFound"
    first = held[0]["Attachment"]["AttachmentId"]
    assert refusal(ec2.detach_network_interface, AttachmentId=first) == "OperationNotPermitted"
    ec2.delete_network_interface(NetworkInterfaceId=port)
    assert refusal(one, ec2=ec2, port=port) == "InvalidNetworkInterfaceID.NotFound"


def test_what_becomes_of_an_interface_with_its_instance(house, ec2, subnet, launched):
    goes, stays = make(ec2, subnet)["NetworkInterfaceId"], make(ec2, subnet)["NetworkInterfaceId"]
    for index, port in enumerate((goes, stays), 1):
        ec2.attach_network_interface(NetworkInterfaceId=port, InstanceId=launched, DeviceIndex=index)
    attachment = one(ec2, goes)["Attachment"]["AttachmentId"]
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=goes, Attachment={"AttachmentId": attachment, "DeleteOnTermination": True}
    )

    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    assert refusal(one, ec2=ec2, port=goes) == "InvalidNetworkInterfaceID.NotFound"
    assert one(ec2, stays)["Status"] == "available"


def test_attributes_are_read_and_changed(ec2, subnet):
    port = make(ec2, subnet)["NetworkInterfaceId"]
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=port, Description={"Value": "new"})
    ec2.modify_network_interface_attribute(NetworkInterfaceId=port, SourceDestCheck={"Value": False})
    ec2.modify_network_interface_attribute(NetworkInterfaceId=port, Groups=[group])

    def read(name, member):
        return ec2.describe_network_interface_attribute(NetworkInterfaceId=port, Attribute=name)[member]

    assert read("description", "Description") == {"Value": "new"}
    assert read("sourceDestCheck", "SourceDestCheck") == {"Value": False}
    assert [held["GroupId"] for held in read("groupSet", "Groups")] == [group]
    ec2.reset_network_interface_attribute(NetworkInterfaceId=port, SourceDestCheck="true")
    assert read("sourceDestCheck", "SourceDestCheck") == {"Value": True}
    both = {"Description": {"Value": "x"}, "SourceDestCheck": {"Value": True}}
    code = refusal(ec2.modify_network_interface_attribute, NetworkInterfaceId=port, **both)
    assert code == "InvalidParameterCombination"
    assert refusal(ec2.delete_security_group, GroupId=group) == "DependencyViolation"


def test_each_private_address_has_an_elastic_one(ec2, subnet):
    port = make(ec2, subnet, SecondaryPrivateIpAddressCount=1)
    private = [held["PrivateIpAddress"] for held in port["PrivateIpAddresses"]]
    public = [ec2.allocate_address(Domain="vpc") for _ in private]
    for held, address in zip(private, public, strict=True):
        ec2.associate_address(
            AllocationId=address["AllocationId"],
            NetworkInterfaceId=port["NetworkInterfaceId"],
            PrivateIpAddress=held,
        )

    found = one(ec2, port["NetworkInterfaceId"])
    assert [held["Association"]["PublicIp"] for held in found["PrivateIpAddresses"]] == [
        address["PublicIp"] for address in public
    ]
    assert found["Association"]["AllocationId"] == public[0]["AllocationId"]
    [said] = ec2.describe_addresses(AllocationIds=[public[1]["AllocationId"]])["Addresses"]
    assert (said["NetworkInterfaceId"], said["PrivateIpAddress"]) == (port["NetworkInterfaceId"], private[1])
    assert "InstanceId" not in said


def test_a_launch_makes_several_interfaces(house, ec2, image, subnet):
    asked = [
        {"DeviceIndex": 0, "SubnetId": subnet, "Description": "first"},
        {"DeviceIndex": 1, "SubnetId": subnet, "SecondaryPrivateIpAddressCount": 1, "DeleteOnTermination": False},
    ]
    wanted = [{"ResourceType": "network-interface", "Tags": tags(Name="n")}]
    made = run(house, ec2, image, NetworkInterfaces=asked, TagSpecifications=wanted)

    first, second = made["NetworkInterfaces"]
    assert (first["Description"], first["Attachment"]["DeleteOnTermination"]) == ("first", True)
    assert (len(second["PrivateIpAddresses"]), second["Attachment"]["DeleteOnTermination"]) == (2, False)
    assert made["PrivateIpAddress"] == first["PrivateIpAddress"]
    assert one(ec2, second["NetworkInterfaceId"])["TagSet"] == tags(Name="n")
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    house.settle()
    assert [each["NetworkInterfaceId"] for each in ec2.describe_network_interfaces()["NetworkInterfaces"]] == [
        second["NetworkInterfaceId"]
    ]


def test_interfaces_of_a_launch_may_be_apart(house, ec2, image, subnet):
    made = run(house, ec2, image, NetworkInterfaces=[{"DeviceIndex": 3, "SubnetId": subnet}, {"DeviceIndex": 0}])

    assert [held["Attachment"]["DeviceIndex"] for held in made["NetworkInterfaces"]] == [0, 3]
    assert made["PrivateIpAddress"] == made["NetworkInterfaces"][0]["PrivateIpAddress"]


def test_a_launch_takes_an_interface_that_is_there(house, ec2, image, subnet):
    port = make(ec2, subnet, PrivateIpAddress="172.31.0.77")["NetworkInterfaceId"]
    asked = [{"DeviceIndex": 0, "NetworkInterfaceId": port}]
    made = run(house, ec2, image, NetworkInterfaces=asked)

    assert made["PrivateIpAddress"] == "172.31.0.77"
    assert [each["NetworkInterfaceId"] for each in made["NetworkInterfaces"]] == [port]
    again = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "NetworkInterfaces": asked}
    assert refusal(ec2.run_instances, InstanceType="t3.micro", **again) == "InvalidNetworkInterface.InUse"
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    house.settle()
    assert one(ec2, port)["Status"] == "available"


def test_a_launch_that_cannot_be_had_leaves_no_interface(ec2, image, subnet):
    before = ec2.describe_network_interfaces()["NetworkInterfaces"]
    asked = [
        {"DeviceIndex": 0, "SubnetId": subnet, "Description": "one"},
        {"DeviceIndex": 1, "SubnetId": subnet, "PrivateIpAddress": "10.0.0.1"},
    ]
    launch = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    assert refusal(ec2.run_instances, **launch, NetworkInterfaces=asked) == "InvalidParameterValue"

    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == before
    assert ec2.describe_instances()["Reservations"] == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([{"DeviceIndex": 1}], "InvalidParameterValue"),
        ([{"DeviceIndex": 0}, {"DeviceIndex": 0}], "InvalidParameterValue"),
        ([{"DeviceIndex": 0}, {"Description": "x"}], "InvalidParameterValue"),
        (
            [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-0123456789abcdef0", "DeleteOnTermination": True}],
            "InvalidParameterCombination",
        ),
        ([{"DeviceIndex": 0, "Ipv6AddressCount": 1}], "UnsupportedOperation"),
        ([{"DeviceIndex": 0, "InterfaceType": "efa"}], "UnsupportedOperation"),
        (
            [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}, {"DeviceIndex": 1}],
            "InvalidParameterCombination",
        ),
        (
            [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-0123456789abcdef0", "Groups": ["sg-0123456789abcdef0"]}],
            "InvalidParameterCombination",
        ),
    ],
)
def test_interfaces_that_cannot_be_are_refused(ec2, image, asked, code):
    launch = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    assert refusal(ec2.run_instances, **launch, NetworkInterfaces=asked) == code


def test_an_instance_has_a_public_address_while_it_runs(house, ec2, image, subnet):
    asked = [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}]
    made = run(house, ec2, image, NetworkInterfaces=asked)
    known = made["InstanceId"]

    assert made["PublicIpAddress"]
    [port] = made["NetworkInterfaces"]
    assert port["Association"] == {
        "IpOwnerId": "amazon",
        "PublicDnsName": made["PublicIpAddress"],
        "PublicIp": made["PublicIpAddress"],
    }
    assert ec2.describe_addresses()["Addresses"] == []
    assert refusal(ec2.describe_addresses, PublicIps=[made["PublicIpAddress"]]) == "InvalidAddress.NotFound"

    ec2.stop_instances(InstanceIds=[known])
    house.settle()
    assert "PublicIpAddress" not in instance(ec2, known)
    ec2.start_instances(InstanceIds=[known])
    house.settle()
    assert (state(ec2, known), bool(instance(ec2, known)["PublicIpAddress"])) == ("running", True)
    ec2.terminate_instances(InstanceIds=[known])
    house.settle()
    assert house.cloud.session(house.account[0]).addresses.list_addresses() == ()


def test_a_subnet_gives_public_addresses_on_launch(house, ec2, image, subnet):
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})

    assert run(house, ec2, image, SubnetId=subnet)["PublicIpAddress"]
    without = [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False}]
    assert "PublicIpAddress" not in run(house, ec2, image, NetworkInterfaces=without)


def test_an_elastic_address_takes_the_place_of_the_one_from_launch(house, ec2, image, subnet):
    asked = [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}]
    made = run(house, ec2, image, NetworkInterfaces=asked)
    address = ec2.allocate_address()

    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=made["InstanceId"], AllowReassociation=False)

    assert instance(ec2, made["InstanceId"])["PublicIpAddress"] == address["PublicIp"]
    assert len(house.cloud.session(house.account[0]).addresses.list_addresses()) == 1


def test_an_address_of_a_server_that_was_halted_from_within_is_given_back(house, ec2, image, subnet):
    asked = [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}]
    run(house, ec2, image, NetworkInterfaces=asked)
    session = house.cloud.session(house.account[0])
    [server] = session.compute.list_servers()
    session.compute.stop_server(server.native)
    house.settle()

    house.mend()

    assert session.addresses.list_addresses() == ()


def test_a_launch_under_way_keeps_the_address_that_it_has_already(house, ec2, image, subnet, monkeypatch):
    compute = type(house.cloud.session(house.account[0]).compute)
    create = compute.create_server

    def slowly(self, spec):
        house.mend(grace=timedelta(minutes=10))
        return create(self, spec)

    monkeypatch.setattr(compute, "create_server", slowly)
    asked = [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}]

    assert run(house, ec2, image, NetworkInterfaces=asked)["PublicIpAddress"]


def test_with_several_interfaces_each_has_its_own_source_check(house, ec2, subnet, launched):
    ec2.modify_instance_attribute(InstanceId=launched, SourceDestCheck={"Value": False})
    assert instance(ec2, launched)["SourceDestCheck"] is False
    port = make(ec2, subnet)["NetworkInterfaceId"]
    ec2.attach_network_interface(NetworkInterfaceId=port, InstanceId=launched, DeviceIndex=1)

    for name, change in (("sourceDestCheck", {"SourceDestCheck": {"Value": True}}), ("groupSet", {"Groups": ["sg-0"]})):
        assert refusal(ec2.modify_instance_attribute, InstanceId=launched, **change) == "InvalidInstanceID"
        asked = {"InstanceId": launched, "Attribute": name}
        assert refusal(ec2.describe_instance_attribute, **asked) == "InvalidInstanceID"
    asked = {"InstanceId": launched, "Attribute": "sourceDestCheck"}
    assert refusal(ec2.reset_instance_attribute, **asked) == "InvalidInstanceID"

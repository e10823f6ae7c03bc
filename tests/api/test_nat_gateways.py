"""NAT gateways, and egress-only internet gateways."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import refusal, tags, where

from isthmus.errors import Conflict
from isthmus.providers.memory.addresses import MemoryAddresses
from isthmus.providers.memory.networks import MemoryNetworks
from isthmus.providers.memory.ports import MemoryPorts


@pytest.fixture
def house(build):
    return build(terminated_visible=timedelta(seconds=30))


@pytest.fixture
def address(ec2):
    return ec2.allocate_address()


@pytest.fixture
def nat(ec2, subnet, gateway, address):
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"])["NatGateway"]
    return made["NatGatewayId"]


class Killed(BaseException):
    pass


def die(*_):
    raise Killed


def one(ec2, nat):
    [found] = ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]
    return found


def test_a_gateway_is_pending_and_then_available(ec2, vpc, subnet, gateway, address):
    wanted = [{"ResourceType": "natgateway", "Tags": tags(Name="n")}]
    asked = {"SubnetId": subnet, "AllocationId": address["AllocationId"]}
    made = ec2.create_nat_gateway(**asked, TagSpecifications=wanted)["NatGateway"]

    assert (made["State"], made["VpcId"], made["Tags"]) == ("pending", vpc, tags(Name="n"))
    found = one(ec2, made["NatGatewayId"])
    assert (found["State"], found["ConnectivityType"], found["SubnetId"]) == ("available", "public", subnet)
    [held] = found["NatGatewayAddresses"]
    assert (held["PublicIp"], held["AllocationId"]) == (address["PublicIp"], address["AllocationId"])
    assert held["PrivateIp"].startswith("10.7.1.")
    for name, value in {"vpc-id": vpc, "subnet-id": subnet, "state": "available", "tag:Name": "n"}.items():
        listed = ec2.describe_nat_gateways(Filter=[{"Name": name, "Values": [value]}])["NatGateways"]
        assert [each["NatGatewayId"] for each in listed] == [made["NatGatewayId"]], name
        assert ec2.describe_nat_gateways(Filter=[{"Name": name, "Values": ["none"]}])["NatGateways"] == [], name
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[made["NatGatewayId"]])


def test_its_interface_is_its_own(ec2, nat):
    port = one(ec2, nat)["NatGatewayAddresses"][0]["NetworkInterfaceId"]

    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[port])["NetworkInterfaces"]
    assert (found["InterfaceType"], found["RequesterManaged"], found["Status"]) == ("nat_gateway", True, "in-use")
    assert nat in found["Description"]
    assert refusal(ec2.delete_network_interface, NetworkInterfaceId=port) == "OperationNotPermitted"
    association = found["Association"]["AssociationId"]
    assert refusal(ec2.disassociate_address, AssociationId=association) == "OperationNotPermitted"


def test_nobody_else_changes_its_interface_or_takes_its_address(ec2, image, subnet, nat, address):
    port = one(ec2, nat)["NatGatewayAddresses"][0]["NetworkInterfaceId"]
    other = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    further, mine = ec2.allocate_address()["AllocationId"], address["AllocationId"]
    launch = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    asked = [
        (ec2.associate_address, {"AllocationId": mine, "NetworkInterfaceId": other}),
        (ec2.associate_address, {"AllocationId": further, "NetworkInterfaceId": port}),
        (ec2.modify_network_interface_attribute, {"NetworkInterfaceId": port, "Description": {"Value": "mine"}}),
        (ec2.reset_network_interface_attribute, {"NetworkInterfaceId": port, "SourceDestCheck": "true"}),
        (ec2.assign_private_ip_addresses, {"NetworkInterfaceId": port, "SecondaryPrivateIpAddressCount": 1}),
        (ec2.unassign_private_ip_addresses, {"NetworkInterfaceId": port, "PrivateIpAddresses": ["10.7.1.99"]}),
        (ec2.run_instances, {**launch, "NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": port}]}),
    ]
    before = ec2.describe_network_interfaces(NetworkInterfaceIds=[port])["NetworkInterfaces"]

    for call, params in asked:
        assert refusal(call, **params) == "OperationNotPermitted", params

    assert ec2.describe_network_interfaces(NetworkInterfaceIds=[port])["NetworkInterfaces"] == before
    assert one(ec2, nat)["State"] == "available"


def test_a_deleted_gateway_is_shown_for_a_while(house, ec2, subnet, nat, address):
    assert ec2.delete_nat_gateway(NatGatewayId=nat)["NatGatewayId"] == nat

    found = one(ec2, nat)
    assert (found["State"], bool(found["DeleteTime"])) == ("deleted", True)
    assert found["NatGatewayAddresses"][0]["PublicIp"] == address["PublicIp"]
    assert refusal(ec2.delete_nat_gateway, NatGatewayId=nat) == "NatGatewayNotFound"
    assert ec2.describe_network_interfaces(Filters=where(subnet_id=subnet))["NetworkInterfaces"] == []
    ec2.release_address(AllocationId=address["AllocationId"])
    ec2.delete_subnet(SubnetId=subnet)
    house.settle(31)
    assert refusal(one, ec2=ec2, nat=nat) == "NatGatewayNotFound"


def test_a_private_gateway_has_no_public_address(ec2, subnet):
    asked = {"SubnetId": subnet, "ConnectivityType": "private", "PrivateIpAddress": "10.7.1.9"}
    made = ec2.create_nat_gateway(**asked)["NatGateway"]

    [held] = one(ec2, made["NatGatewayId"])["NatGatewayAddresses"]
    assert (held["PrivateIp"], "PublicIp" in held) == ("10.7.1.9", False)


def test_what_a_gateway_needs(ec2, vpc, subnet, address):
    known = address["AllocationId"]
    assert refusal(ec2.create_nat_gateway, SubnetId=subnet) == "MissingParameter"
    assert refusal(ec2.create_nat_gateway, SubnetId=subnet, AllocationId=known) == "Gateway.NotAttached"
    asked = {"SubnetId": subnet, "AllocationId": known, "ConnectivityType": "private"}
    assert refusal(ec2.create_nat_gateway, **asked) == "InvalidParameterCombination"


def test_an_address_in_use_is_refused_and_nothing_is_left(ec2, subnet, nat, address):
    code = refusal(ec2.create_nat_gateway, SubnetId=subnet, AllocationId=address["AllocationId"])

    assert code == "Resource.AlreadyAssociated"
    assert len(ec2.describe_nat_gateways()["NatGateways"]) == 1
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1


def test_a_gateway_is_made_once_for_one_token(ec2, subnet, gateway, address):
    asked = {"SubnetId": subnet, "AllocationId": address["AllocationId"], "ClientToken": "t"}

    first, second = (ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"] for _ in range(2))

    assert first == second
    assert len(ec2.describe_nat_gateways()["NatGateways"]) == 1


@pytest.mark.parametrize("step", ["create_port", "associate_address"])
def test_a_retry_after_a_crash_finishes_what_was_begun(ec2, subnet, gateway, address, step, monkeypatch):
    asked = {"SubnetId": subnet, "AllocationId": address["AllocationId"], "ClientToken": "t"}
    monkeypatch.setattr(MemoryPorts if step == "create_port" else MemoryAddresses, step, die)
    with pytest.raises(Killed):
        ec2.create_nat_gateway(**asked)
    monkeypatch.undo()
    [begun] = ec2.describe_nat_gateways()["NatGateways"]

    assert ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"] == begun["NatGatewayId"]

    assert one(ec2, begun["NatGatewayId"])["State"] == "available"
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1


@pytest.mark.parametrize("step", ["disassociate_address", "delete_port"])
def test_a_deletion_that_is_cut_off_is_finished(house, ec2, subnet, nat, address, step, monkeypatch):
    monkeypatch.setattr(MemoryPorts if step == "delete_port" else MemoryAddresses, step, die)
    with pytest.raises(Killed):
        ec2.delete_nat_gateway(NatGatewayId=nat)
    monkeypatch.undo()
    assert one(ec2, nat)["State"] == "deleting"

    house.mend()

    assert one(ec2, nat)["State"] == "deleted"
    ec2.release_address(AllocationId=address["AllocationId"])
    ec2.delete_subnet(SubnetId=subnet)


def test_an_address_that_another_takes_meanwhile_stays_the_others(ec2, subnet, gateway, address, monkeypatch):
    other = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    make = MemoryPorts.create_port

    def late(self, spec):
        ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=other)
        return make(self, spec)

    monkeypatch.setattr(MemoryPorts, "create_port", late)
    asked = {"SubnetId": subnet, "AllocationId": address["AllocationId"]}
    assert refusal(ec2.create_nat_gateway, **asked) == "Resource.AlreadyAssociated"

    [held] = ec2.describe_addresses()["Addresses"]
    assert held["NetworkInterfaceId"] == other
    assert ec2.describe_nat_gateways()["NatGateways"] == []


def test_a_gateway_whose_address_is_taken_away_in_the_cloud_has_failed(house, ec2, nat):
    cloud = house.cloud.session(house.account[0]).addresses
    for each in cloud.list_addresses():
        cloud.disassociate_address(each.native)

    found = one(ec2, nat)

    assert (found["State"], found["FailureCode"]) == ("failed", "InternalError")
    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert one(ec2, nat)["State"] == "deleted"


@pytest.mark.parametrize("step", ["create_port", "associate_address"])
def test_a_crash_on_the_way_leaves_nothing(house, ec2, subnet, gateway, address, step, monkeypatch):
    monkeypatch.setattr(MemoryPorts if step == "create_port" else MemoryAddresses, step, die)
    with pytest.raises(Killed):
        ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"])
    monkeypatch.undo()
    assert [each["State"] for each in ec2.describe_nat_gateways()["NatGateways"]] == ["pending"]

    house.mend()

    assert ec2.describe_nat_gateways()["NatGateways"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"])["NatGateway"]


def test_a_route_leads_through_it_until_it_is_deleted(ec2, vpc, subnet, nat):
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    inner = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.2.0/24")["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=inner)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)

    def state():
        [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        [route] = [each for each in found["Routes"] if each["DestinationCidrBlock"] == "0.0.0.0/0"]
        return route["NatGatewayId"], route["State"]

    assert state() == (nat, "active")
    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert state() == (nat, "blackhole")


def test_an_egress_only_gateway_is_for_routes_of_ipv6(ec2, vpc):
    made = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    known = made["EgressOnlyInternetGatewayId"]
    assert made["Attachments"] == [{"State": "attached", "VpcId": vpc}]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    asked = {"RouteTableId": table, "EgressOnlyInternetGatewayId": known}
    assert refusal(ec2.create_route, **asked, DestinationCidrBlock="0.0.0.0/0") == "InvalidParameterValue"
    ec2.create_route(**asked, DestinationIpv6CidrBlock="::/0")

    [route] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"][1:]
    assert (route["DestinationIpv6CidrBlock"], route["EgressOnlyInternetGatewayId"]) == ("::/0", known)
    assert route["State"] == "active"
    assert refusal(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    assert ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=known)["ReturnCode"]
    [route] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"][1:]
    assert (route["EgressOnlyInternetGatewayId"], route["State"]) == (known, "blackhole")
    asked = {"EgressOnlyInternetGatewayIds": [known]}
    assert refusal(ec2.describe_egress_only_internet_gateways, **asked) == "InvalidGatewayID.NotFound"


def test_a_cloud_that_refuses_changes_nothing(house, ec2, vpc, subnet, gateway, monkeypatch):
    """What the records said before holds again, and the cloud was told so."""
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    before = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]

    def refuse(self, native, wiring):
        raise Conflict("network", native, "not now", "in-use")

    monkeypatch.setattr(MemoryNetworks, "wire", refuse)
    asked = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    assert refusal(ec2.create_route, **asked) == "DependencyViolation"
    monkeypatch.undo()

    assert ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"] == before

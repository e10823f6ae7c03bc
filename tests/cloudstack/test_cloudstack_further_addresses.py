"""Further private addresses of servers' interfaces: had, answered for, filtered for and given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import TENANTS, Emulated, Isthmus, fresh_ref, fronted, launched, two_subnets
from emulators.cloudstack.world import Refusal

from isthmus.errors import Conflict, Fault, Invalid, NotFound
from isthmus.providers import NetworkSpec, SubnetSpec


@pytest.fixture
def port(stack: Emulated, session: Any) -> Any:
    return connected(stack, session)


def connected(stack: Emulated, session: Any, **more: Any) -> Any:
    """The interface of a new server."""
    native = launched(stack, session, **more)
    return next(one for one in session.ports.list_ports() if one.server == native)


def further(session: Any, native: str) -> tuple[str, ...]:
    return next(one.secondary for one in session.ports.list_ports() if one.native == native)  # type: ignore[no-any-return]


def test_addresses_are_had_all_or_none(stack: Emulated, session: Any, port: Any) -> None:
    another = connected(stack, session)
    for wanted, fault in (("192.0.2.1", Invalid), (port.address, Conflict), (another.address, Conflict)):
        with pytest.raises(fault):
            session.ports.add_addresses(port.native, ["10.1.200.7", wanted])
        assert () == further(session, port.native)

    stack.emulator.world.wrong_next("addIpToNic job", Refusal(530, "the router does not answer", 4250))
    with pytest.raises(Fault, match="router"):
        session.ports.add_addresses(port.native, ["10.1.200.7"], 2)
    assert () == further(session, port.native)
    with pytest.raises(NotFound):
        session.ports.add_addresses("no-such-port", [], 1)


def test_an_address_that_is_there_is_not_asked_for_again(session: Any, port: Any) -> None:
    for _ in range(2):
        session.ports.add_addresses(port.native, ["10.1.200.7"])

    assert ("10.1.200.7",) == further(session, port.native)


@pytest.fixture
def routed() -> Iterator[Emulated]:
    """Zones without security groups."""
    made = Emulated("stack", groups=False)
    yield made
    made.close()


def rules_that_name(stack: Emulated, address: str) -> list[str]:
    items = stack.emulator.world.things["aclitem"].values()
    return [item["traffictype"] for _, item in items if f"{address}/32" in item["cidrlist"].split(",")]


def test_a_rule_that_names_a_group_is_for_further_addresses_too(routed: Emulated) -> None:
    session = routed.session(TENANTS[0])
    subnets, group = two_subnets(session)
    port = connected(routed, session, subnet=subnets[0], firewalls=(group,))
    launched(routed, session, subnet=subnets[1], firewalls=(group,))

    session.ports.add_addresses(port.native, ["10.77.0.200"])
    assert ["Ingress", "Ingress"] == rules_that_name(routed, "10.77.0.200")

    session.ports.remove_addresses(port.native, ["10.77.0.200"])
    assert [] == rules_that_name(routed, "10.77.0.200")


def test_what_cannot_be_removed_is_let_pass_again(routed: Emulated) -> None:
    session = routed.session(TENANTS[0])
    network = session.networks.create_network(NetworkSpec(fresh_ref(), "n", "10.77.0.0/16")).native
    subnet = session.networks.create_subnet(SubnetSpec(fresh_ref(), "s", network, "10.77.0.0/24", "zone-1")).native
    port = connected(routed, session, subnet=subnet)
    session.ports.add_addresses(port.native, ["10.77.0.200"])
    before = rules_that_name(routed, "10.77.0.200")
    routed.emulator.world.wrong_next("removeIpFromNic", Refusal(530, "the router does not answer", 4250))

    with pytest.raises(Fault, match="router"):
        session.ports.remove_addresses(port.native, ["10.77.0.200"])

    assert ("10.77.0.200",) == further(session, port.native)
    assert before == rules_that_name(routed, "10.77.0.200") != []


@pytest.fixture
def isthmus(tmp_path: Any) -> Iterator[Isthmus]:
    with fronted(tmp_path, groups=False) as made:
        yield made


def test_a_private_address_is_assigned_answers_a_public_one_and_is_unassigned(isthmus: Isthmus) -> None:
    ec2 = isthmus.client()
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    made = ec2.run_instances(MinCount=1, MaxCount=1, ImageId=image, InstanceType="Tiny")["Instances"][0]
    isthmus.wait(ec2, made["InstanceId"], "running")
    interface = ec2.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    first, second = (ec2.allocate_address()["AllocationId"] for _ in range(2))

    answer = ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, SecondaryPrivateIpAddressCount=1)
    [private] = [one["PrivateIpAddress"] for one in answer["AssignedPrivateIpAddresses"]]
    ec2.associate_address(AllocationId=first, NetworkInterfaceId=interface)
    ec2.associate_address(AllocationId=second, NetworkInterfaceId=interface, PrivateIpAddress=private)
    [seen] = ec2.describe_network_interfaces()["NetworkInterfaces"]
    own, other = seen["PrivateIpAddresses"]

    assert (True, False, private) == (own["Primary"], other["Primary"], other["PrivateIpAddress"])
    assert {first, second} == {one["Association"]["AllocationId"] for one in (own, other)}
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=[private])
    [left] = ec2.describe_addresses(AllocationIds=[second])["Addresses"]
    assert "AssociationId" not in left
    [seen] = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert [seen["PrivateIpAddress"]] == [one["PrivateIpAddress"] for one in seen["PrivateIpAddresses"]]
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.create_network_interface(SubnetId=seen["SubnetId"])


def test_an_instance_is_launched_with_further_addresses(isthmus: Isthmus) -> None:
    ec2 = isthmus.client()
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    asked = {"MinCount": 1, "MaxCount": 1, "ImageId": image, "InstanceType": "Tiny", "ClientToken": "once"}
    interface = {"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": 2, "AssociatePublicIpAddress": True}
    isthmus.emulated.wrong_next("enableStaticNat", Refusal(503, "busy", 4285))
    with pytest.raises(ClientError, match="Unavailable"):
        ec2.run_instances(**asked, NetworkInterfaces=[interface])

    [made] = ec2.run_instances(**asked, NetworkInterfaces=[interface])["Instances"]

    [seen] = made["NetworkInterfaces"]
    assert [True, False, False] == [one["Primary"] for one in seen["PrivateIpAddresses"]]
    assert seen["Association"]["PublicIp"] == made["PublicIpAddress"]
    assert 1 == len(isthmus.emulated.things["machine"])


@pytest.mark.parametrize("command", ["addIpToNic", "enableStaticNat"])
def test_a_launch_whose_addresses_cannot_be_had_leaves_nothing(isthmus: Isthmus, command: str) -> None:
    ec2 = isthmus.client()
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    interface = {"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": 1, "AssociatePublicIpAddress": True}
    isthmus.emulated.wrong_next(command, Refusal(431, "Unable to do this, please choose another ip", 4350))

    with pytest.raises(ClientError):
        ec2.run_instances(MinCount=1, MaxCount=1, ImageId=image, InstanceType="Tiny", NetworkInterfaces=[interface])

    isthmus.real.settle()
    states = [item["state"] for _, item in isthmus.emulated.things["machine"].values()]
    own = [one for _, one in isthmus.emulated.things["address"].values() if not one.get("issourcenat")]
    assert ([], []) == ([one for one in states if one != "Destroyed"], own)
    assert [] == ec2.describe_instances()["Reservations"]

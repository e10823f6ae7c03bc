"""Instances with several interfaces, each in a network of its own: made with them, filtered by their own groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import TENANTS, Emulated, Isthmus, fresh_ref, fronted, launched, server_spec, two_subnets

from isthmus.errors import Invalid, Unsupported
from isthmus.providers import NetworkSpec, PortSpec, SubnetSpec


@pytest.fixture
def routed(tmp_path: Path) -> Iterator[Isthmus]:
    """Zones without security groups."""
    with fronted(tmp_path, groups=False) as made:
        yield made


class Grounds:
    """A VPC with two subnets and a group for each."""

    def __init__(self, ec2: Any) -> None:
        self.vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.77.{n}.0/24")["Subnet"]["SubnetId"] for n in range(2)
        ]
        self.groups = [
            ec2.create_security_group(GroupName=f"g{n}", Description="d", VpcId=self.vpc)["GroupId"] for n in range(2)
        ]

    def interfaces(self) -> list[dict[str, Any]]:
        both = enumerate(zip(self.subnets, self.groups, strict=True))
        return [{"DeviceIndex": n, "SubnetId": subnet, "Groups": [group]} for n, (subnet, group) in both]


def run(ec2: Any, interfaces: list[dict[str, Any]], **more: Any) -> Any:
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    asked = {"MinCount": 1, "MaxCount": 1, "ImageId": image, "InstanceType": "Tiny"}
    return ec2.run_instances(**asked, NetworkInterfaces=interfaces, **more)["Instances"][0]


def test_an_instance_has_all_the_interfaces_it_was_launched_with(routed: Isthmus) -> None:
    ec2 = routed.client()
    grounds = Grounds(ec2)
    first, second = grounds.interfaces()
    first |= {"PrivateIpAddress": "10.77.0.50"}
    second |= {"PrivateIpAddress": "10.77.1.60", "SecondaryPrivateIpAddressCount": 1}

    made = run(ec2, [second, first])  # in no order

    routed.wait(ec2, made["InstanceId"], "running")
    listed = ec2.describe_network_interfaces()["NetworkInterfaces"]
    [seen] = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["Instances"]
    for told in (made["NetworkInterfaces"], seen["NetworkInterfaces"], listed):
        told.sort(key=lambda one: one["Attachment"]["DeviceIndex"])
        assert [0, 1] == [one["Attachment"]["DeviceIndex"] for one in told]
        assert grounds.subnets == [one["SubnetId"] for one in told]
        assert grounds.groups == [one["Groups"][0]["GroupId"] for one in told]
        assert ["10.77.0.50", "10.77.1.60"] == [one["PrivateIpAddress"] for one in told]
        assert [1, 2] == [len(one["PrivateIpAddresses"]) for one in told]
    assert ("10.77.0.50", grounds.subnets[0]) == (seen["PrivateIpAddress"], seen["SubnetId"])
    [machine] = [one for _, one in routed.emulated.things["machine"].values()]
    assert {"10.77.0.50": True, "10.77.1.60": False} == {one["ipaddress"]: one["isdefault"] for one in machine["nic"]}

    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    routed.wait(ec2, made["InstanceId"], "terminated")
    assert [] == ec2.describe_network_interfaces()["NetworkInterfaces"]


def test_a_launch_is_asked_for_again_with_its_token(routed: Isthmus) -> None:
    ec2 = routed.client()
    interfaces = Grounds(ec2).interfaces()

    made, again = (run(ec2, interfaces, ClientToken="once") for _ in range(2))

    assert made["InstanceId"] == again["InstanceId"]
    assert 1 == len(routed.emulated.things["machine"])


def test_the_groups_of_a_further_interface_are_changed_for_it_alone(routed: Isthmus) -> None:
    ec2 = routed.client()
    grounds = Grounds(ec2)
    made = run(ec2, grounds.interfaces())
    routed.wait(ec2, made["InstanceId"], "running")
    _, further = sorted(made["NetworkInterfaces"], key=lambda one: one["Attachment"]["DeviceIndex"])
    own = {"NetworkInterfaceId": further["NetworkInterfaceId"]}

    for groups in (grounds.groups, grounds.groups[:1]):
        ec2.modify_network_interface_attribute(**own, Groups=groups)
        [seen] = ec2.describe_instances()["Reservations"][0]["Instances"]
        told = sorted(seen["NetworkInterfaces"], key=lambda one: one["Attachment"]["DeviceIndex"])
        assert [{grounds.groups[0]}, set(groups)] == [{group["GroupId"] for group in one["Groups"]} for one in told]

    ec2.delete_security_group(GroupId=grounds.groups[1])
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=grounds.groups[0])


@pytest.mark.parametrize("wrong", ["twice", "apart", "kept", "outside", "another's"])
def test_what_cannot_be_is_refused_and_leaves_nothing(routed: Isthmus, wrong: str) -> None:
    ec2 = routed.client()
    grounds = Grounds(ec2)
    interfaces = grounds.interfaces()
    other = Grounds(ec2)
    changes, code = {
        "twice": ({"SubnetId": grounds.subnets[0]}, "UnsupportedOperation.*one interface in a network"),
        "apart": ({"DeviceIndex": 2}, "UnsupportedOperation.*indexes"),
        "kept": ({"DeleteOnTermination": False}, "UnsupportedOperation.*on servers alone"),
        "outside": ({"PrivateIpAddress": "10.77.0.50"}, "InvalidParameterValue"),
        "another's": ({"Groups": [other.groups[1]]}, "InvalidParameter"),
    }[wrong]
    interfaces[1].update(changes)

    with pytest.raises(ClientError, match=code):
        run(ec2, interfaces)

    assert {} == routed.emulated.things["machine"]
    assert [] == ec2.describe_instances()["Reservations"]


def test_where_zones_have_security_groups_the_reason_is_told(isthmus: Isthmus, ec2: Any) -> None:
    [subnet] = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]

    with pytest.raises(ClientError, match="UnsupportedOperation.*one network"):
        run(ec2, [{"DeviceIndex": 0, "SubnetId": subnet}, {"DeviceIndex": 1, "SubnetId": subnet}])

    assert {} == isthmus.emulated.things["machine"]


@pytest.fixture
def vpcs() -> Iterator[Emulated]:
    made = Emulated("stack", groups=False)
    yield made
    made.close()


def let_in_by_ssh(stack: Emulated) -> list[str]:
    """From where, to any subnet."""
    items = [item for _, item in stack.emulator.world.things["aclitem"].values()]
    return [one["cidrlist"] for one in items if (one["traffictype"], str(one.get("startport"))) == ("Ingress", "22")]


def test_filters_hold_by_the_groups_of_each_interface(vpcs: Emulated) -> None:
    session = vpcs.session(TENANTS[0])
    subnets, group = two_subnets(session)
    further = PortSpec("", subnets[1], "10.77.1.60", firewalls=(group,), delete_with_server=True)

    launched(vpcs, session, subnet=subnets[0], address="10.77.0.50", further=(further,))

    assert ["10.77.1.60/32"] == let_in_by_ssh(vpcs)


def test_the_default_network_is_made_for_one_of_several_interfaces(vpcs: Emulated) -> None:
    session = vpcs.session(TENANTS[0])
    network = session.networks.create_network(NetworkSpec(fresh_ref(), "n", "10.77.0.0/16")).native
    spec = SubnetSpec(fresh_ref(), "s", network, "10.77.0.0/24", "zone-1")
    further = PortSpec("", session.networks.create_subnet(spec).native, delete_with_server=True)

    native = launched(vpcs, session, further=(further,))

    [server] = session.compute.list_servers([native])
    default = next(one for one in session.networks.list_subnets() if one.default)
    assert [default.native, further.subnet] == [port.subnet for port in server.ports]
    assert server.ports[0].firewalls != server.ports[1].firewalls


def test_interfaces_go_with_their_server_and_are_in_its_zone(vpcs: Emulated) -> None:
    session = vpcs.session(TENANTS[0])
    default = next(one.native for one in session.networks.list_subnets() if one.default)

    with pytest.raises(Unsupported, match="go with their server"):
        session.compute.create_server(server_spec(session, further=(PortSpec("", default),)))
    twice = PortSpec("", default, delete_with_server=True)
    with pytest.raises(Unsupported, match="one interface in a network"):
        session.compute.create_server(server_spec(session, further=(twice,)))
    with pytest.raises(Invalid):
        session.compute.create_server(server_spec(session, subnet=default, address="192.0.2.1"))
    assert {} == vpcs.emulator.world.things["machine"]

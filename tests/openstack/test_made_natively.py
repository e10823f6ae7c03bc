"""What a tenant made with OpenStack's own tools appears under ids that stay, and can be used and ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
import real_openstack
from botocore.exceptions import ClientError
from openstack.exceptions import ConflictException
from real_openstack import until

from isthmus.core.ids import Kind, adopt

ZONE, TAG = "us-east-1a", {"Key": "Name", "Value": "tagged"}


@pytest.fixture(scope="module")
def there() -> Any:
    """A connection of openstacksdk's: what it does is done without Isthmus."""
    return real_openstack.connection("demo")


@pytest.fixture
def after() -> Iterator[Callable[..., object]]:
    """What is to be done at the end, the last first."""
    with ExitStack() as undo:
        yield undo.callback


@pytest.fixture
def name() -> str:
    return f"native-{uuid4().hex[:8]}"


def tagged(ec2: Any, known: str) -> None:
    """A thing takes a tag, and is found by it."""
    ec2.create_tags(Resources=[known], Tags=[TAG])
    found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [known]}])["Tags"]
    assert [(known, "tagged")] == [(one["ResourceId"], one["Value"]) for one in found]


def instance(ec2: Any, address: str) -> Any:
    there = [{"Name": "private-ip-address", "Values": [address]}]
    [found] = [one for held in ec2.describe_instances(Filters=there)["Reservations"] for one in held["Instances"]]
    return found


def state(ec2: Any, known: str) -> str:
    [held] = ec2.describe_instances(InstanceIds=[known])["Reservations"]
    return str(held["Instances"][0]["State"]["Name"])


def volume_state(ec2: Any, known: str) -> str:
    return str(ec2.describe_volumes(VolumeIds=[known])["Volumes"][0]["State"])


def available_volume(there: Any, after: Callable[..., object], name: str) -> Any:
    made = there.block_storage.create_volume(size=1, name=name)
    after(there.block_storage.delete_volume, made)
    until(lambda: there.block_storage.get_volume(made).status, "available")
    return made


def test_a_server_with_its_port_address_and_volume(ec2, fresh, there, natively, after, name):
    volume = available_volume(there, after, name)
    key = there.compute.create_keypair(name=name)
    after(there.compute.delete_keypair, key)
    [native] = natively(1, key_name=name)
    [port] = there.network.ports(device_id=native)
    address = there.network.create_ip(floating_network_id=there.network.find_network("public").id, port_id=port.id)
    after(there.network.delete_ip, address.id)
    there.compute.create_volume_attachment(native, volume=volume.id)
    until(lambda: there.block_storage.get_volume(volume).status, "in-use")
    private = port.fixed_ips[0]["ip_address"]

    seen, other = instance(ec2, private), instance(fresh(), private)

    known, disk = seen["InstanceId"], adopt(Kind.VOLUME, "openstack", volume.id)
    assert known == other["InstanceId"]
    assert ("running", "m1.nano", name, address.floating_ip_address) == (
        seen["State"]["Name"],
        seen["InstanceType"],
        seen["KeyName"],
        seen["PublicIpAddress"],
    )
    assert real_openstack.launch(ec2)["ImageId"] == seen["ImageId"]
    assert ["default"] == [one["GroupName"] for one in seen["SecurityGroups"]]
    [interface] = seen["NetworkInterfaces"]
    assert port.mac_address == interface["MacAddress"]
    assert [(disk, False)] == [
        (one["Ebs"]["VolumeId"], one["Ebs"]["DeleteOnTermination"]) for one in seen["BlockDeviceMappings"]
    ]
    assert other["BlockDeviceMappings"] == seen["BlockDeviceMappings"]
    for one in (known, disk, interface["NetworkInterfaceId"]):
        tagged(ec2, one)

    ec2.stop_instances(InstanceIds=[known])
    until(lambda: state(ec2, known), "stopped")
    assert "SHUTOFF" == there.compute.get_server(native).status
    ec2.start_instances(InstanceIds=[known])
    until(lambda: state(ec2, known), "running")
    [public] = ec2.describe_addresses(PublicIps=[address.floating_ip_address])["Addresses"]
    assert known == public["InstanceId"]
    ec2.disassociate_address(AssociationId=public["AssociationId"])
    assert not there.network.get_ip(address.id).port_id
    ec2.associate_address(AllocationId=public["AllocationId"], InstanceId=known)
    assert port.id == there.network.get_ip(address.id).port_id

    ec2.modify_instance_attribute(
        InstanceId=known,
        BlockDeviceMappings=[
            {"DeviceName": seen["BlockDeviceMappings"][0]["DeviceName"], "Ebs": {"DeleteOnTermination": True}}
        ],
    )
    assert [True] == [one.delete_on_termination for one in there.compute.volume_attachments(native)]
    ec2.detach_volume(VolumeId=disk)
    until(lambda: volume_state(ec2, disk), "available")
    ec2.attach_volume(VolumeId=disk, InstanceId=known, Device="/dev/sdf")
    until(lambda: volume_state(ec2, disk), "in-use")
    assert ["/dev/sdf"] == [one["DeviceName"] for one in instance(ec2, private)["BlockDeviceMappings"]]

    ec2.terminate_instances(InstanceIds=[known])
    until(lambda: there.compute.find_server(native), None)
    assert not list(there.network.ports(device_id=native))
    until(lambda: volume_state(ec2, disk), "available")
    ec2.release_address(AllocationId=public["AllocationId"])
    assert not list(there.network.ips(floating_ip_address=address.floating_ip_address))


@pytest.mark.parametrize(
    ("how", "status"), [("pause", "PAUSED"), ("suspend", "SUSPENDED"), ("shelve", "SHELVED_OFFLOADED")]
)
def test_a_server_that_nova_has_halted_is_stopped_and_can_be_started(ec2, there, natively, how, status):
    [native] = natively(1)
    [port] = there.network.ports(device_id=native)
    known = instance(ec2, port.fixed_ips[0]["ip_address"])["InstanceId"]
    getattr(there.compute, f"{how}_server")(native)
    until(lambda: there.compute.get_server(native).status, status)
    assert "stopped" == state(ec2, known)

    ec2.start_instances(InstanceIds=[known])

    until(lambda: state(ec2, known), "running")
    assert "ACTIVE" == there.compute.get_server(native).status


def test_a_server_that_is_deleted_natively_is_gone(ec2, there, natively):
    [native] = natively(1)
    [port] = there.network.ports(device_id=native)
    private = port.fixed_ips[0]["ip_address"]
    known = instance(ec2, private)["InstanceId"]

    natively(0)

    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.describe_instances(InstanceIds=[known])


def test_a_volume_and_a_snapshot(ec2, fresh, there, after, name):
    volume = available_volume(there, after, name)
    snapshot = there.block_storage.create_snapshot(volume_id=volume.id, name=name)
    after(until, lambda: snapshot.id in {one.id for one in there.block_storage.snapshots()}, False)
    after(there.block_storage.delete_snapshot, snapshot)
    until(lambda: there.block_storage.get_snapshot(snapshot).status, "available")

    disk, known = adopt(Kind.VOLUME, "openstack", volume.id), adopt(Kind.SNAPSHOT, "openstack", snapshot.id)
    assert ("available", "available") == (volume_state(ec2, disk), volume_state(fresh(), disk))
    [found] = ec2.describe_snapshots(SnapshotIds=[known])["Snapshots"]
    assert (disk, "completed", 1) == (found["VolumeId"], found["State"], found["VolumeSize"])
    for one in (known, disk):
        tagged(ec2, one)
    copy = ec2.create_volume(SnapshotId=known, AvailabilityZone=ZONE)["VolumeId"]
    until(lambda: volume_state(ec2, copy), "available")
    ec2.delete_volume(VolumeId=copy)
    with pytest.raises(ClientError, match="VolumeInUse"):
        ec2.delete_volume(VolumeId=disk)
    ec2.delete_snapshot(SnapshotId=known)
    ec2.delete_volume(VolumeId=disk)
    until(lambda: there.block_storage.find_volume(volume.id), None)


def test_an_image(ec2, fresh, their_ec2, isthmus, there, after, name):
    made = there.image.create_image(
        name, data=b"1", container_format="bare", disk_format="raw", visibility="private", wait=True
    )
    after(there.image.delete_image, made.id)
    named = [{"Name": "name", "Values": [name]}]

    [seen], [other] = (one.describe_images(Owners=["self"], Filters=named)["Images"] for one in (ec2, fresh()))

    known = seen["ImageId"]
    assert (known, "available", False) == (other["ImageId"], seen["State"], seen["Public"])
    tagged(ec2, known)
    ec2.modify_image_attribute(ImageId=known, Description={"Value": "theirs"})
    assert "theirs" == ec2.describe_images(ImageIds=[known])["Images"][0]["Description"]
    ec2.modify_image_attribute(ImageId=known, LaunchPermission={"Add": [{"UserId": isthmus.alt[0]}]})
    assert [known] == [one["ImageId"] for one in their_ec2.describe_images(ImageIds=[known])["Images"]]
    [launched] = ec2.run_instances(ImageId=known, InstanceType="m1.nano", MinCount=1, MaxCount=1)["Instances"]
    until(lambda: state(ec2, launched["InstanceId"]), "running")
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    until(lambda: state(ec2, launched["InstanceId"]), "terminated")
    ec2.deregister_image(ImageId=known)
    until(lambda: there.image.find_image(made.id), None)


def test_a_key_pair(ec2, fresh, there, after, name):
    made = there.compute.create_keypair(name=name)
    after(there.compute.delete_keypair, made)

    [seen], [other] = (one.describe_key_pairs(KeyNames=[name])["KeyPairs"] for one in (ec2, fresh()))

    assert seen["KeyPairId"] == other["KeyPairId"]
    assert seen["KeyFingerprint"] == other["KeyFingerprint"]
    tagged(ec2, seen["KeyPairId"])
    assert [TAG] == ec2.describe_key_pairs(KeyNames=[name])["KeyPairs"][0]["Tags"]
    [launched] = ec2.run_instances(**real_openstack.launch(ec2), KeyName=name)["Instances"]
    until(lambda: state(ec2, launched["InstanceId"]), "running")
    assert name == there.compute.get_server(real_openstack.server_at("demo", launched["PrivateIpAddress"])).key_name
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    ec2.delete_key_pair(KeyPairId=seen["KeyPairId"])
    assert not there.compute.find_keypair(name)
    until(lambda: state(ec2, launched["InstanceId"]), "terminated")


@pytest.fixture
def network(there: Any, name: str) -> Iterator[Any]:
    """A network with a subnet and a router that leads outside."""
    neutron = there.network
    made = neutron.create_network(name=name)
    subnet = neutron.create_subnet(network_id=made.id, ip_version=4, cidr="10.86.0.0/24", name=name)
    outside = {"network_id": neutron.find_network("public").id}
    router = neutron.create_router(name=name, external_gateway_info=outside)
    neutron.add_interface_to_router(router, subnet_id=subnet.id)
    yield made
    if neutron.find_router(router.id):
        for port in neutron.ports(device_id=router.id, network_id=made.id):
            neutron.remove_interface_from_router(router, port_id=port.id)
        neutron.delete_router(router)
    neutron.delete_network(made)


def test_a_network_with_its_subnet_and_router(ec2, fresh, there, network, name):
    range_of = [{"Name": "cidr-block", "Values": ["10.86.0.0/24"]}]

    [seen], [other] = (one.describe_subnets(Filters=range_of)["Subnets"] for one in (ec2, fresh()))

    vpc, subnet = seen["VpcId"], seen["SubnetId"]
    assert (vpc, subnet) == (other["VpcId"], other["SubnetId"])
    [told] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert ("10.86.0.0/24", False) == (told["CidrBlock"], told["IsDefault"])
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    [gateway] = ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    [table] = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    assert {("10.86.0.0/24", "local"), ("0.0.0.0/0", gateway["InternetGatewayId"])} == {
        (one["DestinationCidrBlock"], one["GatewayId"]) for one in table["Routes"]
    }
    for one in (vpc, subnet, gateway["InternetGatewayId"], table["RouteTableId"]):
        tagged(ec2, one)
    [launched] = ec2.run_instances(**real_openstack.launch(ec2), SubnetId=subnet)["Instances"]
    assert launched["PrivateIpAddress"].startswith("10.86.0.")
    until(lambda: state(ec2, launched["InstanceId"]), "running")
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_subnet(SubnetId=subnet)
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    until(lambda: state(ec2, launched["InstanceId"]), "terminated")
    ec2.delete_subnet(SubnetId=subnet)
    ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
    ec2.delete_vpc(VpcId=vpc)
    assert not there.network.find_network(network.id)


def test_a_security_group(ec2, fresh, there, after, name):
    made = there.network.create_security_group(name=name, description="theirs")
    after(there.network.delete_security_group, made.id)
    there.network.create_security_group_rule(
        security_group_id=made.id,
        direction="ingress",
        ether_type="IPv4",
        protocol="tcp",
        port_range_min=80,
        port_range_max=81,
        remote_ip_prefix="10.0.0.0/8",
    )
    named = [{"Name": "group-name", "Values": [name]}]

    [seen], [other] = (one.describe_security_groups(Filters=named)["SecurityGroups"] for one in (ec2, fresh()))

    known = seen["GroupId"]
    assert (known, "theirs") == (other["GroupId"], seen["Description"])
    [permission] = seen["IpPermissions"]
    assert ("tcp", 80, 81) == (permission["IpProtocol"], permission["FromPort"], permission["ToPort"])
    of_group = [{"Name": "group-id", "Values": [known]}]
    rules, others = (
        {
            one["SecurityGroupRuleId"]: one
            for one in each.describe_security_group_rules(Filters=of_group)["SecurityGroupRules"]
        }
        for each in (ec2, fresh())
    )
    assert rules.keys() == others.keys()
    [inward] = [one for one in rules.values() if not one["IsEgress"]]
    for one in (known, inward["SecurityGroupRuleId"]):
        tagged(ec2, one)
    ec2.authorize_security_group_ingress(GroupId=known, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8")
    ec2.revoke_security_group_ingress(GroupId=known, SecurityGroupRuleIds=[inward["SecurityGroupRuleId"]])
    left = there.network.security_group_rules(security_group_id=made.id, direction="ingress")
    assert [22] == [one.port_range_min for one in left]
    [launched] = ec2.run_instances(**real_openstack.launch(ec2), SecurityGroupIds=[known])["Instances"]
    assert [known] == [one["GroupId"] for one in launched["SecurityGroups"]]
    until(lambda: state(ec2, launched["InstanceId"]), "running")
    with pytest.raises(ConflictException):
        there.network.delete_security_group(made.id, ignore_missing=False)
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    until(lambda: state(ec2, launched["InstanceId"]), "terminated")
    ec2.delete_security_group(GroupId=known)
    assert not there.network.find_security_group(made.id)


def test_flavors_have_the_operators_names(fresh, there, natively):
    new = fresh(flavors={"t3.nano": "m1.nano"})
    [native] = natively(1)

    types = {one["InstanceType"]: one for one in new.describe_instance_types()["InstanceTypes"]}

    assert "m1.nano" not in types
    assert {"t3.nano", "m1.tiny"} <= types.keys()
    assert 128 == types["t3.nano"]["MemoryInfo"]["SizeInMiB"]
    [port] = there.network.ports(device_id=native)
    assert "t3.nano" == instance(new, port.fixed_ips[0]["ip_address"])["InstanceType"]
    asked = {**real_openstack.launch(new), "InstanceType": "t3.nano"}
    [launched] = new.run_instances(**asked)["Instances"]
    until(lambda: state(new, launched["InstanceId"]), "running")
    made = there.compute.get_server(real_openstack.server_at("demo", launched["PrivateIpAddress"]))
    assert ("t3.nano", "m1.nano") == (launched["InstanceType"], made.flavor.original_name)
    new.stop_instances(InstanceIds=[launched["InstanceId"]])
    until(lambda: state(new, launched["InstanceId"]), "stopped")
    new.modify_instance_attribute(InstanceId=launched["InstanceId"], InstanceType={"Value": "m1.micro"})
    assert "m1.micro" == there.compute.get_server(made.id).flavor.original_name
    new.terminate_instances(InstanceIds=[launched["InstanceId"]])
    until(lambda: state(new, launched["InstanceId"]), "terminated")

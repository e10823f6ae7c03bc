"""boto3's resources: every collection, every reference, every waiter, and every action that is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asking import tags
from botocore.exceptions import ClientError
from house import House

from isthmus.aws.ec2 import ec2 as service

KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPb1ZbIZ9Rk5qkqVYQ3Oiu6Z8oNkGzQyJ8ZP3yq3m8hM me"


class Doing:
    """Does what resources can do, and remembers it."""

    def __init__(self, friend: str) -> None:
        self.friend = friend
        """Another account."""
        self.done: set[tuple[str, str]] = set()

    def __call__(self, thing: Any, action: str, **asked: Any) -> Any:
        self.done.add((thing.meta.resource_model.name, action))
        return getattr(thing, action)(**asked)

    def refused(self, thing: Any, action: str, **asked: Any) -> None:
        """What is served, and refused of this thing."""
        with pytest.raises(ClientError, match="UnsupportedOperation|You must specify an a"):
            self(thing, action, **asked)

    def tag(self, *things: Any) -> None:
        for thing in things:
            self(thing, "create_tags", Tags=tags(a="b"))
            thing.reload()
            assert (thing.tag_set if hasattr(thing, "tag_set") else thing.tags) == tags(a="b"), thing


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    """A cloud on which nothing takes time."""
    return build(settle=0)


@pytest.fixture
def resource(house: House) -> Any:
    return house.resource()


@pytest.fixture
def do(house: House) -> Doing:
    return Doing(house.new_account("friend")[0])


def _served(action: Any) -> bool:
    return action.request.operation in service.actions


def _models(resource: Any) -> list[Any]:
    """The model of the service and of each of its resources."""
    own = resource.meta.resource_model
    found = {own.name: own}
    pending = [own]
    while pending:
        model = pending.pop()
        inner = [one.resource.model for one in [*model.subresources, *model.references, *model.collections]]
        for one in inner:
            if one.name not in found:
                found[one.name] = one
                pending.append(one)
    return list(found.values())


def _look_at_all_of(thing: Any) -> None:
    """Its state, and all its references and collections."""
    model = thing.meta.resource_model
    if model.load:
        thing.reload()
    for one in model.references if model.load else ():
        found = getattr(thing, one.name)
        for each in found if isinstance(found, list) else [found]:
            assert each is None or each.meta.resource_model.name == one.resource.type
    for one in model.collections:
        held = getattr(thing, one.name)
        everything = list(held.all())
        assert list(held.page_size(5)) == everything
        assert list(held.limit(1)) == everything[:1]


def test_all_that_resources_can_do_is_done(resource, do, image):
    life, net = _machines(resource, do, image), _networks(resource, do)
    for thing in (*life, *net, resource):
        _look_at_all_of(thing)
    _end_machines(do, resource, *life)
    _end_networks(do, resource, *net)
    for part in (_keys, _interfaces, _images, _addresses, _tags):
        part(resource, do, image)

    every = {(model.name, one.name) for model in _models(resource) for one in model.actions if _served(one)}
    assert every - do.done == set()


def test_what_resources_cannot_do_has_a_reason(resource):
    absent = {one.request.operation for model in _models(resource) for one in model.actions if not _served(one)}

    assert absent <= set(service.unsupported)


def _machines(resource: Any, do: Doing, image: str) -> tuple[Any, ...]:
    group = do(resource, "create_security_group", GroupName="web", Description="d")
    places = do(resource, "create_placement_group", GroupName="together", Strategy="cluster")
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "SecurityGroupIds": [group.id]}
    [instance] = do(resource, "create_instances", **asked, Placement={"GroupName": "together"})
    instance.wait_until_exists()
    instance.wait_until_running()
    volume = do(resource, "create_volume", AvailabilityZone="us-east-1a", Size=1)
    do(instance, "attach_volume", VolumeId=volume.id, Device="/dev/sdf")
    do(instance, "detach_volume", VolumeId=volume.id)
    do(volume, "attach_to_instance", InstanceId=instance.id, Device="/dev/sdf")
    do(volume, "detach_from_instance", InstanceId=instance.id)
    snapshot = do(volume, "create_snapshot", Description="d")
    snapshot.wait_until_completed()
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}
    for way in ("ingress", "egress"):
        said = rule if way == "ingress" else {"IpPermissions": [_permission(rule)]}
        do(group, f"authorize_{way}", **said)
        do(group, f"revoke_{way}", **said)
    do.tag(group, instance, volume, snapshot)
    do.tag(do(resource, "create_snapshot", VolumeId=volume.id))
    return instance, places, group, volume, snapshot


def _permission(rule: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in rule.items() if name != "CidrIp"}
    return {**said, "IpRanges": [{"CidrIp": rule["CidrIp"]}]}


def _end_machines(do: Doing, resource: Any, instance: Any, places: Any, group: Any, volume: Any, snapshot: Any) -> None:
    assert do(instance, "describe_attribute", Attribute="instanceType")["InstanceType"]["Value"] == "t3.micro"
    assert instance.id in do(instance, "console_output")["Output"]
    assert do(instance, "password_data")["PasswordData"] == ""
    for action in ("monitor", "unmonitor", "reboot"):
        do(instance, action)
    do(instance, "modify_attribute", SourceDestCheck={"Value": False})
    do(instance, "reset_source_dest_check")
    do(instance, "stop")
    instance.wait_until_stopped()
    for part in ("kernel", "ramdisk"):
        do.refused(instance, f"reset_{part}")
    do(instance, "reset_attribute", Attribute="sourceDestCheck")
    do(instance, "start")
    assert [one.id for one in places.instances.all()] == [instance.id]
    copied = do(snapshot, "copy", SourceRegion="us-east-1")["SnapshotId"]
    assert do(snapshot, "describe_attribute", Attribute="createVolumePermission")["CreateVolumePermissions"] == []
    shared = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [do.friend]}
    do(snapshot, "modify_attribute", **shared)
    do(snapshot, "reset_attribute", Attribute="createVolumePermission")
    assert do(volume, "describe_attribute", Attribute="autoEnableIO")["AutoEnableIO"] == {"Value": False}
    assert do(volume, "describe_status")["VolumeStatuses"][0]["VolumeId"] == volume.id
    do(volume, "modify_attribute", AutoEnableIO={"Value": True})
    do(instance, "terminate")
    instance.wait_until_terminated()
    for one in [*volume.snapshots.all(), resource.Snapshot(copied)]:
        do(one, "delete")
    for one in (volume, group, places):
        do(one, "delete")
    assert list(resource.volumes.all()) == []


def _networks(resource: Any, do: Doing) -> tuple[Any, ...]:
    vpc, other = (do(resource, "create_vpc", CidrBlock=f"10.{number}.0.0/16") for number in (7, 8))
    vpc.wait_until_exists()
    vpc.wait_until_available()
    subnet = do(vpc, "create_subnet", CidrBlock="10.7.1.0/24")
    second = do(resource, "create_subnet", VpcId=vpc.id, CidrBlock="10.7.2.0/24")
    gateway = do(resource, "create_internet_gateway")
    do(gateway, "attach_to_vpc", VpcId=vpc.id)
    do(gateway, "detach_from_vpc", VpcId=vpc.id)
    do(vpc, "attach_internet_gateway", InternetGatewayId=gateway.id)
    table = do(vpc, "create_route_table")
    held = do(table, "associate_with_subnet", SubnetId=subnet.id)
    route = do(table, "create_route", DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway.id)
    do(route, "replace", GatewayId=gateway.id)
    options = do(resource, "create_dhcp_options", DhcpConfigurations=[{"Key": "domain-name", "Values": ["a.example"]}])
    do(options, "associate_with_vpc", VpcId=vpc.id)
    do(vpc, "associate_dhcp_options", DhcpOptionsId="default")
    acl = do(vpc, "create_network_acl")
    peering = do(vpc, "request_vpc_peering_connection", PeerVpcId=other.id)
    peering.wait_until_exists()
    do.tag(vpc, subnet, gateway, table, options, acl)
    return vpc, other, subnet, second, gateway, table, held, route, options, acl, peering


def _end_networks(
    do: Doing,
    resource: Any,
    vpc: Any,
    other: Any,
    subnet: Any,
    second: Any,
    gateway: Any,
    table: Any,
    held: Any,
    route: Any,
    options: Any,
    acl: Any,
    peering: Any,
) -> None:
    further = do(resource, "create_route_table", VpcId=vpc.id)
    moved = do(held, "replace_subnet", RouteTableId=further.id)
    do(moved, "delete")
    again = do(further, "associate_with_subnet", SubnetId=second.id)
    do(resource, "disassociate_route_table", AssociationId=again.id)
    entry = {"RuleNumber": 100, "Protocol": "6", "RuleAction": "allow", "Egress": False, "CidrBlock": "10.0.0.0/8"}
    entry["PortRange"] = {"From": 80, "To": 80}
    do(acl, "create_entry", **entry)
    do(acl, "replace_entry", **{**entry, "RuleAction": "deny"})
    do(acl, "delete_entry", RuleNumber=100, Egress=False)
    [first] = vpc.network_acls.filter(Filters=[{"Name": "default", "Values": ["true"]}])
    known = first.associations[0]["NetworkAclAssociationId"]
    back = do(acl, "replace_association", AssociationId=known)["NewAssociationId"]
    do(first, "replace_association", AssociationId=back)
    do(do(resource, "create_network_acl", VpcId=vpc.id), "delete")
    do(peering, "accept")
    do(peering, "delete")
    second_peering = do(resource, "create_vpc_peering_connection", VpcId=vpc.id, PeerVpcId=other.id)
    do(second_peering, "reject")
    assert do(vpc, "describe_attribute", Attribute="enableDnsSupport")["EnableDnsSupport"] == {"Value": True}
    do(vpc, "modify_attribute", EnableDnsHostnames={"Value": True})
    group = do(vpc, "create_security_group", GroupName="inner", Description="d")
    do(route, "delete")
    do(vpc, "detach_internet_gateway", InternetGatewayId=gateway.id)
    for one in (group, acl, table, further, gateway, options, subnet, second, vpc, other):
        do(one, "delete")
    assert [one.is_default for one in resource.vpcs.all()] == [True]


def _keys(resource: Any, do: Doing, image: str) -> None:
    made = do(resource, "create_key_pair", KeyName="made")
    given = do(resource, "import_key_pair", KeyName="given", PublicKeyMaterial=KEY)
    assert "PRIVATE KEY" in made.key_material
    assert {one.name for one in resource.key_pairs.all()} == {"made", "given"}
    _look_at_all_of(next(iter(resource.key_pairs.all())))
    do(given, "delete")
    do(next(iter(resource.key_pairs.all())), "delete")
    assert list(resource.key_pairs.all()) == []


def _interfaces(resource: Any, do: Doing, image: str) -> None:
    [subnet] = resource.subnets.filter(Filters=[{"Name": "availability-zone", "Values": ["us-east-1a"]}])
    [instance] = do(subnet, "create_instances", ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    port = do(subnet, "create_network_interface", Description="second")
    do.tag(port)
    do(port, "assign_private_ip_addresses", SecondaryPrivateIpAddressCount=1)
    port.reload()
    [second] = [one["PrivateIpAddress"] for one in port.private_ip_addresses if not one["Primary"]]
    do(port, "unassign_private_ip_addresses", PrivateIpAddresses=[second])
    do(port, "attach", InstanceId=instance.id, DeviceIndex=1)
    assert do(port, "describe_attribute", Attribute="description")["Description"] == {"Value": "second"}
    do(port, "modify_attribute", SourceDestCheck={"Value": False})
    do(port, "reset_attribute", SourceDestCheck="true")
    address = resource.VpcAddress(resource.meta.client.allocate_address()["AllocationId"])
    do(address, "associate", NetworkInterfaceId=port.id)
    port.reload()
    address.reload()
    for thing in (port, subnet, address, address.association, instance):
        _look_at_all_of(thing)
    do(address.association, "delete")
    do(address, "release")
    do(port, "detach")
    do(port, "delete")
    do(do(resource, "create_network_interface", SubnetId=subnet.id), "delete")
    instance.terminate()


def _images(resource: Any, do: Doing, image: str) -> None:
    [instance] = do(resource, "create_instances", ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro")
    made = do(instance, "create_image", Name="made")
    made.wait_until_exists()
    [disk] = made.block_device_mappings
    disks = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": disk["Ebs"]["SnapshotId"]}}]
    given = do(resource, "register_image", Name="given", RootDeviceName="/dev/sda1", BlockDeviceMappings=disks)
    do.tag(made)
    _look_at_all_of(made)
    do(made, "modify_attribute", Description={"Value": "mine"})
    assert do(made, "describe_attribute", Attribute="description")["Description"] == {"Value": "mine"}
    do(made, "reset_attribute", Attribute="launchPermission")
    do(made, "deregister")
    do(given, "deregister")
    assert list(resource.images.filter(Owners=["self"])) == []
    instance.terminate()


def _addresses(resource: Any, do: Doing, image: str) -> None:
    """Those that are named by their numbers, as in times before VPCs: they are given back by ids all the same."""
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    [instance] = resource.create_instances(**asked)
    made = resource.meta.client.allocate_address()
    address = resource.ClassicAddress(made["PublicIp"])
    do(address, "associate", InstanceId=instance.id)
    _look_at_all_of(address)
    _look_at_all_of(instance)
    do.refused(address, "disassociate")
    do.refused(address, "release")
    held = resource.VpcAddress(made["AllocationId"])
    held.association.delete()
    held.release()
    assert list(resource.vpc_addresses.all()) == []
    instance.terminate()


def _tags(resource: Any, do: Doing, image: str) -> None:
    volume = resource.create_volume(AvailabilityZone="us-east-1a", Size=1)
    do(resource, "create_tags", Resources=[volume.id], Tags=tags(a="b"))
    tag = resource.Tag(volume.id, "a", "b")
    _look_at_all_of(tag)
    do(tag, "delete")
    assert resource.Volume(volume.id).tags is None


def test_actions_on_whole_collections_are_done_to_each(resource, image):
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 7, "MaxCount": 7}
    resource.create_instances(**asked)
    each = resource.instances.page_size(5)

    each.create_tags(Tags=tags(a="b"))
    assert [one.tags for one in each] == [tags(a="b")] * 7
    for action in ("monitor", "unmonitor", "reboot"):
        getattr(each, action)()
    each.stop()
    assert {one.state["Name"] for one in each} == {"stopped"}
    each.start()
    each.terminate()
    assert {one.state["Name"] for one in each} == {"terminated"}

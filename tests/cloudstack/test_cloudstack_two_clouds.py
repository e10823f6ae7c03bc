"""Two clouds of one CloudStack in one Isthmus: of its zones with security groups, and of those without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cs
import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import JOB_SECONDS, emulating, fresh_ref, secrets_of
from emulators.cloudstack.server import Emulator
from house import House
from house import World as Sight
from served import eventually

from isthmus.context import Place
from isthmus.core.ids import Kind, adopt
from isthmus.errors import NotFound
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.cloudstack import CloudStack, Keys, Options

VPCS, GROUPS = "stack", "stack-groups"
HOME = {"us-east-1a": VPCS, "us-east-1b": GROUPS, "us-east-1c": GROUPS}
"""The zones that clients see, each with its cloud: zone-1 to zone-3 of CloudStack."""


@pytest.fixture
def stack() -> Iterator[Emulator]:
    with emulating(groups=(False, True, True), kinds=("Advanced", "Advanced", "Basic")) as made:
        made.world.job_seconds = JOB_SECONDS
        made.world.users_expunge = True
        yield made


class Both(House):
    """An Isthmus over both clouds of a CloudStack, with an account that has a login at each."""

    def __init__(self, url: str, stack: Emulator, **options: Any) -> None:
        self.stack = stack
        of_zones = {VPCS: ["zone-1"], GROUPS: ["zone-2", "zone-3"]}
        self.clouds: dict[str, CloudStack] = {}
        for name, zones in of_zones.items():
            said = Options(stack.url, security_groups=name == GROUPS, expunge=True, **options)
            self.clouds[name] = CloudStack(name, zones, said, self.clouds.values())
        super().__init__(url)
        self.owner = stack.world.new_account("demo")
        for name in self.clouds:
            self.store.set_tenant(self.account[0], name, self.owner.id, secrets_of(self.owner))

    def new_world(self, **limits: Any) -> Sight:
        places = {ours: Place(ours, name, f"zone-{number}") for number, (ours, name) in enumerate(HOME.items(), 1)}
        return replace(super().new_world(**limits), places=places, clouds=self.clouds)

    def session(self, name: str) -> Any:
        return self.clouds[name].session(self.owner.id, secrets_of(self.owner))

    def there(self, kind: str) -> dict[str, Any]:
        """What CloudStack itself has."""
        return {known: item for known, (_, item) in self.stack.world.things[kind].items()}

    def until(self, look: Callable[[], object], wanted: object) -> None:
        def now() -> object:
            self.settle()
            return look()

        eventually(now, lambda found: found == wanted)

    def settle(self, seconds: float = JOB_SECONDS) -> None:
        world = self.stack.world
        world.pass_by(seconds)
        with world.lock:
            world.run_jobs()

    def close(self) -> None:
        for one in self.clouds.values():
            one.close()
        self.store.close()


@pytest.fixture
def house(stack: Emulator, tmp_path: Path) -> Iterator[Both]:
    made = Both(f"sqlite:///{tmp_path}/isthmus.db", stack)
    yield made
    made.close()


@pytest.fixture
def ec2(house: Both) -> Any:
    return house.client()


def image_for(house: Both, zone: str) -> str:
    """The template debian as the image of a zone's cloud."""
    [native, *_] = [one["id"] for one in house.stack.world.templates if one["name"] == "debian"]
    return adopt(Kind.IMAGE, HOME[zone], native)


def launched(house: Both, ec2: Any, zone: str, **more: Any) -> str:
    """An instance that runs."""
    asked = {"ImageId": image_for(house, zone), "InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1}
    [made] = ec2.run_instances(**asked, Placement={"AvailabilityZone": zone}, **more)["Instances"]
    house.until(lambda: states(ec2)[made["InstanceId"]], "running")
    return str(made["InstanceId"])


def instances(ec2: Any) -> list[Any]:
    return [one for each in ec2.describe_instances()["Reservations"] for one in each["Instances"]]


def states(ec2: Any) -> dict[str, str]:
    """Of all instances, which are listed once each."""
    found = instances(ec2)
    said = {one["InstanceId"]: one["State"]["Name"] for one in found}
    assert len(said) == len(found)
    return said


def made_volume(house: Both, ec2: Any, zone: str) -> str:
    native = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    house.until(lambda: ec2.describe_volumes(VolumeIds=[native])["Volumes"][0]["State"], "available")
    return str(native)


def made_snapshot(house: Both, ec2: Any, instance: str) -> str:
    """Of an instance's root disk."""
    of = [{"Name": "attachment.instance-id", "Values": [instance]}]
    [root] = ec2.describe_volumes(Filters=of)["Volumes"]
    made = ec2.create_snapshot(VolumeId=root["VolumeId"])["SnapshotId"]
    house.until(lambda: ec2.describe_snapshots(SnapshotIds=[made])["Snapshots"][0]["State"], "completed")
    return str(made)


def refused(act: Callable[..., Any], **asked: Any) -> str:
    with pytest.raises(ClientError) as caught:
        act(**asked)
    return str(caught.value.response["Error"]["Code"])


def test_what_is_in_the_zones_of_both_clouds_is_listed_once(house: Both, ec2: Any) -> None:
    for zone in HOME:
        made_snapshot(house, ec2, launched(house, ec2, zone))
        made_volume(house, ec2, zone)

    assert sorted(HOME) == sorted(one["Placement"]["AvailabilityZone"] for one in instances(ec2))
    volumes = ec2.describe_volumes()["Volumes"]
    assert [zone for zone in HOME for _ in range(2)] == sorted(one["AvailabilityZone"] for one in volumes)
    for listed, key, count in (
        (volumes, "VolumeId", 6),
        (ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"], "SnapshotId", 3),
        (ec2.describe_network_interfaces()["NetworkInterfaces"], "NetworkInterfaceId", 3),
        (ec2.describe_subnets()["Subnets"], "SubnetId", 3),
        (ec2.describe_vpcs()["Vpcs"], "VpcId", 2),
        (ec2.describe_security_groups()["SecurityGroups"], "GroupId", 2),
    ):
        assert count == len(listed) == len({one[key] for one in listed}), (key, listed)
    assert (3, 6, 3) == tuple(len(house.there(kind)) for kind in ("machine", "volume", "snapshot"))


@pytest.mark.parametrize("zone", HOME)
def test_an_instance_is_stopped_and_ended_where_it_is(house: Both, ec2: Any, zone: str) -> None:
    others = [launched(house, ec2, one) for one in HOME if one != zone]
    theirs = house.there("volume")
    instance, volume = launched(house, ec2, zone), made_volume(house, ec2, zone)

    ec2.attach_volume(InstanceId=instance, VolumeId=volume, Device="/dev/sdf")
    house.until(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"], "in-use")
    ec2.stop_instances(InstanceIds=[instance])
    house.until(lambda: states(ec2)[instance], "stopped")
    ec2.terminate_instances(InstanceIds=[instance])
    house.until(lambda: states(ec2)[instance], "terminated")

    assert dict.fromkeys(others, "running") == {one: states(ec2)[one] for one in others}
    assert {f"zone-{1 + list(HOME).index(zone)}"}.isdisjoint(one["zonename"] for one in house.there("machine").values())
    house.until(lambda: [one["State"] for one in ec2.describe_volumes(VolumeIds=[volume])["Volumes"]], ["available"])
    ec2.delete_volume(VolumeId=volume)
    assert theirs == {native: one for native, one in house.there("volume").items() if one["state"] != "Destroy"}


def test_what_is_of_one_cloud_does_not_go_with_the_other(house: Both, ec2: Any) -> None:
    here, there = "us-east-1a", "us-east-1b"
    instance, volume = launched(house, ec2, there), made_volume(house, ec2, here)
    snapshot = made_snapshot(house, ec2, launched(house, ec2, here))

    attached = refused(ec2.attach_volume, InstanceId=instance, VolumeId=volume, Device="/dev/sdf")
    assert "InvalidVolume.ZoneMismatch" == attached
    copied = refused(ec2.create_volume, AvailabilityZone=there, SnapshotId=snapshot)
    assert "InvalidSnapshot.NotFound" == copied
    placed = {"InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1, "Placement": {"AvailabilityZone": there}}
    with pytest.raises(ClientError, match=rf"InvalidAMIID\.NotFound.* in {there}, but in {here}"):
        ec2.run_instances(ImageId=image_for(house, here), **placed)


@pytest.mark.parametrize("zone", ["us-east-1a", "us-east-1b"])
def test_a_thing_of_the_other_cloud_is_not_there_by_its_native_id(house: Both, ec2: Any, zone: str) -> None:
    made_snapshot(house, ec2, launched(house, ec2, zone))
    ec2.create_image(InstanceId=instances(ec2)[0]["InstanceId"], Name="own")
    if HOME[zone] == VPCS:
        ec2.create_subnet(VpcId=ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"], CidrBlock="10.7.1.0/24")
        ec2.allocate_address()
    house.settle()
    before = {kind: house.there(kind) for kind in ("machine", "volume", "snapshot", "template", "vpc", "network")}
    [server], volumes, snapshots, [image] = (list(before[kind]) for kind in before if kind not in ("vpc", "network"))
    other = house.session(GROUPS if HOME[zone] == VPCS else VPCS)

    for listed in (
        other.compute.list_servers(),
        other.compute.list_servers([server]),
        other.volumes.list_volumes(),
        other.volumes.list_volumes(volumes),
        other.volumes.list_snapshots(),
        other.volumes.list_snapshots(snapshots),
        other.images.list_images([image]),
        other.ports.list_ports(),
        other.addresses.list_addresses() if other.addresses else [],
    ):
        assert [] == list(listed)
    assert 1 == len(other.networks.list_networks())
    for act in (
        lambda: other.compute.stop_server(server),
        lambda: other.volumes.attach_volume(volumes[0], server, "/dev/sdf"),
        lambda: other.volumes.detach_volume(volumes[0], server),
        lambda: other.volumes.resize_volume(volumes[0], 9),
        lambda: other.volumes.create_snapshot(SnapshotSpec(fresh_ref("snap"), volumes[0])),
        lambda: other.volumes.create_volume(
            VolumeSpec(fresh_ref("vol"), 0, other.compute.list_zones()[0].name, snapshot=snapshots[0])
        ),
        lambda: other.images.describe_image(image, "other"),
    ):
        with pytest.raises(NotFound):
            act()
    for native, delete in (
        (server, other.compute.delete_server),
        (volumes[0], other.volumes.delete_volume),
        (snapshots[0], other.volumes.delete_snapshot),
        (image, other.images.delete_image),
        *((one, other.networks.delete_network) for one in before["vpc"]),
        *((one, other.networks.delete_subnet) for one in before["network"]),
    ):
        delete(native)
    house.settle()
    assert before == {kind: house.there(kind) for kind in before}


def test_an_image_that_was_copied_to_a_zone_of_the_other_cloud_is_one_in_each(house: Both, ec2: Any) -> None:
    """The one that was made keeps its id, and each is deregistered by itself. So it is with snapshots."""
    launched(house, ec2, "us-east-1a")
    made = ec2.create_image(InstanceId=instances(ec2)[0]["InstanceId"], Name="own")["ImageId"]
    house.settle()
    [native], [snapshot] = house.there("template"), house.there("snapshot")
    zones = house.stack.world.zones[:2]
    house.stack.world.several_zones |= {native: zones, snapshot: zones}

    [known] = [one["SnapshotId"] for one in ec2.describe_snapshots(Filters=[_volume_of(ec2)])["Snapshots"]]
    own = [one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]]
    assert sorted([made, adopt(Kind.IMAGE, GROUPS, native)]) == sorted(own)
    listed = {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert {known, adopt(Kind.SNAPSHOT, GROUPS, snapshot)} == listed
    for one in (*own, *listed):
        ec2.create_tags(Resources=[one], Tags=[{"Key": "which", "Value": one}])
    tagged = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["which"]}])["Tags"]
    assert {*own, *listed} == {one["Value"] for one in tagged if one["Value"] == one["ResourceId"]}
    for one in ec2.describe_images(Owners=["self"])["Images"]:
        assert [{"Key": "which", "Value": one["ImageId"]}] == one["Tags"]
    asked = {"InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1}
    for image in own:
        zone = "us-east-1a" if image == made else "us-east-1b"
        ec2.run_instances(ImageId=image, **asked, Placement={"AvailabilityZone": zone})

    ec2.deregister_image(ImageId=made)
    ec2.delete_snapshot(SnapshotId=known)
    house.settle()
    [left] = [one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]]
    [taken] = [one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]]
    assert [["zone-2"]] * 2 == [
        [zone["name"] for zone in house.stack.world.several_zones[one]] for one in (native, snapshot)
    ]
    ec2.deregister_image(ImageId=left)
    ec2.delete_snapshot(SnapshotId=taken)
    house.settle()
    assert ({}, {}) == (house.there("template"), house.there("snapshot"))


def _volume_of(ec2: Any) -> dict[str, Any]:
    """The filter for snapshots of the only instance's volume."""
    [volume] = ec2.describe_volumes()["Volumes"]
    return {"Name": "volume-id", "Values": [volume["VolumeId"]]}


def test_a_snapshot_is_known_by_its_zones_id_alone(house: Both, ec2: Any) -> None:
    """CloudStack before 4.19 tells no more."""
    made = [made_snapshot(house, ec2, launched(house, ec2, zone)) for zone in ("us-east-1a", "us-east-1b")]
    for one in house.there("snapshot").values():
        del one["zonename"]

    listed = [one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]]
    assert sorted(made) == sorted(listed)


def test_a_key_pair_is_one_for_both(house: Both, ec2: Any) -> None:
    ec2.create_key_pair(KeyName="ours")
    for zone in HOME:
        launched(house, ec2, zone, KeyName="ours")
    them = cs.CloudStack(endpoint=house.stack.url, key=house.owner.api, secret=house.owner.secret, method="post")
    them.createSSHKeyPair(name="theirs")

    assert 2 == len(house.there("keypair"))
    assert ["ours", "theirs"] == [one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]]
    assert {"ours"} == {one["KeyName"] for one in instances(ec2)}
    for zone in HOME:
        assert launched(house, ec2, zone, KeyName="theirs")
    assert 2 == len(house.there("keypair"))

    for name in ("ours", "theirs"):
        ec2.delete_key_pair(KeyName=name)
    assert {} == house.there("keypair")
    assert [] == ec2.describe_key_pairs()["KeyPairs"]


def test_a_part_is_not_told_for_the_whole_where_a_login_is_missing(house: Both, ec2: Any) -> None:
    instance = launched(house, ec2, "us-east-1a")
    house.store.set_tenant(house.account[0], GROUPS, house.owner.id)

    assert "Unavailable" == refused(ec2.describe_instances)
    house.store.set_tenant(house.account[0], GROUPS, house.owner.id, secrets_of(house.owner))
    assert {instance: "running"} == states(ec2)


def test_a_limit_of_the_account_is_one_for_both(house: Both, ec2: Any) -> None:
    [said] = ec2.describe_account_attributes(AttributeNames=["max-instances"])["AccountAttributes"]

    assert ["20"] == [one["AttributeValue"] for one in said["AttributeValues"]]


def test_an_account_that_is_nobody_on_one_cloud_has_the_other_alone(house: Both, ec2: Any) -> None:
    mine, theirs = launched(house, ec2, "us-east-1a"), launched(house, ec2, "us-east-1b")
    house.store.end_tenant(house.account[0], GROUPS)

    assert [mine] == [one["InstanceId"] for one in instances(ec2)]
    assert ["us-east-1a"] == [one["ZoneName"] for one in ec2.describe_availability_zones()["AvailabilityZones"]]
    assert "InvalidInstanceID.NotFound" == refused(ec2.terminate_instances, InstanceIds=[theirs])
    placed = {"InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1, "Placement": {"AvailabilityZone": "us-east-1b"}}
    assert "InvalidParameterValue" == refused(ec2.run_instances, ImageId=image_for(house, "us-east-1a"), **placed)
    assert 2 == len(house.there("machine"))


@pytest.fixture
def administered(stack: Emulator, tmp_path: Path) -> Iterator[Both]:
    """One that knows all users by an administrator's keys."""
    root = stack.world.new_account("root", "Admin")
    made = Both(f"sqlite:///{tmp_path}/isthmus.db", stack, admin=Keys(root.api, root.secret))
    yield made
    made.close()


def test_a_users_own_pair_is_one_account_on_both(administered: Both) -> None:
    user = administered.stack.world.new_account("user")
    ec2 = administered.client(account=("", user.api, user.secret))
    made = {launched(administered, ec2, zone) for zone in HOME}

    assert made == states(ec2).keys()
    assert ["first", "user"] == [one.name for one in administered.store.accounts()]
    [number] = [one.id for one in administered.store.accounts() if one.name == "user"]
    assert [user.id] * 2 == [administered.store.tenant_of(number, one) for one in (VPCS, GROUPS)]
    assert {user.name} == {one["account"] for one in administered.there("machine").values()}
    assert 1 == administered.stack.world.asked["getUserKeys"]


def test_work_after_a_request_is_done_on_both(administered: Both) -> None:
    """With the pair that was signed with last, though none is kept."""
    user = administered.stack.world.new_account("user")
    ec2 = administered.client(account=("", user.api, user.secret))
    ec2.describe_regions()

    for cloud in administered.clouds.values():
        assert [] == list(cloud.session(user.id).compute.list_servers())


def test_an_account_of_one_cloud_is_that_of_one_that_is_added(administered: Both) -> None:
    user = administered.stack.world.new_account("user")
    before = administered.store.account_for(GROUPS, user.id, "user")

    who = administered.client("sts", account=("", user.api, user.secret)).get_caller_identity()

    assert before == who["Account"]
    assert user.id == administered.store.tenant_of(before, VPCS)


def test_a_user_who_was_unmapped_from_one_cloud_has_the_other_alone(administered: Both) -> None:
    user = administered.stack.world.new_account("user")
    ec2 = administered.client(account=("", user.api, user.secret))
    mine = [launched(administered, ec2, zone) for zone in HOME]
    [number] = [one.id for one in administered.store.accounts() if one.name == "user"]

    administered.store.end_tenant(number, GROUPS)

    assert mine[:1] == [one["InstanceId"] for one in instances(ec2)]


def test_a_user_whose_account_is_another_tenant_of_one_cloud_has_not_its_things(administered: Both) -> None:
    """What the operator said of it holds."""
    world = administered.stack.world
    user, other = world.new_account("user"), world.new_account("other")
    number = administered.store.account_for(VPCS, user.id, "user")
    administered.store.set_tenant(number, GROUPS, other.id, secrets_of(other))
    for one in (user, other):
        them = cs.CloudStack(endpoint=administered.stack.url, key=one.api, secret=one.secret, method="post")
        for zone in world.zones[:2]:
            asked = {"diskofferingid": world.disk_offerings[0]["id"], "zoneid": zone["id"]}
            them.createVolume(name=f"of {one.name}", size=1, **asked)
    administered.settle()

    mine = [(VPCS, user), (GROUPS, other)]
    wanted = [
        known
        for name, one in mine
        for known, item in administered.there("volume").items()
        if (item["account"], item["zonename"]) == (one.name, administered.clouds[name].zones[0])
    ]
    listed = administered.client(account=("", user.api, user.secret)).describe_volumes()["Volumes"]
    ids = {adopt(Kind.VOLUME, name, known) for (name, _), known in zip(mine, wanted, strict=True)}
    assert ids == {one["VolumeId"] for one in listed}

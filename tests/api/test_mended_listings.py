"""Listings are mended change by change: what they show is what they would show if they were made anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from asking import machine_image
from botocore.exceptions import ClientError
from house import ZONES, House
from joined import demand_mended

from isthmus.context import Context
from isthmus.core import instances, volumes


class _Tenant:
    """Does this and that, by chance."""

    def __init__(self, ec2: Any, image: str, chance: random.Random) -> None:
        self._ec2 = ec2
        self._image = image
        self._chance = chance
        self._deeds: list[Callable[[], object]] = [
            self._run,
            self._run,
            self._on_servers(ec2.stop_instances),
            self._on_servers(ec2.start_instances),
            self._on_servers(ec2.terminate_instances),
            self._tag,
            self._create_volume,
            self._attach,
            self._detach,
            self._delete_volume,
            self._snapshot,
            self._allocate,
            self._associate,
            self._allow,
        ]

    def act(self) -> None:
        with suppress(ClientError, IndexError):  # not in this state, or there is none
            self._chance.choice(self._deeds)()

    def _run(self) -> None:
        count = self._chance.randint(1, 3)
        self._ec2.run_instances(ImageId=self._image, InstanceType="t3.micro", MinCount=count, MaxCount=count)

    def _servers(self) -> list[str]:
        return [
            one["InstanceId"] for each in self._ec2.describe_instances()["Reservations"] for one in each["Instances"]
        ]

    def _volumes(self) -> list[str]:
        return [one["VolumeId"] for one in self._ec2.describe_volumes()["Volumes"]]

    def _on_servers(self, deed: Callable[..., object]) -> Callable[[], object]:
        return lambda: deed(InstanceIds=[self._chance.choice(self._servers())])

    def _tag(self) -> None:
        resource = self._chance.choice(self._servers() + self._volumes())
        self._ec2.create_tags(Resources=[resource], Tags=[{"Key": "k", "Value": str(self._chance.random())}])

    def _create_volume(self) -> None:
        self._ec2.create_volume(AvailabilityZone=self._chance.choice(ZONES), Size=1)

    def _attach(self) -> None:
        server, volume = self._chance.choice(self._servers()), self._chance.choice(self._volumes())
        device = f"/dev/sd{self._chance.choice('fghij')}"
        self._ec2.attach_volume(InstanceId=server, VolumeId=volume, Device=device)

    def _detach(self) -> None:
        self._ec2.detach_volume(VolumeId=self._chance.choice(self._volumes()))

    def _delete_volume(self) -> None:
        self._ec2.delete_volume(VolumeId=self._chance.choice(self._volumes()))

    def _snapshot(self) -> None:
        self._ec2.create_snapshot(VolumeId=self._chance.choice(self._volumes()))

    def _allocate(self) -> None:
        self._ec2.allocate_address(Domain="vpc")

    def _associate(self) -> None:
        free = self._chance.choice(self._ec2.describe_addresses()["Addresses"])["AllocationId"]
        self._ec2.associate_address(AllocationId=free, InstanceId=self._chance.choice(self._servers()))

    def _allow(self) -> None:
        [group] = self._ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
        port = self._chance.randint(1, 60000)
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        self._ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])


@pytest.mark.parametrize("seed", range(4))
def test_after_any_change_a_listing_is_what_it_would_be_if_made_anew(build: Callable[..., House], seed: int) -> None:
    house = build(settle=2.0)
    ec2, chance = house.client(), random.Random(seed)
    image = machine_image(ec2)
    tenant, cx = _Tenant(ec2, image, chance), Context(house.account[0], house.world)
    ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=20, MaxCount=20)
    for _ in range(60):
        tenant.act()
        if chance.random() < 0.3:
            house.settle(chance.choice([1, 5, 30, 4000]))
            house.mend()
        memo = dict(house.world.memo)
        with house.clock.stopped():
            demand_mended(cx)
        house.world.memo.update(memo)


def test_of_many_instances_only_the_changed_one_is_joined_anew(house: House, ec2: Any, image: str) -> None:
    ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=50, MaxCount=50)
    house.settle()
    cx = Context(house.account[0], house.world)
    before, held = instances.index(cx), volumes.index(cx)
    changed = before.ordered[7]
    ec2.create_tags(Resources=[changed.id, changed.disks[0].id], Tags=[{"Key": "a", "Value": "b"}])
    after = instances.index(cx)
    assert [one.id for one in before.ordered if after.by_id[one.id] is not one] == [changed.id]
    now = volumes.index(cx)
    assert [one.id for one in held if now.by_id[one.id] is not one] == [changed.disks[0].id]
    assert after.by_id[changed.id].tags == {"a": "b"}

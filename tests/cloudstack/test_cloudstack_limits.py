"""Want of room and limits of accounts, in EC2's codes: of each kind of thing, told at once or by a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus, fronted
from emulators.cloudstack.world import Refusal

ACCOUNT_LIMIT, ROOM, AWAY, LIMIT = 532, 533, 534, 535
"""CloudStack's codes: ACCOUNT_RESOURCE_LIMIT_ERROR, INSUFFICIENT_CAPACITY_ERROR, RESOURCE_UNAVAILABLE_ERROR,
RESOURCE_ALLOCATION_ERROR."""
TEXTS = {
    ACCOUNT_LIMIT: "Maximum number of resources of type '{}' for account name=demo in domain id=1 has been exceeded.",
    ROOM: "Insufficient capacity",
    AWAY: "Resource [StoragePool:1] is unreachable: Unable to apply the change",
    LIMIT: "Maximum amount of resources of Type = '{}' for Account Name = demo in Domain Id = 1 is exceeded: "
    "Account Resource Limit = 1, Current Account Resource Amount = 1, Requested Resource Amount = 1.",
}
"""With the type of resource that a limit is on."""
TYPES = {
    "deployVirtualMachine": "user_vm",
    "createVolume": "volume",
    "createVolume job": "primary_storage",
    "createSnapshot": "secondary_storage",
    "createTemplate": "template",
    "associateIpAddress": "public_ip",
    "createVPC": "vpc",
    "createNetwork": "network",
}
"""That of each command's."""
UNAVAILABLE = "Unavailable"


def launch(ec2: Any, **more: Any) -> Any:
    [image, *_] = ec2.describe_images()["Images"]
    return ec2.run_instances(ImageId=image["ImageId"], InstanceType="Tiny", MinCount=1, MaxCount=1, **more)


def launch_with_disk(ec2: Any) -> Any:
    return launch(ec2, BlockDeviceMappings=[{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1}}])


def root(ec2: Any) -> str:
    [volume] = ec2.describe_volumes()["Volumes"]
    return str(volume["VolumeId"])


def volume(ec2: Any) -> Any:
    return ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)


def image(ec2: Any) -> Any:
    [snapshot] = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot["SnapshotId"]}}
    return ec2.register_image(Name="an image", RootDeviceName="/dev/sda1", BlockDeviceMappings=[disk])


def subnet(ec2: Any) -> Any:
    [vpc] = [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]
    return ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")


def nothing(isthmus: Isthmus, ec2: Any) -> None:
    """As the account is."""


def snapshotted(isthmus: Isthmus, ec2: Any) -> None:
    running(isthmus, ec2)
    ec2.create_snapshot(VolumeId=root(ec2))
    isthmus.real.settle()


def running(isthmus: Isthmus, ec2: Any) -> None:
    launch(ec2)
    isthmus.real.settle()


def with_vpc(isthmus: Isthmus, ec2: Any) -> None:
    ec2.create_vpc(CidrBlock="10.9.0.0/16")


CASES: Mapping[str, tuple[bool, Callable[..., Any], Callable[[Any], Any], str, str]] = {
    "deployVirtualMachine": (True, nothing, launch, "InstanceLimitExceeded", "InsufficientInstanceCapacity"),
    "createVolume": (True, nothing, volume, "VolumeLimitExceeded", "InsufficientVolumeCapacity"),
    "createVolume job": (True, nothing, launch_with_disk, "VolumeLimitExceeded", "InsufficientVolumeCapacity"),
    "createSnapshot": (
        True,
        running,
        lambda ec2: ec2.create_snapshot(VolumeId=root(ec2)),
        "SnapshotLimitExceeded",
        "InsufficientVolumeCapacity",
    ),
    "createTemplate": (True, snapshotted, image, "AMILimitExceeded", "InsufficientCapacity"),
    "associateIpAddress": (
        False,
        nothing,
        lambda ec2: ec2.allocate_address(),
        "AddressLimitExceeded",
        "InsufficientAddressCapacity",
    ),
    "createVPC": (
        False,
        nothing,
        lambda ec2: ec2.create_vpc(CidrBlock="10.9.0.0/16"),
        "VpcLimitExceeded",
        "InsufficientCapacity",
    ),
    "createNetwork": (False, with_vpc, subnet, "SubnetLimitExceeded", "InsufficientFreeAddressesInSubnet"),
}
"""By CloudStack's command: whether there are groups, what is there before, what is asked, and the code of EC2's for an
account's limit and for want of room."""
CODES = [(command, code) for command in CASES for code in TEXTS]


@pytest.mark.parametrize(("command", "code"), CODES)
def test_want_of_room_and_limits_are_told_by_their_kind(command: str, code: int, tmp_path: Path) -> None:
    grouped, before, act, limit, room = CASES[command]
    with fronted(tmp_path, groups=grouped) as isthmus:
        ec2 = isthmus.client()
        before(isthmus, ec2)
        isthmus.emulated.wrong_next(command, Refusal(code, TEXTS[code].format(TYPES[command])))

        with pytest.raises(ClientError) as refused:
            act(ec2)

    told = refused.value.response["Error"]["Code"]
    assert {ROOM: room, AWAY: UNAVAILABLE}.get(code, limit) == told


@pytest.mark.parametrize(
    ("limited", "told"),
    [
        ("cpu", "VcpuLimitExceeded"),
        ("memory", "InstanceLimitExceeded"),
        ("volume", "VolumeLimitExceeded"),
        ("primary_storage", "VolumeLimitExceeded"),
        ("network", "SubnetLimitExceeded"),
        ("public_ip", "AddressLimitExceeded"),
        ("future_type", "InstanceLimitExceeded"),
    ],
)
def test_a_launch_is_told_which_of_an_accounts_limits_it_is(
    isthmus: Isthmus, ec2: Any, limited: str, told: str
) -> None:
    isthmus.emulated.wrong_next("deployVirtualMachine", Refusal(LIMIT, TEXTS[LIMIT].format(limited)))

    with pytest.raises(ClientError) as refused:
        launch(ec2)

    assert told == refused.value.response["Error"]["Code"]


def test_a_launch_that_cloudstack_finds_no_room_for_later_is_in_error(isthmus: Isthmus, ec2: Any) -> None:
    isthmus.emulated.wrong_next("deployVirtualMachine job", Refusal(ROOM, TEXTS[ROOM]))

    [made] = launch(ec2)["Instances"]
    isthmus.real.settle()

    [found] = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["Instances"]
    assert ("terminated", "Server.InternalError") == (found["State"]["Name"], found["StateReason"]["Code"])

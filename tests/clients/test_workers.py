"""Two worker processes on one store, SQLite or PostgreSQL: what one has written the other reads in the next call."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from postgres import postgres
from served import Served, client, eventually, serving

__all__ = ["postgres"]

pytestmark = pytest.mark.clients


@pytest.fixture(params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A service of two workers over the local cloud."""
    more = {}
    if request.param == "postgresql":
        more["ISTHMUS_STORE"] = request.getfixturevalue("postgres").database()
    with serving(tmp_path / "state", "--cloud", "local", "--workers", "2", **more) as served:
        yield served


def workers(served: Served, but: int = 0) -> Sequence[int]:
    """The two workers, none of them `but`, once both answer."""
    found = eventually(lambda: _children(served), lambda pids: len(pids) == 2 and but not in pids)
    for one in found:
        with only(one, found):
            served.get("/health")
    return found


def _children(served: Served) -> Sequence[int]:
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


@contextmanager
def only(chosen: int, everybody: Sequence[int]) -> Iterator[None]:
    """Have one worker answer all: the others are halted for a while, wherever they are."""
    others = [pid for pid in everybody if pid != chosen]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def test_what_one_worker_writes_the_other_reads_at_once(pair: Served) -> None:
    account = pair.new_account("pair")
    everybody = workers(pair)
    for number in range(4):
        writer, reader = everybody[number % 2], everybody[1 - number % 2]
        with only(writer, everybody):
            made = _make(client(account), f"round-{number}")
        with only(reader, everybody):
            assert (["22"], "me", "tests") == _read(client(account), made)
            client(account).delete_security_group(GroupId=made["group"])
            client(account).delete_key_pair(KeyPairId=made["key"])
        with only(writer, everybody):
            ec2 = client(account)
            assert [] == ec2.describe_key_pairs()["KeyPairs"]
            assert ["default"] == [one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]]


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="QEMU's tools are not installed: apt install qemu-utils")
def test_a_volume_of_one_worker_is_the_others_too(pair: Served) -> None:
    account = pair.new_account("pair")
    first, second = everybody = workers(pair)
    with only(first, everybody):
        zone = client(account).describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        volume = client(account).create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    with only(second, everybody):
        assert volume == client(account).describe_volumes(VolumeIds=[volume])["Volumes"][0]["VolumeId"]
    eventually(lambda: client(account).describe_volumes()["Volumes"][0]["State"], lambda state: state == "available")
    with only(second, everybody):
        client(account).delete_volume(VolumeId=volume)
    eventually(lambda: client(account).describe_volumes()["Volumes"], lambda left: left == [])


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="QEMU's tools are not installed: apt install qemu-utils")
def test_one_token_is_one_volume_whoever_is_asked(pair: Served) -> None:
    account = pair.new_account("pair")
    everybody = workers(pair)
    zone = client(account).describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    answers = set()
    for one in everybody:
        with only(one, everybody):
            made = client(account).create_volume(AvailabilityZone=zone, Size=1, ClientToken="the-same")
            answers.add(made["VolumeId"])

    assert answers == {one["VolumeId"] for one in client(account).describe_volumes()["Volumes"]}
    assert 1 == len(answers)


def test_a_worker_that_is_killed_is_replaced_and_knows_all(pair: Served) -> None:
    account = pair.new_account("pair")
    everybody = workers(pair)
    with only(everybody[0], everybody):
        made = _make(client(account), "before")

    os.kill(everybody[0], signal.SIGKILL)
    now = workers(pair, but=everybody[0])
    [fresh] = set(now) - set(everybody)
    with only(fresh, now):
        assert (["22"], "me", "tests") == _read(client(account), made)


def _make(ec2: Any, name: str) -> dict[str, str]:
    group = ec2.create_security_group(GroupName=name, Description="of one worker")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8")
    key = ec2.create_key_pair(KeyName=name)["KeyPairId"]
    ec2.create_tags(Resources=[group, key], Tags=[{"Key": "By", "Value": "me"}, {"Key": "Owner", "Value": "tests"}])
    return {"group": group, "key": key, "name": name}


def _read(ec2: Any, made: dict[str, str]) -> tuple[list[str], str, str]:
    """The ports that the group opens, and a tag of the group and of the key."""
    [group] = ec2.describe_security_groups(GroupIds=[made["group"]])["SecurityGroups"]
    [key] = ec2.describe_key_pairs(Filters=[{"Name": "tag:Owner", "Values": ["tests"]}])["KeyPairs"]
    assert made["name"] == key["KeyName"]
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    ports = [str(rule["FromPort"]) for rule in group["IpPermissions"]]
    return ports, tags["By"], next(tag["Value"] for tag in key["Tags"] if tag["Key"] == "Owner")

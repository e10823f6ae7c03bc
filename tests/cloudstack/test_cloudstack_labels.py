"""Tags of EC2 are shown as CloudStack's: by few calls, after the request, and never in place of Isthmus's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated_cloudstack import Isthmus, fronted
from emulators.cloudstack.world import CUT, Refusal
from served import eventually

from isthmus.core.labels import Labeller

TAGS = [{"Key": "Name", "Value": "web"}, {"Key": "team", "Value": "blue"}]


@pytest.fixture
def labeller(isthmus: Isthmus) -> Iterator[Labeller]:
    """One that shows what is due when the test says so."""
    made = Labeller(isthmus.world)
    isthmus.store.tagged = made.note
    yield made
    isthmus.store.tagged = None


def instances(isthmus: Isthmus, ec2: Any, count: int, **more: Any) -> list[str]:
    [image, *_] = ec2.describe_images()["Images"]
    asked = {"ImageId": image["ImageId"], "InstanceType": "Tiny", "MinCount": count, "MaxCount": count, **more}
    ids = [str(one["InstanceId"]) for one in ec2.run_instances(**asked)["Instances"]]
    isthmus.real.settle()
    return ids


def things(isthmus: Isthmus, kind: str) -> list[Any]:
    return [item for _, item in isthmus.emulated.things[kind].values()]


def shown(isthmus: Isthmus, kind: str) -> list[dict[str, str]]:
    """The tags of all things of one kind, but for those that Isthmus has to find again."""
    return [
        {tag["key"]: tag["value"] for tag in one["tags"] if not tag["key"].startswith("isthmus")}
        for one in things(isthmus, kind)
    ]


def test_tags_of_many_instances_are_shown_by_one_call_and_not_by_the_request(
    isthmus: Isthmus, ec2: Any, labeller: Labeller
) -> None:
    ids = instances(isthmus, ec2, 12)
    isthmus.emulated.asked.clear()

    ec2.create_tags(Resources=ids, Tags=TAGS)
    assert 0 == isthmus.emulated.asked["createTags"]
    labeller.once()

    assert 1 == isthmus.emulated.asked["createTags"]
    assert [{"Name": "web", "team": "blue"}] * 12 == shown(isthmus, "machine")


def test_changed_tags_are_changed_and_deleted_ones_go(isthmus: Isthmus, ec2: Any, labeller: Labeller) -> None:
    [one] = instances(isthmus, ec2, 1)
    ec2.create_tags(Resources=[one], Tags=TAGS)
    labeller.once()

    ec2.create_tags(Resources=[one], Tags=[{"Key": "Name", "Value": ""}])
    ec2.delete_tags(Resources=[one], Tags=[{"Key": "team"}])
    labeller.once()

    assert [{"Name": "-"}] == shown(isthmus, "machine")


def test_what_a_launch_tags_is_shown_once_it_is_there(isthmus: Isthmus, ec2: Any, labeller: Labeller) -> None:
    said = [{"ResourceType": kind, "Tags": TAGS} for kind in ("instance", "volume")]
    instances(isthmus, ec2, 2, TagSpecifications=said)

    labeller.once()

    assert [{"Name": "web", "team": "blue"}] * 2 == shown(isthmus, "machine") == shown(isthmus, "volume")


def test_what_others_have_tagged_stays_unless_it_is_tagged_so_here(
    isthmus: Isthmus, ec2: Any, labeller: Labeller
) -> None:
    [one] = instances(isthmus, ec2, 1)
    [machine] = things(isthmus, "machine")
    about = {"resourceid": machine["id"], "resourcetype": "UserVm"}
    account = {name: machine[name] for name in ("account", "domainid")}
    machine["tags"] += [{"key": key, "value": "theirs", **about, **account} for key in ("owner", "NAME")]
    assert [] == ec2.describe_tags()["Tags"]

    ec2.create_tags(Resources=[one], Tags=TAGS)
    labeller.once()

    assert [{"owner": "theirs", "Name": "web", "team": "blue"}] == shown(isthmus, "machine")
    ec2.delete_tags(Resources=[one])
    labeller.once()
    assert [{"owner": "theirs"}] == shown(isthmus, "machine")


def test_what_isthmus_has_to_find_again_is_no_label(isthmus: Isthmus, ec2: Any, labeller: Labeller) -> None:
    [one] = instances(isthmus, ec2, 1)
    volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume, Description="d")["SnapshotId"]
    isthmus.real.settle()
    before = [dict(tag) for item in things(isthmus, "snapshot") for tag in item["tags"]]

    evil = [{"Key": key, "Value": "evil"} for key in ("isthmus-ref", "ISTHMUS-description", "isthmus-groups/1")]
    ec2.create_tags(Resources=[snapshot, one], Tags=evil)
    ec2.delete_tags(Resources=[snapshot, one])
    labeller.once()

    assert before == [dict(tag) for item in things(isthmus, "snapshot") for tag in item["tags"]]
    assert [[]] == [item["tags"] for item in things(isthmus, "machine")]
    assert [(snapshot, "d")] == [
        (found["SnapshotId"], found["Description"]) for found in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    ]


@pytest.mark.parametrize("fault", [CUT, Refusal(530, "no reason"), Refusal(429, "limit, retry after 60000 ms.")])
def test_what_could_not_be_shown_is_when_records_are_mended(
    isthmus: Isthmus, ec2: Any, labeller: Labeller, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = instances(isthmus, ec2, 2)
    isthmus.emulated.wrong_next("createTags", fault)

    ec2.create_tags(Resources=ids[:1], Tags=TAGS[:1])
    labeller.once()
    assert [{}, {}] == shown(isthmus, "machine")

    isthmus.real.begin_again()
    isthmus.mend()
    assert [{}, {"Name": "web"}] == sorted(shown(isthmus, "machine"), key=len)


def test_where_all_is_shown_mending_asks_for_tags_and_changes_none(
    isthmus: Isthmus, ec2: Any, labeller: Labeller
) -> None:
    ids = instances(isthmus, ec2, 5)
    volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    ids.append(ec2.create_snapshot(VolumeId=volume)["SnapshotId"])
    isthmus.real.settle()
    ec2.create_tags(Resources=ids, Tags=TAGS)
    labeller.once()
    isthmus.mend()
    isthmus.emulated.asked.clear()

    isthmus.mend()

    asked = isthmus.emulated.asked
    assert (0, 0) == (asked["createTags"], asked["deleteTags"])
    assert asked["listTags"] <= 1


def test_vpcs_subnets_and_addresses_have_their_tags(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=False) as isthmus:
        ec2 = isthmus.client()
        vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]

        ec2.create_tags(Resources=[vpc, subnet, group, address], Tags=TAGS[:1])
        isthmus.mend()

        assert [{"Name": "web"}] == shown(isthmus, "vpc") == shown(isthmus, "network")
        assert {"Name": "web"} in shown(isthmus, "address")
        assert [group] == [
            one["GroupId"]
            for one in ec2.describe_security_groups(Filters=[{"Name": "tag:Name", "Values": ["web"]}])["SecurityGroups"]
        ]


def test_tags_are_shown_soon(isthmus: Isthmus, ec2: Any) -> None:
    [one] = instances(isthmus, ec2, 1)
    labeller = Labeller(isthmus.world)
    labeller.start()
    try:
        ec2.create_tags(Resources=[one], Tags=TAGS)
        eventually(lambda: shown(isthmus, "machine"), lambda found: found == [{"Name": "web", "team": "blue"}])
    finally:
        labeller.stop()

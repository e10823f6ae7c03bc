"""Tags are shown in a cloud that has labels: also of what is made with them, and no longer once they are deleted."""

from __future__ import annotations

from typing import Any

import pytest
from house import House

from isthmus.core.labels import Labeller

TAGS = [{"Key": "Name", "Value": "data"}]


@pytest.fixture
def labeller(house: House) -> Any:
    made = Labeller(house.world)
    house.store.tagged = made.note
    yield made
    house.store.tagged = None


def shown(house: House, kind: str) -> list[dict[str, str]]:
    session = house.cloud.session(house.account[0])
    return [dict(one) for one in session.labels.list_labels(kind).values()]


def test_tags_of_what_is_made_are_shown(house, ec2, labeller):
    said = [{"ResourceType": "volume", "Tags": TAGS}]
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a", TagSpecifications=said)["VolumeId"]
    labeller.once()
    assert [{"Name": "data"}] == shown(house, "volume")

    ec2.delete_tags(Resources=[volume])
    labeller.once()
    assert [] == shown(house, "volume")


def test_what_is_not_there_yet_is_looked_for_again_and_what_is_gone_is_not(house, ec2, labeller):
    account = house.account[0]
    with house.store.change(account) as change:
        change.tag(["vol-0123456789abcdef0"], {"Name": "soon"})
    labeller.once()
    assert {"vol-0123456789abcdef0": 1} == labeller._due[account]

    with house.store.change(account) as change:
        change.untag(["vol-0123456789abcdef0"])
    labeller.once()
    assert not labeller._due.get(account)


def test_what_has_no_labels_is_not_looked_for(house, ec2, labeller):
    [table] = ec2.describe_route_tables()["RouteTables"]
    ec2.create_tags(Resources=[table["RouteTableId"]], Tags=TAGS)

    assert {} == labeller._due


def test_what_was_not_shown_is_when_records_are_mended(house, ec2):
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    ec2.create_tags(Resources=[volume], Tags=TAGS)
    assert [] == shown(house, "volume")

    house.mend()

    assert [{"Name": "data"}] == shown(house, "volume")


def test_tags_on_what_is_anothers_are_not_shown_to_its_owner(house, ec2, stranger, labeller):
    [image, *_] = ec2.describe_images()["Images"]
    stranger.create_tags(Resources=[image["ImageId"]], Tags=TAGS)

    labeller.once()

    assert [] == shown(house, "image")

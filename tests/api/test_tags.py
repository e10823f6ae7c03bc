"""Tags: of every kind of thing that takes them, when it is made and later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import disks, instance, machine_image, refusal, tagged, tags

from isthmus.aws.ec2.tags import RESOURCE_TYPES
from isthmus.core import tags as core_tags

ABSENT = "0123456789abcdef0"
NOT_FOUND = {
    "i": "InvalidInstanceID.NotFound",
    "vol": "InvalidVolume.NotFound",
    "snap": "InvalidSnapshot.NotFound",
    "ami": "InvalidAMIID.NotFound",
    "vpc": "InvalidVpcID.NotFound",
    "subnet": "InvalidSubnetID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "sgr": "InvalidSecurityGroupRuleId.NotFound",
    "eipalloc": "InvalidAllocationID.NotFound",
    "eni": "InvalidNetworkInterfaceID.NotFound",
    "key": "InvalidKeyPair.NotFound",
}


def described(ec2, **filters):
    asked = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    return [(one["ResourceId"], one["Key"], one["Value"]) for one in ec2.describe_tags(Filters=asked)["Tags"]]


@pytest.fixture
def everything(house, ec2, launched):
    """One of each kind of thing, by EC2's word for the kind."""
    held = instance(ec2, launched)
    root = disks(ec2, launched)["/dev/sda1"]["VolumeId"]
    group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    [rule] = ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="-1", CidrIp="0.0.0.0/0")[
        "SecurityGroupRules"
    ]
    return {
        "instance": launched,
        "volume": root,
        "snapshot": ec2.create_snapshot(VolumeId=root)["SnapshotId"],
        "image": ec2.create_image(InstanceId=launched, Name="golden")["ImageId"],
        "vpc": held["VpcId"],
        "subnet": held["SubnetId"],
        "security-group": group,
        "security-group-rule": rule["SecurityGroupRuleId"],
        "elastic-ip": ec2.allocate_address()["AllocationId"],
        "network-interface": held["NetworkInterfaces"][0]["NetworkInterfaceId"],
        "key-pair": ec2.create_key_pair(KeyName="mine")["KeyPairId"],
    }


def test_everything_takes_tags(ec2, everything):
    ec2.create_tags(Resources=list(everything.values()), Tags=tags(Name="x", empty=""))

    for kind, known in everything.items():
        assert sorted(described(ec2, resource_type=kind)) == [(known, "Name", "x"), (known, "empty", "")], kind
    assert len(described(ec2)) == 2 * len(everything)
    shown = [
        instance(ec2, everything["instance"])["Tags"],
        ec2.describe_volumes(VolumeIds=[everything["volume"]])["Volumes"][0]["Tags"],
        ec2.describe_snapshots(SnapshotIds=[everything["snapshot"]])["Snapshots"][0]["Tags"],
        ec2.describe_images(ImageIds=[everything["image"]])["Images"][0]["Tags"],
        ec2.describe_vpcs(VpcIds=[everything["vpc"]])["Vpcs"][0]["Tags"],
        ec2.describe_subnets(SubnetIds=[everything["subnet"]])["Subnets"][0]["Tags"],
        ec2.describe_security_groups(GroupIds=[everything["security-group"]])["SecurityGroups"][0]["Tags"],
        ec2.describe_security_group_rules(SecurityGroupRuleIds=[everything["security-group-rule"]])[
            "SecurityGroupRules"
        ][0]["Tags"],
        ec2.describe_addresses(AllocationIds=[everything["elastic-ip"]])["Addresses"][0]["Tags"],
        ec2.describe_network_interfaces()["NetworkInterfaces"][0]["TagSet"],
        ec2.describe_key_pairs(KeyPairIds=[everything["key-pair"]])["KeyPairs"][0]["Tags"],
    ]
    assert shown == [tags(Name="x", empty="")] * len(everything)


def test_a_tag_given_again_has_the_new_value(ec2, launched):
    ec2.create_tags(Resources=[launched], Tags=tags(Name="old", role="web"))
    ec2.create_tags(Resources=[launched], Tags=tags(Name="new"))

    assert instance(ec2, launched)["Tags"] == tags(Name="new", role="web")


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ({"Tags": [{"Key": "a"}]}, {"b": "2", "c": ""}),
        ({"Tags": [{"Key": "a", "Value": "1"}]}, {"b": "2", "c": ""}),
        ({"Tags": [{"Key": "a", "Value": "other"}]}, {"a": "1", "b": "2", "c": ""}),
        ({"Tags": [{"Key": "a", "Value": ""}, {"Key": "c", "Value": ""}]}, {"a": "1", "b": "2"}),
        ({"Tags": [{"Key": "nobody's"}]}, {"a": "1", "b": "2", "c": ""}),
        ({}, {}),
    ],
)
def test_tags_are_taken_by_key_by_value_or_all(ec2, launched, taken, left):
    ec2.create_tags(Resources=[launched], Tags=tags(a="1", b="2", c=""))
    ec2.delete_tags(Resources=[launched], **taken)

    assert {one["Key"]: one["Value"] for one in ec2.describe_tags()["Tags"]} == left


@pytest.mark.parametrize("verb", ["create", "delete"])
@pytest.mark.parametrize("prefix", NOT_FOUND)
def test_of_several_ids_one_that_is_nobodys_stops_it_all(ec2, launched, verb, prefix):
    ec2.create_tags(Resources=[launched], Tags=tags(a="1"))
    call = getattr(ec2, f"{verb}_tags")

    asked = {"Resources": [launched, f"{prefix}-{ABSENT}"], "Tags": tags(a="1", b="2")}
    assert refusal(call, **asked) == NOT_FOUND[prefix]
    assert described(ec2) == [(launched, "a", "1")]


@pytest.mark.parametrize("known", ["zebra", "i-x", f"zebra-{ABSENT}", f"r-{ABSENT}", "i-", ""])
def test_what_is_no_id_is_refused(ec2, known):
    assert refusal(ec2.create_tags, Resources=[known], Tags=tags(a="1")) in ("InvalidID", "MissingParameter")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ([{"Key": "", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k" * 129, "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        ([{"Key": "aws:mine", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "AWS:mine", "Value": "x"}], "InvalidParameterValue"),
        (tags(**{f"k{number}": "v" for number in range(51)}), "TagLimitExceeded"),
    ],
)
def test_tags_that_cannot_be_are_refused(ec2, image, launched, wanted, code):
    assert refusal(ec2.create_tags, Resources=[launched], Tags=wanted) == code
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    specification = [{"ResourceType": "instance", "Tags": wanted}]
    assert refusal(ec2.run_instances, **asked, TagSpecifications=specification) == code
    assert len(ec2.describe_instances()["Reservations"]) == 1
    assert described(ec2) == []


@pytest.mark.parametrize(
    ("name", "value"), [("key", "a"), ("tag-key", "a"), ("value", "1"), ("tag-value", "1"), ("tag:a", "1")]
)
def test_tags_are_found_by_their_parts(ec2, launched, name, value):
    ec2.create_tags(Resources=[launched], Tags=tags(a="1", b="2"))

    found = ec2.describe_tags(Filters=[{"Name": name, "Values": [value]}])["Tags"]
    assert [(one["Key"], one["Value"]) for one in found] == [("a", "1")]


def test_a_thing_has_at_most_fifty_tags(ec2, launched):
    ec2.create_tags(Resources=[launched], Tags=tags(**{f"k{number}": "v" for number in range(50)}))

    assert refusal(ec2.create_tags, Resources=[launched], Tags=tags(one_more="v")) == "TagLimitExceeded"
    ec2.create_tags(Resources=[launched], Tags=tags(k1="new"))
    assert len(described(ec2)) == 50


def test_the_largest_tag_is_kept(ec2, launched):
    key, value = "\u00fc" * 128, "\U0001f600" * 256
    ec2.create_tags(Resources=[launched], Tags=[{"Key": key, "Value": value}])

    assert described(ec2) == [(launched, key, value)]


def test_tags_are_found_by_what_they_are(ec2, launched, image):
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a", TagSpecifications=tagged("volume", Name="data"))
    ec2.create_tags(Resources=[launched], Tags=tags(Name="web-1", role="web"))

    known = volume["VolumeId"]
    assert described(ec2, key="role") == [(launched, "role", "web")]
    assert described(ec2, value="web*") == [(launched, "Name", "web-1"), (launched, "role", "web")]
    assert described(ec2, resource_id=known) == [(known, "Name", "data")]
    assert described(ec2, resource_type="volume") == [(known, "Name", "data")]
    assert described(ec2, resource_type="instance", key="Name") == [(launched, "Name", "web-1")]
    assert described(ec2, **{"tag:role": "web"}) == [(launched, "role", "web")]
    assert refusal(described, ec2=ec2, colour="red") == "InvalidParameterValue"


def test_a_stranger_neither_sees_nor_changes_tags(ec2, stranger, everything):
    ec2.create_tags(Resources=list(everything.values()), Tags=tags(Name="mine"))
    before = described(ec2)

    for known in everything.values():
        expected = NOT_FOUND[known.rpartition("-")[0]]
        assert refusal(stranger.create_tags, Resources=[known], Tags=tags(Name="theirs")) == expected
        assert refusal(stranger.delete_tags, Resources=[known]) == expected
    assert described(stranger) == []
    assert described(ec2) == before


def test_tags_on_a_public_image_are_ones_own(ec2, stranger, image):
    ec2.create_tags(Resources=[image], Tags=tags(note="mine"))

    [mine] = ec2.describe_images(ImageIds=[image])["Images"]
    [theirs] = stranger.describe_images(ImageIds=[image])["Images"]
    assert (mine["Tags"], theirs.get("Tags", [])) == (tags(note="mine"), [])


def test_tags_of_a_terminated_instance_go_when_it_is_no_longer_shown(build):
    house = build(terminated_visible=timedelta(minutes=5))
    ec2 = house.client()
    made = ec2.run_instances(ImageId=machine_image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    known = made["Instances"][0]["InstanceId"]
    ec2.create_tags(Resources=[known], Tags=tags(a="1"))
    ec2.terminate_instances(InstanceIds=[known])
    house.settle()
    assert instance(ec2, known)["Tags"] == tags(a="1")
    house.settle(310)
    house.mend()

    assert described(ec2) == []


def test_every_kind_that_can_have_tags_has_a_type():
    assert set(core_tags.PREFIXES) <= set(RESOURCE_TYPES)


def test_tags_of_a_resource_are_found_whatever_else_is_asked(ec2):
    first, second = (ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"] for _ in range(2))
    ec2.create_tags(Resources=[first, second], Tags=[{"Key": key, "Value": key * 2} for key in "abc"])

    def found(*filters):
        asked = [{"Name": name, "Values": list(values)} for name, *values in filters]
        return [(one["ResourceId"], one["Key"]) for one in ec2.describe_tags(Filters=asked)["Tags"]]

    assert found(("resource-id", first), ("key", "a", "c")) == [(first, "a"), (first, "c")]
    assert found(("resource-id", first), ("resource-id", second)) == []
    assert found(("resource-id", first[:8] + "*"), ("value", "bb"), ("resource-id", first)) == [(first, "b")]
    assert found(("resource-id", first.replace("vol", "v?l"), "x")) == [(first, key) for key in "abc"]
    assert found(("resource-id", "vol-0123456789abcdef0")) == []

"""What decides whether unmodified clients work: each was measured with a real one."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from raw import Sender

from isthmus.aws.ec2 import ec2 as service
from isthmus.aws.sts import sts
from isthmus.context import Place


@pytest.fixture
def send(house: Any) -> Sender:
    return Sender(house.front, house.account)


def _launch(ec2: Any, image: str, count: int = 1) -> list[str]:
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=count, MaxCount=count)
    return [one["InstanceId"] for one in made["Instances"]]


def _ids(ec2: Any) -> list[str]:
    return [one["InstanceId"] for held in ec2.describe_instances()["Reservations"] for one in held["Instances"]]


def test_a_list_from_0_names_the_same_things_as_one_from_1(send, ec2, image):
    one, other = _launch(ec2, image, 2)

    assert send("DescribeInstances", {"InstanceId.0": one}).all("instanceId") == [one]
    assert send("TerminateInstances", {"InstanceId.0": one}).all("instanceId") == [one]
    states = {
        found["InstanceId"]: found["State"]["Name"]
        for held in ec2.describe_instances()["Reservations"]
        for found in held["Instances"]
    }
    assert states == {one: "shutting-down", other: "pending"}


def test_tags_counted_from_0_are_set(send, ec2, image):
    [one] = _launch(ec2, image)

    send("CreateTags", {"ResourceId.0": one, "Tag.0.Key": "a", "Tag.0.Value": "b", "Tag.7.Key": "c", "Tag.7.Value": ""})

    tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [one]}])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "b", "c": ""}


def test_a_list_with_gaps_is_taken_in_the_order_of_its_numbers(send, ec2, house, image):
    ids = _launch(ec2, image, 3)
    house.settle()
    params = {"InstanceId.900": ids[0], "InstanceId.3": ids[1], "InstanceId.17": ids[2]}

    assert send("StopInstances", params).all("instanceId") == [ids[1], ids[2], ids[0]]


@pytest.mark.parametrize("name", ["InstanceIdSet.1", "instanceId.1", "InstanceId.x", "InstanceId.1.2", "Instance"])
def test_a_parameter_that_is_not_known_never_widens_a_describe(send, ec2, image, name):
    [one] = _launch(ec2, image)

    answer = send("DescribeInstances", {name: one})

    assert (answer.status, answer.code) == (400, "UnknownParameter")


def test_a_list_may_be_called_as_the_model_calls_it(send, ec2, image):
    one, _ = _launch(ec2, image, 2)

    assert send("DescribeInstances", {"InstanceIds.1": one}).all("instanceId") == [one]


def test_an_empty_id_does_not_mean_all(send, ec2, image):
    _launch(ec2, image)

    assert send("DescribeInstances", {"InstanceId.1": ""}).status == 400


@pytest.mark.parametrize(
    ("region", "name"), [("0", "127"), ("undefined-123", "ec2"), ("my-cloud", "compute"), ("us-east-1", "ec2")]
)
def test_the_scope_of_a_signature_may_be_nonsense(send, region, name):
    answer = replace(send, region=region, service=name)("DescribeRegions")

    assert (answer.status, answer.all("regionName")) == (200, ["us-east-1"])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_version_2_of_the_signature_is_accepted(send, method):
    assert send.v2(method, "DescribeRegions").all("regionName") == ["us-east-1"]


def test_version_4_of_the_signature_is_accepted_on_get(send):
    assert send.get("DescribeRegions", {"RegionName.1": "us-east-1"}).all("regionName") == ["us-east-1"]


@pytest.mark.parametrize("version", ["2010-08-31", "2012-12-01", "2014-10-01", "2015-10-01", "2016-11-15"])
def test_the_namespace_is_the_version_asked_for_with_a_slash_behind_it(send, version):
    answer = send("DescribeRegions", version=version)

    assert f'xmlns="http://ec2.amazonaws.com/doc/{version}/"' in answer.text


def test_the_version_of_libclouds_outscale_drivers_gets_the_namespace_that_they_read(send):
    answer = send("DescribeRegions", version="2016-04-01")

    assert 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"' in answer.text


@pytest.mark.parametrize("version", ["2010-08-30", "2016-11-16", "2016-9-15", "latest", "2016-11-15/", "+016-11-15"])
def test_a_version_that_never_was_is_refused(send, version):
    assert send("DescribeRegions", version=version).code == "NoSuchVersion"


def test_what_answers_nothing_answers_true(send, ec2, image, house):
    one, other = _launch(ec2, image, 2)
    house.settle()
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    address = ec2.allocate_address()["AllocationId"]
    made = ec2.create_image(InstanceId=other, Name="made")["ImageId"]
    house.settle()
    ec2.create_key_pair(KeyName="k")
    ec2.associate_address(AllocationId=address, InstanceId=one)
    rule = {"IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "CidrIp": "0.0.0.0/0"}
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    calls: list[tuple[str, dict[str, str]]] = [
        ("CreateTags", {"ResourceId.1": one, "Tag.1.Key": "k", "Tag.1.Value": "v"}),
        ("DeleteTags", {"ResourceId.1": one}),
        ("AuthorizeSecurityGroupIngress", {"GroupId": group, **rule}),
        ("RevokeSecurityGroupIngress", {"GroupId": group, **rule}),
        ("DeleteSecurityGroup", {"GroupId": group}),
        ("RebootInstances", {"InstanceId.1": one}),
        ("ModifyInstanceAttribute", {"InstanceId": one, "DisableApiTermination.Value": "false"}),
        ("DisassociateAddress", {"AssociationId": ec2.describe_addresses()["Addresses"][0]["AssociationId"]}),
        ("ReleaseAddress", {"AllocationId": address}),
        ("ModifyImageAttribute", {"ImageId": made, "Description.Value": "d"}),
        ("DeregisterImage", {"ImageId": made}),
        ("DeleteKeyPair", {"KeyName": "k"}),
    ]
    house.settle()
    calls += [("DeleteSnapshot", {"SnapshotId": snapshot}), ("DeleteVolume", {"VolumeId": volume})]
    for action, params in calls:
        answer = send(action, params)
        assert (action, answer.status, answer.all("return")) == (action, 200, ["true"]), answer.text


def test_versions_of_before_get_the_shapes_of_before(send):
    new, old = send("DescribeVpcs"), send("DescribeVpcs", version="2014-10-01")

    assert new.all("cidrBlockAssociationSet")
    assert not old.all("cidrBlockAssociationSet")
    assert old.all("vpcId") == new.all("vpcId")


def test_an_action_that_is_not_served_is_the_clients_error(send):
    for name in service.codec.operations:
        if name not in service.actions:
            answer = send(name)
            assert (name, answer.status, answer.code) == (name, 400, "UnsupportedOperation")
    answer = send("NoSuchAction")
    assert (answer.status, answer.code) == (400, "InvalidAction")


def test_an_action_that_is_refused_says_why(send):
    assert "S3" in send("BundleInstance").message


def test_another_services_action_that_is_not_served_is_the_clients_error(send):
    asked = replace(send, service="sts")
    for name in sts.codec.operations:
        if name not in sts.actions:
            answer = asked(name, version="2011-06-15")
            assert 400 <= answer.status < 500
            assert answer.root.tag == "ErrorResponse"


def test_an_empty_parameter_is_an_absent_one(send, image):
    empty = ("Placement.AvailabilityZone", "SubnetId", "KeyName", "IamInstanceProfile.Name", "ClientToken", "UserData")
    wanted = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": "1", "MaxCount": "1"}

    answer = send("RunInstances", {**wanted, **dict.fromkeys(empty, "")})

    assert answer.status == 200, answer.text
    assert send("CreateVolume", {"AvailabilityZone": "", "Size": "1"}).code == "MissingParameter"
    assert send("CreateSecurityGroup", {"GroupName": "a", "GroupDescription": "b", "VpcId": ""}).status == 200


def test_an_empty_tag_is_a_tag(send, ec2, image):
    [one] = _launch(ec2, image)

    send("CreateTags", {"ResourceId.1": one, "Tag.1.Key": "empty", "Tag.1.Value": ""})

    assert ec2.describe_tags()["Tags"] == [
        {"Key": "empty", "ResourceId": one, "ResourceType": "instance", "Value": ""},
    ]


@pytest.mark.parametrize("written", ["aGk=", "aGk=\n", "aGk", "aG\r\nk=", " aGk= "])
def test_base64_is_read_however_it_is_wrapped(send, ec2, image, written):
    wanted = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": "1", "MaxCount": "1"}
    [made] = send("RunInstances", {**wanted, "UserData": written}).all("instanceId")

    said = send("DescribeInstanceAttribute", {"InstanceId": made, "Attribute": "userData"})

    assert said.all("userData")
    assert said.root.findtext("userData/value") == base64.b64encode(b"hi").decode()


def test_what_is_not_base64_is_refused(send, image):
    wanted = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": "1", "MaxCount": "1", "UserData": "#!/bin/sh"}

    assert send("RunInstances", wanted).code == "InvalidUserData.Malformed"


def test_the_region_and_its_zones_have_the_names_of_the_configuration(house):
    zones = {f"eu-west-1{letter}": f"us-east-1{letter}" for letter in "ab"}
    places = {zone: Place(zone, "memory", native) for zone, native in zones.items()}
    front = type(house.front)(replace(house.world, region="eu-west-1", places=places, memo={}))
    send = Sender(front, house.account)

    assert send("DescribeRegions").all("regionName") == ["eu-west-1"]
    assert send("DescribeAvailabilityZones").all("zoneName") == list(zones)
    assert send("CreateVolume", {"AvailabilityZone": "eu-west-1b", "Size": "1"}).all("availabilityZone") == [
        "eu-west-1b"
    ]
    assert set(send("DescribeSubnets").all("availabilityZone")) == set(zones)
